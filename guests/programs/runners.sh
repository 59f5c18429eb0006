# toybox built with libvkernel: the commands that run other programs or look at them, whose children are processes of
# the same kernel, and those that need a working directory, permissions, users or a terminal.
. "$GUESTS/vkernel.sh"
COMMANDS=(basename cat chgrp chmod chown cmp cp cut date diff dirname echo env expr false find grep egrep fgrep head
  link ln ls mkdir mkfifo mktemp mv nice nohup od paste printenv printf ps pwd readlink realpath rm rmdir sed seq
  sleep sort split stat tail tee test touch tr true truncate tty uname uniq unlink wc xargs yes)
OPTIONS=(TOYBOX_NORECURSE)
. "$GUESTS/toybox.sh"

# A child that goes on in the middle of its parent's function is what WebAssembly cannot have: these become spawns.
sed -i 's/^pid_t xpopen_setup(/static pid_t with_vfork(/; s/^int xwaitpid(/static int without_spawn(/' lib/xwrap.c
sed -i '/if (!(pid = XVFORK())) {/,/^    TT.np++;/c\    if (0<(pid = spawn_from(out, FLAG(o) ? "/dev/tty" : "/dev/null"))) TT.np++;' toys/posix/xargs.c
cp "$GUESTS/programs/runners_port.c" lib/spawn.c
objects ../o "${TOYBOX[@]}" -include sys/sysinfo.h -- main.c "${toys[@]}" "${library[@]}" lib/spawn.c
program runners ../o/*.o
