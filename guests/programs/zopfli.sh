# zopflipng, in C++: writes PNG images smaller.
. "$GUESTS/cxx.sh"
unpack zopfli
cd src/src
objects ../o -O1 -- $(ls zopfli/*.c | grep -v zopfli_bin) zopflipng/*.cc zopflipng/lodepng/lodepng*.cpp
program zopflipng ../o/*.o
