# Brotli's command line.
unpack brotli
cd src
program brotli -Ic/include c/common/*.c c/dec/*.c c/enc/*.c c/tools/brotli.c
