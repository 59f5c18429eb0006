/* Names of hosts: what the files say, and what servers say. */
#pragma once
#include <netdb.h>

/* The most addresses that are looked at of one name. */
#define MAX_ADDRESSES 32
#define MAX_NAME 255

struct found_address {
	int family;
	unsigned char bytes[16];
	uint32_t scope;
};

struct found {
	int count;
	struct found_address list[MAX_ADDRESSES];
	char canonical[MAX_NAME + 1];
};

/* Adds an address if there is room. */
static inline void found_add(struct found *found, int family, const void *bytes)
{
	if (found->count == MAX_ADDRESSES) return;
	struct found_address *to = &found->list[found->count++];
	to->family = family;
	__builtin_memcpy(to->bytes, bytes, family == AF_INET ? 4 : 16);
	to->scope = 0;
}

/* Asks the servers of /etc/resolv.conf for addresses of these families (AF_UNSPEC is both). 0, or an EAI_ error. */
int vk_dns_addresses(const char *name, int family, struct found *found);
/* Asks them for the name of an address. */
int vk_dns_name(int family, const void *address, char name[MAX_NAME + 1]);
