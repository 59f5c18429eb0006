# lzip, in C++.
. "$GUESTS/cxx.sh"
unpack lzip
cd src
objects ../o -O1 '-DPROGVERSION="1.23"' -- *.cc
program lzip ../o/*.o
