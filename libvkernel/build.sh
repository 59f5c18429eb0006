#!/usr/bin/env bash
# Builds libvkernel.o for wasi-libc.
#
#   libvkernel/build.sh OUT COMPILER...     COMPILER is clang with its --target and --sysroot
#
# One object rather than an archive: linked as a whole, its functions take the place of wasi-libc's.
# With -Wl,--gc-sections a program keeps, and imports, only what it uses.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$1
shift
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for source in "$here"/src/*.c; do
  "$@" -O2 -ffunction-sections -fdata-sections -Wall -Werror -Wno-unused-parameter -Wno-unused-command-line-argument \
    -isystem "$here/include" -include "$here/include/posix_processes.h" -c "$source" -o "$work/$(basename "$source" .c).o"
done
"$@" -Wno-unused-command-line-argument -r -nostdlib "$work"/*.o -o "$out/libvkernel.o"
