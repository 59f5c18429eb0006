# For the scripts of programs whose configure asks for one compiler. Sourced after lib.sh.

# compiler FILE: makes FILE a compiler that has the flags set so far, and those of the linker where it links.
compiler() {
  {
    echo '#!/bin/sh'
    echo 'link=1; for word; do case $word in -c | -E | -S) link= ;; esac; done'
    printf 'if [ "$link" ]; then exec'
    printf ' %q' "clang-$LLVM" "${CFLAGS[@]}"
    printf ' "$@"'
    printf ' %q' "${LDFLAGS[@]}"
    printf '; fi\nexec'
    printf ' %q' "clang-$LLVM" "${CFLAGS[@]}"
    printf ' "$@"\n'
  } >"$1"
  chmod +x "$1"
}
