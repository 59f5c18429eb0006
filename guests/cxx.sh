# For the scripts of programs in C++: libc++, and the wasi-libc it was built with. It knows no exceptions: a `catch`
# catches nothing, and what throws ends. Sourced after lib.sh.
. "$GUESTS/yowasp.sh"

# This libc's own threads go before the stand-in of compat/: libc++ wants all of them.
mkdir -p "$WORK/include"
ln -sf "$YOWASP/include/wasm32-wasip1/pthread.h" "$WORK/include/pthread.h"

CC=clang++-$LLVM
CFLAGS=(-isystem "$WORK/include" "${CFLAGS[@]/#--target=*/--target=wasm32-wasip1}")
CFLAGS=("${CFLAGS[@]/#--sysroot=*/--sysroot=$YOWASP}")
COMPAT=$WORK/compat.o
"clang-$LLVM" "${CFLAGS[@]}" -Os -c "$GUESTS/compat/compat.c" -o "$COMPAT"
LDFLAGS=("$COMPAT" "${LDFLAGS[@]:1}")
CFLAGS+=(-fignore-exceptions)
