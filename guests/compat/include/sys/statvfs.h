#pragma once
#include <sys/types.h>
struct statvfs { unsigned long f_bsize, f_frsize; unsigned long long f_blocks, f_bfree, f_bavail, f_files, f_ffree, f_favail; unsigned long f_fsid, f_flag, f_namemax; };
struct statfs { long f_type, f_bsize; unsigned long long f_blocks, f_bfree, f_bavail, f_files, f_ffree; struct { int __val[2]; } f_fsid; long f_namelen, f_frsize, f_flags; };
int statvfs(const char *, struct statvfs *), statfs(const char *, struct statfs *);
