/* The functions of module vkernel, version 0.2.0 (runtime-spec/vkernel-abi.md). Each returns an
   error number of WASI, 0 for success. Programs use the POSIX names that libvkernel builds on
   these. */
#pragma once
#include <stdint.h>

#define VKERNEL(name) __attribute__((import_module("vkernel"), import_name(#name)))

/* The descriptor that stands for the working directory. */
#define VK_CWD (-100)

enum vk_kind { VK_PATH, VK_SEARCH, VK_DIGEST, VK_TOOL };

struct vk_request {
	uint32_t kind;
	const void *name;
	uint32_t name_len;
	char *const *argv;
	char *const *envp;
	const char *search;
};

enum vk_op { VK_CLOSE, VK_DUP2, VK_OPEN, VK_CHDIR, VK_FCHDIR, VK_CLOSE_RANGE };

struct vk_action {
	uint32_t op, fd, arg;
	const char *path;
	uint32_t path_len, mode;
};

enum { VK_READ = 1, VK_WRITE = 2, VK_CREATE = 4, VK_EXCLUSIVE = 8, VK_TRUNCATE = 16, VK_APPEND = 32,
       VK_NONBLOCK = 64, VK_DIRECTORY = 128, VK_NOFOLLOW = 256, VK_CLOEXEC = 512 };

enum { VK_SET_GROUP = 1, VK_SET_MASK = 2, VK_SET_DEFAULTS = 4, VK_SET_SESSION = 8, VK_FOREGROUND = 16 };

struct vk_spawn_request {
	struct vk_request request;
	const struct vk_action *actions;
	uint32_t action_count, flags, group;
	uint64_t mask, defaults;
};

enum { VK_DEFAULT, VK_IGNORE, VK_CATCH };
enum { VK_RESTART = 1, VK_NODEFER = 2, VK_RESET = 4 };

struct vk_sigaction {
	uint32_t kind, flags;
	uint64_t mask;
};

VKERNEL(exec) int vk_exec(const struct vk_request *);
VKERNEL(spawn) int vk_spawn(const struct vk_spawn_request *, int *pid);
VKERNEL(fork) int vk_fork(void *stack, int *pid);
/* With option VK_USED the status is a struct vk_waited. */
enum { VK_USED = 16 };
struct vk_waited { int status, none; uint64_t nanoseconds[2]; };
VKERNEL(wait) int vk_wait(int which, int options, int *pid, int *status);
VKERNEL(kill) int vk_kill(int pid, int signal);
VKERNEL(getpid) int vk_getpid(int *pid);
VKERNEL(getppid) int vk_getppid(int *pid);
VKERNEL(getpgid) int vk_getpgid(int of, int *group);
VKERNEL(setpgid) int vk_setpgid(int of, int group);
VKERNEL(getsid) int vk_getsid(int of, int *session);
VKERNEL(setsid) int vk_setsid(int *session);
VKERNEL(getuid) int vk_getuid(unsigned ids[2]);
VKERNEL(getgid) int vk_getgid(unsigned ids[2]);
VKERNEL(pipe) int vk_pipe(int ends[2], int flags);
VKERNEL(dup) int vk_dup(int fd, int *made);
VKERNEL(dup2) int vk_dup2(int from, int to, int flags);
VKERNEL(fcntl) int vk_fcntl(int fd, int command, int argument, int *result);
VKERNEL(chdir) int vk_chdir(const char *path, uint32_t len);
VKERNEL(fchdir) int vk_fchdir(int fd);
VKERNEL(getcwd) int vk_getcwd(char *buffer, uint32_t size, uint32_t *len);
VKERNEL(umask) int vk_umask(unsigned mask, unsigned *before);
VKERNEL(isatty) int vk_isatty(int fd);
VKERNEL(tcgetattr) int vk_tcgetattr(int fd, void *modes);
VKERNEL(tcsetattr) int vk_tcsetattr(int fd, int when, const void *modes);
VKERNEL(tcgetwinsize) int vk_tcgetwinsize(int fd, void *size);
VKERNEL(tcsetwinsize) int vk_tcsetwinsize(int fd, const void *size);
VKERNEL(tcgetpgrp) int vk_tcgetpgrp(int fd, int *group);
VKERNEL(tcsetpgrp) int vk_tcsetpgrp(int fd, int group);
VKERNEL(sigaction) int vk_sigaction(int signal, const struct vk_sigaction *wanted, struct vk_sigaction *before);
VKERNEL(sigprocmask) int vk_sigprocmask(int how, uint64_t set, uint64_t *before);
VKERNEL(sigpending) int vk_sigpending(uint64_t *set);
VKERNEL(sigsuspend) int vk_sigsuspend(uint64_t mask);
VKERNEL(setitimer) int vk_setitimer(uint64_t first, uint64_t interval, uint64_t before[2]);
struct vk_stat {
	uint64_t dev, ino, nlink;
	uint32_t mode, uid, gid, block_size;
	uint64_t rdev, size, blocks, accessed, modified, changed;
};
VKERNEL(open) int vk_open(int dir, const char *path, uint32_t len, unsigned flags, unsigned mode, int *fd);
VKERNEL(stat) int vk_stat(int dir, const char *path, uint32_t len, unsigned flags, struct vk_stat *);
VKERNEL(fstat) int vk_fstat(int fd, struct vk_stat *);
VKERNEL(chmod) int vk_chmod(int dir, const char *path, uint32_t len, unsigned mode, unsigned flags);
VKERNEL(fchmod) int vk_fchmod(int fd, unsigned mode);
VKERNEL(chown) int vk_chown(int dir, const char *path, uint32_t len, unsigned uid, unsigned gid, unsigned flags);
VKERNEL(fchown) int vk_fchown(int fd, unsigned uid, unsigned gid);
VKERNEL(mkdir) int vk_mkdir(int dir, const char *path, uint32_t len, unsigned mode);
VKERNEL(mkfifo) int vk_mkfifo(int dir, const char *path, uint32_t len, unsigned mode);
VKERNEL(getrlimit) int vk_getrlimit(int resource, uint64_t limit[2]);
VKERNEL(setrlimit) int vk_setrlimit(int resource, const uint64_t limit[2]);
VKERNEL(getrusage) int vk_getrusage(int who, uint64_t nanoseconds[2]);
VKERNEL(uname) int vk_uname(void *names);
VKERNEL(access) int vk_access(int dir, const char *path, uint32_t len, int mode, int flags);

struct vk_bytes {
	const void *at;
	uint32_t len;
};
VKERNEL(socket) int vk_socket(int domain, int type, int protocol, int *made);
VKERNEL(socketpair) int vk_socketpair(int domain, int type, int protocol, int pair[2]);
VKERNEL(bind) int vk_bind(int fd, const void *address, uint32_t len);
VKERNEL(listen) int vk_listen(int fd, int backlog);
VKERNEL(connect) int vk_connect(int fd, const void *address, uint32_t len);
VKERNEL(accept) int vk_accept(int fd, int flags, void *address, uint32_t *len, int *made);
VKERNEL(getsockname) int vk_getsockname(int fd, void *address, uint32_t *len);
VKERNEL(getpeername) int vk_getpeername(int fd, void *address, uint32_t *len);
VKERNEL(getsockopt) int vk_getsockopt(int fd, int level, int name, void *value, uint32_t *len);
VKERNEL(setsockopt) int vk_setsockopt(int fd, int level, int name, const void *value, uint32_t len);
VKERNEL(sendto) int vk_sendto(int fd, const struct vk_bytes *, uint32_t count, int flags, const void *to, uint32_t len, uint32_t *moved);
VKERNEL(recvfrom) int vk_recvfrom(int fd, const struct vk_bytes *, uint32_t count, int flags, void *from, uint32_t *len, uint32_t result[2]);

_Static_assert(sizeof(struct vk_bytes) == 8, "as vkernel-abi.md says");
_Static_assert(sizeof(struct vk_request) == 24, "as vkernel-abi.md says");
_Static_assert(sizeof(struct vk_action) == 24, "as vkernel-abi.md says");
_Static_assert(sizeof(struct vk_spawn_request) == 56, "as vkernel-abi.md says");
_Static_assert(sizeof(struct vk_sigaction) == 16, "as vkernel-abi.md says");
_Static_assert(sizeof(struct vk_stat) == 88, "as vkernel-abi.md says");
