unpack lz4
cd src
program lz4 -Ilib lib/*.c $(ls programs/*.c)
