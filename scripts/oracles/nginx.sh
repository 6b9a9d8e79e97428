#!/bin/bash
# Install nginx (Debian's package: /usr/sbin/nginx) as an oracle: scripts/oracles/nginx.sh DIR
#
# Needs root, and only when it is missing. The package's own server is not started: nothing on this machine listens because of it.
set -euo pipefail

PATH="$PATH:/usr/sbin:/sbin"
command -v nginx >/dev/null && exit 0
if [ "$(id -u)" != 0 ]; then
  echo "not root; run: apt-get install --no-install-recommends nginx-light" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
apt-get -qq update
apt-get -qq -y --no-install-recommends -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install nginx-light
