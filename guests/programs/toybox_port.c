/* Stands in for toybox's lib/portability.c, which knows Linux, the BSDs and macOS only. */
#include "toys.h"
int dev_minor(int dev) { return dev & 255; }
int dev_major(int dev) { return dev >> 8; }
int dev_makedev(int major, int minor) { return (major << 8) | minor; }
char *fs_type_name(struct statfs *s) { return "unknown"; }
int get_block_device_size(int fd, unsigned long long *size) { return 0; }
struct mtab_list *xgetmountlist(char *path) { return 0; }
struct xnotify *xnotify_init(int max) { error_exit("no notification"); }
int xnotify_add(struct xnotify *n, int fd, char *path) { return -1; }
int xnotify_wait(struct xnotify *n, char **path) { return -1; }
void xsignal_all_killers(void *handler) {}
ssize_t xattr_flist(int fd, char *l, size_t n) { return 0; }
ssize_t xattr_fget(int fd, const char *n, void *v, size_t s) { return -1; }
int xattr_fset(int fd, const char *n, const void *v, size_t s, int f) { return -1; }
void xgetrandom(void *buf, unsigned len)
{
  for (unsigned n; len; len -= n, buf = (char *)buf + n) {
    n = len > 256 ? 256 : len;
    if (getentropy(buf, n)) perror_exit("getrandom");
  }
}
long long sendfile_len(int in, int out, long long bytes, long long *consumed)
{
  long long total = 0;
  if (consumed) *consumed = 0;
  while (bytes) {
    ssize_t n = read(in, libbuf, (bytes < 0 || bytes > (long long)sizeof(libbuf)) ? sizeof(libbuf) : bytes);
    if (n < 1) return n ? -1 : total;
    if (consumed) *consumed += n;
    if (writeall(out, libbuf, n) != n) return -1;
    total += n;
    if (bytes > 0) bytes -= n;
  }
  return total;
}
