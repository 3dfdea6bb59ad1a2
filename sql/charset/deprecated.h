/* What MySQL warns of when a statement names utf8mb3 or one of its collations. */
#ifndef SKEIN_SQL_CHARSET_DEPRECATED_H
#define SKEIN_SQL_CHARSET_DEPRECATED_H

#include "base/slice.h"

struct collation;
struct diag_area;

/* The charset as it was written: 1287 for utf8mb3, 3719 for utf8, nothing for others. */
void charset_warn_deprecated(struct diag_area *warnings, struct slice name);
/* 3778; c may be NULL. */
void collation_warn_deprecated(struct diag_area *warnings, const struct collation *c);

#endif
