#pragma once
#include <errno.h>
#include <sys/time.h>
#include <vkernel.h>

static inline struct timeval timeval_of(uint64_t nanoseconds)
{
	return (struct timeval){ nanoseconds / 1000000000, nanoseconds / 1000 % 1000000 };
}

/* Sets errno and gives -1, or 0. A right that the program lacks is what POSIX calls EPERM. */
static inline int done(int error)
{
	if (!error) return 0;
	errno = error == ENOTCAPABLE ? EPERM : error;
	return -1;
}
