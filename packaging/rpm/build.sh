#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the RPM packages, source and binary, from the committed tree.
#
#   packaging/rpm/build.sh OUTPUT_FOLDER
#
# On Debian, where rpmbuild knows of no installed package, what the spec's BuildRequires name must be
# here already (make deps). Version and date come from the tree, so that two builds of one commit are equal.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
out=$(mkdir -p "$1" && cd "$1" && pwd)

version=$(python3 -B "$top/packaging/version.py")
abi=$(sed -n 's/.*BURROW_PLUGIN_SYMBOL "burrow_plugin_v\([0-9]*\)".*/\1/p' "$top/include/burrow/plugin.h")
SOURCE_DATE_EPOCH=$(git -C "$top" log -1 --format=%ct)
export SOURCE_DATE_EPOCH PYTHONDONTWRITEBYTECODE=1
date=$(LC_ALL=C date -u -d "@$SOURCE_DATE_EPOCH" '+%a %b %d %Y')
# A fixed name: the source package tells in its header where it was built.
work=/var/tmp/burrow-rpmbuild
mkdir "$work" || {
    echo "$work: another build is going on, or was killed: remove the folder then" >&2
    exit 1
}
trap 'rm -rf "$work"' EXIT

mkdir -p "$work"/{SOURCES,SPECS}
git -C "$top" archive --prefix="burrow-$version/" HEAD |
    xz -c >"$work/SOURCES/burrow-$version.tar.xz"
sed "s/@VERSION@/$version/g; s/@ABI@/$abi/g; s/@DATE@/$date/g" "$top/packaging/rpm/burrow.spec.in" \
    >"$work/SPECS/burrow.spec"
# The paths of the build are cut, so that no program tells where it was built.
nodeps=()
[ -e /etc/debian_version ] && nodeps=(--nodeps)
CFLAGS="-g -ffile-prefix-map=$work=." CXXFLAGS="-g -ffile-prefix-map=$work=." \
    rpmbuild -ba "${nodeps[@]}" --define "_topdir $work" --define "_buildhost burrow" \
    --define "_smp_mflags -j$(nproc)" "$work/SPECS/burrow.spec"
rm -f "$out"/*.rpm
cp "$work"/RPMS/*/*.rpm "$work"/SRPMS/*.rpm "$out/"
git -C "$top" rev-parse HEAD >"$out/commit"
