# mawk, configured as for any foreign system: its script asks this compiler.
. "$GUESTS/setjmp.sh"
unpack mawk
cd src
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
} >wasi-cc
chmod +x wasi-cc
CC=$PWD/wasi-cc ./configure --host=wasm32-wasi --with-builtin-srand --with-builtin-regex
make mawk
mv mawk "$WASM/mawk.wasm"
