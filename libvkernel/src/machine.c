/* Limits, and the machine's name. */
#include <string.h>
#define _WASI_EMULATED_PROCESS_CLOCKS
#include <sys/resource.h>
#include <sys/utsname.h>
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
