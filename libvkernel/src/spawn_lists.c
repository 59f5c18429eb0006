/* The lists and attributes of posix_spawn. */
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include "internal.h"

int posix_spawn_file_actions_init(posix_spawn_file_actions_t *a)
{
	*a = (posix_spawn_file_actions_t){ 0 };
	return 0;
}

int posix_spawn_file_actions_destroy(posix_spawn_file_actions_t *a)
{
	for (int i = 0; i < a->count; i++) free((char *)a->list[i].path);
	free(a->list);
	return posix_spawn_file_actions_init(a);
}

static int add(posix_spawn_file_actions_t *a, struct vk_action action, const char *path)
{
	if (a->count == a->room) {
		int room = a->room ? 2 * a->room : 8;
		struct vk_action *list = realloc(a->list, room * sizeof *list);
		if (!list) return ENOMEM;
		a->list = list;
		a->room = room;
	}
	if (path) {
		if (!(action.path = strdup(path))) return ENOMEM;
		action.path_len = strlen(path);
	}
	a->list[a->count++] = action;
	return 0;
}

int posix_spawn_file_actions_addopen(posix_spawn_file_actions_t *a, int fd, const char *path, int flags, mode_t mode)
{
	static const struct { int theirs, ours; } map[] = {
		{ O_RDONLY, VK_READ }, { O_WRONLY, VK_WRITE }, { O_CREAT, VK_CREATE }, { O_EXCL, VK_EXCLUSIVE },
		{ O_TRUNC, VK_TRUNCATE }, { O_APPEND, VK_APPEND }, { O_NONBLOCK, VK_NONBLOCK },
		{ O_DIRECTORY, VK_DIRECTORY }, { O_NOFOLLOW, VK_NOFOLLOW },
	};
	if (fd < 0) return EBADF;
	unsigned how = 0;
	for (size_t i = 0; i < sizeof map / sizeof *map; i++)
		if (flags & map[i].theirs) how |= map[i].ours;
	return add(a, (struct vk_action){ VK_OPEN, fd, how, .mode = mode }, path);
}

int posix_spawn_file_actions_addclose(posix_spawn_file_actions_t *a, int fd)
{
	return fd < 0 ? EBADF : add(a, (struct vk_action){ VK_CLOSE, fd }, 0);
}

int posix_spawn_file_actions_adddup2(posix_spawn_file_actions_t *a, int from, int to)
{
	return from < 0 || to < 0 ? EBADF : add(a, (struct vk_action){ VK_DUP2, from, to }, 0);
}

int posix_spawn_file_actions_addchdir_np(posix_spawn_file_actions_t *a, const char *path)
{
	return add(a, (struct vk_action){ VK_CHDIR }, path);
}

int posix_spawn_file_actions_addfchdir_np(posix_spawn_file_actions_t *a, int fd)
{
	return fd < 0 ? EBADF : add(a, (struct vk_action){ VK_FCHDIR, fd }, 0);
}

int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *a, int fd)
{
	return fd < 0 ? EBADF : add(a, (struct vk_action){ VK_CLOSE_RANGE, fd, -1 }, 0);
}

/* The terminal is the session's, whichever descriptor it is open as. */
int posix_spawn_file_actions_addtcsetpgrp_np(posix_spawn_file_actions_t *a, int fd)
{
	int (*volatile needed)(int, int) = vk_tcsetpgrp;
	(void)needed;
	if (fd < 0) return EBADF;
	a->foreground = 1;
	return 0;
}

int posix_spawnattr_init(posix_spawnattr_t *a)
{
	*a = (posix_spawnattr_t){ 0 };
	return 0;
}

int posix_spawnattr_destroy(posix_spawnattr_t *a) { return 0; }

int posix_spawnattr_setflags(posix_spawnattr_t *a, short flags)
{
	a->flags = flags;
	return 0;
}

int posix_spawnattr_getflags(const posix_spawnattr_t *a, short *flags)
{
	*flags = a->flags;
	return 0;
}

/* Joining a group needs the right of setpgid, which toolchains derive from its import. */
int posix_spawnattr_setpgroup(posix_spawnattr_t *a, pid_t group)
{
	int (*volatile needed)(int, int) = vk_setpgid;
	(void)needed;
	a->group = group;
	return 0;
}

int posix_spawnattr_setsigdefault(posix_spawnattr_t *a, const sigset_t *set)
{
	a->defaults = *set;
	return 0;
}

int posix_spawnattr_setsigmask(posix_spawnattr_t *a, const sigset_t *set)
{
	a->mask = *set;
	return 0;
}
