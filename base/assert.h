/* ASSERT stays on in release builds: cheap checks of internal invariants only, never of user or
 * network input. ASSERT_SLOW is for debug and sanitizer builds. A failed assertion prints where it
 * stands and aborts. */
#ifndef SKEIN_BASE_ASSERT_H
#define SKEIN_BASE_ASSERT_H

#include "base/err.h"

__attribute__((noreturn, cold)) void assert_failed(const char *expr, const char *file, int line,
                                                   const char *func);

#define ASSERT(expr) (LIKELY(expr) ? (void)0 : assert_failed(#expr, __FILE__, __LINE__, __func__))

#ifdef SKEIN_DEBUG
#define ASSERT_SLOW(expr) ASSERT(expr)
#else
#define ASSERT_SLOW(expr) ((void)sizeof(!(expr)))
#endif

#endif
