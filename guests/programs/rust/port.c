/* What Rust's std and errno crate ask for and the wasi-libc of 2022 has under no or another name. */
#include <errno.h>
int *__errno_location(void) { return &errno; }
