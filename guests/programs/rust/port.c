/* What Rust's std and errno crate ask for and the wasi-libc of 2022 has under no or another name. */
#include <errno.h>
#include <stddef.h>
int *__errno_location(void) { return &errno; }

/* There are no threads: to start one is refused, so nothing is joined. ripgrep searches by itself then. */
int pthread_attr_init(void *attributes) { return 0; }
int pthread_attr_setstacksize(void *attributes, size_t size) { return 0; }
int pthread_attr_destroy(void *attributes) { return 0; }
int pthread_create(void *thread, const void *attributes, void *(*start)(void *), void *argument) { return EAGAIN; }
int pthread_join(void *thread, void **result) { return ESRCH; }
int pthread_detach(void *thread) { return ESRCH; }
