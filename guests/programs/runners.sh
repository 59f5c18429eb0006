# toybox built with libvkernel: the commands that run other programs, whose children are processes of the same kernel,
# and those that need a working directory, permissions, users or a terminal.
. "$GUESTS/vkernel.sh"
unpack toybox
cd src
COMMANDS=(basename cat chgrp chmod chown cmp cp cut date diff dirname echo env expr false find grep egrep fgrep head
  link ln ls mkdir mkfifo mktemp mv nice nohup od paste printenv printf pwd readlink realpath rm rmdir sed seq
  sleep sort split stat tail tee test touch tr true truncate tty uname uniq unlink wc xargs yes)

make HOSTCC=gcc allnoconfig
edits=('s/# CONFIG_TOYBOX_\(HELP\|HELP_DASHDASH\|FLOAT\|NORECURSE\) is not set/CONFIG_TOYBOX_\1=y/'
  's/CONFIG_TOYBOX_FORK=y/# CONFIG_TOYBOX_FORK is not set/')
for name in "${COMMANDS[@]}"; do edits+=("s/# CONFIG_${name^^} is not set/CONFIG_${name^^}=y/"); done
printf '%s\n' "${edits[@]}" | sed -i -f - .config

# A child that goes on in the middle of its parent's function is what WebAssembly cannot have: these become spawns.
sed -i 's/^pid_t xpopen_setup(/static pid_t with_vfork(/; s/^int xwaitpid(/static int without_spawn(/' lib/xwrap.c
sed -i '/if (!(pid = XVFORK())) {/,/^    TT.np++;/c\    if (0<(pid = spawn_from(out, FLAG(o) ? "/dev/tty" : "/dev/null"))) TT.np++;' toys/posix/xargs.c

NOBUILD=1 HOSTCC=gcc CC=gcc OUTNAME=toybox KCONFIG_CONFIG=.config GENDIR=generated UNSTRIPPED=generated/unstripped \
  bash scripts/make.sh
sources=($(sed -n '/^\$BUILD/p' generated/build.sh | grep -oE '(toys/[^ ]*|main)\.c')
  $(ls lib/*.c | grep -vE '/(net|password|portability)\.c$'))
xattr='ssize_t xattr_flist(int, char *, size_t), xattr_fget(int, const char *, void *, size_t);
int xattr_fset(int, const char *, const void *, size_t, int);
int spawn_from(char **, char *);'
printf '#include <sys/types.h>\n%s\n' "$xattr" >xattr.h
cp "$GUESTS/programs/toybox_port.c" lib/port.c
cp "$GUESTS/programs/runners_port.c" lib/spawn.c
objects ../o -Os -I. -include xattr.h -- "${sources[@]}" lib/port.c lib/spawn.c
program runners ../o/*.o
