# What tests libvkernel: programs that use all of it.
. "$GUESTS/vkernel.sh"
program vkcheck "$GUESTS/../libvkernel/tests/check.c"
program vknet "$GUESTS/../libvkernel/tests/net.c"
