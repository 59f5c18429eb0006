/* Sockets. The kernel has Linux's structures and numbers, and so have these headers. */
#include <sys/socket.h>
#include <stdlib.h>
#include "internal.h"

int socket(int domain, int type, int protocol)
{
	int made;
	return done(vk_socket(domain, type, protocol, &made)) ? -1 : made;
}

int socketpair(int domain, int type, int protocol, int pair[2]) { return done(vk_socketpair(domain, type, protocol, pair)); }
int bind(int fd, const struct sockaddr *address, socklen_t len) { return done(vk_bind(fd, address, len)); }
int listen(int fd, int backlog) { return done(vk_listen(fd, backlog)); }
int connect(int fd, const struct sockaddr *address, socklen_t len) { return done(vk_connect(fd, address, len)); }

int accept4(int fd, struct sockaddr *restrict address, socklen_t *restrict len, int flags)
{
	int made;
	return done(vk_accept(fd, flags, address, (uint32_t *)len, &made)) ? -1 : made;
}

int accept(int fd, struct sockaddr *restrict address, socklen_t *restrict len) { return accept4(fd, address, len, 0); }

/* The kernel has it from WASI, which numbers the directions as bits. */
__attribute__((import_module("wasi_snapshot_preview1"), import_name("sock_shutdown"))) int wasi_shutdown(int, int);
int shutdown(int fd, int how) { return done(how < 0 || how > 2 ? EINVAL : wasi_shutdown(fd, how + 1)); }

int getsockname(int fd, struct sockaddr *restrict address, socklen_t *restrict len)
{
	return done(vk_getsockname(fd, address, (uint32_t *)len));
}

int getpeername(int fd, struct sockaddr *restrict address, socklen_t *restrict len)
{
	return done(vk_getpeername(fd, address, (uint32_t *)len));
}

int getsockopt(int fd, int level, int name, void *restrict value, socklen_t *restrict len)
{
	return done(vk_getsockopt(fd, level, name, value, (uint32_t *)len));
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	return done(vk_setsockopt(fd, level, name, value, len));
}

ssize_t sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *to, socklen_t len)
{
	uint32_t moved;
	struct vk_bytes bytes = { data, size };
	return done(vk_sendto(fd, &bytes, 1, flags, to, len, &moved)) ? -1 : (ssize_t)moved;
}

ssize_t send(int fd, const void *data, size_t size, int flags) { return sendto(fd, data, size, flags, 0, 0); }

ssize_t recvfrom(int fd, void *restrict data, size_t size, int flags, struct sockaddr *restrict from, socklen_t *restrict len)
{
	uint32_t result[2];
	struct vk_bytes bytes = { data, size };
	return done(vk_recvfrom(fd, &bytes, 1, flags, from, (uint32_t *)len, result)) ? -1 : (ssize_t)*result;
}

ssize_t recv(int fd, void *data, size_t size, int flags) { return recvfrom(fd, data, size, flags, 0, 0); }

/* struct iovec is what the kernel takes. */
ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	uint32_t moved;
	if (message->msg_controllen) return done(ENOTSUP);
	return done(vk_sendto(fd, (const void *)message->msg_iov, message->msg_iovlen, flags, message->msg_name,
		message->msg_namelen, &moved)) ? -1 : (ssize_t)moved;
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	uint32_t result[2];
	if (done(vk_recvfrom(fd, (const void *)message->msg_iov, message->msg_iovlen, flags, message->msg_name,
		(uint32_t *)&message->msg_namelen, result))) return -1;
	message->msg_controllen = 0;
	message->msg_flags = result[1];
	return *result;
}
