#!/usr/bin/env bash
# Builds the OCI runtime-tools' validation programs from Debian's source package with Debian's Go, once:
#
#   build.sh DIR    DIR/bin/NAME, one for each test, DIR/runtimetest and DIR/rootfs-amd64.tar.gz
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../source.sh
source "$here/../source.sh"

package=golang-github-opencontainers-runtime-tools
# Later than bookworm's, whose package has no validation programs.
version=0.9.0.109.ge931285
sha256=203989a1ea98cf2aaced79155bbda09270b20db19b03376dde91ab12e5e6a0fe

[ $# = 1 ] || die "usage: build.sh DIR"
once "$1" "$0" "$here/tap/tap.go"
mkdir -p "$dir/bin"

source=$dir/gopath/src/github.com/opencontainers/runtime-tools
mkdir -p "$dir/gopath/src/github.com/mndrix"
fetch_source "$dir" trixie $package $version 1 $sha256 "$source"
ln -s "$here/tap" "$dir/gopath/src/github.com/mndrix/tap-go"
export GO111MODULE=off GOPATH=$dir/gopath:/usr/share/gocode GOCACHE=$dir/cache GOFLAGS=
cd "$source"
CGO_ENABLED=0 go build -tags 'netgo osusergo' -o "$dir/runtimetest" ./cmd/runtimetest
for test in validation/*/; do
  name=$(basename "$test")
  [ "$name" = util ] || go build -o "$dir/bin/$name" "./$test"
done
cp rootfs-amd64.tar.gz "$dir/"
rm -rf "$dir/cache"
built
