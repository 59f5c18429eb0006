#!/usr/bin/env bash
# Fetches crun's own tests from Debian's source package and builds the program that they run in containers, once:
#
#   build.sh DIR    DIR/tests/test_NAME.py, DIR/tests/init and what they import from DIR/python
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../source.sh
source "$here/../source.sh"

version=1.8.1
sha256=01b68269d94e5fe11106a9b14c2f144be03b16ec798951f4efa6aa16ba9da29a

[ $# = 1 ] || die "usage: build.sh DIR"
once "$1" "$0" "$here"/python/*.py

fetch_source "$dir" bookworm crun $version 1+deb12u1 $sha256 "$dir/source"
mv "$dir/source/tests" "$dir/tests"
cp -r "$here/python" "$dir/python"
# What it asks of autoconf's answers has a default.
touch "$dir/config.h"
gcc -O2 -static -D_GNU_SOURCE -I"$dir" -o "$dir/tests/init" "$dir/tests/init.c" >>"$dir/log" 2>&1 ||
  die "building init: $(tail -n 1 "$dir/log")"
rm -rf "$dir/source"
built
