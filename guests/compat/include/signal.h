#pragma once
#include_next <signal.h>
#include <sys/types.h>
#include <time.h>
#ifndef SA_RESTART
typedef struct { int si_signo, si_code, si_errno; pid_t si_pid; uid_t si_uid; int si_status; void *si_addr; } siginfo_t;
#ifndef __wasi_compat_sigset
#define __wasi_compat_sigset
struct sigaction { void (*sa_handler)(int); void (*sa_sigaction)(int, siginfo_t *, void *); sigset_t sa_mask; int sa_flags; };
#endif
#define SA_NOCLDSTOP 1
#define SA_SIGINFO 4
#define SA_NODEFER 0x40000000
#define SA_RESETHAND 0x80000000
#define SA_RESTART 0x10000000
#define SIG_BLOCK 0
#define SIG_UNBLOCK 1
#define SIG_SETMASK 2
int sigaction(int, const struct sigaction *, struct sigaction *);
int sigprocmask(int, const sigset_t *, sigset_t *), sigsuspend(const sigset_t *), sigpending(sigset_t *);
int sigemptyset(sigset_t *), sigfillset(sigset_t *), sigaddset(sigset_t *, int), sigdelset(sigset_t *, int), sigismember(const sigset_t *, int);
#endif
