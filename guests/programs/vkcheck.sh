# What tests libvkernel: programs that use all of it.
. "$GUESTS/vkernel.sh"
program vkcheck "$GUESTS/../libvkernel/tests/check.c" "$GUESTS/../libvkernel/tests/leaf.c"
program vknet "$GUESTS/../libvkernel/tests/net.c"
