/* STATISTICS, KEY_COLUMN_USAGE, TABLE_CONSTRAINTS. */
#include "sql/codec/table_keys.h"
#include "sql/catalog/table_format.h"
#include "sql/infoschema/fill.h"
#include "sql/storage/storage.h"

static uint32_t first_index(const struct is_rows *r, const struct table_def *t)
{
    return t->has_primary && !is__hides_primary(r, t) ? 0 : 1;
}

static bool is_unique(const struct index_def *ix)
{
    return ix->kind == INDEX_PRIMARY || ix->kind == INDEX_UNIQUE;
}

static db_err row_estimate(struct is_rows *r, const struct table_def *t, uint64_t *ret_rows)
{
    uint64_t bytes;
    SCOPE_BUF(end, 64);
    *ret_rows = 0;
    if (r->env.storage == NULL || t->format == NULL) {
        return ERR_OK;
    }
    TRY(buf_append_slice(&end, t->format->row_prefix));
    key_prefix_end(&end);
    return storage_estimate(r->env.storage, t->format->row_prefix, buf_slice(&end), ret_rows,
                            &bytes);
}

/* NULL is among the values. A functional key part has no default when its expression has no NULL.
 */
static bool may_be_null(const struct column_def *c)
{
    return (c->type.flags & TYPE_F_NOT_NULL) == 0 &&
           !(c->hidden && c->default_kind == DEFAULT_NONE);
}

static db_err index_part(struct is_rows *r, const struct table_def *t, const struct index_def *ix,
                         uint32_t at, uint64_t rows)
{
    const struct index_part *p = &ix->parts[at];
    const struct column_def *c = &t->columns[p->column];
    is__str(r, "def");
    is__text(r, t->schema_name);
    is__text(r, t->name);
    is__uint(r, is_unique(ix) ? 0 : 1);
    is__text(r, t->schema_name);
    is__text(r, ix->name);
    is__uint(r, at + 1);
    if (c->hidden) {
        is__null(r);
    } else {
        is__text(r, c->name);
    }
    is__str(r, p->descending ? "D" : "A");
    is__uint(r, ix->distinct != NULL ? ix->distinct[at] : rows);
    if (p->prefix_len == 0) {
        is__null(r);
    } else {
        is__uint(r, p->prefix_len);
    }
    is__null(r);
    is__str(r, may_be_null(c) ? "YES" : "");
    is__str(r, "BTREE");
    is__str(r, "");
    is__text(r, ix->comment.len == 0 ? SLICE_LIT("") : ix->comment);
    is__str(r, ix->invisible ? "NO" : "YES");
    if (c->hidden) {
        struct slice shown;
        TRY(is__expression(r, c->generated_expr, &shown));
        is__text(r, shown);
    } else {
        is__null(r);
    }
    return is__end(r);
}

static db_err table_statistics(struct is_rows *r, const struct schema_def *s,
                               const struct table_def *t)
{
    (void)s;
    uint64_t rows = 0;
    if (t->index_count > first_index(r, t)) {
        TRY(row_estimate(r, t, &rows));
    }
    for (uint32_t i = first_index(r, t); i < t->index_count; i++) {
        for (uint32_t p = 0; p < t->indexes[i].part_count; p++) {
            TRY(index_part(r, t, &t->indexes[i], p, rows));
        }
    }
    return ERR_OK;
}

db_err is__fill_statistics(struct is_rows *r)
{
    return is__each_table(r, table_statistics);
}

static bool may_know(const struct is_rows *r, const struct table_def *t, struct slice column)
{
    for (uint32_t i = 0; i < t->column_count; i++) {
        if (slice_eq_nocase(t->columns[i].name, column)) {
            return is__on_column(r, t, &t->columns[i]) != 0;
        }
    }
    return false;
}

static db_err foreign_key_columns(struct is_rows *r, const struct table_def *t,
                                  const struct foreign_key_def *f)
{
    for (uint32_t i = 0; i < f->column_count; i++) {
        if (!may_know(r, t, f->columns[i])) {
            continue;
        }
        is__str(r, "def");
        is__text(r, t->schema_name);
        is__text(r, f->name);
        is__str(r, "def");
        is__text(r, t->schema_name);
        is__text(r, t->name);
        is__text(r, f->columns[i]);
        is__uint(r, i + 1);
        is__uint(r, i + 1);
        is__text(r, f->ref_schema);
        is__text(r, f->ref_table);
        is__text(r, f->ref_columns[i]);
        TRY(is__end(r));
    }
    return ERR_OK;
}

static db_err table_key_columns(struct is_rows *r, const struct schema_def *s,
                                const struct table_def *t)
{
    (void)s;
    for (uint32_t i = first_index(r, t); i < t->index_count; i++) {
        const struct index_def *ix = &t->indexes[i];
        for (uint32_t p = 0; is_unique(ix) && p < ix->part_count; p++) {
            const struct column_def *c = &t->columns[ix->parts[p].column];
            if (c->hidden || is__on_column(r, t, c) == 0) {
                continue;
            }
            is__str(r, "def");
            is__text(r, t->schema_name);
            is__text(r, ix->name);
            is__str(r, "def");
            is__text(r, t->schema_name);
            is__text(r, t->name);
            is__text(r, c->name);
            is__uint(r, p + 1);
            is__nulls(r, 4);
            TRY(is__end(r));
        }
    }
    for (uint32_t i = 0; i < t->foreign_key_count; i++) {
        TRY(foreign_key_columns(r, t, &t->foreign_keys[i]));
    }
    return ERR_OK;
}

db_err is__fill_key_column_usage(struct is_rows *r)
{
    return is__each_table(r, table_key_columns);
}

static db_err table_constraints(struct is_rows *r, const struct schema_def *s,
                                const struct table_def *t)
{
    (void)s;
    for (uint32_t i = first_index(r, t); i < t->index_count; i++) {
        const struct index_def *ix = &t->indexes[i];
        if (is_unique(ix)) {
            is__str(r, "def");
            is__text(r, t->schema_name);
            is__text(r, ix->name);
            is__text(r, t->schema_name);
            is__text(r, t->name);
            is__str(r, ix->kind == INDEX_PRIMARY ? "PRIMARY KEY" : "UNIQUE");
            is__str(r, "YES");
            TRY(is__end(r));
        }
    }
    for (uint32_t i = 0; i < t->foreign_key_count; i++) {
        is__str(r, "def");
        is__text(r, t->schema_name);
        is__text(r, t->foreign_keys[i].name);
        is__text(r, t->schema_name);
        is__text(r, t->name);
        is__str(r, "FOREIGN KEY");
        is__str(r, "YES");
        TRY(is__end(r));
    }
    for (uint32_t i = 0; i < t->check_count; i++) {
        is__str(r, "def");
        is__text(r, t->schema_name);
        is__text(r, t->checks[i].name);
        is__text(r, t->schema_name);
        is__text(r, t->name);
        is__str(r, "CHECK");
        is__str(r, t->checks[i].enforced ? "YES" : "NO");
        TRY(is__end(r));
    }
    return ERR_OK;
}

static db_err check_constraints(struct is_rows *r, const struct schema_def *s,
                                const struct table_def *t)
{
    (void)s;
    for (uint32_t i = 0; i < t->check_count; i++) {
        struct slice clause;
        TRY(is__expression(r, t->checks[i].expr, &clause));
        is__str(r, "def");
        is__text(r, t->schema_name);
        is__text(r, t->checks[i].name);
        is__text(r, clause);
        TRY(is__end(r));
    }
    return ERR_OK;
}

db_err is__fill_check_constraints(struct is_rows *r)
{
    return is__each_table(r, check_constraints);
}

db_err is__fill_table_constraints(struct is_rows *r)
{
    return is__each_table(r, table_constraints);
}

static db_err table_constraints_extensions(struct is_rows *r, const struct schema_def *s,
                                           const struct table_def *t)
{
    (void)s;
    /* MYSQL: all indexes, also the one that a table without primary key has. */
    for (uint32_t i = is__hides_primary(r, t) ? 1 : 0; i < t->index_count; i++) {
        is__str(r, "def");
        is__text(r, t->schema_name);
        is__text(r, i == 0 ? SLICE_LIT("PRIMARY") : t->indexes[i].name);
        is__text(r, t->name);
        is__nulls(r, 2);
        TRY(is__end(r));
    }
    return ERR_OK;
}

db_err is__fill_table_constraints_extensions(struct is_rows *r)
{
    return is__each_table(r, table_constraints_extensions);
}
