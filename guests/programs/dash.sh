# dash, the shell: simple commands are spawned, everything else forks. Asyncify instruments the functions from which a
# fork can be reached; Binaryen knows only the older exceptions, so these are translated last.
. "$GUESTS/setjmp.sh"
. "$GUESTS/vkernel.sh"
. "$GUESTS/binaryen.sh"
. "$GUESTS/configure.sh"
CFLAGS+=(-mllvm -wasm-use-legacy-eh=true)
unpack dash
cd src

compiler wasi-cc

# A command that cannot be spawned forks, and its child says why.
sed -i 's/^\tvforked++;$//; s/^\tpid = vfork();$/\tpid = spawn_command(jp, argv, path, idx);\n\tif (pid < 0)\n\t\tpid = fork();/' src/jobs.c
sed -i 's/^struct job \*vforkexec(/int spawn_command(struct job *, char **, const char *, int);\n\n&/' src/jobs.c
# It is called through a pointer to a function without arguments, which WebAssembly does not let pass.
sed -i 's/timescmd()/timescmd(int argc, char **argv)/' src/bltin/times.c
cp "$GUESTS/programs/dash_port.c" src/port.c

# Its test declares functions as it likes.
ac_cv_func_faccessat=yes ac_cv_func_getrlimit=yes ac_cv_func_killpg=yes ac_cv_func_signal=yes CC=$PWD/wasi-cc CC_FOR_BUILD=gcc ./configure --host=wasm32-wasi --disable-fnmatch
# This list goes through the preprocessor: no header may be forced into it.
sed -i '/-E -x c -o/s/$(COMPILE)/gcc $(DEFS) -I.. -include config.h/' src/Makefile
make CFLAGS=-O2 LIBS="-include ../config.h -DSHELL -DBSD=1 -I. port.c"
forking src/dash "$WASM/dash.wasm" evaltree,evalbltin
