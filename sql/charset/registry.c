/* Lookups of charsets and collations. The arrays are generated from the .def files; names are found
 * by binary search for charsets (they are in order) and by a walk for collations (a statement names
 * few; ids are the fast way). */
#include "sql/charset/charset_int.h"

const struct collation *collation_by_id(unsigned id)
{
    if (id >= COLL_ID_MAX || collation_index[id] == 0) {
        return NULL;
    }
    return &collation_table[collation_index[id] - 1];
}

const struct collation *collation_at(size_t index)
{
    return index < collation_table_count ? &collation_table[index] : NULL;
}

const struct charset *charset_at(size_t index)
{
    return index < charset_table_count ? &charset_table[index] : NULL;
}

const struct collation *collation_by_name(struct slice name)
{
    for (size_t i = 0; i < collation_table_count; i++) {
        if (slice_eq_nocase(slice_str(collation_table[i].name), name)) {
            return &collation_table[i];
        }
    }
    /* utf8_general_ci is utf8mb3_general_ci's older name. */
    if (name.len > 5 && slice_eq_nocase((struct slice){name.ptr, 5}, SLICE_LIT("utf8_"))) {
        struct slice tail = slice_from(name, 5);
        for (size_t i = 0; i < collation_table_count; i++) {
            struct slice full = slice_str(collation_table[i].name);
            if (slice_starts_with(full, SLICE_LIT("utf8mb3_")) &&
                slice_eq_nocase(slice_from(full, 8), tail)) {
                return &collation_table[i];
            }
        }
    }
    return NULL;
}

const struct charset *charset_by_name(struct slice name)
{
    if (slice_eq_nocase(name, SLICE_LIT("utf8"))) {
        name = SLICE_LIT("utf8mb3");
    }
    for (size_t i = 0; i < charset_table_count; i++) {
        if (slice_eq_nocase(slice_str(charset_table[i].name), name)) {
            return &charset_table[i];
        }
    }
    return NULL;
}

static db_err not_implemented(struct diag *diag, const char *what, const char *name)
{
    return diag_set_sql(diag, 1235, "42000", "This version of MySQL doesn't yet support '%s %s'",
                        what, name);
}

db_err collation_require(struct slice name, struct diag *diag,
                         const struct collation **ret_collation)
{
    const struct collation *c = collation_by_name(name);
    if (c == NULL) {
        return diag_set_sql(diag, 1273, "HY000", "Unknown collation: '%.*s'", SLICE_FMT(name));
    }
    if (c->ops == NULL) {
        return not_implemented(diag, "COLLATE", c->name);
    }
    *ret_collation = c;
    return ERR_OK;
}

db_err collation_require_id(unsigned id, struct diag *diag, const struct collation **ret_collation)
{
    const struct collation *c = collation_by_id(id);
    if (c == NULL) {
        return diag_set_sql(diag, 1273, "HY000", "Unknown collation: '#%u'", id);
    }
    if (c->ops == NULL) {
        return not_implemented(diag, "COLLATE", c->name);
    }
    *ret_collation = c;
    return ERR_OK;
}

db_err charset_require(struct slice name, struct diag *diag, const struct charset **ret_cs)
{
    const struct charset *cs = charset_by_name(name);
    if (cs == NULL) {
        return diag_set_sql(diag, 1115, "42000", "Unknown character set: '%.*s'", SLICE_FMT(name));
    }
    if (cs->ops == NULL) {
        return not_implemented(diag, "CHARACTER SET", cs->name);
    }
    *ret_cs = cs;
    return ERR_OK;
}

const struct collation *charset_bin_collation(const struct charset *cs)
{
    if (cs->ops == &charset_binary_ops) {
        return collation_by_id(COLL_BINARY);
    }
    size_t len = strlen(cs->name);
    for (size_t i = 0; i < collation_table_count; i++) {
        const struct collation *c = &collation_table[i];
        if (c->cs == cs && strcmp(c->name + len, "_bin") == 0) {
            return c;
        }
    }
    return NULL;
}

bool collation_is_bytewise(const struct collation *c)
{
    return c->ops == &collation_bytes_ops;
}

struct slice charset_trim_space(struct slice s)
{
    while (s.len > 0 && s.ptr[s.len - 1] == ' ') {
        s.len--;
    }
    return s;
}
