/* Functions that our own sources may not call; this header comes before every one of them
 * (scripts/cmake/compiler.cmake), after the system's headers that declare those functions, so that
 * a call does not compile.
 *
 * Instead: strings by struct buf, arena_printf, snprintf; numbers by strtoull with its checks; heap
 * by base/alloc.h (which alone is exempt, with tests and benches); time by the _r forms. */
#ifndef SKEIN_BASE_BANNED_H
#define SKEIN_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if defined(__has_include)
#if __has_include(<malloc.h>)
#include <malloc.h>
#endif
#endif

#define SKEIN_BANNED(name) use_of_##name##_is_banned__see_base_banned_h

#undef strcpy
#define strcpy(...) SKEIN_BANNED(strcpy)
#undef strcat
#define strcat(...) SKEIN_BANNED(strcat)
#undef strncat
#define strncat(...) SKEIN_BANNED(strncat)
#undef strncpy
#define strncpy(...) SKEIN_BANNED(strncpy)
#undef sprintf
#define sprintf(...) SKEIN_BANNED(sprintf)
#undef vsprintf
#define vsprintf(...) SKEIN_BANNED(vsprintf)
#undef strtok
#define strtok(...) SKEIN_BANNED(strtok)
#undef atoi
#define atoi(...) SKEIN_BANNED(atoi)
#undef atol
#define atol(...) SKEIN_BANNED(atol)
#undef gmtime
#define gmtime(...) SKEIN_BANNED(gmtime)
#undef localtime
#define localtime(...) SKEIN_BANNED(localtime)
#undef alloca
#define alloca(...) SKEIN_BANNED(alloca)

#undef malloc
#undef calloc
#undef realloc
#undef strdup
#undef strndup
#ifndef SKEIN_ALLOW_HEAP
#define malloc(...)  SKEIN_BANNED(malloc)
#define calloc(...)  SKEIN_BANNED(calloc)
#define realloc(...) SKEIN_BANNED(realloc)
#define strdup(...)  SKEIN_BANNED(strdup)
#define strndup(...) SKEIN_BANNED(strndup)
#endif

#endif
