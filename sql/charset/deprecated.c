#include "sql/charset/deprecated.h"

#include <string.h>

#include "base/err.h"
#include "sql/charset/charset.h"
#include "sql/diag/diag_area.h"
#include "sql/diag/my_error.h"

static bool is_deprecated(const struct charset *cs)
{
    static const char *const names[] = {"utf8mb3", "ucs2", "macroman", "macce", "dec8", "hp8"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (strcmp(cs->name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

void charset_warn_deprecated(struct diag_area *warnings, struct slice name)
{
    const struct charset *cs = charset_by_name(name);
    if (slice_eq_nocase(name, SLICE_LIT("utf8"))) {
        diag_area_warn(warnings, ER_DEPRECATED_UTF8_ALIAS);
    } else if (cs != NULL && is_deprecated(cs)) {
        diag_area_warn(warnings, ER_WARN_DEPRECATED_SYNTAX, cs->name, "utf8mb4");
    }
}

void collation_warn_deprecated(struct diag_area *warnings, const struct collation *c)
{
    if (c == NULL || !is_deprecated(c->cs)) {
        return;
    }
    if (strcmp(c->cs->name, "utf8mb3") == 0) {
        diag_area_warn(warnings, ER_WARN_DEPRECATED_UTF8MB3_COLLATION, c->name);
    } else {
        diag_area_warn(warnings, ER_WARN_DEPRECATED_COLLATION, c->name, c->cs->name, "utf8mb4");
    }
}

void collation_name_warn_deprecated(struct diag_area *warnings, struct slice name)
{
    collation_warn_deprecated(warnings, collation_by_name(name));
}
