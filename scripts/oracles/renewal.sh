#!/bin/bash
# Install what the tests of `renewal` ask: scripts/oracles/renewal.sh DIR
#
#   pebble, certbot 2.1, nginx,  Debian's packages, by apt-get as root, and only what is missing
#   iptables, ps, curl
#   certbot 5.8                  from PyPI, into DIR/certbot-5.8                                    40 MB
#
# What is there stays as it is. Debian's certbot brings a timer and a cron job; on a machine without systemd and cron neither runs.
set -euo pipefail

[ $# = 1 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2; }
mkdir -p "$1"
dir=$(cd "$1" && pwd)

packages=()
for pair in pebble:pebble pebble-challtestsrv:pebble certbot:certbot nginx:nginx-light ip:iproute2 nsenter:util-linux \
  iptables:iptables ps:procps curl:curl; do
  PATH="$PATH:/usr/sbin:/sbin" command -v "${pair%%:*}" >/dev/null || packages+=("${pair#*:}")
done
/usr/bin/python3 -m venv --help >/dev/null 2>&1 || packages+=(python3-venv)
if [ ${#packages[@]} -gt 0 ]; then
  mapfile -t packages < <(printf '%s\n' "${packages[@]}" | sort -u)
  if [ "$(id -u)" != 0 ]; then
    echo "not root; run: apt-get install --no-install-recommends ${packages[*]}" >&2
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update
  apt-get -qq -y --no-install-recommends -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install "${packages[@]}"
fi

if [ ! -x "$dir/certbot-5.8/bin/certbot" ]; then
  rm -rf "$dir/certbot-5.8"
  /usr/bin/python3 -m venv "$dir/certbot-5.8"
  "$dir/certbot-5.8/bin/pip" install -q --disable-pip-version-check --only-binary :all: certbot==5.8.0
fi
