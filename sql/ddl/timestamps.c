/* MYSQL: what TIMESTAMP columns get that nothing is said of, where
 * @@explicit_defaults_for_timestamp is OFF: NOT NULL when they are declared (column.c), then the
 * first one the current time for INSERT and UPDATE, those behind it the zero date. The first is the
 * first one of any kind: one that may be NULL, is generated, or has a default keeps those behind it
 * from it.
 *
 * ALTER TABLE does the same to columns that it leaves as they are, but these have no default if
 * they had none before: only the time of UPDATE shows. */
#include "sql/ddl/ddl_int.h"
#include "sql/types/sql_mode.h"

/* NOT NULL, and no DEFAULT. */
static bool says_nothing(const struct column_def *c)
{
    return (c->type.flags & TYPE_F_NOT_NULL) != 0 && c->default_kind == DEFAULT_NONE &&
           c->generated == GENERATED_NO;
}

void ddl__promote_timestamp(struct draft *d)
{
    for (uint32_t i = 0; d->ctx->implied_timestamps && i < d->column_count; i++) {
        struct draft_column *c = d->columns[i];
        if (c->def.type.id != TYPE_TIMESTAMP || c->def.hidden) {
            continue;
        }
        if (says_nothing(&c->def) && !c->def.on_update_now) {
            c->promoted = true;
            c->def.on_update_now = true;
            c->def.default_kind = c->declared ? DEFAULT_NOW : DEFAULT_NONE;
        }
        return;
    }
}

db_err ddl__zero_timestamps(struct draft *d)
{
    for (uint32_t i = 0; d->ctx->implied_timestamps && i < d->column_count; i++) {
        struct draft_column *c = d->columns[i];
        if (c->def.type.id != TYPE_TIMESTAMP || c->promoted || !says_nothing(&c->def)) {
            continue;
        }
        if ((d->ctx->bind->sql_mode & SQL_MODE_NO_ZERO_DATE) != 0) {
            return my_error(d->ctx->diag, ER_INVALID_DEFAULT, ddl__text(d->ctx, c->def.name));
        }
        if (c->declared) {
            c->def.default_kind = DEFAULT_CONST;
            value_set_zero(&c->def.default_value, &c->def.type);
        }
    }
    return ERR_OK;
}
