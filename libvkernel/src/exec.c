/* Executing programs. */
#include <alloca.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "internal.h"

static struct vk_request request(enum vk_kind kind, const char *name, char *const argv[], char *const envp[])
{
	return (struct vk_request){ kind, name, strlen(name), argv, envp, kind == VK_SEARCH ? getenv("PATH") : 0 };
}

int execve(const char *path, char *const argv[], char *const envp[])
{
	struct vk_request r = request(VK_PATH, path, argv, envp);
	return done(vk_exec(&r));
}

int execvpe(const char *name, char *const argv[], char *const envp[])
{
	struct vk_request r = request(VK_SEARCH, name, argv, envp);
	return done(vk_exec(&r));
}

int execv(const char *path, char *const argv[]) { return execve(path, argv, environ); }
int execvp(const char *name, char *const argv[]) { return execvpe(name, argv, environ); }

/* The arguments as a list on this function's stack. */
#define LIST(first, after, list) \
	va_list list, counted; \
	va_start(list, first); \
	va_copy(counted, list); \
	size_t n = 1; \
	while (va_arg(counted, char *)) n++; \
	va_end(counted); \
	char **argv = alloca((n + 1) * sizeof *argv); \
	argv[0] = (char *)first; \
	for (size_t i = 1; i <= n; i++) argv[i] = va_arg(list, char *); \
	after; \
	va_end(list)

int execl(const char *path, const char *first, ...)
{
	LIST(first, , list);
	return execv(path, argv);
}

int execlp(const char *name, const char *first, ...)
{
	LIST(first, , list);
	return execvp(name, argv);
}

int execle(const char *path, const char *first, ...)
{
	char *const *envp;
	LIST(first, envp = va_arg(list, char *const *), list);
	return execve(path, argv, envp);
}

static int start(enum vk_kind kind, pid_t *pid, const char *name, const posix_spawn_file_actions_t *actions,
	const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
	struct vk_spawn_request r = { .request = request(kind, name, argv, envp) };
	if (actions) {
		r.actions = actions->list;
		r.action_count = actions->count;
		if (actions->foreground) r.flags |= VK_FOREGROUND;
	}
	if (attributes) {
		int flags = attributes->flags;
		if (flags & POSIX_SPAWN_SETPGROUP) r.flags |= VK_SET_GROUP, r.group = attributes->group;
		if (flags & POSIX_SPAWN_SETSID) r.flags |= VK_SET_SESSION;
		if (flags & POSIX_SPAWN_SETSIGMASK) r.flags |= VK_SET_MASK, r.mask = attributes->mask;
		if (flags & POSIX_SPAWN_SETSIGDEF) r.flags |= VK_SET_DEFAULTS, r.defaults = attributes->defaults;
	}
	int child, error = vk_spawn(&r, &child);
	if (!error && pid) *pid = child;
	return error;
}

int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
	const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
	return start(VK_PATH, pid, path, actions, attributes, argv, envp);
}

int posix_spawnp(pid_t *pid, const char *name, const posix_spawn_file_actions_t *actions,
	const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
	return start(VK_SEARCH, pid, name, actions, attributes, argv, envp);
}
