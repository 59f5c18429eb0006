/* A function that calls none keeps its variables below the stack pointer (clang's red zone). Here a handler that uses
   the stack runs in its midst. */
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>
#include "leaf.h"

enum { WORDS = 30, HANDLED = 20 };

static volatile int handled;

static void handler(int signal)
{
	/* As much as the leaf has, and more. */
	volatile unsigned own[4 * WORDS];
	for (int i = 0; i < 4 * WORDS; i++) own[i] = 0xdeadbeef;
	if (own[signal]) handled++;
}

/* Counts in 120 bytes of its own until the handler has run so often; gives what must be 0. */
__attribute__((noinline)) static unsigned leaf(int enough)
{
	volatile unsigned own[WORDS];
	unsigned turns = 0, sum = 0;
	for (int i = 0; i < WORDS; i++) own[i] = 0;
	for (; handled < enough; turns++) own[turns % WORDS]++;
	for (int i = 0; i < WORDS; i++) sum += own[i];
	return sum - turns;
}

int leaf_keeps_what_it_has(void)
{
	struct itimerval often = { { 0, 1000 }, { 0, 1000 } }, never = { 0 };
	struct sigaction action = { .sa_handler = handler }, before;
	handled = 0;
	if (sigaction(SIGALRM, &action, &before) || setitimer(ITIMER_REAL, &often, 0)) return 0;
	unsigned lost = leaf(HANDLED);
	return !setitimer(ITIMER_REAL, &never, 0) && !sigaction(SIGALRM, &before, 0) && !lost;
}
