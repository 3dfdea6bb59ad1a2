/* What MySQL warns of when a statement names a character set that is to go away, or one of its
 * collations. */
#ifndef SKEIN_SQL_CHARSET_DEPRECATED_H
#define SKEIN_SQL_CHARSET_DEPRECATED_H

#include "base/slice.h"

struct collation;
struct diag_area;

/* The charset as it was written: 1287, for the word utf8 3719; nothing for others. */
void charset_warn_deprecated(struct diag_area *warnings, struct slice name);
/* 3778 of utf8mb3, else 4079; c may be NULL. */
void collation_warn_deprecated(struct diag_area *warnings, const struct collation *c);
void collation_name_warn_deprecated(struct diag_area *warnings, struct slice name);

#endif
