# cmark 0.30.2; cmake would write these three headers.
unpack cmark
cd src/src
echo '#define CMARK_INLINE inline
#define CMARK_ATTRIBUTE(l)
#include <stdbool.h>
#define HAVE___BUILTIN_EXPECT' >config.h
echo '#define CMARK_EXPORT
#define CMARK_NO_EXPORT' >cmark_export.h
echo '#define CMARK_VERSION ((0 << 16) | (30 << 8) | 2)
#define CMARK_VERSION_STRING "0.30.2"' >cmark_version.h
program cmark -I. *.c
