/* There is no user database: every id is known by its number only. */
#pragma once
#include <sys/types.h>
struct passwd { char *pw_name, *pw_passwd; uid_t pw_uid; gid_t pw_gid; char *pw_gecos, *pw_dir, *pw_shell; };
struct passwd *getpwuid(uid_t), *getpwnam(const char *), *getpwent(void);
void setpwent(void), endpwent(void);
int getpwuid_r(uid_t, struct passwd *, char *, size_t, struct passwd **), getpwnam_r(const char *, struct passwd *, char *, size_t, struct passwd **);
