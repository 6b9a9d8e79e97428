#!/bin/bash
# Install what the tests of `renewal` ask: scripts/oracles/renewal.sh DIR
#
#   pebble, certbot 2.1, nginx, faketime,  Debian's packages, by apt-get as root, and only what is missing
#   iptables, curl, ps
#   certbot 5.8                            from PyPI, into DIR/certbot-5.8                        61 MB
#   named                                  Debian's package, unpacked into DIR/named and not installed: no service starts   6 MB
#
# Both certbots have the plugin for RFC 2136.
# What is there stays as it is. Debian's certbot brings a timer and a cron job; on a machine without systemd and cron neither runs.
set -euo pipefail

[ $# = 1 ] || { sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 2; }
mkdir -p "$1"
dir=$(cd "$1" && pwd)

packages=()
for pair in pebble:pebble pebble-challtestsrv:pebble certbot:certbot nginx:nginx-light ip:iproute2 nsenter:util-linux faketime:faketime curl:curl ps:procps iptables:iptables; do
  PATH="$PATH:/usr/sbin:/sbin" command -v "${pair%%:*}" >/dev/null || packages+=("${pair#*:}")
done
/usr/bin/python3 -m venv --help >/dev/null 2>&1 || packages+=(python3-venv)
/usr/bin/python3 -c 'import certbot_dns_rfc2136' 2>/dev/null || packages+=(python3-certbot-dns-rfc2136)
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

[ -x "$dir/certbot-5.8/bin/certbot" ] || /usr/bin/python3 -m venv --clear "$dir/certbot-5.8"
if ! "$dir/certbot-5.8/bin/python" -c 'import certbot_dns_rfc2136' 2>/dev/null; then
  "$dir/certbot-5.8/bin/pip" install -q --disable-pip-version-check --only-binary :all: certbot==5.8.0 certbot-dns-rfc2136==5.8.0
fi

if [ ! -e "$dir/named/.done" ]; then
  work=$(mktemp -d)
  rm -rf "$dir/named"
  # With the libraries that nothing else here needs.
  named=(bind9 bind9-libs libfstrm0 libjemalloc2 liblmdb0 libmaxminddb0 libprotobuf-c1 libuv1)
  cd "$work"
  apt-get -qq download "${named[@]}" 2>log || { apt-get -qq update && apt-get -qq download "${named[@]}" 2>log; } || { cat log >&2; exit 1; }
  cd "$dir"
  for package in "$work"/*.deb; do dpkg-deb -x "$package" "$dir/named"; done
  touch "$dir/named/.done"
  rm -r "$work"
fi
