/* What wasi-libc leaves out, answered as a system with one user (root, 0) and without processes of its own:
   refusals set ENOSYS. Weak, so that a program's own definition wins. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <mntent.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <syslog.h>
#include <termios.h>
#include <unistd.h>
#include <limits.h>

#define WEAK __attribute__((weak))
#define REFUSE(type, name, ...) WEAK type name(__VA_ARGS__) { errno = ENOSYS; return (type)-1; }
#define REFUSE_NULL(type, name, ...) WEAK type name(__VA_ARGS__) { errno = ENOSYS; return 0; }

REFUSE(pid_t, fork, void)
REFUSE(pid_t, vfork, void)
REFUSE(pid_t, setsid, void)
REFUSE(int, execv, const char *p, char *const *a)
REFUSE(int, execvp, const char *p, char *const *a)
REFUSE(int, execve, const char *p, char *const *a, char *const *e)
REFUSE(int, execl, const char *p, const char *a, ...)
REFUSE(int, execlp, const char *p, const char *a, ...)
REFUSE(pid_t, wait, int *s)
REFUSE(pid_t, waitpid, pid_t p, int *s, int o)
REFUSE(int, pipe, int *f)
/* A directory can be opened again through itself; nothing else can be duplicated. */
WEAK int dup(int f) { int g = openat(f, ".", O_RDONLY | O_DIRECTORY); if (g < 0) errno = ENOSYS; return g; }
REFUSE(int, dup2, int f, int g)
REFUSE(int, system, const char *c)
REFUSE(int, kill, pid_t p, int s)
REFUSE_NULL(FILE *, popen, const char *c, const char *m)
REFUSE(int, pclose, FILE *f)
REFUSE(int, fchdir, int f)
REFUSE(int, chroot, const char *p)
REFUSE(int, nice, int n)
REFUSE(int, mknod, const char *p, mode_t m, dev_t d)
REFUSE(int, mknodat, int f, const char *p, mode_t m, dev_t d)
REFUSE(int, mkfifo, const char *p, mode_t m)
REFUSE(int, mkfifoat, int f, const char *p, mode_t m)
REFUSE(int, chmod, const char *p, mode_t m)
REFUSE(int, fchmod, int f, mode_t m)
REFUSE(int, fchmodat, int f, const char *p, mode_t m, int o)
REFUSE(int, chown, const char *p, uid_t u, gid_t g)
REFUSE(int, lchown, const char *p, uid_t u, gid_t g)
REFUSE(int, fchown, int f, uid_t u, gid_t g)
REFUSE(int, fchownat, int f, const char *p, uid_t u, gid_t g, int o)
REFUSE(int, statfs, const char *p, struct statfs *s)
REFUSE(int, statvfs, const char *p, struct statvfs *s)
REFUSE(int, settimeofday, const struct timeval *t, const void *z)
REFUSE(int, tcgetattr, int f, struct termios *t)
REFUSE(int, tcsetattr, int f, int o, const struct termios *t)
REFUSE(int, sigsuspend, const sigset_t *s)
REFUSE_NULL(FILE *, setmntent, const char *p, const char *m)
REFUSE_NULL(struct mntent *, getmntent, FILE *f)
REFUSE_NULL(char *, ttyname, int f)
REFUSE_NULL(char *, getlogin, void)
WEAK int endmntent(FILE *f) { return 1; }
WEAK int ttyname_r(int f, char *b, size_t n) { return ENOTTY; }
WEAK unsigned alarm(unsigned s) { return 0; }
WEAK void sync(void) {}
WEAK void tzset(void) {}
WEAK pid_t getppid(void) { return 0; }
WEAK pid_t getpgrp(void) { return 1; }
WEAK mode_t umask(mode_t m) { return 022; }
WEAK void cfmakeraw(struct termios *t) {}
WEAK int gethostname(char *b, size_t n) { if (n) *b = 0; return 0; }

/* One user. */
static struct passwd root_user = { "root", "x", 0, 0, "root", "/root", "/bin/sh" };
static struct group root_group = { "root", "x", 0, 0 };
WEAK uid_t getuid(void) { return 0; }
WEAK uid_t geteuid(void) { return 0; }
WEAK gid_t getgid(void) { return 0; }
WEAK gid_t getegid(void) { return 0; }
WEAK int setuid(uid_t u) { return 0; }
WEAK int setgid(gid_t g) { return 0; }
WEAK struct passwd *getpwuid(uid_t u) { return u ? 0 : &root_user; }
WEAK struct passwd *getpwnam(const char *n) { return strcmp(n, "root") ? 0 : &root_user; }
WEAK struct group *getgrgid(gid_t g) { return g ? 0 : &root_group; }
WEAK struct group *getgrnam(const char *n) { return strcmp(n, "root") ? 0 : &root_group; }
WEAK int getpwuid_r(uid_t u, struct passwd *p, char *b, size_t n, struct passwd **r) { *r = 0; if (!u) *(*r = p) = root_user; return 0; }
WEAK int getpwnam_r(const char *s, struct passwd *p, char *b, size_t n, struct passwd **r) { *r = 0; if (!strcmp(s, "root")) *(*r = p) = root_user; return 0; }
WEAK int getgrgid_r(gid_t g, struct group *p, char *b, size_t n, struct group **r) { *r = 0; if (!g) *(*r = p) = root_group; return 0; }
WEAK int getgrnam_r(const char *s, struct group *p, char *b, size_t n, struct group **r) { *r = 0; if (!strcmp(s, "root")) *(*r = p) = root_group; return 0; }

/* Signals are never delivered to a handler. */
WEAK int sigaction(int s, const struct sigaction *n, struct sigaction *o) { if (o) memset(o, 0, sizeof *o); return 0; }
WEAK int sigprocmask(int h, const sigset_t *n, sigset_t *o) { if (o) memset(o, 0, sizeof *o); return 0; }
WEAK int sigpending(sigset_t *s) { memset(s, 0, sizeof *s); return 0; }
WEAK int sigemptyset(sigset_t *s) { memset(s, 0, sizeof *s); return 0; }
WEAK int sigfillset(sigset_t *s) { memset(s, 255, sizeof *s); return 0; }
WEAK int sigaddset(sigset_t *s, int n) { return 0; }
WEAK int sigdelset(sigset_t *s, int n) { return 0; }
WEAK int sigismember(const sigset_t *s, int n) { return 0; }
WEAK _Noreturn void longjmp(jmp_buf b, int v) { abort(); }
WEAK _Noreturn void siglongjmp(sigjmp_buf b, int v) { abort(); }

/* Temporary files: six random letters, made exclusively. */
static int fill(char *t)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz012345";
	size_t n = strlen(t);
	unsigned char r[6];
	if (n < 6 || strcmp(t + n - 6, "XXXXXX")) { errno = EINVAL; return -1; }
	if (getentropy(r, sizeof r)) return -1;
	for (int i = 0; i < 6; i++) t[n - 6 + i] = letters[r[i] & 31];
	return 0;
}
#define TRY(t, made, bad) \
	size_t n = strlen(t); \
	for (int i = 0; i < 100; i++) { \
		if (n >= 6) memset(t + n - 6, 'X', 6); \
		if (fill(t)) return bad; \
		made; \
		if (errno != EEXIST) break; \
	} \
	return bad;
WEAK int mkstemp(char *t) { TRY(t, int f = open(t, O_RDWR | O_CREAT | O_EXCL, 0600); if (f >= 0) return f, -1) }
WEAK char *mkdtemp(char *t) { TRY(t, if (!mkdir(t, 0700)) return t, 0) }
WEAK char *mktemp(char *t) { if (fill(t)) *t = 0; return t; }
WEAK FILE *tmpfile(void)
{
	char t[] = "/tmp/tmp.XXXXXX";
	int f = mkstemp(t);
	if (f < 0) return 0;
	unlink(t);
	return fdopen(f, "w+");
}

/* Cleans the name; symbolic links stay as they are. */
WEAK char *realpath(const char *p, char *out)
{
	char buf[PATH_MAX], *o = buf;
	struct stat st;
	if (!p || stat(p, &st)) return 0;
	if (*p != '/') { if (!getcwd(buf, sizeof buf)) return 0; o += strlen(buf); if (o > buf && o[-1] == '/') o--; }
	while (*p) {
		size_t n = strcspn(p, "/");
		if (n == 2 && !memcmp(p, "..", 2)) { while (o > buf && *--o != '/'); }
		else if (n && !(n == 1 && *p == '.')) {
			if (o + n + 2 > buf + sizeof buf) { errno = ENAMETOOLONG; return 0; }
			*o++ = '/'; memcpy(o, p, n); o += n;
		}
		p += n; if (*p) p++;
	}
	if (o == buf) *o++ = '/';
	*o = 0;
	return out ? strcpy(out, buf) : strdup(buf);
}

/* In WASI O_RDONLY is a bit; programs from elsewhere leave it out, since it is 0 everywhere else.
   Linked with --wrap=open --wrap=openat. */
#include <stdarg.h>
int __real_open(const char *, int, ...), __real_openat(int, const char *, int, ...);
#define MODE(f) (((f) & (O_RDONLY | O_WRONLY | O_SEARCH | O_EXEC)) ? (f) : (f) | O_RDONLY)
int __wrap_open(const char *p, int f, ...) { return __real_open(p, MODE(f), 0666); }
int __wrap_openat(int d, const char *p, int f, ...) { return __real_openat(d, p, MODE(f), 0666); }

/* C++ without exceptions: what throws ends. */
WEAK void *__cxa_allocate_exception(size_t n) { abort(); }
WEAK _Noreturn void __cxa_throw(void *e, void *t, void (*d)(void *)) { abort(); }
