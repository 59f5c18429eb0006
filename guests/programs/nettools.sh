# The toybox commands that use sockets, and micro_httpd, which serves the connection it is started on: with libvkernel.
. "$GUESTS/vkernel.sh"
COMMANDS=(httpd netcat wget)
OPTIONS=(TOYBOX_NORECURSE)
. "$GUESTS/toybox.sh"

# As in runners.sh: what would go on as a child in the middle of its parent's function becomes a spawn.
sed -i 's/^pid_t xpopen_setup(/static pid_t with_vfork(/; s/^int xwaitpid(/static int without_spawn(/' lib/xwrap.c
sed -i 's/if (toys.optc \&\& FLAG(L)) NOEXIT(child = XVFORK());/if (toys.optc \&\& FLAG(L)) child = spawn_on(toys.optargs, in1);/' \
  toys/net/netcat.c
cp "$GUESTS/programs/runners_port.c" lib/spawn.c
objects ../o -D_GNU_SOURCE -DO_PATH=O_RDONLY "${TOYBOX[@]}" -- main.c "${toys[@]}" "${library[@]}" lib/net.c lib/spawn.c
program nettools ../o/*.o

cd ..
unpack micro-httpd
program micro_httpd src/micro_httpd.c
