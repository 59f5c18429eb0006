/* 9base's lib9 without interval timers, signals and a walk up the stack. */
#include <u.h>
#define NOPLAN9DEFINES
#include <libc.h>

int p9sleep(long milli) { return usleep(milli * 1000); }
ulong getcallerpc(void *first) { return 0; }
char *_p9sigstr(int sig, char *tmp) { sprint(tmp, "sys: signal %d", sig); return tmp; }
int await(char *str, int n) { werrstr("no child processes"); return -1; }
