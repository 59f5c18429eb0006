/* The working directory is the kernel's: every path goes to it as it is, from the descriptor that
   stands for that directory. wasi-libc calls __wasilibc_find_relpath_alloc wherever a program gives
   a path, if it is there. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wasi/api.h>
#include "internal.h"

int __wasilibc_find_relpath_alloc(const char *path, const char **abs_prefix, char **relative, size_t *room, int grows)
{
	size_t len = strlen(path) + 1;
	if (len > *room) {
		char *larger = grows ? realloc(*relative, len) : 0;
		if (!larger) return done(grows ? ENOMEM : ERANGE);
		*relative = larger;
		*room = len;
	}
	memcpy(*relative, path, len);
	*abs_prefix = "";
	return VK_CWD;
}

/* Programs have no use for the directory they were given: its number is an inherited one's. */
__attribute__((constructor(60))) static void close_preopened(void)
{
	__wasi_prestat_t found;
	for (int fd = 3; !__wasi_fd_prestat_get(fd, &found); fd++)
		if (found.tag == __WASI_PREOPENTYPE_DIR) close(fd);
}

int chdir(const char *path) { return done(vk_chdir(path, strlen(path))); }
int fchdir(int fd) { return done(vk_fchdir(fd)); }

char *getcwd(char *buffer, size_t size)
{
	char own[PATH_MAX];
	uint32_t len;
	char *into = buffer ? buffer : own;
	if (!buffer) size = sizeof own;
	else if (!size) return done(EINVAL), NULL;
	if (done(vk_getcwd(into, size - 1, &len))) return NULL;
	into[len] = 0;
	return buffer ? buffer : strdup(own);
}

mode_t umask(mode_t mask)
{
	unsigned before;
	return done(vk_umask(mask, &before)) ? 022 : before;
}
