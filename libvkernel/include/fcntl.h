/* wasi-libc's O_CLOEXEC asks for nothing. */
#pragma once
#include_next <fcntl.h>
#undef O_CLOEXEC
#define O_CLOEXEC 0x20000000
