# GNU ed.
. "$GUESTS/setjmp.sh"
unpack ed
cd src
program ed '-DPROGVERSION="1"' *.c
