/* Forced into every program in C and C++: names that wasi-libc leaves out because WASI preview 1 has nothing behind them.
   compat.c gives each the answer of a system that refuses (ENOSYS) or that has one user, root. */
#pragma once
#ifndef __ASSEMBLER__
#include <sys/types.h>
#include <stdio.h>
#ifdef __cplusplus
extern "C" {
#endif
pid_t fork(void), vfork(void), setsid(void), getppid(void), getpgrp(void);
int execv(const char *, char *const *), execvp(const char *, char *const *), execve(const char *, char *const *, char *const *);
int execl(const char *, const char *, ...), execlp(const char *, const char *, ...);
int pipe(int *), dup(int), dup2(int, int), system(const char *), kill(pid_t, int);
FILE *popen(const char *, const char *); int pclose(FILE *); FILE *tmpfile(void); char *tmpnam(char *), *mktemp(char *);
int mkstemp(char *); char *mkdtemp(char *);
uid_t getuid(void), geteuid(void); gid_t getgid(void), getegid(void);
int setuid(uid_t), setgid(gid_t), seteuid(uid_t), setegid(gid_t);
int chmod(const char *, mode_t), fchmod(int, mode_t), fchmodat(int, const char *, mode_t, int);
int chown(const char *, uid_t, gid_t), lchown(const char *, uid_t, gid_t), fchown(int, uid_t, gid_t), fchownat(int, const char *, uid_t, gid_t, int);
mode_t umask(mode_t);
int mknod(const char *, mode_t, dev_t), mknodat(int, const char *, mode_t, dev_t), mkfifo(const char *, mode_t), mkfifoat(int, const char *, mode_t);
unsigned alarm(unsigned); int chroot(const char *), nice(int); void sync(void);
char *ttyname(int), *getlogin(void), *realpath(const char *, char *); int ttyname_r(int, char *, size_t);
int gethostname(char *, size_t);
void tzset(void); int fchdir(int); struct timeval; int settimeofday(const struct timeval *, const void *);
#ifdef __cplusplus
}
#endif
#endif
