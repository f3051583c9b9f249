#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the container image of server and client from the Debian packages, or from what
# `DESTDIR=FOLDER cmake --install` has put under /usr.
#
#   packaging/container/build.sh FOLDER OUTPUT.tar      (an OCI archive; needs buildah)
#
# The image has the program, all plugins, the libraries that they need, certificates of authorities, and
# nothing else: no shell, no package manager. It runs as UID 65534 on a read-only root.
set -euo pipefail
from=$(cd "$1" && pwd)
output=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
top=$(cd "$(dirname "$0")/../.." && pwd)
version=$(python3 -B "$top/packaging/version.py")
epoch=$(git -C "$top" log -1 --format=%ct)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
installed=$from
if [ ! -e "$installed/usr/bin/burrow" ]; then
    installed=$work/installed
    for name in burrow burrow-plugin-jwks burrow-plugin-kubernetes; do
        dpkg-deb -x "$from/${name}_${version}-1_$(dpkg --print-architecture).deb" "$installed"
    done
fi

root=$work/root
mkdir -p "$root"/{dev,etc/ssl/certs,etc/burrow,proc,sys,usr/bin,tmp}
cp "$installed/usr/bin/burrow" "$root/usr/bin/"
plugins=$(cd "$installed" && find usr/lib -path '*/burrow/plugins' -type d)
mkdir -p "$root/$plugins"
cp "$installed/$plugins"/*.so "$root/$plugins/"
chmod -R go-w "$root/$plugins"
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
echo 'nobody:x:65534:65534:nobody:/:/usr/sbin/nologin' >"$root/etc/passwd"
echo 'nogroup:x:65534:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"

# Every library that is needed, by the paths under which the loader finds it; libwebsockets opens its
# plugin for libev by itself.
evlib=$(find /usr/lib -name 'libwebsockets-evlib_ev.so' | head -1)
mkdir -p "$root$(dirname "$evlib")"
cp -L "$evlib" "$root$evlib"
ldd "$root/usr/bin/burrow" "$root/$plugins"/*.so "$evlib" | awk '/=> \// { print $3 } /^\t\/lib/ { print $1 }' | sort -u |
    while read -r library; do
        mkdir -p "$root$(dirname "$library")"
        cp -L "$library" "$root$library"
    done
# OpenSSL's configuration is looked for at a fixed place; an empty one is what it does without.
mkdir -p "$root/usr/lib/ssl"
ln -s /etc/ssl/certs "$root/usr/lib/ssl/certs"

image() { buildah --storage-driver vfs --root "$work/storage" --runroot "$work/run" "$@"; }
container=$(image from scratch)
image copy --quiet "$container" "$root" / >/dev/null
image config --user 65534:65534 --entrypoint '["/usr/bin/burrow"]' --cmd server --workingdir / \
    --label "org.opencontainers.image.title=burrow" --label "org.opencontainers.image.version=$version" \
    --label "org.opencontainers.image.licenses=Apache-2.0" --port 8080/tcp "$container"
image commit --quiet --timestamp "$epoch" --format oci "$container" "localhost/burrow:$version" >/dev/null
rm -f "$output"
image push --quiet "localhost/burrow:$version" "oci-archive:$output:localhost/burrow:$version"
echo "$output: localhost/burrow:$version"
