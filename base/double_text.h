/* Doubles as the fewest digits that tell them apart. */
#ifndef SKEIN_BASE_DOUBLE_TEXT_H
#define SKEIN_BASE_DOUBLE_TEXT_H

enum { DOUBLE_TEXT_MAX = 40 };

/* The shortest text of the form "d.ddde[+-]xx" that reads back as v, of 15 digits at least (of a
 * subnormal number, which has fewer, of one), so zeros may end its digits. v is finite and not 0.
 * Does not park. */
void double_shortest(double v, char ret_text[DOUBLE_TEXT_MAX]);

#endif
