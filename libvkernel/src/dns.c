/* A resolver that asks one question at a time: by UDP, by TCP where the answer was cut. Answers are believed if they come
   from the server that was asked, with the question's number and the question itself. */
#include <arpa/inet.h>
#include <ctype.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "internal.h"
#include "names.h"

enum { A = 1, CNAME = 5, PTR = 12, AAAA = 28, IN = 1, PORT = 53, MAX_SERVERS = 3, MAX_SEARCH = 6, MAX_ANSWER = 4096 };

struct config {
	struct found servers;
	char search[MAX_SEARCH][MAX_NAME + 1];
	int searches, ndots, timeout, attempts;
};

static void option(struct config *config, const char *word)
{
	int value;
	if (sscanf(word, "ndots:%d", &value) == 1 && value >= 0) config->ndots = value > 15 ? 15 : value;
	if (sscanf(word, "timeout:%d", &value) == 1 && value > 0) config->timeout = value > 30 ? 30 : value;
	if (sscanf(word, "attempts:%d", &value) == 1 && value > 0) config->attempts = value > 5 ? 5 : value;
}

static void configure(struct config *config)
{
	char line[1024];
	memset(config, 0, sizeof *config);
	config->ndots = 1;
	config->timeout = 5;
	config->attempts = 2;
	FILE *file = fopen("/etc/resolv.conf", "r");
	while (file && fgets(line, sizeof line, file)) {
		char *rest = line, *key = strtok_r(rest, " \t\r\n", &rest), *word;
		if (!key) continue;
		int is_search = !strcmp(key, "search") || !strcmp(key, "domain");
		if (is_search) config->searches = 0;
		while ((word = strtok_r(rest, " \t\r\n", &rest))) {
			unsigned char bytes[16];
			if (*word == '#' || *word == ';') break;
			if (!strcmp(key, "nameserver") && config->servers.count < MAX_SERVERS) {
				char *scope = strchr(word, '%');
				if (scope) *scope++ = 0;
				int family = inet_pton(AF_INET, word, bytes) == 1 ? AF_INET : inet_pton(AF_INET6, word, bytes) == 1 ? AF_INET6 : 0;
				if (!family) continue;
				found_add(&config->servers, family, bytes);
				if (scope) config->servers.list[config->servers.count - 1].scope = strtoul(scope, 0, 10);
			} else if (is_search && config->searches < MAX_SEARCH && strlen(word) <= MAX_NAME) {
				strcpy(config->search[config->searches++], word);
			} else if (!strcmp(key, "options")) {
				option(config, word);
			}
		}
	}
	if (file) fclose(file);
	/* As elsewhere: a server on this machine, if none is named. */
	if (!config->servers.count) found_add(&config->servers, AF_INET, "\x7f\0\0\1");
}

/* The question. Its length, or 0 for what no name can be. */
static int question(unsigned char *out, const char *name, int type)
{
	unsigned char *at = out + 12;
	if (getentropy(out, 2)) return 0;
	memcpy(out + 2, "\1\0\0\1\0\0\0\0\0\0", 10); /* Recursion wanted; one question. */
	for (;;) {
		size_t len = strcspn(name, ".");
		if (!len || len > 63 || at + len + 2 > out + 12 + MAX_NAME) return 0;
		*at++ = len;
		memcpy(at, name, len);
		at += len;
		name += len;
		if (!*name || !*++name) break;
	}
	memcpy(at, "\0\0", 2);
	at[2] = type;
	at[3] = 0;
	at[4] = IN;
	return at + 5 - out;
}

/* Reads the name at `at` and gives what comes after it, or 0. */
static const unsigned char *expand(const unsigned char *message, int len, const unsigned char *at, char *out)
{
	const unsigned char *end = message + len, *after = 0;
	char *to = out;
	for (int jumps = 0; jumps < 64;) {
		if (at >= end) return 0;
		int n = *at++;
		if (n >= 0xc0) {
			if (at >= end) return 0;
			if (!after) after = at + 1;
			at = message + ((n & 0x3f) << 8 | *at);
			jumps++;
		} else if (n > 63) {
			return 0;
		} else if (n) {
			if (at + n > end || to + n + 1 > out + MAX_NAME) return 0;
			if (to > out) *to++ = '.';
			/* A dot or an end inside a label would be another name. */
			if (memchr(at, 0, n) || memchr(at, '.', n)) return 0;
			memcpy(to, at, n);
			to += n;
			at += n;
		} else {
			*to = 0;
			return after ? after : at;
		}
	}
	return 0;
}

static long long milliseconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static int ready(int fd, int events, long long until)
{
	struct pollfd one = { .fd = fd, .events = events };
	long long left = until - milliseconds();
	return left > 0 && poll(&one, 1, left) > 0;
}

static int server_socket(const struct found_address *server, int type)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(PORT), .sin6_scope_id = server->scope };
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int is_v4 = server->family == AF_INET, fd = socket(server->family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	memcpy(&v4.sin_addr, server->bytes, 4);
	memcpy(&v6.sin6_addr, server->bytes, 16);
	if (fd < 0) return -1;
	if (!connect(fd, is_v4 ? (void *)&v4 : (void *)&v6, is_v4 ? sizeof v4 : sizeof v6) || errno == EINPROGRESS) return fd;
	close(fd);
	return -1;
}

static int is_answer(const unsigned char *asked, int size, const unsigned char *got, int len)
{
	if (len < size || memcmp(asked, got, 2) || !(got[2] & 0x80) || got[4] || got[5] != 1) return 0;
	for (int i = 12; i < size - 4; i++)
		if (tolower(asked[i]) != tolower(got[i])) return 0;
	return !memcmp(asked + size - 4, got + size - 4, 4);
}

static int ask_udp(const struct found_address *server, const unsigned char *asked, int size, unsigned char *answer, long long until)
{
	int fd = server_socket(server, SOCK_DGRAM), len = -1;
	if (fd < 0) return -1;
	if (send(fd, asked, size, MSG_NOSIGNAL) == size)
		while (ready(fd, POLLIN, until) && (len = recv(fd, answer, MAX_ANSWER, 0)) >= 0 && !is_answer(asked, size, answer, len)) len = -1;
	close(fd);
	return len;
}

static int all(int fd, int writes, unsigned char *bytes, int size, long long until)
{
	for (int at = 0, n; at < size; at += n) {
		if (!ready(fd, writes ? POLLOUT : POLLIN, until)) return 0;
		n = writes ? send(fd, bytes + at, size - at, MSG_NOSIGNAL) : recv(fd, bytes + at, size - at, 0);
		if (n <= 0) return 0;
	}
	return 1;
}

static int ask_tcp(const struct found_address *server, const unsigned char *asked, int size, unsigned char *answer, long long until)
{
	unsigned char framed[2 + 12 + MAX_NAME + 8] = { size >> 8, size };
	int fd = server_socket(server, SOCK_STREAM), len = -1;
	if (fd < 0) return -1;
	memcpy(framed + 2, asked, size);
	if (all(fd, 1, framed, size + 2, until) && all(fd, 0, framed, 2, until)) {
		len = framed[0] << 8 | framed[1];
		if (len > MAX_ANSWER || !all(fd, 0, answer, len, until) || !is_answer(asked, size, answer, len)) len = -1;
	}
	close(fd);
	return len;
}

/* The answer to one question: its length, or an EAI_ error. */
static int ask(const struct config *config, const char *name, int type, unsigned char *answer)
{
	unsigned char asked[12 + MAX_NAME + 8];
	int refused = 0, size = question(asked, name, type);
	if (!size) return EAI_NONAME;
	for (int attempt = 0; attempt < config->attempts; attempt++) {
		for (int i = 0; i < config->servers.count; i++) {
			const struct found_address *server = &config->servers.list[i];
			errno = 0;
			long long until = milliseconds() + config->timeout * 1000LL;
			int len = ask_udp(server, asked, size, answer, until);
			if (len >= 0 && answer[2] & 2) len = ask_tcp(server, asked, size, answer, until);
			if (len < 0) {
				/* Without the right to, or without a network, another try comes to the same. */
				if (errno == EACCES || errno == EPERM) return EAI_SYSTEM;
				continue;
			}
			switch (answer[3] & 15) {
			case 0: return len;
			case 3: return EAI_NONAME;
			default: refused = 1;
			}
		}
	}
	return refused ? EAI_FAIL : EAI_AGAIN;
}

/* Goes through the answers: addresses of `name`, along its aliases, or the first name of a PTR. */
static int collect(const unsigned char *answer, int len, int type, struct found *found, char *pointer)
{
	char owner[MAX_NAME + 1], name[MAX_NAME + 1];
	const unsigned char *end = answer + len, *at = expand(answer, len, answer + 12, name);
	int count = answer[6] << 8 | answer[7], before = found ? found->count : 0;
	if (!at) return EAI_FAIL;
	at += 4;
	while (count--) {
		at = expand(answer, len, at, owner);
		if (!at || end - at < 10) return EAI_FAIL;
		int kind = at[0] << 8 | at[1], size = at[8] << 8 | at[9];
		const unsigned char *data = at + 10;
		if (end - data < size) return EAI_FAIL;
		at = data + size;
		if (strcasecmp(owner, name)) continue;
		if (kind == CNAME && !expand(answer, len, data, name)) return EAI_FAIL;
		if (kind == PTR && type == PTR) return expand(answer, len, data, pointer) ? 0 : EAI_FAIL;
		if (kind == A && type == A && size == 4) found_add(found, AF_INET, data);
		if (kind == AAAA && type == AAAA && size == 16) found_add(found, AF_INET6, data);
	}
	if (!found || found->count == before) return EAI_NODATA;
	strcpy(found->canonical, name);
	return 0;
}

static int addresses_of(const struct config *config, const char *name, int family, struct found *found)
{
	unsigned char answer[MAX_ANSWER];
	int result = EAI_NODATA;
	for (int i = 0; i < 2; i++) {
		if (family == (i ? AF_INET : AF_INET6)) continue;
		int type = i ? AAAA : A, len = ask(config, name, type, answer);
		int told = len < 0 ? len : collect(answer, len, type, found, 0);
		if (told == EAI_NONAME && !found->count) return told;
		/* An address of one family is enough. */
		if (!told) result = 0;
		else if (result == EAI_NODATA) result = told;
	}
	return found->count ? 0 : result;
}

int vk_dns_addresses(const char *name, int family, struct found *found)
{
	struct config config;
	int dots = 0, result = EAI_NONAME;
	size_t len = strlen(name);
	for (const char *c = name; *c; c++) dots += *c == '.';
	configure(&config);
	int whole = len && name[len - 1] == '.', first = whole || dots >= config.ndots;
	if (first) result = addresses_of(&config, name, family, found);
	for (int i = 0; i < config.searches && !whole && (result == EAI_NONAME || result == EAI_NODATA); i++) {
		char longer[2 * MAX_NAME + 2];
		if (snprintf(longer, sizeof longer, "%s.%s", name, config.search[i]) > MAX_NAME) continue;
		int told = addresses_of(&config, longer, family, found);
		if (result == EAI_NONAME || !told) result = told;
	}
	if (!first && (result == EAI_NONAME || result == EAI_NODATA)) result = addresses_of(&config, name, family, found);
	return result;
}

int vk_dns_name(int family, const void *address, char name[MAX_NAME + 1])
{
	struct config config;
	unsigned char answer[MAX_ANSWER];
	const unsigned char *a = address;
	char asked[80], *to = asked;
	if (family == AF_INET) {
		sprintf(to, "%d.%d.%d.%d.in-addr.arpa", a[3], a[2], a[1], a[0]);
	} else {
		for (int i = 15; i >= 0; i--) to += sprintf(to, "%x.%x.", a[i] & 15, a[i] >> 4);
		strcpy(to, "ip6.arpa");
	}
	configure(&config);
	int len = ask(&config, asked, PTR, answer);
	return len < 0 ? len : collect(answer, len, PTR, 0, name);
}
