#!/usr/bin/env bash
# Builds libvkernel.o for wasi-libc and, for an older one, the start of a program that goes with it.
#
#   libvkernel/build.sh OUT COMPILER...     COMPILER is clang with its --target and --sysroot
#
# One object rather than an archive: linked as a whole, its functions take the place of wasi-libc's.
# With -Wl,--gc-sections a program keeps, and imports, only what it uses.
# `-B OUT`, where a program is linked, makes clang start it by OUT/crt1-command.o if that is there.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$1
shift
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

compile() {
  "$compiler" "${options[@]}" -O2 -ffunction-sections -fdata-sections -Wall -Werror -Wno-unused-parameter \
    -Wno-unused-command-line-argument -isystem "$here/include" -include "$here/include/posix_processes.h" -c "$1" -o "$2"
}
compiler=$1 options=("${@:2}")

rm -f "$out/crt1-command.o"
# Whether the libc's own start calls the constructors.
start=$("$@" -print-file-name=crt1-command.o)
[ -e "$start" ] || { echo "libvkernel: error: the compiler finds no crt1-command.o; name its --target and --sysroot" >&2; exit 1; }
if ! grep -q __wasm_call_ctors "$start"; then
  options+=(-DOWN_START)
  compile "$here/start/crt1-command.c" "$out/crt1-command.o"
fi
for source in "$here"/src/*.[cs]; do
  compile "$source" "$work/$(basename "$source").o"
done
"$@" -Wno-unused-command-line-argument -r -nostdlib "$work"/*.o -o "$out/libvkernel.o"
