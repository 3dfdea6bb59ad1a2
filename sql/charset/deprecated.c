#include "sql/charset/deprecated.h"

#include <string.h>

#include "sql/charset/charset.h"
#include "sql/diag/diag_area.h"
#include "sql/diag/my_error.h"

void charset_warn_deprecated(struct diag_area *warnings, struct slice name)
{
    if (slice_eq_nocase(name, SLICE_LIT("utf8mb3"))) {
        diag_area_warn(warnings, ER_WARN_DEPRECATED_SYNTAX, "utf8mb3", "utf8mb4");
    } else if (slice_eq_nocase(name, SLICE_LIT("utf8"))) {
        diag_area_warn(warnings, ER_DEPRECATED_UTF8_ALIAS);
    }
}

void collation_warn_deprecated(struct diag_area *warnings, const struct collation *c)
{
    if (c != NULL && strcmp(c->cs->name, "utf8mb3") == 0) {
        diag_area_warn(warnings, ER_WARN_DEPRECATED_UTF8MB3_COLLATION, c->name);
    }
}
