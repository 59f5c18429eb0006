/* Files with permissions and owners, which WASI preview 1 does not know. */
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "internal.h"

static int from(int dir) { return dir == AT_FDCWD ? VK_CWD : dir; }
static unsigned nofollow(int flags) { return flags & AT_SYMLINK_NOFOLLOW ? 1 : 0; }

/* A mode is given only where a file may be made. */
#define MODE(flags, last, mode) \
	mode_t mode = 0; \
	if (flags & O_CREAT) { \
		va_list list; \
		va_start(list, last); \
		mode = va_arg(list, mode_t); \
		va_end(list); \
	}

static int open_from(int dir, const char *path, int flags, mode_t mode)
{
	static const struct { int theirs, ours; } map[] = {
		{ O_WRONLY, VK_WRITE }, { O_CREAT, VK_CREATE }, { O_EXCL, VK_EXCLUSIVE }, { O_TRUNC, VK_TRUNCATE },
		{ O_APPEND, VK_APPEND }, { O_NONBLOCK, VK_NONBLOCK }, { O_DIRECTORY, VK_DIRECTORY },
		{ O_NOFOLLOW, VK_NOFOLLOW }, { O_CLOEXEC, VK_CLOEXEC },
	};
	unsigned how = 0;
	int fd;
	for (size_t i = 0; i < sizeof map / sizeof *map; i++)
		if (flags & map[i].theirs) how |= map[i].ours;
	/* O_RDONLY is a bit here and 0 elsewhere: who writes from elsewhere leaves it out. */
	if (flags & (O_RDONLY | O_SEARCH | O_EXEC) || !(how & VK_WRITE)) how |= VK_READ;
	return done(vk_open(from(dir), path, strlen(path), how, mode, &fd)) ? -1 : fd;
}

int open(const char *path, int flags, ...)
{
	MODE(flags, flags, mode);
	return open_from(AT_FDCWD, path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
	MODE(flags, flags, mode);
	return open_from(dir, path, flags, mode);
}

int creat(const char *path, mode_t mode) { return open_from(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode); }

static struct timespec timespec(uint64_t nanoseconds)
{
	return (struct timespec){ nanoseconds / 1000000000, nanoseconds % 1000000000 };
}

static int told(int error, const struct vk_stat *found, struct stat *out)
{
	if (done(error)) return -1;
	*out = (struct stat){
		.st_dev = found->dev, .st_ino = found->ino, .st_nlink = found->nlink, .st_mode = found->mode,
		.st_uid = found->uid, .st_gid = found->gid, .st_rdev = found->rdev, .st_size = found->size,
		.st_blksize = found->block_size, .st_blocks = found->blocks, .st_atim = timespec(found->accessed),
		.st_mtim = timespec(found->modified), .st_ctim = timespec(found->changed),
	};
	return 0;
}

int fstatat(int dir, const char *restrict path, struct stat *restrict out, int flags)
{
	struct vk_stat found;
	return told(vk_stat(from(dir), path, strlen(path), nofollow(flags), &found), &found, out);
}

int stat(const char *restrict path, struct stat *restrict out) { return fstatat(AT_FDCWD, path, out, 0); }
int lstat(const char *restrict path, struct stat *restrict out) { return fstatat(AT_FDCWD, path, out, AT_SYMLINK_NOFOLLOW); }

int fstat(int fd, struct stat *out)
{
	struct vk_stat found;
	return told(vk_fstat(fd, &found), &found, out);
}

int fchmodat(int dir, const char *path, mode_t mode, int flags)
{
	return done(vk_chmod(from(dir), path, strlen(path), mode, nofollow(flags)));
}

int chmod(const char *path, mode_t mode) { return fchmodat(AT_FDCWD, path, mode, 0); }
int fchmod(int fd, mode_t mode) { return done(vk_fchmod(fd, mode)); }

int fchownat(int dir, const char *path, uid_t user, gid_t group, int flags)
{
	return done(vk_chown(from(dir), path, strlen(path), user, group, nofollow(flags)));
}

int chown(const char *path, uid_t user, gid_t group) { return fchownat(AT_FDCWD, path, user, group, 0); }
int lchown(const char *path, uid_t user, gid_t group) { return fchownat(AT_FDCWD, path, user, group, AT_SYMLINK_NOFOLLOW); }
int fchown(int fd, uid_t user, gid_t group) { return done(vk_fchown(fd, user, group)); }

int mkfifoat(int dir, const char *path, mode_t mode) { return done(vk_mkfifo(from(dir), path, strlen(path), mode)); }
int mkfifo(const char *path, mode_t mode) { return mkfifoat(AT_FDCWD, path, mode); }

int mkdirat(int dir, const char *path, mode_t mode) { return done(vk_mkdir(from(dir), path, strlen(path), mode)); }
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

/* Devices are not made here. */
int mknodat(int dir, const char *path, mode_t mode, dev_t device)
{
	if (S_ISFIFO(mode)) return mkfifoat(dir, path, mode);
	if (mode & S_IFMT && !S_ISREG(mode)) return done(EPERM);
	int fd = open_from(dir, path, O_WRONLY | O_CREAT | O_EXCL, mode);
	return fd < 0 ? -1 : close(fd);
}

int mknod(const char *path, mode_t mode, dev_t device) { return mknodat(AT_FDCWD, path, mode, device); }

int mkstemp(char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz012345";
	size_t len = strlen(name);
	if (len < 6 || strcmp(name + len - 6, "XXXXXX")) return done(EINVAL);
	for (int tries = 0; tries < 100; tries++) {
		unsigned char random[6];
		if (getentropy(random, sizeof random)) return -1;
		for (int i = 0; i < 6; i++) name[len - 6 + i] = letters[random[i] & 31];
		int fd = open_from(AT_FDCWD, name, O_RDWR | O_CREAT | O_EXCL, 0600);
		if (fd >= 0 || errno != EEXIST) return fd;
	}
	return -1;
}
