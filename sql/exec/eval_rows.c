/* (a, b) IN ((1, 2), (3, 4), ...), which is bound as a = 1 AND b = 2 OR a = 3 AND b = 4 OR ...
 *
 * When every part of an OR compares the same columns with constants, the rows of constants are kept
 * in a hash table, so that a list of thousands costs one probe a row. Rows of which a column is
 * NULL are compared with each part, as are all with parts whose constants are NULL or of no value
 * that the column may have: NULL or false is the question then. */
#include "sql/exec/exec_int.h"

enum { PARTS_MIN = 8 };

struct or_column {
    struct expr_state *state;
    struct vector *values; /* of the chunk */
    const struct collation *collation;
    enum phys_kind phys;
    bool is_unsigned;
};

struct or_table {
    struct or_column *columns;
    uint32_t width;
    uint32_t mask;
    uint32_t *slots;      /* index + 1 of a row of constants, 0 = free */
    struct value *values; /* rows of constants, `width` each */
    uint32_t row_count;
    struct value *row; /* room for one */
    uint32_t *always;  /* parts that are not in there */
    uint32_t always_count;
};

/* ---- which ORs ---- */

static const struct bexpr *comparison(const struct bexpr *part, uint32_t i)
{
    return part->kind == BEXPR_AND ? part->args[i] : part;
}

/* Types whose values are equal as they lie in a vector. */
static bool is_compared_as_stored(const struct sql_type *t)
{
    switch (t->id) {
    case TYPE_DECIMAL:
    case TYPE_DATE:
    case TYPE_TIME:
    case TYPE_DATETIME:
    case TYPE_TIMESTAMP: return true;
    case TYPE_YEAR:
    case TYPE_BIT:
    case TYPE_JSON:
    case TYPE_ENUM:
    case TYPE_SET:
    case TYPE_VECTOR: return false;
    default: return type_is_integer(t) || type_is_string(t);
    }
}

static bool is_plain(const struct exec_ctx *ctx, const struct bexpr *e)
{
    if (e->kind != BEXPR_FUNC || e->arg_count != 2 || strcmp(e->u.func->def->name, "op_eq") != 0 ||
        e->args[0]->kind != BEXPR_COLUMN || e->args[0]->u.column.padded ||
        exec__constant(ctx, e->args[1]) == NULL) {
        return false;
    }
    const struct sql_type *a = &e->args[0]->type;
    const struct sql_type *b = &e->args[1]->type;
    bool moment = type_phys(a) == PHYS_TIME;
    return is_compared_as_stored(a) &&
           (b->id == TYPE_NULL || (is_compared_as_stored(b) && type_phys(a) == type_phys(b) &&
                                   (!moment || a->id == b->id)));
}

static bool same_column(const struct bexpr *a, const struct bexpr *b)
{
    return a->args[0]->u.column.slot == b->args[0]->u.column.slot &&
           a->u.func->variant == b->u.func->variant && a->u.func->collation == b->u.func->collation;
}

/* Columns that each part compares; 0: they are no such parts. */
static uint32_t width_of(const struct exec_ctx *ctx, const struct bexpr *e)
{
    const struct bexpr *first = e->args[0];
    uint32_t width = first->kind == BEXPR_AND ? first->arg_count : 1;
    for (uint32_t p = 0; p < e->arg_count; p++) {
        const struct bexpr *part = e->args[p];
        if ((part->kind == BEXPR_AND ? part->arg_count : 1) != width) {
            return 0;
        }
        for (uint32_t i = 0; i < width; i++) {
            const struct bexpr *c = comparison(part, i);
            if (!is_plain(ctx, c) || !same_column(comparison(first, i), c)) {
                return 0;
            }
        }
    }
    return width;
}

/* ---- the table ---- */

static uint64_t hash_row(const struct or_table *t, const struct value *row)
{
    uint64_t hash = 0;
    for (uint32_t i = 0; i < t->width; i++) {
        hash = value_hash(&row[i], t->columns[i].collation, hash);
    }
    return hash;
}

static bool equal_rows(const struct or_table *t, const struct value *a, const struct value *b)
{
    for (uint32_t i = 0; i < t->width; i++) {
        if (value_compare_same(&a[i], &b[i], t->columns[i].collation) != 0) {
            return false;
        }
    }
    return true;
}

/* The slot that has the row, or that it may be put into. */
static uint32_t *slot_of(const struct or_table *t, const struct value *row)
{
    uint32_t at = (uint32_t)hash_row(t, row) & t->mask;
    while (t->slots[at] != 0 &&
           !equal_rows(t, t->values + (size_t)(t->slots[at] - 1) * t->width, row)) {
        at = (at + 1) & t->mask;
    }
    return &t->slots[at];
}

/* The constant as the column has its values; false: it is none of these. */
static bool as_column(const struct or_column *c, struct value *io)
{
    if (io->is_null || io->phys != c->phys) {
        return false;
    }
    if (c->phys == PHYS_INT && io->is_unsigned != c->is_unsigned) {
        io->is_unsigned = c->is_unsigned;
        return io->i >= 0;
    }
    return true;
}

static void add_part(const struct exec_ctx *ctx, const struct bexpr *part, uint32_t index,
                     struct or_table *t)
{
    for (uint32_t i = 0; i < t->width; i++) {
        t->row[i] = *exec__constant(ctx, comparison(part, i)->args[1]);
        if (!as_column(&t->columns[i], &t->row[i])) {
            t->always[t->always_count++] = index;
            return;
        }
    }
    uint32_t *slot = slot_of(t, t->row);
    if (*slot == 0) {
        memcpy(t->values + (size_t)t->row_count * t->width, t->row, t->width * sizeof(*t->row));
        *slot = ++t->row_count;
    }
}

static db_err new_table(struct exec_ctx *ctx, const struct expr_state *s, uint32_t width,
                        struct or_table **ret)
{
    struct or_table *t = ARENA_NEW(ctx->arena, struct or_table);
    uint32_t size = 8;
    while (size < s->arg_count * 2) {
        size *= 2;
    }
    if (t == NULL) {
        return ERR_LIMIT;
    }
    t->width = width;
    t->mask = size - 1;
    t->slots = ARENA_ARRAY(ctx->arena, uint32_t, size);
    t->columns = ARENA_ARRAY(ctx->arena, struct or_column, width);
    t->values = ARENA_ARRAY(ctx->arena, struct value, (size_t)s->arg_count * width);
    t->row = ARENA_ARRAY(ctx->arena, struct value, width);
    t->always = ARENA_ARRAY(ctx->arena, uint32_t, s->arg_count);
    if (t->slots == NULL || t->columns == NULL || t->values == NULL || t->row == NULL ||
        t->always == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < width; i++) {
        const struct bexpr *c = comparison(s->e->args[0], i);
        const struct sql_type *type = &c->args[0]->type;
        const struct expr_state *part = s->args[0];
        t->columns[i] = (struct or_column){
            .state = s->e->args[0]->kind == BEXPR_AND ? part->args[i]->args[0] : part->args[0],
            .collation = type_is_string(type) ? collation_by_id(c->u.func->collation) : NULL,
            .phys = type_phys(type),
            .is_unsigned = type_is_unsigned(type)};
    }
    *ret = t;
    return ERR_OK;
}

db_err exec__or_table(struct exec_ctx *ctx, struct expr_state *s)
{
    s->or_looked = true;
    uint32_t width = s->arg_count < PARTS_MIN ? 0 : width_of(ctx, s->e);
    if (width == 0) {
        return ERR_OK;
    }
    struct or_table *t;
    TRY(new_table(ctx, s, width, &t));
    for (uint32_t p = 0; p < s->arg_count; p++) {
        add_part(ctx, s->e->args[p], p, t);
    }
    s->or_table = t->row_count > s->arg_count / 2 ? t : NULL;
    return ERR_OK;
}

/* ---- rows ---- */

/* Is the row in the table? *ret_null: a column of it is NULL. */
static bool holds(const struct or_table *t, uint32_t row, bool *ret_null)
{
    *ret_null = false;
    for (uint32_t i = 0; i < t->width; i++) {
        if (vec_is_null(t->columns[i].values, row)) {
            *ret_null = true;
            return false;
        }
        vector_get(t->columns[i].values, row, &t->row[i]);
    }
    return *slot_of(t, t->row) != 0;
}

db_err exec__eval_or_table(struct exec_ctx *ctx, struct expr_state *s, const struct eval_rows *rows,
                           struct vector *out)
{
    struct or_table *t = s->or_table;
    uint16_t *nulls = exec__scratch(ctx, s);
    uint16_t *others = arena_alloc(ctx->eval.arena, CHUNK_ROWS * sizeof(*others));
    if (nulls == NULL || others == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < t->width; i++) {
        TRY(exec__eval(ctx, t->columns[i].state, rows, &t->columns[i].values));
    }
    struct eval_rows with_null = {.in = rows->in, .sel = nulls};
    struct eval_rows open = {.in = rows->in, .sel = others};
    for (uint32_t i = 0; i < rows->n; i++) {
        uint16_t row = (uint16_t)eval_row(rows, i);
        bool null;
        if (holds(t, row, &null)) {
            vec_set_i64(out, row, 1);
        } else if (null) {
            nulls[with_null.n++] = row;
        } else {
            others[open.n++] = row;
        }
    }
    for (uint32_t a = 0; a < s->arg_count && with_null.n != 0; a++) {
        TRY(exec__decide(ctx, s, a, nulls, &with_null, out));
    }
    for (uint32_t i = 0; i < t->always_count && open.n != 0; i++) {
        TRY(exec__decide(ctx, s, t->always[i], others, &open, out));
    }
    return ERR_OK;
}
