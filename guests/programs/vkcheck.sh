# What tests libvkernel: programs that use all of it, and one that stands for a shell.
. "$GUESTS/vkernel.sh"
program vkcheck "$GUESTS/../libvkernel/tests/check.c"
program vknet "$GUESTS/../libvkernel/tests/net.c"
program vksh "$GUESTS/../libvkernel/tests/sh.c"
