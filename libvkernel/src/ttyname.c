/* What terminals are called. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "internal.h"

static const char controlling[] = "/dev/tty";

/* Whether the path names what was opened. */
static int names(const char *path, const struct stat *opened)
{
	struct stat found;
	return !stat(path, &found) && S_ISCHR(found.st_mode) && found.st_dev == opened->st_dev &&
	       found.st_ino == opened->st_ino && found.st_rdev == opened->st_rdev;
}

int ttyname_r(int fd, char *name, size_t size)
{
	struct stat opened;
	if (!isatty(fd) || fstat(fd, &opened)) return errno;
	/* Where engines put pseudoterminals: those of the container by their minor number, and the one it started with. */
	char slave[sizeof "/dev/pts/" + 10];
	snprintf(slave, sizeof slave, "/dev/pts/%u",
	         (unsigned)((opened.st_rdev & 0xff) | (opened.st_rdev >> 12 & 0xffffff00)));
	const char *candidates[] = { slave, "/dev/console", controlling };
	for (size_t i = 0; i < sizeof candidates / sizeof *candidates; i++) {
		if (!names(candidates[i], &opened)) continue;
		if (strlen(candidates[i]) >= size) return ERANGE;
		strcpy(name, candidates[i]);
		return 0;
	}
	/* It is one, of another mount namespace: as glibc says. */
	return ENODEV;
}

char *ttyname(int fd)
{
	static char name[32];
	int error = ttyname_r(fd, name, sizeof name);
	if (!error) return name;
	errno = error;
	return NULL;
}

char *ctermid(char *name) { return name ? strcpy(name, controlling) : (char *)controlling; }
