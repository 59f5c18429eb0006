/* Children: waiting, system, popen. */
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#define _WASI_EMULATED_PROCESS_CLOCKS
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "internal.h"

pid_t waitpid(pid_t which, int *status, int options)
{
	int pid, word;
	if (done(vk_wait(which, options, &pid, &word))) return -1;
	if (status) *status = word;
	return pid;
}

pid_t wait4(pid_t which, int *status, int options, struct rusage *used)
{
	struct vk_waited child;
	int pid;
	if (!used) return waitpid(which, status, options);
	if (done(vk_wait(which, options | VK_USED, &pid, &child.status))) return -1;
	if (status) *status = child.status;
	*used = (struct rusage){ .ru_utime = timeval_of(child.nanoseconds[0]), .ru_stime = timeval_of(child.nanoseconds[1]) };
	return pid;
}

pid_t wait3(int *status, int options, struct rusage *used) { return wait4(-1, status, options, used); }
pid_t wait(int *status) { return waitpid(-1, status, 0); }
int kill(pid_t pid, int signal) { return done(vk_kill(pid, signal)); }

int killpg(pid_t group, int signal)
{
	if (group < 0) return done(EINVAL);
	return kill(-group, signal);
}

static const char shell[] = "/bin/sh";

int system(const char *command)
{
	if (!command) return !access(shell, X_OK);
	struct sigaction ignore = { .sa_handler = SIG_IGN }, interrupt, quit;
	sigset_t before, chld = 1ull << (SIGCHLD - 1);
	sigaction(SIGINT, &ignore, &interrupt);
	sigaction(SIGQUIT, &ignore, &quit);
	sigprocmask(SIG_BLOCK, &chld, &before);
	sigset_t defaults = 0;
	if (interrupt.sa_handler != SIG_IGN) defaults |= 1ull << (SIGINT - 1);
	if (quit.sa_handler != SIG_IGN) defaults |= 1ull << (SIGQUIT - 1);
	posix_spawnattr_t attributes = { POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK, 0, defaults, before };
	char *argv[] = { "sh", "-c", (char *)command, 0 };
	pid_t pid;
	int status = -1, error = posix_spawn(&pid, shell, 0, &attributes, argv, environ);
	if (!error)
		while (waitpid(pid, &status, 0) < 0)
			if (errno != EINTR) {
				error = errno;
				status = -1;
				break;
			}
	sigaction(SIGINT, &interrupt, 0);
	sigaction(SIGQUIT, &quit, 0);
	sigprocmask(SIG_SETMASK, &before, 0);
	/* What cannot be executed is a command that ends with 127, as POSIX says. */
	if (error == ENOENT || error == EACCES) return 127 << 8;
	if (error) errno = error;
	return status;
}

/* Streams of popen and the processes behind them. */
static struct opened {
	struct opened *next;
	FILE *file;
	pid_t pid;
} *all;

FILE *popen(const char *command, const char *mode)
{
	int reads = *mode == 'r', ends[2];
	if (!reads && *mode != 'w') return errno = EINVAL, NULL;
	struct opened *o = malloc(sizeof *o);
	if (!o || done(vk_pipe(ends, 1))) return free(o), NULL;
	int mine = ends[!reads], its = ends[reads];
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	int error = posix_spawn_file_actions_adddup2(&actions, its, reads);
	char *argv[] = { "sh", "-c", (char *)command, 0 };
	if (!error) error = posix_spawn(&o->pid, shell, &actions, 0, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(its);
	if (!error && (o->file = fdopen(mine, reads ? "r" : "w"))) {
		o->next = all;
		all = o;
		return o->file;
	}
	close(mine);
	free(o);
	if (error) errno = error;
	return NULL;
}

int pclose(FILE *file)
{
	for (struct opened **at = &all; *at; at = &(*at)->next) {
		struct opened *o = *at;
		if (o->file != file) continue;
		*at = o->next;
		pid_t pid = o->pid, got;
		free(o);
		/* Giving up what was read ahead tries to seek, which on a pipe is no error of the caller's. */
		int status, error = errno;
		fclose(file);
		errno = error;
		while ((got = waitpid(pid, &status, 0)) < 0 && errno == EINTR) errno = error;
		return got < 0 ? -1 : status;
	}
	return done(ECHILD);
}
