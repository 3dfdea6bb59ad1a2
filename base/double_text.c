/* strtod and snprintf are correct to the last digit with glibc; the C locale is assumed (the
 * process never sets another one).
 *
 * The nearest number of n digits is what snprintf writes, and it reads back when any number of n
 * digits does, but for a power of two: numbers above it lie twice as far apart as those below, so
 * that the next larger one may read back where the nearest, below, does not. */
#include "base/double_text.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The text with its last digit one larger; false when that would carry. */
static bool next_larger(char *text)
{
    char *last = strchr(text, 'e') - 1;
    if (*last == '9' || *last == '.') {
        return false;
    }
    (*last)++;
    return true;
}

static bool reads_back(char *text, double v, bool power_of_two)
{
    if (strtod(text, NULL) == v) {
        return true;
    }
    return power_of_two && next_larger(text) && strtod(text, NULL) == v;
}

void double_shortest(double v, char ret_text[DOUBLE_TEXT_MAX])
{
    enum { DIGITS_SURE = 14, DIGITS_MAX = 16 }; /* behind the point */
    int exponent;
    bool power_of_two = frexp(fabs(v), &exponent) == 0.5;
    for (int n = fabs(v) < DBL_MIN ? 0 : DIGITS_SURE; n <= DIGITS_MAX; n++) {
        snprintf(ret_text, DOUBLE_TEXT_MAX, "%.*e", n, v);
        if (n == DIGITS_MAX || reads_back(ret_text, v, power_of_two)) {
            return;
        }
    }
}
