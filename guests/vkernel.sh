# For the scripts of programs that make processes: libvkernel, and how it is linked. Sourced after lib.sh.

LIBVKERNEL=$WORK/libvkernel.o
"$GUESTS/../libvkernel/build.sh" "$WORK" "clang-$LLVM" --target=wasm32-wasi "--sysroot=$SYSROOT" -Wno-deprecated --no-wasm-opt

# First, so that these headers and functions take the place of those that refuse.
CFLAGS=(-isystem "$GUESTS/../libvkernel/include" -include "$GUESTS/../libvkernel/include/posix_processes.h" "${CFLAGS[@]}")
LDFLAGS=("$LIBVKERNEL" "${LDFLAGS[@]}")
