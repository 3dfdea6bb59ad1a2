/* MYSQL: what ALTER TABLE may not do about generated invisible primary keys
 * (table_has_generated_primary): the column is what it was, or goes, and the key with it; and while
 * such keys are made (@@sql_generate_invisible_primary_key), a table that has a key keeps one. */
#include "sql/ddl/alter_int.h"

/* A unique key without NULLs does as well as a primary key. */
bool ddl__has_stand_in(const struct draft *d)
{
    for (uint32_t i = 0; i < d->index_count; i++) {
        const struct draft_index *ix = d->indexes[i];
        bool fits = ix->def.kind == INDEX_UNIQUE;
        for (uint32_t k = 0; k < ix->part_count && fits; k++) {
            const struct draft_column *c = ix->parts[k].column;
            fits =
                c != NULL && (c->def.type.flags & TYPE_F_NOT_NULL) != 0 && ix->parts[k].prefix == 0;
        }
        if (fits) {
            return true;
        }
    }
    return false;
}

static bool had_key(const struct table_def *t)
{
    for (uint32_t i = 0; i < t->index_count; i++) {
        const struct index_def *ix = &t->indexes[i];
        bool fits = ix->kind == INDEX_UNIQUE;
        for (uint32_t k = 0; k < ix->part_count && fits; k++) {
            fits = (t->columns[ix->parts[k].column].type.flags & TYPE_F_NOT_NULL) != 0 &&
                   ix->parts[k].prefix_len == 0;
        }
        if (fits || ix->kind == INDEX_PRIMARY) {
            return true;
        }
    }
    return false;
}

/* It may be shown from now on, and have a comment. */
static bool is_as_before(const struct draft *d, const struct draft_column *c,
                         const struct column_def *old)
{
    const struct sql_type *t = &c->def.type;
    return d->columns[0] == c && slice_eq_nocase(c->def.name, old->name) && t->id == old->type.id &&
           type_is_unsigned(t) && c->def.auto_increment && !c->redefaulted;
}

db_err ddl__check_generated_key(struct alter *a)
{
    const struct draft *d = &a->draft;
    struct ddl_ctx *ctx = a->ctx;
    const struct draft_index *primary = ddl__primary(d);
    bool innodb = slice_eq_nocase(d->def.engine, SLICE_LIT("InnoDB"));
    if (ctx->generate_primary && innodb && primary == NULL && !ddl__has_stand_in(d) &&
        had_key(a->old)) {
        return my_error(ctx->diag, ER_NOT_SUPPORTED_YET,
                        "an operation that leaves the table without a PRIMARY KEY or a UNIQUE NOT "
                        "NULL key while @@sql_generate_invisible_primary_key=ON.");
    }
    for (uint32_t i = 0; i < d->column_count && table_has_generated_primary(a->old); i++) {
        const struct draft_column *c = d->columns[i];
        if (c->source != 0) {
            continue;
        }
        if (primary == NULL || primary->source != 0) {
            return my_error(ctx->diag, ER_DROP_PK_COLUMN_TO_DROP_GIPK);
        }
        if (!is_as_before(d, c, &a->old->columns[0])) {
            return my_error(ctx->diag, ER_GIPK_COLUMN_ALTER_NOT_ALLOWED, "my_row_id");
        }
    }
    return ERR_OK;
}
