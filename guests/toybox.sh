# For the scripts of toybox's programs: its source, configured for COMMANDS and, beside the usual ones, OPTIONS, two
# arrays. Sourced after lib.sh; what follows runs in the source's folder.
unpack toybox
cd src

make HOSTCC=gcc allnoconfig
edits=('s/CONFIG_TOYBOX_FORK=y/# CONFIG_TOYBOX_FORK is not set/')
for name in TOYBOX_{HELP,HELP_DASHDASH,FLOAT} "${OPTIONS[@]}" "${COMMANDS[@]^^}"; do
  edits+=("s/# CONFIG_$name is not set/CONFIG_$name=y/")
done
printf '%s\n' "${edits[@]}" | sed -i -f - .config

# toybox's own script writes generated/*.h; with NOBUILD it stops there.
NOBUILD=1 HOSTCC=gcc CC=gcc OUTNAME=toybox KCONFIG_CONFIG=.config GENDIR=generated UNSTRIPPED=generated/unstripped \
  bash scripts/make.sh
toys=($(sed -n '/^\$BUILD/p' generated/build.sh | grep -oE 'toys/[^ ]*\.c'))
library=($(ls lib/*.c | grep -vE '/(net|password|portability)\.c$') lib/port.c)
cp "$GUESTS/programs/toybox_port.c" lib/port.c
printf '%s\n' '#include <sys/types.h>' 'ssize_t xattr_flist(int, char *, size_t), xattr_fget(int, const char *, void *, size_t);' \
  'int xattr_fset(int, const char *, const void *, size_t, int), spawn_from(char **, char *), spawn_on(char **, int);' >xattr.h
TOYBOX=(-Os -I. -include xattr.h)
