/* Addresses of the internet as text. */
#include <arpa/inet.h>
#include <ctype.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "internal.h"

const struct in6_addr in6addr_any = IN6ADDR_ANY_INIT, in6addr_loopback = IN6ADDR_LOOPBACK_INIT;

uint16_t htons(uint16_t n) { return n << 8 | n >> 8; }
uint16_t ntohs(uint16_t n) { return htons(n); }
uint32_t htonl(uint32_t n) { return __builtin_bswap32(n); }
uint32_t ntohl(uint32_t n) { return htonl(n); }

/* One to four numbers, decimal, octal or hexadecimal; the last fills what is left. */
int inet_aton(const char *text, struct in_addr *out)
{
	unsigned long parts[4], value = 0;
	int count = 0;
	for (;;) {
		char *end;
		if (!isdigit((unsigned char)*text) || count == 4) return 0;
		parts[count++] = strtoul(text, &end, 0);
		if (*end != '.') {
			if (*end && !isspace((unsigned char)*end)) return 0;
			break;
		}
		text = end + 1;
	}
	for (int i = 0; i < count - 1; i++) {
		if (parts[i] > 255) return 0;
		value |= parts[i] << (24 - 8 * i);
	}
	unsigned rest = 8 * (5 - count);
	if (rest < 32 && parts[count - 1] >> rest) return 0;
	out->s_addr = htonl(value | parts[count - 1]);
	return 1;
}

in_addr_t inet_addr(const char *text)
{
	struct in_addr address;
	return inet_aton(text, &address) ? address.s_addr : INADDR_NONE;
}

static int pton4(const char *text, unsigned char *out)
{
	for (int i = 0; i < 4; i++) {
		int value = 0, digits = 0;
		while (isdigit((unsigned char)*text) && digits < 4) value = value * 10 + *text++ - '0', digits++;
		if (!digits || digits > 3 || value > 255 || (digits > 1 && text[-digits] == '0')) return 0;
		if (*text++ != (i < 3 ? '.' : 0)) return 0;
		out[i] = value;
	}
	return 1;
}

static int pton6(const char *text, unsigned char *out)
{
	unsigned char bytes[16] = { 0 };
	int at = 0, gap = -1;
	if (*text == ':' && *++text != ':') return 0;
	for (;;) {
		if (*text == ':') {
			if (gap >= 0) return 0;
			gap = at;
			if (!*++text) break;
			continue;
		}
		unsigned value = 0, digits = 0;
		const char *start = text;
		for (; isxdigit((unsigned char)*text) && digits < 5; text++, digits++)
			value = value * 16 + (isdigit((unsigned char)*text) ? *text - '0' : (*text | 32) - 'a' + 10);
		if (*text == '.') {
			if (at > 12 || !pton4(start, bytes + at)) return 0;
			at += 4;
			break;
		}
		if (!digits || digits > 4 || at > 14) return 0;
		bytes[at++] = value >> 8;
		bytes[at++] = value;
		if (!*text) break;
		if (*text++ != ':' || !*text) return 0;
	}
	if (gap < 0 ? at != 16 : at > 14) return 0;
	if (gap >= 0) {
		memmove(bytes + 16 - (at - gap), bytes + gap, at - gap);
		memset(bytes + gap, 0, 16 - at);
	}
	memcpy(out, bytes, 16);
	return 1;
}

int inet_pton(int family, const char *restrict text, void *restrict out)
{
	if (family == AF_INET) return pton4(text, out);
	if (family == AF_INET6) return pton6(text, out);
	return done(EAFNOSUPPORT);
}

const char *inet_ntop(int family, const void *restrict address, char *restrict out, socklen_t size)
{
	const unsigned char *a = address;
	char text[INET6_ADDRSTRLEN + 8], *end = text;
	if (family == AF_INET) {
		end += sprintf(end, "%d.%d.%d.%d", a[0], a[1], a[2], a[3]);
	} else if (family == AF_INET6) {
		int best = -1, longest = 1, words[8], count = 8;
		for (int i = 0; i < 8; i++) words[i] = a[2 * i] << 8 | a[2 * i + 1];
		int mapped = IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)address);
		if (mapped) count = 6;
		for (int i = 0, run = 0; i < count; i++) {
			run = words[i] ? 0 : run + 1;
			if (run > longest) longest = run, best = i - run + 1;
		}
		for (int i = 0; i < count; i++) {
			if (i == best) {
				end += sprintf(end, "::");
				i += longest - 1;
			} else {
				end += sprintf(end, end > text && end[-1] != ':' ? ":%x" : "%x", words[i]);
			}
		}
		if (mapped) end += sprintf(end, ":%d.%d.%d.%d", a[12], a[13], a[14], a[15]);
	} else {
		return done(EAFNOSUPPORT), NULL;
	}
	if ((size_t)(end - text) >= size) return done(ENOSPC), NULL;
	return strcpy(out, text);
}

char *inet_ntoa(struct in_addr address)
{
	static char text[INET_ADDRSTRLEN];
	return (char *)inet_ntop(AF_INET, &address, text, sizeof text);
}

/* Interfaces have numbers only. */
unsigned if_nametoindex(const char *name) { return done(ENXIO), 0; }
char *if_indextoname(unsigned number, char *name) { return done(ENXIO), NULL; }
