#pragma once
#define IFNAMSIZ 16
#define IF_NAMESIZE IFNAMSIZ
#ifdef __cplusplus
extern "C" {
#endif
unsigned if_nametoindex(const char *);
char *if_indextoname(unsigned, char *);
#ifdef __cplusplus
}
#endif
