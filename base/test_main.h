/* For the unit tests of every module: cmocka with the headers it wants before it, and CHECK for
 * code that runs in fibers and threads, where cmocka's own assertions (they longjmp) must not be
 * used. */
#ifndef SKEIN_BASE_TEST_MAIN_H
#define SKEIN_BASE_TEST_MAIN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/assert.h"

#define CHECK(expr)    ASSERT(expr)
#define CHECK_OK(expr) ASSERT((expr) == ERR_OK)

#endif
