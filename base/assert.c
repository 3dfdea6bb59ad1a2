#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void assert_failed(const char *expr, const char *file, int line, const char *func)
{
    fprintf(stderr, "assertion failed: %s at %s:%d in %s\n", expr, file, line, func);
    fflush(stderr);
    abort();
}
