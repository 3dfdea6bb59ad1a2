/* In place or by copy.
 *
 * In place is everything that leaves the stored rows as they are: names, comments, defaults,
 * visibility, the order of columns (rows name columns by id), new columns whose value in old rows
 * is one constant, VIRTUAL columns that come or go, wider VARCHARs, members at the end of an ENUM
 * or SET, NOT NULL that becomes NULL outside keys, and indexes that come or go. All else copies. */
#include "base/clock.h"
#include "sql/codec/table_keys.h"
#include "sql/ddl/alter_int.h"
#include "sql/parser/parser.h"
#include "sql/storage/storage.h"
#include "sql/types/timezone.h"

static bool members_grow(const struct sql_type *from, const struct sql_type *to)
{
    if (from->names->count > to->names->count) {
        return false;
    }
    for (uint32_t i = 0; i < from->names->count; i++) {
        if (!slice_eq(from->names->names[i], to->names->names[i])) {
            return false;
        }
    }
    return true;
}

bool ddl__same_stored_form(const struct sql_type *from, const struct sql_type *to, bool in_key)
{
    unsigned changed = (unsigned)(from->flags ^ to->flags);
    if (type_equal(from, to)) {
        return true;
    }
    if (from->id != to->id || from->collation != to->collation || from->decimals != to->decimals ||
        (changed & TYPE_F_UNSIGNED) != 0) {
        return false;
    }
    if ((changed & TYPE_F_NOT_NULL) != 0 && (in_key || (to->flags & TYPE_F_NOT_NULL) != 0)) {
        return false;
    }
    switch ((int)from->id) {
    case TYPE_VARCHAR:
    case TYPE_VARBINARY: return from->length <= to->length;
    case TYPE_ENUM:
    case TYPE_SET: return members_grow(from, to);
    case TYPE_DECIMAL:
    case TYPE_VECTOR:
    case TYPE_BIT:
    case TYPE_CHAR:
    case TYPE_BINARY: return from->length == to->length;
    default: return true; /* display width, ZEROFILL */
    }
}

bool ddl__recollates_in_place(const struct sql_type *from, const struct sql_type *to)
{
    const struct collation *old = collation_by_id(from->collation);
    const struct collation *now = collation_by_id(to->collation);
    if (old == NULL || now == NULL) {
        return false;
    }
    return old->cs == now->cs || (old->cs == collation_by_id(COLL_UTF8MB3_GENERAL_CI)->cs &&
                                  now->cs == collation_by_id(COLL_UTF8MB4_BIN)->cs);
}

bool ddl__is_key_part(const struct draft *d, const struct draft_column *c)
{
    for (uint32_t i = 0; i < d->index_count; i++) {
        for (uint32_t p = 0; p < d->indexes[i]->part_count; p++) {
            if (d->indexes[i]->parts[p].column == c) {
                return true;
            }
        }
    }
    return false;
}

/* Columns that go without a trace in the rows. */
static uint32_t gone_virtuals(const struct alter *a)
{
    uint32_t n = 0;
    for (uint32_t i = 0; a->old->lean_rows && i < a->old->column_count; i++) {
        bool kept = a->old->columns[i].generated != GENERATED_VIRTUAL;
        for (uint32_t k = 0; k < a->draft.column_count && !kept; k++) {
            kept = a->draft.columns[k]->source == (int32_t)i;
        }
        n += !kept;
    }
    return n;
}

static bool columns_stay(const struct alter *a)
{
    const struct draft *d = &a->draft;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < d->column_count; i++) {
        const struct draft_column *c = d->columns[i];
        if (c->source < 0) {
            continue;
        }
        const struct column_def *old = &a->old->columns[c->source];
        kept++;
        if (c->def.generated != old->generated ||
            !slice_eq(c->def.generated_expr, old->generated_expr)) {
            return false;
        }
        if (!ddl__same_stored_form(&old->type, &c->def.type, ddl__is_key_part(d, c)) ||
            (c->def.auto_increment && !old->auto_increment)) {
            return false;
        }
    }
    return kept + gone_virtuals(a) + (a->old->has_primary ? 0u : 1u) == a->old->column_count;
}

/* Has an index that stays the parts that it had? (It loses those of dropped columns.) */
static bool index_stays(const struct alter *a, const struct draft_index *ix)
{
    const struct index_def *old = &a->old->indexes[ix->source];
    if (old->part_count != ix->part_count) {
        return false;
    }
    for (uint32_t i = 0; i < ix->part_count; i++) {
        if (ix->parts[i].column->source != (int32_t)old->parts[i].column ||
            ix->parts[i].prefix != old->parts[i].prefix_len) {
            return false;
        }
    }
    return true;
}

static bool indexes_stay(const struct alter *a)
{
    const struct draft *d = &a->draft;
    const struct draft_index *pk = ddl__primary(d);
    if ((pk != NULL) != a->old->has_primary || (pk != NULL && pk->source != 0)) {
        return false;
    }
    for (uint32_t i = 0; i < d->index_count; i++) {
        if (d->indexes[i]->source >= 0 && !index_stays(a, d->indexes[i])) {
            return false;
        }
    }
    return true;
}

bool ddl__checks_rows(const struct draft *d)
{
    for (uint32_t i = 0; i < d->check_count; i++) {
        const struct draft_check *c = d->checks[i];
        if (c->enforce || (c->ast != NULL && c->def.enforced)) {
            return true;
        }
    }
    return false;
}

static db_err now_value(struct alter *a, struct column_def *c)
{
    const struct timezone *tz = c->type.id == TYPE_TIMESTAMP || a->ctx->bind->tz == NULL
                                    ? timezone_utc()
                                    : a->ctx->bind->tz;
    uint64_t us = clock_wall_us();
    uint32_t unit = 1;
    int64_t packed;
    for (unsigned i = c->type.decimals; i < TIME_DECIMALS_MAX; i++) {
        unit *= 10;
    }
    uint32_t micro = (uint32_t)(us % 1000000u) / unit * unit;
    if (!timezone_from_unix(tz, (int64_t)(us / 1000000u), micro, &packed)) {
        return diag_set(a->ctx->diag, ERR_INVALID, "the clock is outside of the calendar");
    }
    value_tag(&c->absent, &c->type);
    c->absent.t = packed;
    return ERR_OK;
}

/* DEFAULT (expr) of constants only has one value; any other has one per row: the copy makes it. */
static db_err expr_value(struct alter *a, struct draft_column *dc, bool *io_in_place)
{
    struct column_def *c = &dc->def;
    struct parse_options options = {0};
    struct ast_expr *ast;
    struct bexpr *e;
    struct cast_ctx cast;
    TRY(parser_parse_expr(a->ctx->arena, c->default_expr, &options, a->ctx->diag, &ast));
    db_err err = bind_scalar(a->ctx->arena, a->ctx->bind, ast, NULL, NULL, &e);
    if (err == ERR_OK && e->kind == BEXPR_CONST) {
        struct store_target target = {.column = ddl__text(a->ctx, c->name), .row = 1};
        cast_ctx_init(&cast, a->ctx->arena, a->ctx->diag);
        cast.sql_mode = a->ctx->bind->sql_mode;
        cast.strict = true;
        return type_store(&cast, &c->type, &target, &e->type, &e->u.constant, &c->absent);
    }
    *io_in_place = false;
    dc->row_default = true;
    value_set_null(&c->absent, &c->type);
    return ERR_OK;
}

/* What rows that do not have the column read. */
static db_err absent_value(struct alter *a, struct draft_column *dc, bool *io_in_place)
{
    struct column_def *c = &dc->def;
    c->has_absent = c->generated != GENERATED_VIRTUAL; /* those are computed for any row */
    if (c->generated != GENERATED_NO) {
        *io_in_place = *io_in_place && c->generated == GENERATED_VIRTUAL;
        value_set_null(&c->absent, &c->type);
        return ERR_OK;
    }
    switch (c->default_kind) {
    case DEFAULT_CONST: c->absent = c->default_value; return ERR_OK;
    case DEFAULT_NOW: return now_value(a, c);
    case DEFAULT_EXPR: return expr_value(a, dc, io_in_place);
    case DEFAULT_NULL: value_set_null(&c->absent, &c->type); return ERR_OK;
    case DEFAULT_NONE: break;
    }
    if ((c->type.flags & TYPE_F_NOT_NULL) != 0) {
        value_set_zero(&c->absent, &c->type);
        return ERR_OK;
    }
    value_set_null(&c->absent, &c->type);
    return ERR_OK;
}

db_err ddl__plan_alter(struct alter *a, enum alter_way *ret_way)
{
    struct draft *d = &a->draft;
    bool in_place = !a->force && a->order_by == NULL && columns_stay(a) && indexes_stay(a) &&
                    !ddl__checks_rows(d);
    for (uint32_t i = 0; i < d->column_count; i++) {
        struct draft_column *c = d->columns[i];
        if (c->source < 0 && !c->def.auto_increment) {
            TRY(absent_value(a, c, &in_place));
        }
        in_place = in_place && (c->source >= 0 || !c->def.auto_increment);
    }
    *ret_way = in_place ? ALTER_IN_PLACE : ALTER_COPY;
    return ERR_OK;
}
