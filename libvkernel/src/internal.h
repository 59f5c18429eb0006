#pragma once
#include <errno.h>
#include <vkernel.h>

/* Sets errno and gives -1, or 0. A right that the program lacks is what POSIX calls EPERM. */
static inline int done(int error)
{
	if (!error) return 0;
	errno = error == ENOTCAPABLE ? EPERM : error;
	return -1;
}
