/* The older names: one answer at a time, in memory of the library's. */
#include <stdio.h>
#include <string.h>
#include "internal.h"
#include "names.h"

int h_errno;

static struct hostent *answer(const char *name, int family, int count, const unsigned char addresses[][16])
{
	static struct hostent entry;
	static char kept[MAX_NAME + 1], *none[1], *list[MAX_ADDRESSES + 1];
	static unsigned char bytes[MAX_ADDRESSES][16];
	snprintf(kept, sizeof kept, "%s", name);
	for (int i = 0; i < count; i++) {
		memcpy(bytes[i], addresses[i], 16);
		list[i] = (char *)bytes[i];
	}
	list[count] = 0;
	entry = (struct hostent){ kept, none, family, family == AF_INET ? 4 : 16, list };
	return &entry;
}

static struct hostent *failed(int error)
{
	h_errno = error == EAI_NONAME ? HOST_NOT_FOUND : error == EAI_NODATA ? NO_DATA : error == EAI_AGAIN ? TRY_AGAIN : NO_RECOVERY;
	return 0;
}

struct hostent *gethostbyname2(const char *name, int family)
{
	struct addrinfo hints = { .ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_CANONNAME }, *list, *one;
	unsigned char addresses[MAX_ADDRESSES][16] = { { 0 } };
	int count = 0, error = getaddrinfo(name, 0, &hints, &list);
	if (error) return failed(error);
	for (one = list; one && count < MAX_ADDRESSES; one = one->ai_next) {
		if (family == AF_INET) memcpy(addresses[count++], &((struct sockaddr_in *)one->ai_addr)->sin_addr, 4);
		else memcpy(addresses[count++], &((struct sockaddr_in6 *)one->ai_addr)->sin6_addr, 16);
	}
	struct hostent *found = answer(list->ai_canonname ? list->ai_canonname : name, family, count, addresses);
	freeaddrinfo(list);
	return found;
}

struct hostent *gethostbyname(const char *name) { return gethostbyname2(name, AF_INET); }

struct hostent *gethostbyaddr(const void *address, socklen_t len, int family)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	unsigned char bytes[1][16] = { { 0 } };
	char name[MAX_NAME + 1];
	int is_v4 = family == AF_INET;
	if (len != (is_v4 ? 4 : 16)) return failed(EAI_FAIL);
	memcpy(*bytes, address, len);
	memcpy(&v4.sin_addr, *bytes, 4);
	memcpy(&v6.sin6_addr, *bytes, 16);
	int error = getnameinfo(is_v4 ? (void *)&v4 : (void *)&v6, is_v4 ? sizeof v4 : sizeof v6, name, sizeof name, 0, 0, NI_NAMEREQD);
	return error ? failed(error) : answer(name, family, 1, bytes);
}

const char *hstrerror(int error)
{
	switch (error) {
	case 0: return "No error";
	case HOST_NOT_FOUND: return "Host not found";
	case TRY_AGAIN: return "The name servers do not answer";
	case NO_DATA: return "The name has no such address";
	default: return "The name servers refuse";
	}
}

void herror(const char *what) { fprintf(stderr, "%s%s%s\n", what ? what : "", what && *what ? ": " : "", hstrerror(h_errno)); }

static struct protoent *protocol(const char *name, int number)
{
	static const struct { char *name; int number; } known[] = { { "ip", IPPROTO_IP }, { "icmp", IPPROTO_ICMP },
		{ "tcp", IPPROTO_TCP }, { "udp", IPPROTO_UDP }, { "ipv6", IPPROTO_IPV6 } };
	static struct protoent entry;
	static char *none[1];
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (name ? strcmp(name, known[i].name) : number != known[i].number) continue;
		entry = (struct protoent){ known[i].name, none, known[i].number };
		return &entry;
	}
	return 0;
}

struct protoent *getprotobyname(const char *name) { return protocol(name, 0); }
struct protoent *getprotobynumber(int number) { return protocol(0, number); }
