#pragma once
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WNOHANG 1
#define WUNTRACED 2
#define WCONTINUED 8
#define WTERMSIG(s) ((s) & 0x7f)
#define WEXITSTATUS(s) (((s) >> 8) & 0xff)
#define WSTOPSIG(s) WEXITSTATUS(s)
#define WCOREDUMP(s) 0
#define WIFEXITED(s) (!WTERMSIG(s))
#define WIFSTOPPED(s) (((s) & 0xff) == 0x7f)
#define WIFSIGNALED(s) (WTERMSIG(s) && WTERMSIG(s) != 0x7f)
#define WIFCONTINUED(s) ((s) == 0xffff)

pid_t wait(int *);
pid_t waitpid(pid_t, int *, int);
struct rusage;
/* Of what children used, their processor time. */
pid_t wait3(int *, int, struct rusage *), wait4(pid_t, int *, int, struct rusage *);

#ifdef __cplusplus
}
#endif
