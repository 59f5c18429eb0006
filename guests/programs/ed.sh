# GNU ed.
unpack ed
cd src
program ed '-DPROGVERSION="1"' *.c
