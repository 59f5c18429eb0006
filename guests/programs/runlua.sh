# Lua 5.4 that can run other programs: io.popen and os.execute, by libvkernel.
. "$GUESTS/setjmp.sh"
. "$GUESTS/vkernel.sh"
unpack lua5.4
cd src/src
# One thread needs no locks on streams.
program runlua -DLUA_USE_POSIX '-Dflockfile(f)=' '-Dfunlockfile(f)=' -DLUA_COMPAT_5_3 $(ls *.c | grep -v '^luac\.c$')
