# Lua 5.4. Its errors jump with longjmp.
. "$GUESTS/setjmp.sh"
unpack lua5.4
cd src/src
# mkstemp for os.tmpname, as Lua's own POSIX configuration has it.
program lua '-DLUA_TMPNAMBUFSIZE=32' '-Dlua_tmpnam(b,e)={ strcpy(b, "/tmp/lua_XXXXXX"); e = mkstemp(b); if (e != -1) close(e); e = (e == -1); }' -include unistd.h -DLUA_COMPAT_5_3 $(ls *.c | grep -v '^luac\.c$')
