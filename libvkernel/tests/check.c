/* What libvkernel promises, asked by a program that uses it. Says what fails, and ends with how much did. It is its
   own child: `check child WHAT`. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <unistd.h>
#include "leaf.h"

static int failures;
#define CHECK(what) ((what) ? 0 : (failures++, fprintf(stderr, "line %d: %s (%s)\n", __LINE__, #what, strerror(errno))))

static volatile sig_atomic_t count, last;
static void note(int signal) { count++; last = signal; }

static char *self = "/usr/bin/check";

static int constructed, ended;
__attribute__((constructor)) static void construct(void) { constructed++; }
static void end(void) { ended++; }
static void say_so(void) { puts("ended"); }

static pid_t start(const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes, char *what)
{
	char *argv[] = { "check", "child", what, 0 };
	pid_t pid = -1;
	errno = posix_spawn(&pid, self, actions, attributes, argv, environ);
	return pid;
}

static int status_of(pid_t pid)
{
	int status = -1;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR);
	return status;
}

/* What a child writes to its standard output. */
static char *output(char *what)
{
	static char text[4096];
	int ends[2], n, all = 0;
	posix_spawn_file_actions_t actions;
	CHECK(!pipe(ends));
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
	posix_spawn_file_actions_addclose(&actions, ends[0]);
	posix_spawn_file_actions_addclose(&actions, ends[1]);
	pid_t pid = start(&actions, 0, what);
	CHECK(pid > 0);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	while ((n = read(ends[0], text + all, sizeof text - 1 - all)) > 0) all += n;
	text[all] = 0;
	close(ends[0]);
	CHECK(status_of(pid) == 0);
	return text;
}

static int child(char *what)
{
	char text[4096];
	if (!strcmp(what, "three")) return 3;
	if (!strcmp(what, "returns")) return atexit(say_so);
	if (!strcmp(what, "exits")) exit(atexit(say_so));
	if (!strcmp(what, "cwd")) return puts(getcwd(text, sizeof text)) < 0;
	if (!strcmp(what, "ids")) return printf("%d %d\n", getpid(), getppid()) < 0;
	if (!strcmp(what, "loop")) for (;;);
	if (!strcmp(what, "sleep")) return sleep(1000);
	if (!strcmp(what, "works")) {
		struct rusage used;
		do if (getrusage(RUSAGE_SELF, &used)) return 1; while (!used.ru_utime.tv_sec && used.ru_utime.tv_usec < 60000);
		return 0;
	}
	if (!strncmp(what, "large", 5)) {
		int fd = open("/tmp/large", O_WRONLY | O_CREAT | O_TRUNC, 0644);
		if (setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 10, 10 }) || (what[5] && signal(SIGXFSZ, SIG_IGN))) return 1;
		if (write(fd, "12345678", 8) != 8 || write(fd, "12345678", 8) != 2) return 2;
		if (what[5] == 't') return !(ftruncate(fd, 11) == -1 && errno == EFBIG);
		return !(write(fd, "1", 1) == -1 && errno == EFBIG);
	}
	if (!strcmp(what, "abort")) abort();
	if (!strcmp(what, "cat")) {
		int n;
		while ((n = read(0, text, sizeof text)) > 0) write(1, text, n);
		return n;
	}
	if (!strcmp(what, "fds")) {
		for (int fd = 0; fd < 64; fd++)
			if (fcntl(fd, F_GETFD) >= 0) printf("%d ", fd);
		return 0;
	}
	if (!strcmp(what, "ignores")) {
		struct sigaction now;
		sigset_t mask;
		sigaction(SIGUSR1, 0, &now);
		sigprocmask(SIG_BLOCK, 0, &mask);
		return printf("%d %d\n", now.sa_handler == SIG_IGN, sigismember(&mask, SIGUSR2)) < 0;
	}
	return 99;
}

static void children(void)
{
	CHECK(getpid() > 0 && getpgrp() > 0);
	CHECK(WEXITSTATUS(status_of(start(0, 0, "three"))) == 3);
	CHECK(waitpid(-1, 0, 0) == -1 && errno == ECHILD);
	pid_t pid = start(0, 0, "loop");
	int status;
	CHECK(waitpid(pid, &status, WNOHANG) == 0);
	CHECK(!kill(pid, 0) && !kill(pid, SIGTERM));
	status = status_of(pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	CHECK(kill(pid, 0) == -1 && errno == ESRCH);
	pid = start(0, 0, "sleep");
	CHECK(!kill(pid, SIGSTOP) && waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
	CHECK(!kill(pid, SIGCONT) && waitpid(pid, &status, WCONTINUED) == pid && WIFCONTINUED(status));
	CHECK(!kill(pid, SIGKILL) && WTERMSIG(status_of(pid)) == SIGKILL);
	CHECK(WTERMSIG(status_of(start(0, 0, "abort"))) == SIGABRT);
	int own, its;
	char *text = output("ids");
	CHECK(sscanf(text, "%d %d", &own, &its) == 2 && own != getpid() && its == getpid());
	char *argv[] = { "nope", 0 };
	CHECK(posix_spawnp(&pid, "nope", 0, 0, argv, environ) == ENOENT);
	CHECK(posix_spawn(&pid, "/etc", 0, 0, argv, environ) == EACCES);
	CHECK(execv("/nope", argv) == -1 && errno == ENOENT);
}

static void descriptors(void)
{
	CHECK(!strcmp(output("fds"), "0 1 2 "));
	int ends[2], copy;
	CHECK(!pipe(ends) && ends[0] == 3 && ends[1] == 4);
	CHECK(!strcmp(output("fds"), "0 1 2 3 4 "));
	CHECK(!fcntl(ends[0], F_SETFD, FD_CLOEXEC) && fcntl(ends[0], F_GETFD) == FD_CLOEXEC);
	CHECK(!strcmp(output("fds"), "0 1 2 4 "));
	CHECK((copy = fcntl(ends[1], F_DUPFD, 20)) == 20 && dup(ends[1]) == 5 && dup2(ends[1], 30) == 30);
	CHECK(dup2(77, 5) == -1 && errno == EBADF);
	CHECK(fcntl(ends[1], F_GETFL) == O_WRONLY && !fcntl(ends[1], F_SETFL, O_NONBLOCK));
	CHECK(fcntl(copy, F_GETFL) == (O_WRONLY | O_NONBLOCK)); /* One open file. */
	CHECK(write(copy, "x", 1) == 1);
	for (int i = 0; i < 4; i++) close((int[]){ ends[1], copy, 5, 30 }[i]);
	char c;
	CHECK(read(ends[0], &c, 1) == 1 && c == 'x' && read(ends[0], &c, 1) == 0);
	close(ends[0]);
	CHECK(!isatty(0) && errno == ENOTTY);
	char terminal[L_ctermid];
	CHECK(!ttyname(0) && errno == ENOTTY && ttyname_r(99, terminal, sizeof terminal) == EBADF);
	CHECK(ctermid(terminal) == terminal && !strcmp(terminal, ctermid(0)));

	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/data/words.txt", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 1, "/tmp/copy", O_WRONLY | O_CREAT | O_TRUNC, 0640);
	CHECK(status_of(start(&actions, 0, "cat")) == 0);
	struct stat in, out;
	CHECK(!stat("/data/words.txt", &in) && !stat("/tmp/copy", &out) && in.st_size == out.st_size && in.st_size > 0);
	posix_spawn_file_actions_addclose(&actions, 50);
	CHECK(start(&actions, 0, "three") == -1 && errno == EBADF);
	posix_spawn_file_actions_destroy(&actions);
}

static void directory(void)
{
	char text[100];
	CHECK(!chdir("/data") && !strcmp(getcwd(text, sizeof text), "/data"));
	CHECK(getcwd(text, 3) == 0 && errno == ERANGE);
	CHECK(!access("words.txt", R_OK) && access("nope", F_OK) == -1);
	CHECK(!strcmp(output("cwd"), "/data\n"));
	CHECK(!chdir("..") && !strcmp(getcwd(text, sizeof text), "/"));
	CHECK(chdir("/data/words.txt") == -1 && errno == ENOTDIR);
	int dir = open("/tmp", O_RDONLY | O_DIRECTORY);
	CHECK(dir >= 0 && !fchdir(dir) && !strcmp(getcwd(text, sizeof text), "/tmp"));
	close(dir);
	CHECK(umask(077) == 022 && umask(022) == 077);
}

static void signals(void)
{
	CHECK(signal(SIGUSR1, note) == SIG_DFL && !raise(SIGUSR1) && count == 1 && last == SIGUSR1);
	CHECK(signal(SIGUSR1, SIG_IGN) == note && !raise(SIGUSR1) && count == 1);
	sigset_t set, before;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	CHECK(!sigprocmask(SIG_BLOCK, &set, &before) && !sigismember(&before, SIGUSR2));
	CHECK(!strcmp(output("ignores"), "1 1\n"));
	signal(SIGUSR2, note);
	CHECK(!raise(SIGUSR2) && count == 1 && !sigpending(&set) && sigismember(&set, SIGUSR2) == 1);
	CHECK(sigsuspend(&before) == -1 && errno == EINTR && count == 2 && last == SIGUSR2);
	CHECK(!sigprocmask(SIG_SETMASK, &before, 0));
	signal(SIGALRM, note);
	CHECK(alarm(1) == 0 && sleep(100) > 0 && last == SIGALRM);
	signal(SIGCHLD, note);
	int had = count;
	CHECK(WEXITSTATUS(status_of(start(0, 0, "three"))) == 3 && count == had + 1 && last == SIGCHLD);
	signal(SIGPIPE, SIG_IGN);
	int ends[2];
	CHECK(!pipe(ends) && !close(ends[0]) && write(ends[1], "x", 1) == -1 && errno == EPIPE);
	close(ends[1]);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
	posix_spawnattr_t attributes;
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	posix_spawnattr_setsigdefault(&attributes, &set);
	pid_t pid = start(0, &attributes, "sleep");
	CHECK(getpgid(pid) == pid && !killpg(pid, SIGUSR1) && WTERMSIG(status_of(pid)) == SIGUSR1);
}

/* A signal comes between two instructions of whatever runs. */
static void deliveries(void)
{
	CHECK(!setenv("KEPT", "yes", 1) && !atexit(end));
	CHECK(leaf_keeps_what_it_has());
	CHECK(constructed == 1 && !ended && getenv("KEPT"));
	CHECK(!strcmp(output("returns"), "ended\n") && !strcmp(output("exits"), "ended\n"));
}

static void limits(void)
{
	CHECK(WTERMSIG(status_of(start(0, 0, "large"))) == SIGXFSZ);
	CHECK(status_of(start(0, 0, "large, written")) == 0 && status_of(start(0, 0, "larget")) == 0);
	struct rusage before, after, own;
	struct tms first, second;
	clock_t began = times(&first);
	CHECK(!getrusage(RUSAGE_CHILDREN, &before) && status_of(start(0, 0, "works")) == 0);
	CHECK(!getrusage(RUSAGE_CHILDREN, &after) && !getrusage(RUSAGE_SELF, &own));
	long used = (after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1000000 + after.ru_utime.tv_usec - before.ru_utime.tv_usec;
	CHECK(used >= 60000 && times(&second) - began >= 6 && second.tms_cutime - first.tms_cutime >= 5);
	int status;
	pid_t child = start(0, 0, "works");
	CHECK(wait4(child, &status, 0, &own) == child && !status && own.ru_utime.tv_sec * 1000000 + own.ru_utime.tv_usec >= 60000);
	CHECK(wait3(&status, WNOHANG, &own) == -1 && errno == ECHILD);
	CHECK(getrusage(7, &own) == -1 && errno == EINVAL);
}

static void shell(void)
{
	char line[100];
	CHECK(system(0) != 0);
	CHECK(WEXITSTATUS(system("check child three")) == 3);
	CHECK(WEXITSTATUS(system("nope")) == 127);
	FILE *in = popen("check child cwd", "r");
	CHECK(in && fgets(line, sizeof line, in) && *line == '/' && pclose(in) == 0);
	FILE *out = popen("check child cat", "w");
	CHECK(out && fputs("through a pipe\n", out) >= 0 && pclose(out) == 0);
	FILE *ended = popen("check child three", "r");
	CHECK(ended && WEXITSTATUS(pclose(ended)) == 3);
	CHECK(popen("x", "x") == 0 && errno == EINVAL);
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "child")) return child(argv[2]);
	children();
	descriptors();
	directory();
	signals();
	deliveries();
	limits();
	shell();
	if (!failures) {
		char *next[] = { "check", "child", "ids", 0 };
		fflush(0);
		execvp("check", next);
		CHECK(!"execvp");
	}
	return failures;
}
