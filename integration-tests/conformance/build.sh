#!/usr/bin/env bash
# Builds the OCI runtime-tools' validation programs from Debian's source package with Debian's Go, once:
#
#   build.sh DIR    DIR/bin/NAME, one for each test, DIR/runtimetest and DIR/rootfs-amd64.tar.gz
set -euo pipefail

die() { printf '%s\n' "conformance: error: $*" >&2; exit 1; }

package=golang-github-opencontainers-runtime-tools
# Later than bookworm's, whose package has no validation programs.
version=0.9.0.109.ge931285
sha256=203989a1ea98cf2aaced79155bbda09270b20db19b03376dde91ab12e5e6a0fe

[ $# = 1 ] || die "usage: build.sh DIR"
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
dir=$(cd "$1" && pwd)
stamp=$(cat "$0" "$here/tap/tap.go" | sha256sum | cut -d' ' -f1)
[ "$(cat "$dir/stamp" 2>/dev/null)" != "$stamp" ] || exit 0
rm -rf "$dir"
mkdir -p "$dir"/{lists/partial,bin}

# apt with lists of its own: the host's sources stay as they are.
echo 'deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian trixie main' \
  >"$dir/sources.list"
apt=(-q -o Dir::Etc::SourceList="$dir/sources.list" -o Dir::Etc::SourceParts=/dev/null
  -o Dir::State::Lists="$dir/lists" -o APT::Sandbox::User=root)
apt-get "${apt[@]}" update >"$dir/log" 2>&1 || die "no list of trixie's sources: $(tail -n 1 "$dir/log")"
(cd "$dir" && apt-get "${apt[@]}" source --tar-only "$package=$version-1" >>"$dir/log" 2>&1) ||
  die "no source of $package $version: $(tail -n 1 "$dir/log")"
archive=$dir/${package}_$version.orig.tar.xz
echo "$sha256  $archive" | sha256sum --check --quiet || die "$archive is not the one expected"

source=$dir/gopath/src/github.com/opencontainers/runtime-tools
mkdir -p "$source" "$dir/gopath/src/github.com/mndrix"
tar -xf "$archive" -C "$source" --strip-components=1
ln -s "$here/tap" "$dir/gopath/src/github.com/mndrix/tap-go"
export GO111MODULE=off GOPATH=$dir/gopath:/usr/share/gocode GOCACHE=$dir/cache GOFLAGS=
cd "$source"
CGO_ENABLED=0 go build -tags 'netgo osusergo' -o "$dir/runtimetest" ./cmd/runtimetest
for test in validation/*/; do
  name=$(basename "$test")
  [ "$name" = util ] || go build -o "$dir/bin/$name" "./$test"
done
cp rootfs-amd64.tar.gz "$dir/"
rm -rf "$dir/cache" "$dir/lists"
echo "$stamp" >"$dir/stamp"
