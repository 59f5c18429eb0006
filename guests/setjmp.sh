# For the scripts of programs in C that jump with longjmp: the newer wasi-libc of npm's @yowasp/clang, whose setjmp is made
# of exceptions. Sourced after lib.sh and before vkernel.sh; `-mllvm -wasm-use-legacy-eh=true` after these
# flags gives the old exceptions, for tools that cannot read the new ones.

. "$GUESTS/yowasp.sh"

# This libc's own setjmp.h goes before the stand-in of compat/.
mkdir -p "$WORK/setjmp"
ln -sf "$YOWASP/include/wasm32-wasip1/setjmp.h" "$WORK/setjmp/setjmp.h"

CFLAGS=(-isystem "$WORK/setjmp" "${CFLAGS[@]/#--target=*/--target=wasm32-wasip1}")
CFLAGS=("${CFLAGS[@]/#--sysroot=*/--sysroot=$YOWASP}" -mllvm -wasm-enable-sjlj -mllvm -wasm-use-legacy-eh=false)

# What wasi-libc leaves out, but for longjmp.
COMPAT=$WORK/compat.o
cc -Os -Dlongjmp=unused_longjmp -Dsiglongjmp=unused_siglongjmp -c "$GUESTS/compat/compat.c" -o "$COMPAT"
LDFLAGS=("$COMPAT" "${LDFLAGS[@]:1}" -lsetjmp)
