/* Asks for everything that a fork promises. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include "leaf.h"

#define CHECK(what) do { if (!(what)) { printf("line %d: %s (errno %d)\n", __LINE__, #what, errno); exit(1); } } while (0)

static int ended(pid_t pid)
{
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static volatile int caught;
static void on_signal(int number) { caught = number; }

static pid_t from_handler = 1;
static void forks(int number) { from_handler = fork(); caught = errno; }

/* Each level forks below what it has on its stack. */
static int tree(int depth)
{
	int own[32];
	for (int i = 0; i < 32; i++) own[i] = depth * 100 + i;
	int sum = 0;
	for (int child = 0; depth && child < 2; child++) {
		pid_t pid = fork();
		CHECK(pid >= 0);
		if (!pid) exit(tree(depth - 1));
		sum += ended(pid);
	}
	for (int i = 0; i < 32; i++) CHECK(own[i] == depth * 100 + i);
	return sum + 1;
}

static void each_has_its_own(void)
{
	static int data = 1;
	int local = 2, ends[2];
	char *heap = malloc(1 << 20);
	memset(heap, 3, 1 << 20);
	CHECK(!pipe(ends));
	pid_t parent = getpid(), pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		CHECK(data == 1 && local == 2 && heap[1000] == 3 && getppid() == parent && getpid() != parent);
		data = 10, local = 20, memset(heap, 30, 1 << 20);
		/* What the child grows by is its own too. */
		char *more = calloc(1, 4 << 20);
		CHECK(more && !more[3 << 20]);
		CHECK(write(ends[1], "x", 1) == 1);
		exit(data + local + heap[1000]);
	}
	char byte;
	CHECK(read(ends[0], &byte, 1) == 1 && byte == 'x');
	CHECK(ended(pid) == 60 && data == 1 && local == 2);
	for (int i = 0; i < 1 << 20; i++) CHECK(heap[i] == 3);
	close(ends[0]), close(ends[1]);
	free(heap);
}

/* Large memories are shared until written, across generations and in both directions. */
static void large_memory_is_shared_and_private(void)
{
	enum { SIZE = 20 << 20, PAGE = 4096 };
	unsigned char *heap = malloc(SIZE);
	for (int i = 0; i < SIZE; i += PAGE) heap[i] = i / PAGE % 251;
	pid_t pids[4];
	int gate[2];
	CHECK(!pipe(gate));
	for (int child = 0; child < 4; child++) {
		pids[child] = fork();
		CHECK(pids[child] >= 0);
		if (!pids[child]) {
			char byte;
			close(gate[1]);
			CHECK(!read(gate[0], &byte, 1));
			/* Written by the parent after this fork or before it? */
			for (int i = 0; i < SIZE; i += PAGE)
				CHECK(heap[i] == (i / PAGE % 4 < child ? 255 : i / PAGE % 251));
			for (int i = 0; i < SIZE; i += PAGE) heap[i] = 254;
			pid_t own = fork();
			if (!own) exit(heap[SIZE - PAGE] == 254 ? 7 : 8);
			exit(ended(own));
		}
		for (int i = 0; i < SIZE; i += PAGE)
			if (i / PAGE % 4 == child) heap[i] = 255;
	}
	close(gate[1]);
	for (int child = 0; child < 4; child++) CHECK(ended(pids[child]) == 7);
	for (int i = 0; i < SIZE; i += PAGE) CHECK(heap[i] == 255);
	close(gate[0]);
	free(heap);
}

static void signals_are_inherited_and_none_is_pending(void)
{
	sigset_t usr1 = 1ull << (SIGUSR1 - 1), pending;
	signal(SIGUSR1, on_signal);
	signal(SIGUSR2, SIG_IGN);
	sigprocmask(SIG_BLOCK, &usr1, 0);
	raise(SIGUSR1);
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		CHECK(!sigpending(&pending) && !pending);
		raise(SIGUSR2);
		raise(SIGUSR1);
		CHECK(!caught);
		sigprocmask(SIG_UNBLOCK, &usr1, 0);
		exit(caught == SIGUSR1 ? 5 : 6);
	}
	CHECK(ended(pid) == 5 && !caught);
	sigprocmask(SIG_UNBLOCK, &usr1, 0);
	CHECK(caught == SIGUSR1);
	/* The handler runs on top of the host's frames. */
	signal(SIGUSR1, forks);
	raise(SIGUSR1);
	CHECK(from_handler == -1 && caught == ENOTSUP);
}

/* Also while the stack is put away and taken back. */
static void signals_come_at_any_time(void)
{
	struct itimerval often = { { 0, 300 }, { 0, 300 } }, never = { 0 };
	CHECK(leaf_keeps_what_it_has());
	CHECK(!sigaction(SIGALRM, &(struct sigaction){ .sa_handler = on_signal, .sa_flags = SA_RESTART }, 0));
	CHECK(!setitimer(ITIMER_REAL, &often, 0));
	caught = 0;
	for (int i = 0; i < 20 || !caught; i++) CHECK(tree(2) == 7);
	CHECK(!setitimer(ITIMER_REAL, &never, 0));
	signal(SIGALRM, SIG_DFL);
}

static void offsets_are_shared_and_directories_are_not(void)
{
	char buffer[64];
	int fd = open("/tmp/forked", O_RDWR | O_CREAT | O_TRUNC, 0644);
	CHECK(fd >= 0 && write(fd, "abcdef", 6) == 6 && !lseek(fd, 0, SEEK_SET));
	pid_t pid = fork();
	if (!pid) {
		CHECK(read(fd, buffer, 3) == 3 && !chdir("/tmp"));
		exit(0);
	}
	CHECK(!ended(pid) && read(fd, buffer, 3) == 3 && !memcmp(buffer, "def", 3));
	CHECK(getcwd(buffer, sizeof buffer) && strcmp(buffer, "/tmp"));
	close(fd);
	unlink("/tmp/forked");
}

static void a_child_executes(void)
{
	fflush(stdout);
	pid_t pid = fork();
	if (!pid) {
		execlp("echo", "echo", "from a child", (char *)0);
		_exit(127);
	}
	CHECK(!ended(pid));
	pid = fork();
	if (!pid) {
		execlp("nope", "nope", (char *)0);
		_exit(errno == ENOENT ? 9 : 1);
	}
	CHECK(ended(pid) == 9);
}

/* Without instrumented frames the stack cannot be put away: that ends this process alone. */
static void too_deep(int depth)
{
	char own[512];
	memset(own, depth, sizeof own);
	if (depth) too_deep(depth - 1);
	else fork();
	if (own[depth % 512] != (char)depth) abort();
}

static void a_stack_too_deep_is_its_own_end(void)
{
	pid_t pid = fork();
	int status;
	if (!pid) {
		close(2);
		too_deep(40000);
		exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
}

int main(void)
{
	each_has_its_own();
	CHECK(tree(4) == 31);
	large_memory_is_shared_and_private();
	signals_are_inherited_and_none_is_pending();
	signals_come_at_any_time();
	offsets_are_shared_and_directories_are_not();
	a_child_executes();
	a_stack_too_deep_is_its_own_end();
	puts("all of it");
	return 0;
}
