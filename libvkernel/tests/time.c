/* How long forks take, here and natively. `time TIMES KIB`: with so much memory written, nanoseconds until the first fork
   has returned in the parent, the median of all, and that until the child was waited for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	long long x = *(long long *)a, y = *(long long *)b;
	return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
	if (argc != 3) return 2;
	int times = atoi(argv[1]), size = atoi(argv[2]) << 10;
	long long *forked = malloc(times * sizeof *forked), *waited = malloc(times * sizeof *waited);
	volatile char *heap = malloc(size);
	for (int i = 0; i < size; i++) heap[i] = 1;
	for (int i = 0; i < times; i++) {
		long long start = now();
		pid_t pid = fork();
		if (!pid) _exit(heap[size - 1]);
		forked[i] = now() - start;
		int status;
		if (pid < 0 || waitpid(pid, &status, 0) != pid || WEXITSTATUS(status) != 1) return 1;
		waited[i] = now() - start;
	}
	long long first = forked[0];
	qsort(forked, times, sizeof *forked, by_value);
	qsort(waited, times, sizeof *waited, by_value);
	printf("%lld %lld %lld\n", first, forked[times / 2], waited[times / 2]);
	return 0;
}
