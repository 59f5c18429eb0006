/* One thread: locks are free, threads refused. */
#pragma once
#include <sys/types.h>
#define PTHREAD_MUTEX_INITIALIZER {0}
#define PTHREAD_COND_INITIALIZER {0}
#define PTHREAD_ONCE_INIT 0
#define pthread_mutex_init(m, a) (0)
#define pthread_mutex_destroy(m) (0)
#define pthread_mutex_lock(m) (0)
#define pthread_mutex_trylock(m) (0)
#define pthread_mutex_unlock(m) (0)
#define pthread_self() (1)
