# For the scripts of programs that make processes: libvkernel, and how it is linked. Sourced after lib.sh.

LIBVKERNEL=$WORK/libvkernel.o
mapfile -t platform < <(printf '%s\n' "${CFLAGS[@]}" | grep -E '^--(target|sysroot)=')
"$GUESTS/../libvkernel/build.sh" "$WORK" "clang-$LLVM" "${platform[@]}" -Wno-deprecated --no-wasm-opt

# First, so that these headers and functions take the place of those that refuse.
CFLAGS=(-isystem "$GUESTS/../libvkernel/include" -include "$GUESTS/../libvkernel/include/posix_processes.h" "${CFLAGS[@]}")
LDFLAGS=("-B$WORK" "$LIBVKERNEL" "${LDFLAGS[@]}")
