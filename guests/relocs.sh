#!/usr/bin/env bash
# The guests in C once more, linked with --emit-relocs: programs that can stand on a base layer of their libc.
#
#   guests/relocs.sh [NAME...]    programs of guests/programs; by default all that need nothing but clang and its libc
#
# They land in guests/.cache/relocs, beside what guests/build.sh makes of the same sources. Built again when
# a script of this folder or their own changed.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

ALL=(9base bzip2 zstd lz4 xxd figlet cmark tree jq toybox)

# one NAME: as guests/build.sh builds it, but for the flag and the place.
one() {
  local name=$1
  export WORK=$CACHE/build/relocs-$name
  rm -rf "$WORK"
  mkdir -p "$WORK"
  (
    cd "$WORK"
    WASM=$CACHE/relocs
    # What has no name cannot be moved: --strip-debug leaves the symbols.
    LDFLAGS+=(-Wl,--emit-relocs)
    . "$GUESTS/programs/$name.sh"
  ) >"$CACHE/log/relocs-$name" 2>&1 || {
    tail -n 15 "$CACHE/log/relocs-$name" >&2
    die "$name failed; the whole log is $CACHE/log/relocs-$name"
  }
  rm -rf "$WORK"
}

key() { cat "$GUESTS"/*.sh "$GUESTS/programs/$1"* | sha256sum | cut -c1-64; }

[ -d "$TARBALLS" ] && [ -e "$COMPAT" ] || die "run guests/build.sh demo first"
mkdir -p "$CACHE/relocs" "$CACHE/log" "$CACHE/stamps"
exec 9>"$CACHE/relocs.lock"
flock 9
[ $# -gt 0 ] || set -- "${ALL[@]}"
for name in "$@"; do
  stamp=$CACHE/stamps/relocs-$name
  [ "$(cat "$stamp" 2>/dev/null)" != "$(key "$name")" ] || continue
  say "$name, with relocations"
  one "$name"
  key "$name" >"$stamp"
done
