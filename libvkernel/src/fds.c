/* Descriptors. */
#include <fcntl.h>
#include <stdarg.h>
#include <termios.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wasi/api.h>
#include "internal.h"

int pipe(int ends[2]) { return done(vk_pipe(ends, 0)); }
int pipe2(int ends[2], int flags)
{
	return done(vk_pipe(ends, (flags & O_CLOEXEC ? 1 : 0) | (flags & O_NONBLOCK ? 2 : 0)));
}

int dup(int fd)
{
	int made;
	return done(vk_dup(fd, &made)) ? -1 : made;
}

int dup2(int from, int to) { return done(vk_dup2(from, to, 0)) ? -1 : to; }

int dup3(int from, int to, int flags)
{
	if (from == to || flags & ~O_CLOEXEC) return done(EINVAL);
	return done(vk_dup2(from, to, flags ? 1 : 0)) ? -1 : to;
}

/* Status flags have Linux's numbers in the kernel and WASI's in programs. */
enum { LINUX_WRONLY = 1, LINUX_RDWR = 2, LINUX_APPEND = 02000, LINUX_NONBLOCK = 04000 };

int fcntl(int fd, int command, ...)
{
	va_list list;
	va_start(list, command);
	int argument = va_arg(list, int), result;
	va_end(list);
	if (command == F_SETFL)
		argument = (argument & O_APPEND ? LINUX_APPEND : 0) | (argument & O_NONBLOCK ? LINUX_NONBLOCK : 0);
	if (done(vk_fcntl(fd, command, argument, &result))) return -1;
	if (command != F_GETFL) return result;
	int mode = result & LINUX_RDWR ? O_RDWR : result & LINUX_WRONLY ? O_WRONLY : O_RDONLY;
	return mode | (result & LINUX_APPEND ? O_APPEND : 0) | (result & LINUX_NONBLOCK ? O_NONBLOCK : 0);
}

int isatty(int fd) { return !done(vk_isatty(fd)); }
int tcgetattr(int fd, struct termios *modes) { return done(vk_tcgetattr(fd, modes)); }
int tcsetattr(int fd, int when, const struct termios *modes) { return done(vk_tcsetattr(fd, when, modes)); }

pid_t tcgetpgrp(int fd)
{
	int group;
	return done(vk_tcgetpgrp(fd, &group)) ? -1 : group;
}

int tcsetpgrp(int fd, pid_t group) { return done(vk_tcsetpgrp(fd, group)); }

/* What a wait for input that does not wait says. */
static int readable_bytes(int fd, int *bytes)
{
	__wasi_subscription_t wanted[2] = {
		{ .u = { .tag = __WASI_EVENTTYPE_FD_READ, .u.fd_read.file_descriptor = fd } },
		{ .u = { .tag = __WASI_EVENTTYPE_CLOCK, .u.clock = { .id = __WASI_CLOCKID_MONOTONIC } } },
	};
	__wasi_event_t events[2];
	__wasi_size_t count;
	int error = __wasi_poll_oneoff(wanted, events, 2, &count);
	if (error) return done(error);
	*bytes = 0;
	for (__wasi_size_t i = 0; i < count; i++) {
		if (events[i].type != __WASI_EVENTTYPE_FD_READ) continue;
		if (events[i].error) return done(events[i].error);
		*bytes = events[i].fd_readwrite.nbytes;
	}
	return 0;
}

int ioctl(int fd, int request, ...)
{
	va_list list;
	va_start(list, request);
	void *argument = va_arg(list, void *);
	va_end(list);
	switch (request) {
	case TIOCGWINSZ: return done(vk_tcgetwinsize(fd, argument));
	case TIOCSWINSZ: return done(vk_tcsetwinsize(fd, argument));
	case FIONBIO: {
		int flags = fcntl(fd, F_GETFL);
		if (flags < 0) return -1;
		return fcntl(fd, F_SETFL, *(int *)argument ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
	}
	case FIONREAD: return readable_bytes(fd, argument);
	default: return done(ENOTTY);
	}
}

void cfmakeraw(struct termios *t)
{
	t->c_iflag &= ~(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
	t->c_oflag &= ~OPOST;
	t->c_lflag &= ~(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
	t->c_cflag = (t->c_cflag & ~(CSIZE | PARENB)) | CS8;
	t->c_cc[VMIN] = 1;
	t->c_cc[VTIME] = 0;
}

speed_t cfgetospeed(const struct termios *t) { return t->c_cflag & CBAUD; }
speed_t cfgetispeed(const struct termios *t) { return cfgetospeed(t); }

int cfsetospeed(struct termios *t, speed_t speed)
{
	if (speed & ~CBAUD) return done(EINVAL);
	t->c_cflag = (t->c_cflag & ~CBAUD) | speed;
	return 0;
}

int cfsetispeed(struct termios *t, speed_t speed) { return cfsetospeed(t, speed); }
int cfsetspeed(struct termios *t, speed_t speed) { return cfsetospeed(t, speed); }
