# zstd without threads.
unpack libzstd
cd src
objects ../o -DZSTD_DISABLE_ASM -DZSTD_LEGACY_SUPPORT=0 -DBACKTRACE_ENABLE=0 -Ilib -Ilib/common -Iprograms -- \
  lib/{common,compress,decompress,dictBuilder}/*.c programs/*.c
program zstd ../o/*.o
