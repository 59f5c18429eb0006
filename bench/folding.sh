#!/usr/bin/env bash
# What linking and folding save, over sets of modules: 500 variants of one C program that differ in constants and
# strings; the guests under 1 MB; these and the larger ones but CPython. Beside them wasm-merge, where it can do the
# job. And the programs in C with and without a base layer of their libc.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
GUESTS=${GUESTS_DIR:-guests}
TARGET=${TARGET:-target}
VARIANTS=${VARIANTS:-500}
work=$(mktemp -d "${TMPDIR:-/tmp}/megarun-folding.XXXXXX")
trap 'rm -rf "$work"' EXIT

variants() {
  mkdir "$work/variants"
  cat >"$work/variant.c" <<'C'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static const char *words[] = {"alpha" S, "beta" S, "gamma" S, "delta" S};
static unsigned table[256];
static int order(const void *a, const void *b) { return strcmp(*(char **)a, *(char **)b); }
int main(int argc, char **argv) {
  unsigned h = K;
  for (unsigned i = 0; i < 256; i++) table[i] = i * K + 1;
  for (int i = 1; i < argc; i++)
    for (char *p = argv[i]; *p; p++) h = h * 31 + table[(unsigned char)*p];
  qsort(words, 4, sizeof *words, order);
  printf("variant " S ": %u %s %.3f\n", h, words[0], K / 7.0);
  return K % 3;
}
C
  seq 1 "$VARIANTS" | xargs -P "$(nproc)" -I{} clang-22 --target=wasm32-wasi "--sysroot=$GUESTS/.cache/sysroot" \
    -Wno-deprecated --no-wasm-opt -O2 -w '-DS="-{}"' '-DK={}' "$work/variant.c" -Wl,--gc-sections,--strip-debug \
    -o "$work/variants/v{}.wasm"
}

# select NAME LIMIT: a folder of the guests of at most LIMIT bytes, CPython aside.
select_guests() {
  mkdir "$work/$1"
  find "$(realpath "$GUESTS")/.cache/wasm" -name '*.wasm' -size "-$2c" ! -name python.wasm -exec ln -s -t "$work/$1" {} +
}

# Binaryen's merger, of one folder: it keeps every program's memory, so that the result needs several.
merge() {
  local tool=$TARGET/bench/npm/node_modules/binaryen/bin/wasm-merge log=$work/merge.log start arguments=() module name
  if ! [ -e "$tool" ]; then
    npm install --silent --no-audit --no-fund --prefix "$TARGET/bench/npm" binaryen >"$log" 2>&1 ||
      { echo "wasm-merge: not installed (npm install binaryen failed)"; return; }
  fi
  for module in "$work/$1"/*.wasm; do
    name=$(basename "$module" .wasm)
    arguments+=("$module" "$name")
  done
  start=$(date +%s%N)
  if timeout 300 node "$tool" "${arguments[@]}" --rename-export-conflicts --all-features -o "$work/merged.wasm" >"$log" 2>&1; then
    printf '  %-12s %9d bytes %5d %%   merged in %d ms (wall clock): a memory for each program, nothing shared\n' wasm-merge \
      "$(wc -c <"$work/merged.wasm")" $(($(wc -c <"$work/merged.wasm") * 100 / $(cat "$work/$1"/*.wasm | wc -c))) \
      $((($(date +%s%N) - start) / 1000000))
  else
    printf '  %-12s cannot do it: %s\n' wasm-merge "$(tail -n 1 "$log" | cut -c 1-120)"
  fi
}

# The programs in C that can stand on a base of their libc, without it and with it.
based() {
  local module name
  guests/relocs.sh
  mkdir "$work/c-programs" "$work/on-a-base"
  for module in "$(realpath "$GUESTS")"/.cache/relocs/*.wasm; do
    name=$(basename "$module")
    [ -e "$GUESTS/.cache/wasm/$name" ] || continue
    ln -s "$module" "$work/on-a-base/$name"
    ln -s "$(realpath "$GUESTS/.cache/wasm/$name")" "$work/c-programs/$name"
  done
  cargo bench --locked -q --workspace --bench link -- "$work/c-programs" \
    "--base=$GUESTS/.cache/sysroot/lib/wasm32-wasi/libc.a" "$work/on-a-base"
}

based
variants
select_guests small-and-middle 1000000
select_guests all 8000000
for set in variants small-and-middle all; do
  cargo bench --locked -q --workspace --bench link -- "$work/$set"
  [ "$set" = all ] || merge "$set"
done
