#!/bin/bash
# Install what builds images, and the roots that they are built on: scripts/oracles/images.sh DIR
#
#   buildah, mmdebstrap, crun, unshare   Debian's packages, by apt-get as root, and only what is missing
#   images/bullseye.tar   Debian 11: DST Root CA X3 and ten more expired roots are in its store; without Python       85 MB
#   images/bookworm.tar   Debian 12, with Python                                                                   170 MB
#   images/trixie.tar     Debian 13, with Python                                                                   120 MB
#   images/buildah        a root with Debian 13's buildah, which knows here-documents (since 1.33)                  90 MB
#
# Each is as small as Debian goes, with ca-certificates and openssl as they were released: no later update takes a root away.
# Alpine's root is `install`'s. What is there stays as it is. A part that can't be had is one line, "missing oracle: NAME (why)", and not a
# failure, unless CI=true.
set -euo pipefail

[ $# = 1 ] || { sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 2; }
mkdir -p "$1/images" "$1/log"
dir=$(cd "$1" && pwd)
exec 9>"$dir/log/images.lock"
flock 9 # two runs at once would build the same roots

missing() {
  printf 'missing oracle: %s (%s)\n' "$1" "$2"
  [ "${CI:-}" != true ] || exit 1
}

packages=()
for pair in buildah:buildah mmdebstrap:mmdebstrap crun:crun unshare:util-linux; do
  PATH="$PATH:/usr/sbin:/sbin" command -v "${pair%%:*}" >/dev/null || packages+=("${pair#*:}")
done
if [ ${#packages[@]} -gt 0 ]; then
  if [ "$(id -u)" != 0 ]; then
    missing images "not root; run: apt-get install --no-install-recommends ${packages[*]}"
    exit 0
  fi
  export DEBIAN_FRONTEND=noninteractive
  if ! { apt-get -qq update &&
    apt-get -qq -y --no-install-recommends -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install "${packages[@]}"; } \
    >"$dir/log/images" 2>&1; then
    missing images "$(tail -n 1 "$dir/log/images")"
    exit 0
  fi
fi

# root SUITE PACKAGE...: beside its place first, so that what is there is whole.
root() {
  local suite=$1 include
  shift
  [ ! -s "$dir/images/$suite.tar" ] || return 0
  include=$(IFS=, && echo "ca-certificates,openssl${*:+,$*}")
  mmdebstrap --quiet --variant=minbase --include="$include" --aptopt='Acquire::Check-Valid-Until "false"' \
    --dpkgopt=path-exclude='/usr/share/doc/*' --dpkgopt=path-exclude='/usr/share/man/*' \
    --dpkgopt=path-exclude='/usr/share/locale/*' --format=tar "$suite" "$dir/images/$suite.tar.part" \
    "deb http://deb.debian.org/debian $suite main" >"$dir/log/images-$suite" 2>&1 </dev/null || return 1
  mv "$dir/images/$suite.tar.part" "$dir/images/$suite.tar"
}

# builder: Debian 13's buildah and the libraries that it needs, unpacked; no script of any package runs. Out goes what it brings for its own
# tests and for networks. This machine's folders are mounted into it when it runs (tests/images/builder.rs).
builder() {
  local root=$dir/images/buildah
  [ ! -d "$root" ] || return 0
  [ "$(id -u)" = 0 ] || { echo "E: not root" >"$dir/log/images-buildah"; return 1; }
  rm -rf "$root.part"
  mmdebstrap --quiet --variant=extract --include=base-files,buildah,crun,netavark --aptopt='Acquire::Check-Valid-Until "false"' \
    --format=directory trixie "$root.part" "deb http://deb.debian.org/debian trixie main" >"$dir/log/images-buildah" 2>&1 </dev/null || return 1
  rm -rf "$root.part"/usr/{libexec/buildah,lib/cni,share/doc,share/man,share/locale} "$root.part"/usr/lib/*/{*.a,gconv}
  echo root:x:0:0:root:/root:/bin/sh >"$root.part/etc/passwd"
  # Its defaults are above the hard limits that a process without CAP_SYS_RESOURCE may have, and then nothing runs.
  printf '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n' >"$root.part/etc/containers/containers.conf"
  mv "$root.part" "$root"
}

declare -A job
builder & job[buildah]=$!
root bullseye & job[bullseye]=$!
root bookworm python3 & job[bookworm]=$!
root trixie python3 & job[trixie]=$!
for name in bullseye bookworm trixie buildah; do
  wait "${job[$name]}" || missing "images/$name" "$(grep -m 1 '^E:' "$dir/log/images-$name" || tail -n 1 "$dir/log/images-$name")"
done
