# GNU ed that can run a shell's commands, by libvkernel.
. "$GUESTS/setjmp.sh"
. "$GUESTS/vkernel.sh"
unpack ed
cd src
program runed '-DPROGVERSION="1"' *.c
