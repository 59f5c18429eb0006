/* Sockets and names as libvkernel has them.

     net check            what works without others; says what fails
     net refused          that nothing works, and the error
     net resolve NAME…    addresses, or why there are none
     net reverse ADDRESS  the name
     net serve FD         answers one connection on a listening socket that was handed in */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/un.h>
#include <unistd.h>

static int failures;
#define CHECK(what) ((what) ? 0 : (failures++, fprintf(stderr, "line %d: %s (%s)\n", __LINE__, #what, strerror(errno))))

static void text(void)
{
	static const struct { const char *text, *back; } v6[] = { { "::", "::" }, { "::1", "::1" }, { "1::", "1::" },
		{ "2001:db8::1", "2001:db8::1" }, { "2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1" }, { "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8" },
		{ "::ffff:10.0.0.1", "::ffff:10.0.0.1" }, { "fe80::0:1", "fe80::1" }, { "1:0:3:0:5:0:7:0", "1:0:3:0:5:0:7:0" } };
	static const char *const wrong6[] = { "", ":", ":1", "1:", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "12345::", "::1.2.3",
		"1:2:3:4:5:6:7:8::", "g::", "::1%1" };
	static const char *const wrong4[] = { "", "1", "1.2.3", "1.2.3.256", "1.2.3.4.5", "01.2.3.4", "1.2.3.4 ", "1..2.3" };
	char out[INET6_ADDRSTRLEN];
	unsigned char bytes[16];
	for (size_t i = 0; i < sizeof v6 / sizeof *v6; i++) {
		CHECK(inet_pton(AF_INET6, v6[i].text, bytes) == 1);
		if (CHECK(inet_ntop(AF_INET6, bytes, out, sizeof out) && !strcmp(out, v6[i].back)))
			fprintf(stderr, "%s gives %s\n", v6[i].text, out);
	}
	for (size_t i = 0; i < sizeof wrong6 / sizeof *wrong6; i++)
		if (CHECK(inet_pton(AF_INET6, wrong6[i], bytes) == 0)) fprintf(stderr, "%s\n", wrong6[i]);
	for (size_t i = 0; i < sizeof wrong4 / sizeof *wrong4; i++)
		if (CHECK(inet_pton(AF_INET, wrong4[i], bytes) == 0)) fprintf(stderr, "%s\n", wrong4[i]);
	struct in_addr address;
	CHECK(inet_pton(AF_INET, "10.1.2.3", &address) == 1 && !strcmp(inet_ntoa(address), "10.1.2.3"));
	CHECK(inet_addr("127.1") == htonl(0x7f000001) && inet_addr("0x7f.0.0.1") == htonl(0x7f000001) && inet_addr("x") == INADDR_NONE);
	CHECK(!inet_ntop(AF_INET, &address, out, 8) && errno == ENOSPC && inet_pton(99, "", bytes) == -1 && errno == EAFNOSUPPORT);
	CHECK(htons(0x1234) == 0x3412 && ntohl(0x12345678) == 0x78563412);
}

static int listening(struct sockaddr_in *at)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	socklen_t len = sizeof *at;
	*at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	CHECK(fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
	CHECK(!bind(fd, (void *)at, sizeof *at) && !listen(fd, 5) && !getsockname(fd, (void *)at, &len));
	return fd;
}

static void streams(void)
{
	struct sockaddr_in at, peer, own;
	socklen_t len = sizeof peer, size;
	char got[100];
	int value, server = listening(&at), client = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP), waiting = -1;
	CHECK(!connect(client, (void *)&at, sizeof at));
	int served = accept4(server, (void *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	CHECK(served >= 0 && len == sizeof peer && fcntl(served, F_GETFL) & O_NONBLOCK && fcntl(served, F_GETFD) == FD_CLOEXEC);
	len = sizeof own;
	CHECK(!getsockname(client, (void *)&own, &len) && own.sin_port == peer.sin_port);
	CHECK(recv(served, got, sizeof got, 0) == -1 && errno == EAGAIN);
	CHECK(send(client, "hello there", 11, 0) == 11);
	struct pollfd ready = { .fd = served, .events = POLLIN };
	CHECK(poll(&ready, 1, 10000) == 1 && ready.revents & POLLIN);
	CHECK(!ioctl(served, FIONREAD, &waiting) && waiting == 11 && !ioctl(client, FIONREAD, &waiting) && waiting == 0);
	CHECK(recv(served, got, 5, MSG_PEEK) == 5 && read(served, got, sizeof got) == 11 && !memcmp(got, "hello there", 11));
	value = 0;
	CHECK(!ioctl(served, FIONBIO, &value) && !(fcntl(served, F_GETFL) & O_NONBLOCK));
	struct iovec parts[2] = { { "one ", 4 }, { "message", 7 } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
	CHECK(sendmsg(served, &message, 0) == 11);
	struct iovec into[2] = { { got, 4 }, { got + 50, 50 } };
	message = (struct msghdr){ .msg_iov = into, .msg_iovlen = 2 };
	CHECK(recvmsg(client, &message, 0) == 11 && !memcmp(got + 50, "message", 7));
	message.msg_control = got;
	message.msg_controllen = 20;
	CHECK(sendmsg(client, &message, 0) == -1 && errno == ENOTSUP);
	fd_set set;
	FD_ZERO(&set);
	FD_SET(server, &set);
	struct timeval now = { 0 };
	CHECK(select(server + 1, &set, 0, 0, &now) == 0);
	size = sizeof value;
	CHECK(!getsockopt(client, SOL_SOCKET, SO_ERROR, &value, &size) && value == 0);
	CHECK(!getsockopt(client, SOL_SOCKET, SO_TYPE, &value, &size) && value == SOCK_STREAM);
	value = 1;
	CHECK(!setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &value, sizeof value));
	struct timeval soon = { 0, 20000 };
	CHECK(!setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon) && recv(client, got, 1, 0) == -1 && errno == EAGAIN);
	CHECK(!shutdown(served, SHUT_WR) && recv(client, got, 1, 0) == 0);
	CHECK(shutdown(served, 3) == -1 && errno == EINVAL);
	close(served);
	signal(SIGPIPE, SIG_IGN);
	while (send(client, "x", 1, 0) == 1);
	CHECK(errno == EPIPE || errno == ECONNRESET);
	CHECK(send(client, "x", 1, MSG_NOSIGNAL) == -1);
	close(client);
	close(server);
	client = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(connect(client, (void *)&at, sizeof at) == -1 && errno == ECONNREFUSED);
	close(client);
	CHECK(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP) == -1 && errno == EPROTONOSUPPORT);
	CHECK(socket(16, SOCK_RAW, 0) == -1 && errno == EAFNOSUPPORT);
}

static void local(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = "/tmp/net.sock" }, from;
	int pair[2], server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
	char got[10];
	socklen_t len = sizeof from;
	unlink(at.sun_path);
	CHECK(!bind(server, (void *)&at, sizeof at) && !listen(server, 1) && !connect(client, (void *)&at, SUN_LEN(&at)));
	CHECK(!getpeername(client, (void *)&from, &len) && !strcmp(from.sun_path, at.sun_path));
	CHECK(bind(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&at, sizeof at) == -1 && errno == EADDRINUSE);
	CHECK(!unlink(at.sun_path));
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	CHECK(write(pair[0], "abc", 3) == 3 && read(pair[1], got, sizeof got) == 3);
	for (int i = 0; i < 2; i++) close(pair[i]);
	close(server);
	close(client);
}

static void names(void)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST }, *list;
	char host[100], service[20];
	CHECK(!getaddrinfo("10.0.0.1", "8080", &hints, &list) && list->ai_family == AF_INET && !list->ai_next);
	CHECK(((struct sockaddr_in *)list->ai_addr)->sin_port == htons(8080) && list->ai_addrlen == sizeof(struct sockaddr_in));
	CHECK(!getnameinfo(list->ai_addr, list->ai_addrlen, host, sizeof host, service, sizeof service, NI_NUMERICHOST | NI_NUMERICSERV));
	CHECK(!strcmp(host, "10.0.0.1") && !strcmp(service, "8080"));
	CHECK(getnameinfo(list->ai_addr, list->ai_addrlen, host, 3, 0, 0, NI_NUMERICHOST) == EAI_OVERFLOW);
	freeaddrinfo(list);
	CHECK(!getaddrinfo("fe80::1%3", "http", &hints, &list) && ((struct sockaddr_in6 *)list->ai_addr)->sin6_scope_id == 3);
	CHECK(((struct sockaddr_in6 *)list->ai_addr)->sin6_port == htons(80));
	freeaddrinfo(list);
	CHECK(getaddrinfo("words", "1", &hints, &list) == EAI_NONAME && getaddrinfo(0, 0, 0, &list) == EAI_NONAME);
	CHECK(getaddrinfo("10.0.0.1", "no-such-service", &hints, &list) == EAI_SERVICE);
	CHECK(getaddrinfo("10.0.0.1", "99999", &hints, &list) == EAI_SERVICE);
	hints.ai_flags = 1 << 20;
	CHECK(getaddrinfo("10.0.0.1", "1", &hints, &list) == EAI_BADFLAGS);
	hints = (struct addrinfo){ .ai_family = 77 };
	CHECK(getaddrinfo("10.0.0.1", "1", &hints, &list) == EAI_FAMILY && *gai_strerror(EAI_FAMILY));
	hints = (struct addrinfo){ .ai_flags = AI_PASSIVE, .ai_family = AF_INET };
	int both = 0;
	CHECK(!getaddrinfo(0, "0", &hints, &list));
	for (struct addrinfo *one = list; one; one = one->ai_next) both += one->ai_socktype;
	CHECK(both == SOCK_STREAM + SOCK_DGRAM && ((struct sockaddr_in *)list->ai_addr)->sin_addr.s_addr == INADDR_ANY);
	freeaddrinfo(list);
	struct servent *known = getservbyname("https", "tcp");
	CHECK(known && known->s_port == htons(443) && !getservbyname("https", "udp") && !strcmp(getservbyport(htons(22), 0)->s_name, "ssh"));
	CHECK(getprotobyname("udp")->p_proto == IPPROTO_UDP && !getprotobyname("x"));
}

static void rights(void)
{
	CHECK(!access("/data/words.txt", R_OK) && access("/data/words.txt", X_OK) == -1 && errno == EACCES);
	CHECK(!access("/usr/bin/net", X_OK) && access("/nope", F_OK) == -1 && errno == ENOENT);
	CHECK(!access("/proc/self/stat", R_OK) && access("/proc/self/stat", W_OK) == -1 && errno == EACCES);
	CHECK(!access("/dev/null", R_OK | W_OK) && !access("/", R_OK | W_OK | X_OK));
	int dir = open("/data", O_RDONLY | O_DIRECTORY);
	CHECK(!faccessat(dir, "words.txt", R_OK, 0) && faccessat(AT_FDCWD, "/data/words.txt", 8, 0) == -1 && errno == EINVAL);
	close(dir);
}

static int refused(void)
{
	struct addrinfo *list;
	int pair[2];
	CHECK(socket(AF_INET, SOCK_STREAM, 0) == -1 && errno == EACCES);
	CHECK(socket(AF_UNIX, SOCK_DGRAM, 0) == -1 && errno == EACCES);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1 && errno == EACCES);
	CHECK(getaddrinfo("example.org", "80", 0, &list) == EAI_SYSTEM && errno == EACCES);
	/* What needs no socket needs no right to one. */
	CHECK(!getaddrinfo("localhost", "80", 0, &list));
	return failures;
}

static int resolve(int count, char **list)
{
	for (int i = 0; i < count; i++) {
		struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_CANONNAME }, *found = 0;
		int error = getaddrinfo(list[i], 0, &hints, &found);
		printf("%s:", list[i]);
		if (error) printf(" %s", gai_strerror(error));
		else if (found->ai_canonname) printf(" (%s)", found->ai_canonname);
		for (struct addrinfo *one = found; one; one = one->ai_next) {
			char address[100];
			getnameinfo(one->ai_addr, one->ai_addrlen, address, sizeof address, 0, 0, NI_NUMERICHOST);
			printf(" %s", address);
		}
		putchar('\n');
		freeaddrinfo(found);
	}
	return 0;
}

static int reverse(char *address)
{
	struct in_addr v4;
	if (!inet_aton(address, &v4)) return 2;
	struct hostent *host = gethostbyaddr(&v4, sizeof v4, AF_INET);
	puts(host ? host->h_name : hstrerror(h_errno));
	return 0;
}

static int serve(int fd)
{
	char got[100];
	int connection = accept(fd, 0, 0), n;
	if (connection < 0) return perror("accept"), 1;
	if ((n = recv(connection, got, sizeof got, 0)) < 0) return perror("recv"), 1;
	if (send(connection, "got ", 4, MSG_MORE) != 4 || send(connection, got, n, 0) != n) return perror("send"), 1;
	return shutdown(connection, SHUT_RDWR);
}

int main(int argc, char **argv)
{
	char *what = argc > 1 ? argv[1] : "check";
	if (!strcmp(what, "refused")) return refused();
	if (!strcmp(what, "resolve")) return resolve(argc - 2, argv + 2);
	if (!strcmp(what, "reverse") && argc == 3) return reverse(argv[2]);
	if (!strcmp(what, "serve") && argc == 3) return serve(atoi(argv[2]));
	text();
	streams();
	local();
	names();
	rights();
	return failures;
}
