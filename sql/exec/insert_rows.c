/* Rows are completed first (stored forms, defaults, NULLs), then the AUTO_INCREMENT numbers they
 * need are taken in one go. Errors and warnings name the row's number within the statement. */
#include "sql/exec/insert_rows.h"

#include "sql/diag/my_error.h"

db_err insert_rows_init(struct insert_rows *s, struct exec_ctx *ctx, const struct plan_node *node)
{
    *s = (struct insert_rows){.node = node, .table = node->u.insert.target->table};
    bool *given = ARENA_ARRAY(ctx->arena, bool, s->table->column_count);
    s->told = ARENA_ARRAY(ctx->arena, bool, s->table->column_count);
    if (given == NULL || s->told == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < node->u.insert.column_count; i++) {
        given[node->u.insert.columns[i]] = true;
    }
    s->given = given;
    const struct plan_document *documents = node->u.insert.documents;
    if (documents != NULL || node->children[0]->kind == PLAN_VALUES) {
        s->documents = ARENA_ARRAY(ctx->arena, bool, s->table->column_count);
        if (s->documents == NULL) {
            return ERR_LIMIT;
        }
    }
    for (uint32_t i = 0; documents != NULL && i < node->u.insert.column_count; i++) {
        s->documents[node->u.insert.columns[i]] = documents[i].computed;
    }
    const struct table_rules *rules = node->u.insert.target->rules;
    if (rules != NULL && rules->default_count != 0) {
        s->pending = ARENA_ARRAY(ctx->arena, bool, s->table->column_count);
        if (s->pending == NULL) {
            return ERR_LIMIT;
        }
    }
    return row_rules_init(&s->rules, ctx, s->table, rules);
}

static struct slice column_name(const struct insert_rows *s, uint32_t i)
{
    return s->table->columns[i].name;
}

/* MYSQL: that a column has no default is told of when generated columns have been computed. */
static bool waits_for_generated(const struct insert_rows *s, const struct exec_ctx *ctx,
                                const struct column_def *c)
{
    const struct table_rules *rules = s->rules.rules;
    return rules != NULL && rules->generated_count != 0 && c->type.id != TYPE_ENUM &&
           ctx->eval.cast->strict && !ctx->ignore;
}

/* `named`: by DEFAULT in the row. MYSQL: a column that the statement leaves out is told of once. */
static db_err default_value(struct insert_rows *s, struct exec_ctx *ctx, uint32_t ordinal,
                            bool named, struct value *row)
{
    const struct column_def *c = &s->table->columns[ordinal];
    const struct bexpr *e = s->node->u.insert.defaults[ordinal];
    struct value v;
    if (e == NULL && !named && waits_for_generated(s, ctx, c)) {
        s->lacks_default = s->lacks_default == NULL ? c : s->lacks_default;
        if ((c->type.flags & TYPE_F_NOT_NULL) == 0) {
            value_set_null(&row[ordinal], &c->type);
        } else {
            exec__null_default(c, &row[ordinal]);
        }
        return ERR_OK;
    }
    if (e == NULL) {
        return exec__missing_default(ctx, c, named || s->number == 1, NULL, &row[ordinal]);
    }
    if (s->pending != NULL && bexpr_reads_columns(e)) {
        s->pending[ordinal] = true;
        value_set_null(&row[ordinal], &c->type);
        return ERR_OK;
    }
    TRY(expr_eval_scalar(ctx, e, &v));
    return row_assign(ctx, s->table, ordinal, &e->type, &v, s->number, row);
}

db_err insert_rows_null(struct insert_rows *s, struct exec_ctx *ctx, uint32_t i, bool many,
                        bool document, struct value *row)
{
    const struct column_def *c = &s->table->columns[i];
    char *name = arena_strdup(ctx->arena, column_name(s, i));
    document = document && many && c->type.id == TYPE_JSON;
    if (!ctx->ignore && (ctx->eval.cast->strict || !many)) {
        return document ? my_error(ctx->diag, WARN_DATA_TRUNCATED, name, (long)s->number)
                        : my_error(ctx->diag, ER_BAD_NULL_ERROR, name);
    }
    if (document) {
        cast_warn(ctx->eval.cast, CAST_WARNING, WARN_DATA_TRUNCATED, name, (long)s->number);
    } else if (!s->told[i]) { /* MYSQL: once for each column */
        cast_warn(ctx->eval.cast, CAST_WARNING, ER_BAD_NULL_ERROR, name);
        s->told[i] = true;
    }
    exec__null_default(c, &row[i]);
    return ERR_OK;
}

static db_err check_null(struct insert_rows *s, struct exec_ctx *ctx, uint32_t i, struct value *row,
                         bool many)
{
    const struct column_def *c = &s->table->columns[i];
    if (!row[i].is_null || (c->type.flags & TYPE_F_NOT_NULL) == 0 || c->auto_increment ||
        c->hidden) {
        return ERR_OK;
    }
    bool document = s->documents != NULL && s->documents[i];
    return insert_rows_null(s, ctx, i, many, document, row);
}

/* MYSQL: where NULL is an error, it is one before those of the columns behind it. */
db_err insert_rows_assign(struct insert_rows *s, struct exec_ctx *ctx, uint32_t position,
                          const struct sql_type *type, const struct value *v, struct value *row)
{
    uint32_t i = s->node->u.insert.columns[position];
    TRY(row_assign(ctx, s->table, i, type, v, s->number, row));
    bool document = s->documents != NULL && s->documents[i]; /* of one row it is told otherwise */
    bool refused = ctx->eval.cast->strict && !ctx->ignore && !document;
    return refused && s->table->columns[i].generated == GENERATED_NO
               ? check_null(s, ctx, i, row, true)
               : ERR_OK;
}

static bool is_pending(const struct insert_rows *s, uint32_t i)
{
    return s->pending != NULL && s->pending[i];
}

static db_err apply_defaults(struct insert_rows *s, struct exec_ctx *ctx, struct value *row)
{
    struct arena *arena = ctx->arena;
    ctx->arena = s->kept != NULL ? s->kept : arena;
    db_err err = row_rules_default(&s->rules, ctx, s->pending, s->number, row);
    ctx->arena = arena;
    return err;
}

static db_err apply_rules(struct insert_rows *s, struct exec_ctx *ctx, struct value *row)
{
    struct arena *arena = ctx->arena;
    bool pass = true;
    ctx->arena = s->kept != NULL ? s->kept : arena;
    db_err err = s->lacks_default != NULL ? row_rules_generate(&s->rules, ctx, s->number, row)
                                          : row_rules_apply(&s->rules, ctx, s->number, row, &pass);
    ctx->arena = arena;
    s->skip = !pass;
    return err == ERR_OK && s->lacks_default != NULL
               ? exec__missing_default(ctx, s->lacks_default, false, NULL, row)
               : err;
}

db_err insert_rows_complete(struct insert_rows *s, struct exec_ctx *ctx, struct value *row,
                            bool many)
{
    for (uint32_t i = 0; i < s->table->column_count; i++) {
        if (s->table->columns[i].hidden || s->table->columns[i].generated != GENERATED_NO) {
            value_set_null(&row[i], &s->table->columns[i].type);
        } else if (!s->given[i]) {
            TRY(default_value(s, ctx, i, false, row));
        }
        if (s->table->columns[i].generated == GENERATED_NO && !is_pending(s, i)) {
            TRY(check_null(s, ctx, i, row, many));
        }
    }
    if (s->pending != NULL) {
        TRY(apply_defaults(s, ctx, row));
        for (uint32_t i = 0; i < s->table->column_count; i++) {
            if (is_pending(s, i)) {
                TRY(check_null(s, ctx, i, row, many));
            }
        }
    }
    return s->rules.rules == NULL ? ERR_OK : apply_rules(s, ctx, row);
}

/* MYSQL: DEFAULT in a value list sees the columns that stand after it as their own defaults. */
static void constant_defaults(const struct insert_rows *s, struct value *row)
{
    for (uint32_t i = 0; i < s->table->column_count; i++) {
        const struct column_def *c = &s->table->columns[i];
        if (c->default_kind == DEFAULT_CONST) {
            row[i] = c->default_value;
        } else {
            value_set_null(&row[i], &c->type);
        }
    }
}

db_err insert_rows_literal(struct insert_rows *s, struct exec_ctx *ctx, struct bexpr *const *exprs,
                           struct value *row, bool many)
{
    insert_rows_begin(s);
    if (s->pending != NULL) {
        constant_defaults(s, row);
    }
    for (uint32_t i = 0; i < s->node->u.insert.column_count; i++) {
        struct value v;
        if (exprs[i]->kind == BEXPR_DEFAULT) { /* computed from the row, or there is none */
            uint32_t ordinal = s->node->u.insert.columns[i];
            const struct column_def *c = &s->table->columns[ordinal];
            if (c->default_kind == DEFAULT_NONE && c->generated == GENERATED_NO) {
                TRY(default_value(s, ctx, ordinal, !exprs[i]->u.left_out, row));
                continue;
            }
            value_set_null(&row[ordinal], &s->table->columns[ordinal].type);
            if (s->pending != NULL) {
                TRY(row_rules_default_of(&s->rules, ctx, ordinal, s->number, row));
            }
            continue;
        }
        TRY(expr_eval_scalar(ctx, exprs[i], &v));
        s->documents[s->node->u.insert.columns[i]] = bexpr_makes_document(exprs[i]);
        ctx->eval.cast->json_source = exprs[i]->json_source;
        db_err err = insert_rows_assign(s, ctx, i, &exprs[i]->type, &v, row);
        ctx->eval.cast->json_source = NULL;
        TRY(err);
    }
    return insert_rows_complete(s, ctx, row, many);
}

/* ---- numbers ---- */

static bool wants_number(const struct exec_ctx *ctx, const struct value *v)
{
    bool zero =
        !v->is_null && (v->phys == PHYS_INT ? v->i == 0 : v->phys == PHYS_DOUBLE && v->d == 0);
    return v->is_null || (zero && (ctx->sql_mode & SQL_MODE_NO_AUTO_VALUE_ON_ZERO) == 0);
}

/* MYSQL: the first number of a statement is cut to the type's greatest, which is a duplicate then;
 * for those behind it there is none. */
static db_err set_number(struct insert_rows *s, struct exec_ctx *ctx, uint32_t column,
                         uint64_t number, struct value *row)
{
    struct sql_type t = type_int(TYPE_BIGINT, true);
    const struct sql_type *ct = &s->table->columns[column].type;
    if (type_is_integer(ct)) {
        int64_t min;
        uint64_t max;
        type_int_range(ct, &min, &max);
        if (number == UINT64_MAX || (number > max && s->numbered)) {
            return my_error(ctx->diag, ER_AUTOINC_READ_FAILED);
        }
        number = number > max ? max : number;
    }
    struct value v = value_uint(number);
    return row_assign(ctx, s->table, column, &t, &v, s->number, row);
}

static uint64_t explicit_number(const struct value *v)
{
    return v->phys == PHYS_INT && (v->is_unsigned || v->i > 0) ? v->u : 0;
}

/* Rows from `at` on that want a number. */
static uint32_t numbers_wanted(const struct exec_ctx *ctx, const struct value *rows, uint32_t width,
                               uint32_t at, uint32_t n)
{
    uint32_t need = 0;
    for (uint32_t i = at; i < n; i++) {
        need += wants_number(ctx, &rows[(size_t)i * width]) ? 1 : 0;
    }
    return need;
}

static db_err next_numbers(struct exec_ctx *ctx, struct slice name, uint64_t floor, uint32_t count,
                           uint64_t *ret_next)
{
    uint64_t step = ctx->auto_inc_step == 0 ? 1 : ctx->auto_inc_step;
    uint64_t offset = ctx->auto_inc_offset == 0 ? 1 : ctx->auto_inc_offset;
    db_err err =
        storage_sequence_next(ctx->storage, name, floor, count, step, offset, ctx->diag, ret_next);
    if (err != ERR_LIMIT) {
        return err;
    }
    diag_reset(ctx->diag);
    return my_error(ctx->diag, ER_AUTOINC_READ_FAILED);
}

static db_err make_room(struct insert_rows *s, struct exec_ctx *ctx, uint32_t n)
{
    if (s->made_room < n) {
        s->made = ARENA_ARRAY(s->kept != NULL ? s->kept : ctx->arena, uint64_t, n);
        if (s->made == NULL) {
            return ERR_LIMIT;
        }
        s->made_room = n;
    }
    memset(s->made, 0, n * sizeof(*s->made));
    return ERR_OK;
}

/* MYSQL: numbers given in the rows count from there on: a row without one gets more than each row
 * before it has. In a column that takes NULLs, NULL uses up a number, but stays. The numbers of all
 * rows are taken at once; those that an explicit one has passed are lost. */
static db_err auto_increment(struct insert_rows *s, struct exec_ctx *ctx, struct value *rows,
                             uint32_t n)
{
    uint32_t width = s->table->column_count;
    uint32_t col = (uint32_t)s->table->auto_increment;
    uint64_t step = ctx->auto_inc_step == 0 ? 1 : ctx->auto_inc_step;
    uint64_t start = s->table->auto_increment_start;
    uint64_t next = 0;
    uint64_t highest = 0; /* explicit, not yet told to the sequence */
    uint64_t told = 0;
    uint64_t shown = 0; /* the last explicit one, negative ones as well */
    uint32_t left = 0;  /* numbers from `next` on that are ours */
    bool takes_null = (s->table->columns[col].type.flags & TYPE_F_NOT_NULL) == 0;
    uint8_t key[16];
    struct slice name = sequence_key(s->table, false, key);
    TRY(make_room(s, ctx, n));
    for (uint32_t i = 0; i < n; i++) {
        struct value *v = &rows[(size_t)i * width + col];
        if (!wants_number(ctx, v)) {
            uint64_t given = explicit_number(v);
            highest = given > highest && given > told ? given : highest;
            told = given > told ? given : told;
            shown = v->phys == PHYS_INT ? v->u : given;
            left = left != 0 && given >= next ? 0 : left;
            continue;
        }
        if (ctx->forced_insert_id != 0) {
            next = ctx->forced_insert_id;
            highest = next;
            left = 1;
            ctx->forced_insert_id = 0;
        }
        if (left == 0) {
            if (highest != 0) {
                TRY(storage_sequence_raise(ctx->storage, name, highest, ctx->diag));
                highest = 0;
            }
            /* MYSQL: at first as many as there are rows, even when some have numbers or are wrong.
             */
            left = next != 0         ? numbers_wanted(ctx, rows + col, width, i, n)
                   : s->expected > n ? s->expected
                                     : n;
            TRY(next_numbers(ctx, name, start == 0 ? 0 : start - 1, left, &next));
            if (step >
                1) { /* MYSQL: what comes next is a step further, whatever the step then is */
                TRY(storage_sequence_raise(ctx->storage, name, next + left * step - 1, ctx->diag));
            }
        }
        s->made[i] = next;
        if (!v->is_null || !takes_null) {
            TRY(set_number(s, ctx, col, next, &rows[(size_t)i * width]));
            s->made[i] = v->phys == PHYS_INT ? v->u : next;
        }
        s->numbered = true;
        next += step;
        left--;
    }
    if (shown != 0) {
        ctx->last_insert_id = told != 0 ? told : shown;
    }
    return highest == 0 ? ERR_OK : storage_sequence_raise(ctx->storage, name, highest, ctx->diag);
}

db_err insert_rows_number_set(struct exec_ctx *ctx, const struct table_def *t,
                              const struct value *old, const struct value *row)
{
    uint8_t key[16];
    if (t->auto_increment < 0) {
        return ERR_OK;
    }
    uint64_t given = explicit_number(&row[t->auto_increment]);
    return given == 0 || given == explicit_number(&old[t->auto_increment])
               ? ERR_OK
               : storage_sequence_raise(ctx->storage, sequence_key(t, false, key), given,
                                        ctx->diag);
}

static db_err row_ids(struct insert_rows *s, struct exec_ctx *ctx, struct value *rows, uint32_t n)
{
    uint32_t width = s->table->column_count;
    uint32_t col = s->table->indexes[0].parts[0].column;
    uint8_t key[16];
    uint64_t next;
    TRY(storage_sequence_next(ctx->storage, sequence_key(s->table, true, key), 0, n, 1, 1,
                              ctx->diag, &next));
    for (uint32_t i = 0; i < n; i++) {
        TRY(set_number(s, ctx, col, next++, &rows[i * width]));
    }
    return ERR_OK;
}

db_err insert_rows_number(struct insert_rows *s, struct exec_ctx *ctx, struct value *rows,
                          uint32_t n)
{
    if (s->table->auto_increment >= 0) {
        TRY(auto_increment(s, ctx, rows, n));
    }
    return s->table->has_primary ? ERR_OK : row_ids(s, ctx, rows, n);
}
