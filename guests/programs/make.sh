# GNU make: its recipes run by /bin/sh, its children are spawned. Debian's tarball comes without the scripts that
# Autoconf and Automake make.
. "$GUESTS/vkernel.sh"
. "$GUESTS/configure.sh"
unpack make-dfsg
cd src
compiler wasi-cc
need automake test
# Debian took the manual out, and left one file twice where there were two.
sed -i '/^man_MANS/d' Makefile.am
sed -i 's,po/Makefile.in Makefile ,,' configure.ac
aclocal -I m4
autoheader
automake --add-missing --copy --foreign 
autoconf
# An entry's name has no size in wasi-libc.
sed -i 's/sizeof (\*d) - sizeof (d->d_name) + len/sizeof (*d) + len/' src/dir.c
# A main of three arguments is none in wasi-libc.
sed -i 's/^main (int argc, char \*\*argv, char \*\*envp)/with_environment (int argc, char **argv, char **envp)/' src/main.c
echo 'int main (int argc, char **argv) { return with_environment (argc, argv, environ); }' >>src/main.c
# Its tests declare functions as they like, which those of headers that are forced in do not bear.
there=(dup fdopen gethostname gettimeofday lstat mkstemp pipe realpath setlinebuf setvbuf strcoll umask)
for name in "${there[@]}"; do export "ac_cv_func_$name=yes"; done
# Its jobs wait for a read that SIGCHLD interrupts; files have no locks to order their output by.
ac_cv_func_pselect=no make_cv_synchronous_posix_spawn=yes make_cv_sys_gnu_glob=no CC=$PWD/wasi-cc \
  CPPFLAGS='-DSTDC_HEADERS -DNO_OUTPUT_SYNC' CFLAGS='-O2 -Wno-incompatible-pointer-types' \
  ./configure --host=wasm32-wasi --disable-nls --disable-load --without-guile --disable-dependency-tracking
make -C lib
make make
mv make "$WASM/make.wasm"
