# The toybox commands that use sockets, and micro_httpd, which serves the connection it is started on: with libvkernel.
. "$GUESTS/vkernel.sh"
unpack toybox
cd src
COMMANDS=(httpd netcat wget)

make HOSTCC=gcc allnoconfig
edits=('s/# CONFIG_TOYBOX_\(HELP\|HELP_DASHDASH\|FLOAT\|NORECURSE\) is not set/CONFIG_TOYBOX_\1=y/'
  's/CONFIG_TOYBOX_FORK=y/# CONFIG_TOYBOX_FORK is not set/')
for name in "${COMMANDS[@]}"; do edits+=("s/# CONFIG_${name^^} is not set/CONFIG_${name^^}=y/"); done
printf '%s\n' "${edits[@]}" | sed -i -f - .config

# As in runners.sh: what would go on as a child in the middle of its parent's function becomes a spawn.
sed -i 's/^pid_t xpopen_setup(/static pid_t with_vfork(/; s/^int xwaitpid(/static int without_spawn(/' lib/xwrap.c
sed -i 's/if (toys.optc \&\& FLAG(L)) NOEXIT(child = XVFORK());/if (toys.optc \&\& FLAG(L)) child = spawn_on(toys.optargs, in1);/' \
  toys/net/netcat.c

NOBUILD=1 HOSTCC=gcc CC=gcc OUTNAME=toybox KCONFIG_CONFIG=.config GENDIR=generated UNSTRIPPED=generated/unstripped \
  bash scripts/make.sh
sources=($(sed -n '/^\$BUILD/p' generated/build.sh | grep -oE '(toys/[^ ]*|main)\.c')
  $(ls lib/*.c | grep -vE '/(password|portability)\.c$'))
xattr='ssize_t xattr_flist(int, char *, size_t), xattr_fget(int, const char *, void *, size_t);
int xattr_fset(int, const char *, const void *, size_t, int);
int spawn_on(char **, int);'
printf '#include <sys/types.h>\n%s\n' "$xattr" >xattr.h
cp "$GUESTS/programs/toybox_port.c" lib/port.c
cp "$GUESTS/programs/runners_port.c" lib/spawn.c
objects ../o -Os -D_GNU_SOURCE -DO_PATH=O_RDONLY -I. -include xattr.h -- "${sources[@]}" lib/port.c lib/spawn.c
program nettools ../o/*.o

cd ..
unpack micro-httpd
program micro_httpd src/micro_httpd.c
