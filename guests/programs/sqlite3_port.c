/* What SQLite asks for and wasi-libc lacks: file locks. Each is granted: there is no way to ask the system for one. */
#include <fcntl.h>
#include <stdarg.h>

enum { GET_LOCK = 5, SET_LOCK = 6, UNLOCKED = 2 };

int port_fcntl(int fd, int command, ...) {
  va_list rest;
  va_start(rest, command);
  void *argument = va_arg(rest, void *);
  va_end(rest);
  switch (command) {
  case GET_LOCK: ((struct flock *)argument)->l_type = UNLOCKED; return 0;
  case SET_LOCK: return 0;
  default: return fcntl(fd, command, argument);
  }
}
