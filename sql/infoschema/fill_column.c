/* COLUMNS and its extension. */
#include "sql/charset/charset.h"
#include "sql/ddl/ddl.h"
#include "sql/infoschema/fill.h"
#include "sql/types/type.h"

enum { TYPE_TEXT_MAX = 4 * 1024 * 1024 };

static bool only_part(const struct index_def *ix, uint32_t ordinal)
{
    return ix->part_count == 1 && ix->parts[0].column == ordinal;
}

static bool all_not_null(const struct table_def *t, const struct index_def *ix)
{
    for (uint32_t i = 0; i < ix->part_count; i++) {
        if ((t->columns[ix->parts[i].column].type.flags & TYPE_F_NOT_NULL) == 0 ||
            ix->parts[i].prefix_len != 0) {
            return false;
        }
    }
    return true;
}

static bool has_part(const struct index_def *ix, uint32_t ordinal)
{
    for (uint32_t i = 0; i < ix->part_count; i++) {
        if (ix->parts[i].column == ordinal) {
            return true;
        }
    }
    return false;
}

/* MYSQL: without a primary key the first unique key that cannot be NULL is shown as one. */
const char *is__column_key(const struct table_def *t, uint32_t ordinal)
{
    const char *found = ""; /* by the first unique key that begins with the column */
    bool plain = false;
    bool primary_seen = t->has_primary;
    for (uint32_t i = t->has_primary ? 0 : 1; i < t->index_count; i++) {
        const struct index_def *ix = &t->indexes[i];
        bool unique = ix->kind == INDEX_PRIMARY || ix->kind == INDEX_UNIQUE;
        bool primary =
            ix->kind == INDEX_PRIMARY || (unique && !primary_seen && all_not_null(t, ix));
        primary_seen = primary_seen || primary;
        if (primary && has_part(ix, ordinal)) {
            return "PRI";
        }
        if (ix->part_count == 0 || ix->parts[0].column != ordinal) {
            continue;
        }
        plain = plain || !unique;
        if (unique && found[0] == '\0') {
            found = only_part(ix, ordinal) ? "UNI" : "MUL";
        }
    }
    return found[0] == '\0' && plain ? "MUL" : found;
}

static void numeric_facts(struct is_rows *r, const struct sql_type *t)
{
    static const uint8_t digits[] = {3, 5, 7, 10, 19};
    bool is_float = t->id == TYPE_FLOAT || t->id == TYPE_DOUBLE;
    if (type_is_integer(t)) {
        bool big = t->id == TYPE_BIGINT && type_is_unsigned(t);
        is__uint(r, big ? 20u : digits[t->id - TYPE_TINYINT]);
        is__uint(r, 0);
    } else if (t->id == TYPE_DECIMAL) {
        is__uint(r, t->length);
        is__uint(r, t->decimals);
    } else if (is_float && t->decimals != DECIMALS_NOT_FIXED) {
        is__uint(r, t->length);
        is__uint(r, t->decimals);
    } else if (is_float || t->id == TYPE_BIT) {
        is__uint(r, t->id == TYPE_BIT ? t->length : t->id == TYPE_FLOAT ? 12 : 22);
        is__null(r);
    } else {
        is__nulls(r, 2);
    }
}

static bool is_text_type(const struct sql_type *t)
{
    return type_is_string(t) || t->id == TYPE_ENUM || t->id == TYPE_SET;
}

static void length_facts(struct is_rows *r, const struct sql_type *t)
{
    if (t->id == TYPE_VECTOR) {
        uint64_t bytes = type_max_bytes(t);
        is__uint(r, bytes > UINT32_MAX || bytes == 0 ? UINT32_MAX : bytes);
        is__uint(r, bytes > UINT32_MAX || bytes == 0 ? UINT32_MAX : bytes);
        return;
    }
    if (!is_text_type(t)) {
        is__nulls(r, 2);
        return;
    }
    const struct collation *c = collation_by_id(t->collation);
    uint64_t maxlen = c == NULL ? 1 : c->cs->maxlen;
    uint64_t minlen = c == NULL ? 1 : c->cs->minlen;
    bool chars =
        t->id == TYPE_CHAR || t->id == TYPE_VARCHAR || t->id == TYPE_ENUM || t->id == TYPE_SET;
    uint64_t blob = type_is_blob(t) ? type_blob((enum type_id)t->id, t->collation).length : 0;
    is__uint(r, type_is_blob(t) ? blob / minlen : t->length);
    is__uint(r, type_is_blob(t) ? blob : chars ? t->length * maxlen : t->length);
}

static db_err extra_text(struct is_rows *r, const struct column_def *c, const char **ret)
{
    bool generated = c->default_kind == DEFAULT_NOW || c->default_kind == DEFAULT_EXPR;
    const char *on_update = "";
    if (c->on_update_now) {
        on_update = c->type.decimals == 0
                        ? "on update CURRENT_TIMESTAMP"
                        : arena_printf(r->arena, "on update CURRENT_TIMESTAMP(%u)",
                                       (unsigned)c->type.decimals);
    }
    const char *words[] = {c->auto_increment                   ? "auto_increment"
                           : c->generated == GENERATED_STORED  ? "STORED GENERATED"
                           : c->generated == GENERATED_VIRTUAL ? "VIRTUAL GENERATED"
                                                               : "",
                           generated ? "DEFAULT_GENERATED" : "", on_update,
                           c->invisible ? "INVISIBLE" : ""};
    const char *text = "";
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (words[i] == NULL || text == NULL) {
            return ERR_NOMEM;
        }
        if (words[i][0] != '\0') {
            text = arena_printf(r->arena, "%s%s%s", text, text[0] == '\0' ? "" : " ", words[i]);
        }
    }
    *ret = text;
    return text == NULL ? ERR_NOMEM : ERR_OK;
}

db_err is__expression(struct is_rows *r, struct slice text, struct slice *ret)
{
    SCOPE_BUF(out, TYPE_TEXT_MAX);
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\'' || text.ptr[i] == '\\') {
            TRY(buf_append_u8(&out, '\\'));
        }
        TRY(buf_append_u8(&out, text.ptr[i]));
    }
    TRY(arena_copy(r->arena, buf_slice(&out), ret));
    if (ret->ptr == NULL) {
        *ret = SLICE_LIT("");
    }
    return ERR_OK;
}

static db_err expression(struct is_rows *r, struct slice text)
{
    struct slice shown;
    TRY(is__expression(r, text, &shown));
    is__text(r, shown);
    return ERR_OK;
}

static const char *privileges_of(struct is_rows *r, priv_t privs)
{
    static const struct {
        priv_t bit;
        const char *name;
    } names[] = {{PRIV_SELECT, "select"},
                 {PRIV_INSERT, "insert"},
                 {PRIV_UPDATE, "update"},
                 {PRIV_REFERENCES, "references"}};
    const char *text = "";
    for (size_t i = 0; i < ARRAY_COUNT(names) && text != NULL; i++) {
        if ((privs & names[i].bit) != 0) {
            text = *text == '\0' ? names[i].name
                                 : arena_printf(r->arena, "%s,%s", text, names[i].name);
        }
    }
    return text == NULL ? "" : text;
}

static db_err one_column(struct is_rows *r, const struct table_def *t, const struct column_def *c,
                         uint32_t position)
{
    const struct collation *coll = collation_by_id(c->type.collation);
    bool text = is_text_type(&c->type) && c->type.collation != COLL_BINARY && coll != NULL;
    const char *extra;
    struct slice value;
    SCOPE_BUF(type, TYPE_TEXT_MAX);
    TRY(type_print(&c->type, &type));
    TRY(extra_text(r, c, &extra));
    TRY(ddl_default_text(r->arena, c, r->env.tz, &value));
    if (c->default_kind == DEFAULT_EXPR) {
        TRY(is__expression(r, value, &value));
    }
    is__str(r, "def");
    is__text(r, t->schema_name);
    is__text(r, t->name);
    is__text(r, c->name);
    is__uint(r, position);
    is__text(r, value);
    is__str(r, (c->type.flags & TYPE_F_NOT_NULL) != 0 ? "NO" : "YES");
    is__str(r, type_data_type(&c->type));
    length_facts(r, &c->type);
    numeric_facts(r, &c->type);
    if (type_is_temporal(&c->type) && c->type.id != TYPE_DATE) {
        is__uint(r, c->type.decimals);
    } else {
        is__null(r);
    }
    is__str(r, text ? coll->cs->name : NULL);
    is__str(r, text ? coll->name : NULL);
    is__text(r, buf_slice(&type));
    is__str(r, is__column_key(t, c->ordinal));
    /* MYSQL: a temporary table's columns have NULL for nothing. */
    is__str(r, table_is_temporary(t) && extra[0] == '\0' ? NULL : extra);
    is__str(r, t->kind == TABLE_VIRTUAL ? "select" : privileges_of(r, is__on_column(r, t, c)));
    is__text(r, c->comment.len == 0 ? SLICE_LIT("") : c->comment);
    TRY(expression(r, c->generated_expr));
    is__null(r);
    return is__end(r);
}

static db_err table_columns(struct is_rows *r, const struct schema_def *s,
                            const struct table_def *t)
{
    (void)s;
    uint32_t position = 0;
    for (uint32_t i = 0; i < t->column_count; i++) {
        if (t->columns[i].hidden) {
            continue;
        }
        position++;
        if (i == 0 && is__hides_primary(r, t)) {
            continue;
        }
        if (t->kind == TABLE_VIRTUAL || is__on_column(r, t, &t->columns[i]) != 0) {
            TRY(one_column(r, t, &t->columns[i], position));
        }
    }
    return ERR_OK;
}

db_err is__fill_columns(struct is_rows *r)
{
    return is__each_table(r, table_columns);
}

static db_err table_columns_extensions(struct is_rows *r, const struct schema_def *s,
                                       const struct table_def *t)
{
    (void)s;
    for (uint32_t i = is__hides_primary(r, t) ? 1 : 0; i < t->column_count; i++) {
        const struct column_def *c = &t->columns[i];
        if (!c->hidden && (t->kind == TABLE_VIRTUAL || is__on_column(r, t, c) != 0)) {
            is__str(r, "def");
            is__text(r, t->schema_name);
            is__text(r, t->name);
            is__text(r, c->name);
            is__nulls(r, 2);
            TRY(is__end(r));
        }
    }
    return ERR_OK;
}

db_err is__fill_columns_extensions(struct is_rows *r)
{
    return is__each_table(r, table_columns_extensions);
}
