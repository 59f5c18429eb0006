/* Limits, processor time, and the machine's name. */
#include <string.h>
#define _WASI_EMULATED_PROCESS_CLOCKS
#include <sys/resource.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include "internal.h"

int getrlimit(int resource, struct rlimit *limit)
{
	uint64_t both[2];
	if (done(vk_getrlimit(resource, both))) return -1;
	*limit = (struct rlimit){ both[0], both[1] };
	return 0;
}

int setrlimit(int resource, const struct rlimit *limit)
{
	uint64_t both[2] = { limit->rlim_cur, limit->rlim_max };
	return done(vk_setrlimit(resource, both));
}

int getrusage(int who, struct rusage *used)
{
	uint64_t both[2];
	if (who != RUSAGE_SELF && who != RUSAGE_CHILDREN) return done(EINVAL);
	if (done(vk_getrusage(who == RUSAGE_SELF ? 0 : -1, both))) return -1;
	*used = (struct rusage){ .ru_utime = timeval_of(both[0]), .ru_stime = timeval_of(both[1]) };
	return 0;
}

/* sysconf(_SC_CLK_TCK) is 100. */
#define TICK 10000000

clock_t times(struct tms *used)
{
	uint64_t own[2], children[2];
	struct timespec now;
	if (done(vk_getrusage(0, own)) || done(vk_getrusage(-1, children))) return -1;
	*used = (struct tms){ own[0] / TICK, own[1] / TICK, children[0] / TICK, children[1] / TICK };
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 100ll + now.tv_nsec / TICK;
}

_Static_assert(sizeof(struct utsname) == 6 * 65, "as vkernel-abi.md says");
int uname(struct utsname *names) { return done(vk_uname(names)); }

int gethostname(char *name, size_t size)
{
	struct utsname names;
	if (uname(&names)) return -1;
	if (strlen(names.nodename) >= size) return done(ENAMETOOLONG);
	strcpy(name, names.nodename);
	return 0;
}
