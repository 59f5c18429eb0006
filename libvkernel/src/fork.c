/* A copy of the process. The kernel has the program's stack put to memory and taken back from there, which works in
   programs that Binaryen's Asyncify has instrumented; in others there is ENOSYS. */
#include <unistd.h>
#include "internal.h"

/* What is on the stack of a program that forks: 256 KB hold hundreds of calls. More ends the process. */
static struct { char *at, *end, room[256 << 10]; } stack;

pid_t fork(void)
{
	int pid;
	stack.at = stack.room;
	stack.end = stack.room + sizeof stack.room;
	return done(vk_fork(&stack, &pid)) ? -1 : pid;
}

/* The child may do what it likes. */
pid_t vfork(void) { return fork(); }
