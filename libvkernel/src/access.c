#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "internal.h"

static int ask(int dir, const char *path, int mode, int flags)
{
	if (mode & ~(R_OK | W_OK | X_OK)) {
		errno = EINVAL;
		return -1;
	}
	/* Linux's numbers in the kernel, wasi-libc's in programs. */
	int wanted = (mode & R_OK ? 4 : 0) | (mode & W_OK ? 2 : 0) | (mode & X_OK ? 1 : 0);
	return done(vk_access(dir, path, strlen(path), wanted, flags & AT_SYMLINK_NOFOLLOW ? 1 : 0));
}

int access(const char *path, int mode) { return ask(VK_CWD, path, mode, 0); }
int faccessat(int dir, const char *path, int mode, int flags) { return ask(dir == AT_FDCWD ? VK_CWD : dir, path, mode, flags); }
