# LLVM for WASI in one module, as npm's @yowasp/clang has it: clang, wasm-ld, llvm-ar and more, told apart by argv[0].
# What they build C for WASI with goes to a root file system of its own, which only the recipe `giant` lays.
. "$GUESTS/yowasp.sh"

echo "24fbed474c7b5b4968fd73fc4827440b93fb351c1b6264516130300eff3e7bf5  $YOWASP/llvm.core.wasm" | sha256sum --check --quiet ||
  die "llvm.core.wasm of @yowasp/clang $YOWASP_VERSION is not the one that is known; remove $YOWASP to fetch it again"
ln -f "$YOWASP/llvm.core.wasm" "$WASM/clang.wasm"

# Headers of the compiler (those of C and of WebAssembly), and libc's with its archives.
rm -rf "$CACHE/giant"
mkdir -p "$CACHE/giant/usr/include" "$CACHE/giant/usr/lib"
for header in float inttypes iso646 limits stdalign stdarg stdatomic stdbool stddef stdint stdnoreturn tgmath wasm_simd128; do
  cp "$YOWASP/include/$header.h" "$CACHE/giant/usr/include/"
done
cp "$YOWASP"/include/__float_*.h "$YOWASP"/include/__std*.h "$CACHE/giant/usr/include/"
cp -r "$YOWASP/include/wasm32-wasip1" "$CACHE/giant/usr/include/"
cp -r "$YOWASP/lib/wasm32-unknown-wasip1" "$CACHE/giant/usr/lib/"
mkdir "$CACHE/giant/usr/lib/wasm32-wasip1"
cp "$YOWASP"/lib/wasm32-wasip1/{crt1*.o,libc.a,libm.a,libwasi-emulated-*.a} "$CACHE/giant/usr/lib/wasm32-wasip1/"
