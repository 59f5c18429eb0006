/* getaddrinfo and getnameinfo: numbers, then /etc/hosts, then DNS. */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "internal.h"
#include "names.h"

static int parsed(const char *name, struct found_address *out)
{
	char copy[INET6_ADDRSTRLEN + 16];
	struct in_addr v4;
	if (inet_aton(name, &v4)) {
		out->family = AF_INET;
		out->scope = 0;
		memcpy(out->bytes, &v4, 4);
		return 1;
	}
	const char *scope = strchr(name, '%');
	size_t len = scope ? (size_t)(scope - name) : strlen(name);
	if (len >= sizeof copy) return 0;
	memcpy(copy, name, len);
	copy[len] = 0;
	if (inet_pton(AF_INET6, copy, out->bytes) != 1) return 0;
	char *end = 0;
	out->family = AF_INET6;
	out->scope = scope ? strtoul(scope + 1, &end, 10) : 0;
	return !scope || (end > scope + 1 && !*end);
}

static int wanted(int family, int has) { return family == AF_UNSPEC || family == has; }

/* Calls `each` with the words of every line of a file, without comments, until it says that it has enough. */
static void lines_of(const char *path, int (*each)(void *context, int count, char **words), void *context)
{
	char line[1024], *words[36];
	FILE *file = fopen(path, "r");
	while (file && fgets(line, sizeof line, file)) {
		int count = 0;
		line[strcspn(line, "#\r\n")] = 0;
		for (char *rest = line; count < 35 && (words[count] = strtok_r(rest, " \t", &rest)); count++);
		if (count > 1 && each(context, count, words)) break;
	}
	if (file) fclose(file);
}

struct host_search {
	const char *name;
	int family;
	struct found *found;
};

static int host_line(void *context, int count, char **words)
{
	struct host_search *search = context;
	struct found_address address;
	for (int i = 1; i < count; i++) {
		if (strcasecmp(words[i], search->name) || !parsed(words[0], &address)) continue;
		if (!wanted(search->family, address.family)) break;
		if (!search->found->count && strlen(words[1]) <= MAX_NAME) strcpy(search->found->canonical, words[1]);
		found_add(search->found, address.family, address.bytes);
		break;
	}
	return 0;
}

struct service {
	const char *name, *protocol;
	int port;
	char found[NI_MAXSERV], found_protocol[8];
};

static int service_line(void *context, int count, char **words)
{
	struct service *service = context;
	char *slash = strchr(words[1], '/');
	if (!slash || (service->protocol && strcmp(slash + 1, service->protocol))) return 0;
	int hit = service->name ? !strcmp(words[0], service->name) : atoi(words[1]) == service->port;
	for (int i = 2; service->name && i < count; i++) hit |= !strcmp(words[i], service->name);
	if (!hit) return 0;
	service->port = atoi(words[1]);
	snprintf(service->found, sizeof service->found, "%s", words[0]);
	snprintf(service->found_protocol, sizeof service->found_protocol, "%s", slash + 1);
	return 1;
}

/* A container often has no /etc/services: what everybody knows. */
static const struct { const char *name, *port; } known[] = { { "domain", "53/udp" }, { "domain", "53/tcp" }, { "ftp", "21/tcp" },
	{ "http", "80/tcp" }, { "https", "443/tcp" }, { "imap", "143/tcp" }, { "ntp", "123/udp" }, { "pop3", "110/tcp" },
	{ "smtp", "25/tcp" }, { "ssh", "22/tcp" }, { "syslog", "514/udp" }, { "telnet", "23/tcp" }, { "tftp", "69/udp" } };

static int find_service(struct service *service)
{
	service->found[0] = 0;
	lines_of("/etc/services", service_line, service);
	for (size_t i = 0; !service->found[0] && i < sizeof known / sizeof *known; i++) {
		char name[16], port[16], *words[] = { strcpy(name, known[i].name), strcpy(port, known[i].port) };
		service_line(service, 2, words);
	}
	return service->found[0] != 0;
}

static int port_of(const char *service, const char *protocol, int flags, int *port)
{
	char *end;
	*port = 0;
	if (!service) return 0;
	unsigned long number = strtoul(service, &end, 10);
	if (*service && !*end && isdigit((unsigned char)*service)) {
		*port = number;
		return number > 65535 ? EAI_SERVICE : 0;
	}
	if (flags & AI_NUMERICSERV) return EAI_NONAME;
	struct service search = { .name = service, .protocol = protocol };
	if (!find_service(&search)) return EAI_SERVICE;
	*port = search.port;
	return 0;
}

/* Whether a datagram to there would have a way to go. */
static int reachable(const struct found_address *address)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(65535), .sin6_scope_id = address->scope };
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(65535) };
	int is_v4 = address->family == AF_INET, fd = socket(address->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0) return 0;
	memcpy(&v4.sin_addr, address->bytes, 4);
	memcpy(&v6.sin6_addr, address->bytes, 16);
	int way = !connect(fd, is_v4 ? (void *)&v4 : (void *)&v6, is_v4 ? sizeof v4 : sizeof v6);
	close(fd);
	return way;
}

static int look_up(const char *name, int family, int flags, struct found *found)
{
	struct found_address numeric;
	found->count = 0;
	found->canonical[0] = 0;
	if (!name) {
		for (int i = 0; i < 2; i++) {
			int has = i ? AF_INET6 : AF_INET;
			const void *any = i ? (void *)&in6addr_any : "\0\0\0", *own = i ? (void *)&in6addr_loopback : "\x7f\0\0\1";
			if (wanted(family, has)) found_add(found, has, flags & AI_PASSIVE ? any : own);
		}
		return 0;
	}
	if (parsed(name, &numeric)) {
		if (!wanted(family, numeric.family)) return EAI_NONAME;
		found->list[found->count++] = numeric;
		snprintf(found->canonical, sizeof found->canonical, "%s", name);
		return 0;
	}
	if (flags & AI_NUMERICHOST || !*name || strlen(name) > MAX_NAME) return EAI_NONAME;
	struct host_search search = { name, family, found };
	lines_of("/etc/hosts", host_line, &search);
	if (!found->count && (!strcasecmp(name, "localhost") || !strcasecmp(name, "localhost."))) {
		if (wanted(family, AF_INET)) found_add(found, AF_INET, "\x7f\0\0\1");
		if (wanted(family, AF_INET6)) found_add(found, AF_INET6, &in6addr_loopback);
	}
	if (found->count) {
		if (!found->canonical[0]) strcpy(found->canonical, name);
		return 0;
	}
	int told = vk_dns_addresses(name, family, found);
	if (told || found->count < 2) return told;
	/* Those that can be reached come first. */
	struct found sorted = { 0 };
	int ways[MAX_ADDRESSES];
	for (int i = 0; i < found->count; i++) ways[i] = reachable(&found->list[i]);
	for (int way = 1; way >= 0; way--)
		for (int i = 0; i < found->count; i++)
			if (ways[i] == way) sorted.list[sorted.count++] = found->list[i];
	memcpy(found->list, sorted.list, sizeof sorted.list);
	return 0;
}

static const struct { int type, protocol; const char *name; } kinds[] = { { SOCK_STREAM, IPPROTO_TCP, "tcp" },
	{ SOCK_DGRAM, IPPROTO_UDP, "udp" } };

/* One block: the entry, its address and, in the first, the name. */
struct entry {
	struct addrinfo info;
	union {
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} address;
	char name[];
};

static struct addrinfo *entry(const struct found_address *from, int kind, int port, const char *name)
{
	struct entry *made = calloc(1, sizeof *made + (name ? strlen(name) + 1 : 0));
	if (!made) return 0;
	struct addrinfo *info = &made->info;
	info->ai_family = from->family;
	info->ai_socktype = kinds[kind].type;
	info->ai_protocol = kinds[kind].protocol;
	info->ai_addr = (struct sockaddr *)&made->address;
	if (name) info->ai_canonname = strcpy(made->name, name);
	if (from->family == AF_INET) {
		info->ai_addrlen = sizeof made->address.v4;
		made->address.v4.sin_family = AF_INET;
		made->address.v4.sin_port = htons(port);
		memcpy(&made->address.v4.sin_addr, from->bytes, 4);
	} else {
		info->ai_addrlen = sizeof made->address.v6;
		made->address.v6.sin6_family = AF_INET6;
		made->address.v6.sin6_port = htons(port);
		made->address.v6.sin6_scope_id = from->scope;
		memcpy(&made->address.v6.sin6_addr, from->bytes, 16);
	}
	return info;
}

int getaddrinfo(const char *restrict name, const char *restrict service, const struct addrinfo *restrict hints,
	struct addrinfo **restrict result)
{
	static const struct addrinfo none;
	int known_flags = AI_PASSIVE | AI_CANONNAME | AI_NUMERICHOST | AI_V4MAPPED | AI_ALL | AI_ADDRCONFIG | AI_NUMERICSERV;
	struct addrinfo *first = 0, **last = &first;
	struct found found;
	if (!hints) hints = &none;
	int flags = hints->ai_flags, family = hints->ai_family, told = EAI_SOCKTYPE;
	if (!name && !service) return EAI_NONAME;
	if (flags & ~known_flags || (flags & AI_CANONNAME && !name)) return EAI_BADFLAGS;
	if (family != AF_UNSPEC && family != AF_INET && family != AF_INET6) return EAI_FAMILY;
	if (flags & AI_ADDRCONFIG && name && family == AF_UNSPEC) {
		struct found_address v6 = { .family = AF_INET6 };
		memcpy(v6.bytes, &in6addr_loopback, 16);
		if (!reachable(&v6)) family = AF_INET;
	}
	int error = look_up(name, family, flags, &found);
	if (error) return error;
	for (int i = 0; i < found.count; i++) {
		for (int kind = 0; kind < 2; kind++) {
			int port;
			if (hints->ai_socktype && hints->ai_socktype != kinds[kind].type) continue;
			if (hints->ai_protocol && hints->ai_protocol != kinds[kind].protocol) continue;
			int wrong = port_of(service, kinds[kind].name, flags, &port);
			if (wrong) {
				if (told != 0) told = wrong;
				continue;
			}
			*last = entry(&found.list[i], kind, port, !first && flags & AI_CANONNAME ? found.canonical : 0);
			if (!*last) {
				freeaddrinfo(first);
				return EAI_MEMORY;
			}
			last = &(*last)->ai_next;
			told = 0;
		}
	}
	if (told) return told;
	*result = first;
	return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
	while (list) {
		struct addrinfo *next = list->ai_next;
		free(list);
		list = next;
	}
}

const char *gai_strerror(int error)
{
	switch (error) {
	case 0: return "No error";
	case EAI_BADFLAGS: return "Flags that are not known";
	case EAI_NONAME: return "Name or service not known";
	case EAI_AGAIN: return "Temporary failure in name resolution";
	case EAI_FAIL: return "The name servers refuse";
	case EAI_NODATA: return "The name has no such address";
	case EAI_FAMILY: return "Address family not supported";
	case EAI_SOCKTYPE: return "Socket type not supported";
	case EAI_SERVICE: return "Service not known for this socket type";
	case EAI_MEMORY: return "Out of memory";
	case EAI_SYSTEM: return "System error";
	case EAI_OVERFLOW: return "The name does not fit";
	default: return "Unknown error";
	}
}

struct name_search {
	const struct found_address *address;
	char *name;
};

static int name_line(void *context, int count, char **words)
{
	struct name_search *search = context;
	struct found_address has;
	if (!parsed(words[0], &has) || has.family != search->address->family) return 0;
	if (memcmp(has.bytes, search->address->bytes, has.family == AF_INET ? 4 : 16)) return 0;
	snprintf(search->name, MAX_NAME + 1, "%s", words[1]);
	return 1;
}

int getnameinfo(const struct sockaddr *restrict address, socklen_t len, char *restrict host, socklen_t host_size,
	char *restrict service, socklen_t service_size, int flags)
{
	struct found_address from = { .family = address->sa_family };
	char name[MAX_NAME + 16] = "";
	int port;
	if (from.family == AF_INET && len >= sizeof(struct sockaddr_in)) {
		const struct sockaddr_in *v4 = (const void *)address;
		memcpy(from.bytes, &v4->sin_addr, 4);
		port = ntohs(v4->sin_port);
	} else if (from.family == AF_INET6 && len >= sizeof(struct sockaddr_in6)) {
		const struct sockaddr_in6 *v6 = (const void *)address;
		memcpy(from.bytes, &v6->sin6_addr, 16);
		from.scope = v6->sin6_scope_id;
		port = ntohs(v6->sin6_port);
	} else {
		return EAI_FAMILY;
	}
	if (host && host_size) {
		struct name_search search = { &from, name };
		if (!(flags & NI_NUMERICHOST)) {
			lines_of("/etc/hosts", name_line, &search);
			if (!*name && vk_dns_name(from.family, from.bytes, name)) *name = 0;
		}
		if (!*name) {
			if (flags & NI_NAMEREQD) return EAI_NONAME;
			inet_ntop(from.family, from.bytes, name, MAX_NAME);
			if (from.scope) sprintf(name + strlen(name), "%%%u", from.scope);
		}
		if (strlen(name) >= host_size) return EAI_OVERFLOW;
		strcpy(host, name);
	}
	if (service && service_size) {
		struct service search = { .port = port, .protocol = flags & NI_DGRAM ? "udp" : "tcp" };
		if (flags & NI_NUMERICSERV || !find_service(&search)) snprintf(search.found, sizeof search.found, "%d", port);
		if (strlen(search.found) >= service_size) return EAI_OVERFLOW;
		strcpy(service, search.found);
	}
	return 0;
}

struct servent *getservbyname(const char *name, const char *protocol)
{
	static struct service found;
	static struct servent entry;
	static char *no_aliases[1];
	found = (struct service){ .name = name, .protocol = protocol };
	if (!find_service(&found)) return 0;
	entry = (struct servent){ found.found, no_aliases, htons(found.port), found.found_protocol };
	return &entry;
}

struct servent *getservbyport(int port, const char *protocol)
{
	static struct service found;
	static struct servent entry;
	static char *no_aliases[1];
	found = (struct service){ .port = ntohs(port), .protocol = protocol };
	if (!find_service(&found)) return 0;
	entry = (struct servent){ found.found, no_aliases, port, found.found_protocol };
	return &entry;
}
