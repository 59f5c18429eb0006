# mawk that can run programs: system(), and pipes to and from commands. It forks and executes, as everywhere.
. "$GUESTS/setjmp.sh"
. "$GUESTS/vkernel.sh"
. "$GUESTS/binaryen.sh"
. "$GUESTS/configure.sh"
CFLAGS+=(-mllvm -wasm-use-legacy-eh=true)
unpack mawk
cd src
compiler wasi-cc
CC=$PWD/wasi-cc ac_cv_func_fork=yes ac_cv_func_pipe=yes ac_cv_func_wait=yes ./configure --host=wasm32-wasi \
  --with-builtin-srand --with-builtin-regex
make mawk
forking mawk "$WASM/runawk.wasm" execute
