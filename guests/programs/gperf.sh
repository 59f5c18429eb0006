# gperf, in C++: perfect hash functions. configure would write this header; getopt is libc's.
. "$GUESTS/cxx.sh"
unpack gperf
cd src/src
printf '#define %s\n' 'HAVE_DYNAMIC_ARRAY 0' >config.h
program gperf -std=gnu++98 -I. -I../lib *.cc ../lib/getline.cc ../lib/hash.cc
