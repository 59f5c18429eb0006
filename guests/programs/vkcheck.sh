# What tests libvkernel: a program that uses all of it, and one that stands for a shell.
. "$GUESTS/vkernel.sh"
program vkcheck "$GUESTS/../libvkernel/tests/check.c"
program vksh "$GUESTS/../libvkernel/tests/sh.c"
