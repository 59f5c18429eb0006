#pragma once
#include <sys/types.h>
struct group { char *gr_name, *gr_passwd; gid_t gr_gid; char **gr_mem; };
struct group *getgrgid(gid_t), *getgrnam(const char *), *getgrent(void);
void setgrent(void), endgrent(void);
int getgrgid_r(gid_t, struct group *, char *, size_t, struct group **), getgrnam_r(const char *, struct group *, char *, size_t, struct group **);
int getgrouplist(const char *, gid_t, gid_t *, int *);
int getgroups(int, gid_t *), setgroups(size_t, const gid_t *), initgroups(const char *, gid_t);
