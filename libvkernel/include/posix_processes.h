/* What wasi-libc's headers leave out and libvkernel provides. Force it into every file of a program
   (-include posix_processes.h). */
#pragma once
#ifndef __ASSEMBLER__
/* Room for 64 signals, where wasi-libc has eight. */
#define __wasilibc___typedef_sigset_t_h
typedef unsigned long long sigset_t;
#include <stdio.h>
#include <sys/types.h>
/* An older wasi-libc has FIFOs and sockets with one number. */
#include <__mode_t.h>
#undef S_IFIFO
#define S_IFIFO 0x1000

#ifdef __cplusplus
extern "C" {
#endif

extern char **environ;

pid_t fork(void), vfork(void);
int execv(const char *, char *const *), execvp(const char *, char *const *);
int execve(const char *, char *const *, char *const *), execvpe(const char *, char *const *, char *const *);
int execl(const char *, const char *, ...), execlp(const char *, const char *, ...), execle(const char *, const char *, ...);
int system(const char *);
FILE *popen(const char *, const char *);
int pclose(FILE *);

int pipe(int[2]), pipe2(int[2], int), dup(int), dup2(int, int), dup3(int, int, int);
int kill(pid_t, int), killpg(pid_t, int);
pid_t getppid(void), getpgrp(void), getpgid(pid_t), setsid(void), getsid(pid_t);
int setpgid(pid_t, pid_t);
uid_t getuid(void), geteuid(void);
gid_t getgid(void), getegid(void);
int fchdir(int);
/* wasi-libc has these in one object with what everything needs: names of their own beside it. */
struct stat;
int open(const char *, int, ...) __asm__("__vkernel_open");
int openat(int, const char *, int, ...) __asm__("__vkernel_openat");
int creat(const char *, mode_t) __asm__("__vkernel_creat");
int stat(const char *__restrict, struct stat *__restrict) __asm__("__vkernel_stat");
int lstat(const char *__restrict, struct stat *__restrict) __asm__("__vkernel_lstat");
int fstat(int, struct stat *) __asm__("__vkernel_fstat");
int fstatat(int, const char *__restrict, struct stat *__restrict, int) __asm__("__vkernel_fstatat");
int mkdir(const char *, mode_t) __asm__("__vkernel_mkdir");
int mkdirat(int, const char *, mode_t) __asm__("__vkernel_mkdirat");
int chmod(const char *, mode_t) __asm__("__vkernel_chmod");
int fchmod(int, mode_t) __asm__("__vkernel_fchmod");
int fchmodat(int, const char *, mode_t, int) __asm__("__vkernel_fchmodat");
int access(const char *, int) __asm__("__vkernel_access");
int faccessat(int, const char *, int, int) __asm__("__vkernel_faccessat");
mode_t umask(mode_t);
int chown(const char *, uid_t, gid_t), lchown(const char *, uid_t, gid_t), fchown(int, uid_t, gid_t);
int fchownat(int, const char *, uid_t, gid_t, int);
int mkfifo(const char *, mode_t), mkfifoat(int, const char *, mode_t);
int mknod(const char *, mode_t, dev_t), mknodat(int, const char *, mode_t, dev_t);
int mkstemp(char *) __asm__("__vkernel_mkstemp");
pid_t tcgetpgrp(int);
char *ttyname(int), *ctermid(char *);
int ttyname_r(int, char *, size_t);
int tcsetpgrp(int, pid_t);
unsigned alarm(unsigned);

#define F_DUPFD 0
#define F_DUPFD_CLOEXEC 1030

#ifdef __cplusplus
}
#endif
#endif
