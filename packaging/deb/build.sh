#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the Debian packages, source and binary, from the committed tree.
#
#   packaging/deb/build.sh OUTPUT_FOLDER
#
# Version and date come from the tree (CMakeLists.txt and the last commit), so that two builds of one
# commit are equal to the byte.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
out=$(mkdir -p "$1" && cd "$1" && pwd)

version=$(python3 -B "$top/packaging/version.py")
SOURCE_DATE_EPOCH=$(git -C "$top" log -1 --format=%ct)
export SOURCE_DATE_EPOCH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/burrow-$version

git -C "$top" archive --prefix="burrow-$version/" HEAD | tar -x -C "$work"
tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" \
    -cJf "$work/burrow_$version.orig.tar.xz" "burrow-$version"

mkdir "$tree/debian"
cp -r "$tree/packaging/deb/." "$tree/debian/"
rm "$tree/debian/build.sh"
cp "$tree/packaging/systemd/burrow.sysusers" "$tree/packaging/systemd/burrow.tmpfiles" "$tree/debian/"
cat >"$tree/debian/changelog" <<EOF
burrow ($version-1) unstable; urgency=medium

  * Version $version; its changes are in CHANGELOG.md.

 -- burrow maintainers <maintainers@burrow.dev>  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
EOF

(cd "$tree" && dpkg-buildpackage -us -uc -ui -j"$(nproc)")
rm -f "$out"/burrow*_"$version"*
cp "$work"/burrow*_"$version"* "$out/"
git -C "$top" rev-parse HEAD >"$out/commit"
