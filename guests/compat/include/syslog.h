#pragma once
#define LOG_EMERG 0
#define LOG_ERR 3
#define LOG_WARNING 4
#define LOG_NOTICE 5
#define LOG_INFO 6
#define LOG_DEBUG 7
#define LOG_USER (1 << 3)
#define LOG_DAEMON (3 << 3)
#define LOG_AUTH (4 << 3)
#define LOG_PID 1
#include <stdarg.h>
void openlog(const char *, int, int), syslog(int, const char *, ...), vsyslog(int, const char *, va_list), closelog(void);
