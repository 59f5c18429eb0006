#!/usr/bin/env bash
# What folding saves: the tools in guests/.cache but CPython and Go's, and 500 variants of one C program that
# differ in constants and strings. For each way to fold: size beside the sum of the inputs, time to link, time to
# compile, size of the artifact.
set -euo pipefail
GUESTS=${GUESTS_DIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../guests" && pwd)}
MEGABIN=${MEGABIN_BIN:?names the megabin to measure}
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

# measure NAME MODULES...
measure() {
  local name=$1 sum fold start linked
  shift
  sum=$(cat "$@" | wc -c)
  {
    printf 'name = "%s"\nversion = "1"\n' "$name"
    for module in "$@"; do
      printf '[[binary]]\npath = "/bin/%s"\nmodule = "%s"\n' "$(basename "$module" .wasm)" "$module"
    done
  } >"$work/$name.toml"
  printf '%s: %d programs, %d bytes\n' "$name" $# "$sum"
  for fold in none exact full; do
    start=$(date +%s%N)
    "$MEGABIN" build "$work/$name.toml" -o "$work/out" --fold "$fold" >/dev/null 2>&1
    linked=$((($(date +%s%N) - start) / 1000000))
    start=$(date +%s%N)
    "$MEGABIN" precompile --pipe <"$work/out/container.wasm" >"$work/artifact"
    printf '  %-6s %9d bytes %3d %%   linked in %6d ms   compiled in %6d ms   artifact %9d bytes\n' "$fold" \
      "$(wc -c <"$work/out/container.wasm")" $(($(wc -c <"$work/out/container.wasm") * 100 / sum)) "$linked" \
      $((($(date +%s%N) - start) / 1000000)) "$(wc -c <"$work/artifact")"
  done
}

variants
measure variants "$work"/variants/*.wasm
measure tools $(ls "$GUESTS"/.cache/wasm/*.wasm | grep -vE '/(python|gofmt)\.wasm$')
