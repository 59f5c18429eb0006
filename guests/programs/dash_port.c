/* What takes the place of dash's vfork. */
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <unistd.h>
#include "shell.h"
#include "nodes.h"
#include "exec.h"
#include "jobs.h"
#include "main.h"
#include "memalloc.h"
#include "options.h"
#include "trap.h"
#include "var.h"

extern char *trap[];

/* The signals whose default a child gets back, as forkchild does it: unless they are to be ignored. */
static sigset_t defaults(const int *signals)
{
	sigset_t set = 0;
	for (; *signals; signals++)
		if (!trap[*signals] || *trap[*signals]) sigaddset(&set, *signals);
	return set;
}

/* The command as a child, without a fork: its number, or -1. */
int spawn_command(struct job *jp, char **argv, const char *path, int idx)
{
	static const int job[] = { SIGTSTP, SIGTTOU, 0 }, interactive[] = { SIGINT, SIGQUIT, SIGTERM, 0 };
	posix_spawn_file_actions_t actions = { 0 };
	posix_spawnattr_t attributes = { .flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF };
	char **envp = environment();
	pid_t pid;
	if (jp->jobctl && !shlvl) {
		attributes.flags |= POSIX_SPAWN_SETPGROUP;
		attributes.defaults |= defaults(job);
		posix_spawn_file_actions_addtcsetpgrp_np(&actions, 0);
	}
	if (!shlvl && iflag) attributes.defaults |= defaults(interactive);
	if (strchr(*argv, '/')) return posix_spawn(&pid, *argv, &actions, &attributes, argv, envp) ? -1 : pid;
	while (padvance(&path, *argv) >= 0)
		if (--idx < 0 && !pathopt && !posix_spawn(&pid, stackblock(), &actions, &attributes, argv, envp)) return pid;
	return -1;
}
