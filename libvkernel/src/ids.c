/* Numbers of processes and users. */
#include <unistd.h>
#include "internal.h"

#define GET(call) int got; return done(call) ? -1 : got

pid_t getpid(void) { GET(vk_getpid(&got)); }
pid_t getppid(void) { GET(vk_getppid(&got)); }
pid_t getpgid(pid_t of) { GET(vk_getpgid(of, &got)); }
pid_t getpgrp(void) { return getpgid(0); }
pid_t getsid(pid_t of) { GET(vk_getsid(of, &got)); }
pid_t setsid(void) { GET(vk_setsid(&got)); }
int setpgid(pid_t of, pid_t group) { return done(vk_setpgid(of, group)); }

/* These cannot fail: who may not ask is told that it is root, as is usual in a container. */
static unsigned id(int (*get)(unsigned[2]), int which)
{
	unsigned ids[2];
	return get(ids) ? 0 : ids[which];
}

static int users(unsigned ids[2]) { return vk_getuid(ids); }
static int groups(unsigned ids[2]) { return vk_getgid(ids); }

uid_t getuid(void) { return id(users, 0); }
uid_t geteuid(void) { return id(users, 1); }
gid_t getgid(void) { return id(groups, 0); }
gid_t getegid(void) { return id(groups, 1); }
