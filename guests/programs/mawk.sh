# mawk, configured as for any foreign system: its script asks this compiler.
. "$GUESTS/setjmp.sh"
. "$GUESTS/configure.sh"
unpack mawk
cd src
compiler wasi-cc
CC=$PWD/wasi-cc ./configure --host=wasm32-wasi --with-builtin-srand --with-builtin-regex
make mawk
mv mawk "$WASM/mawk.wasm"
