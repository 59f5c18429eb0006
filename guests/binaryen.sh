# For the scripts of programs that fork: Binaryen's wasm-opt, newer than Debian's, from npm's package binaryen, fetched once.
# Sourced after lib.sh.

BINARYEN=$CACHE/binaryen
BINARYEN_VERSION=132.0.0

fetch_binaryen() {
  [ "$(cat "$BINARYEN/version" 2>/dev/null)" != "$BINARYEN_VERSION" ] || return 0
  need npm guests
  need node guests
  rm -rf "$BINARYEN"
  mkdir -p "$BINARYEN"
  (cd "$BINARYEN" && npm pack --silent "binaryen@$BINARYEN_VERSION" >/dev/null) || die "fetching binaryen from npm failed (offline?)"
  tar -xzf "$BINARYEN"/binaryen-*.tgz -C "$BINARYEN" --strip-components=1
  rm "$BINARYEN"/binaryen-*.tgz
  printf '%s\n' "$BINARYEN_VERSION" >"$BINARYEN/version"
}
(
  flock 8
  fetch_binaryen
) 8>"$CACHE/binaryen.lock"

# forking IN OUT [FUNCTIONS]: instruments what reaches a fork by direct calls, and FUNCTIONS, a list with commas, which
# reach one by a pointer.
forking() {
  local options=(--pass-arg=asyncify-imports@vkernel.fork --pass-arg=asyncify-ignore-indirect)
  [ $# -lt 3 ] || options+=("--pass-arg=asyncify-addlist@$3" --pass-arg=asyncify-propagate-addlist)
  node "$BINARYEN/bin/wasm-opt" "$1" -g --enable-exception-handling --enable-bulk-memory --enable-sign-ext \
    --enable-mutable-globals --enable-nontrapping-float-to-int --enable-multivalue --enable-reference-types \
    --asyncify "${options[@]}" -O2 --translate-to-exnref -o "$2"
}
