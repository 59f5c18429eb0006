#!/usr/bin/env bash
# Fetches the tests that the shell yash has for any POSIX shell, from the crate that carries them, once:
#
#   fetch.sh DIR    DIR/run-test.sh and DIR/NAME-p.sh
set -euo pipefail

die() { printf '%s\n' "shell-suite: error: $*" >&2; exit 1; }

crate=yash-cli
version=3.0.8

[ $# = 1 ] || die "usage: fetch.sh DIR"
[ "$(cat "$1/version" 2>/dev/null)" != $version ] || exit 0
rm -rf "$1"
mkdir -p "$1/src"
dir=$(cd "$1" && pwd)
printf '[package]\nname = "fetched"\nversion = "0.0.0"\nedition = "2021"\n[workspace]\n[dependencies]\n%s = "=%s"\n' \
  $crate $version >"$dir/Cargo.toml"
: >"$dir/src/lib.rs"
(cd "$dir" && cargo vendor --quiet vendor >/dev/null) 2>"$dir/log" || die "no source of $crate $version: $(tail -n 1 "$dir/log")"
mv "$dir/vendor/$crate/tests/scripted_test"/{run-test.sh,*-p.sh} "$dir/"
rm -rf "$dir"/{vendor,src,Cargo.toml,Cargo.lock,log}
echo $version >"$dir/version"
