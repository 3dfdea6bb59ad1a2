#include "sql/exec/row_rules.h"

#include <stdio.h>

#include "sql/diag/my_error.h"
#include "sql/exec/multi_value.h"
#include "sql/exec/row_writer.h"
#include "sql/types/json.h"

static db_err prepare_columns(struct exec_ctx *ctx, const struct rule_column *list, uint32_t n,
                              struct expr_state ***ret)
{
    struct expr_state **states = ARENA_ARRAY(ctx->arena, struct expr_state *, n + 1);
    if (states == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < n; i++) {
        TRY(expr_prepare(ctx, list[i].expr, &states[i]));
    }
    *ret = states;
    return ERR_OK;
}

db_err row_rules_init(struct row_rules *r, struct exec_ctx *ctx, const struct table_def *table,
                      const struct table_rules *rules)
{
    *r = (struct row_rules){.table = table, .rules = rules};
    if (rules == NULL) {
        return ERR_OK;
    }
    const struct sql_type **types =
        arena_alloc(ctx->arena, (table->column_count + 1) * sizeof(*types));
    r->checks = ARENA_ARRAY(ctx->arena, struct expr_state *, rules->check_count + 1);
    r->reports = ARENA_ARRAY(ctx->arena, struct expr_state *, rules->check_count + 1);
    if (types == NULL || r->checks == NULL || r->reports == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < table->column_count; i++) {
        types[i] = &table->columns[i].type;
    }
    TRY(chunk_init_rows(&r->row, types, table->column_count, 1, ctx->arena));
    r->row.count = 1;
    TRY(prepare_columns(ctx, rules->defaults, rules->default_count, &r->defaults));
    TRY(prepare_columns(ctx, rules->generated, rules->generated_count, &r->generated));
    for (uint32_t i = 0; i < rules->check_count; i++) {
        const struct rule_check *c = &rules->checks[i];
        TRY(expr_prepare(ctx, c->expr, &r->checks[i]));
        TRY(c->report != NULL ? expr_prepare(ctx, c->report, &r->reports[i]) : ERR_OK);
    }
    return ERR_OK;
}

/* Text is not copied: the row outlives its evaluation. */
static db_err show_value(struct row_rules *r, uint32_t i, const struct value *v)
{
    struct vector *to = &r->row.columns[i];
    vector_reset(to);
    if (v->is_null) {
        vec_set_null(to, 0);
        return ERR_OK;
    }
    if (v->phys == PHYS_STR) {
        vec_set_str_ref(to, 0, v->str);
        return ERR_OK;
    }
    return vector_set(to, 0, v);
}

static db_err show_row(struct row_rules *r, const struct value *row)
{
    for (uint32_t i = 0; i < r->table->column_count; i++) {
        if (r->rules->reads[i]) {
            TRY(show_value(r, i, &row[i]));
        }
    }
    return ERR_OK;
}

static db_err store(struct row_rules *r, struct exec_ctx *ctx, const struct rule_column *rule,
                    const struct value *v, uint64_t number, struct value *row)
{
    struct value *to = &row[rule->column];
    struct arena *statement = ctx->arena;
    ctx->arena = r->values != NULL ? r->values : statement;
    ctx->eval.cast->json_source = rule->expr->json_source;
    db_err err = row_assign(ctx, r->table, rule->column, &rule->expr->type, v, number, row);
    ctx->eval.cast->json_source = NULL;
    err = err != ERR_OK ? err : value_copy(to, ctx->arena, to);
    ctx->arena = statement;
    return err;
}

static db_err compute_value(struct row_rules *r, struct exec_ctx *ctx,
                            const struct rule_column *rule, struct expr_state *state,
                            uint64_t number, struct value *row)
{
    struct vector *v;
    struct value x;
    TRY(expr_eval(ctx, state, &r->row, &v));
    vector_get(v, 0, &x);
    TRY(store(r, ctx, rule, &x, number, row));
    if (r->table->columns[rule->column].element != NULL) {
        TRY(multi_check(ctx, r->table, rule->column, &row[rule->column], number));
    }
    return r->rules->reads[rule->column] ? show_value(r, rule->column, &row[rule->column]) : ERR_OK;
}

/* MYSQL: a value that is cut, or out of range, is told of as one of the key. 0: as what it is. */
static enum my_errno problem_of_key(uint16_t number)
{
    switch (number) {
    case WARN_DATA_TRUNCATED:
    case ER_TRUNCATED_WRONG_VALUE: return ER_WARN_DATA_TRUNCATED_FUNCTIONAL_INDEX;
    case ER_WARN_DATA_OUT_OF_RANGE: return ER_WARN_DATA_OUT_OF_RANGE_FUNCTIONAL_INDEX;
    default: return (enum my_errno)0;
    }
}

static void warn_of_key(void *arg, enum cast_level level, uint16_t number, const char *text)
{
    const struct key_part *k = arg;
    enum my_errno problem = problem_of_key(number);
    struct diag d;
    if (problem != 0) {
        diag_reset(&d);
        (void)my_error(&d, problem, k->key, (long)k->number);
    }
    k->warn(k->warn_arg, level, problem == 0 ? number : (uint16_t)problem,
            problem == 0 ? text : d.text);
}

static const char *key_of(const struct table_def *t, struct exec_ctx *ctx, uint32_t ordinal)
{
    for (uint32_t i = 0; i < t->index_count; i++) {
        const struct index_def *ix = &t->indexes[i];
        for (uint32_t p = 0; p < ix->part_count; p++) {
            if (ix->parts[p].column == ordinal) {
                return arena_strdup(ctx->arena, ix->name);
            }
        }
    }
    return "";
}

void key_part_begin(struct key_part *k, struct exec_ctx *ctx, const struct table_def *t,
                    uint32_t ordinal, uint64_t number)
{
    const struct column_def *c = &t->columns[ordinal];
    struct cast_ctx *cast = ctx->eval.cast;
    *k = (struct key_part){.number = number, .warn = cast->warn, .warn_arg = cast->warn_arg};
    if (!c->hidden || c->generated == GENERATED_NO) {
        return;
    }
    k->key = key_of(t, ctx, ordinal);
    if (k->warn != NULL) {
        cast->warn = warn_of_key;
        cast->warn_arg = k;
    }
}

db_err key_part_end(const struct key_part *k, struct exec_ctx *ctx, db_err err)
{
    ctx->eval.cast->warn = k->warn;
    ctx->eval.cast->warn_arg = k->warn_arg;
    enum my_errno problem = k->key != NULL && err == ERR_SQL && ctx->diag != NULL
                                ? problem_of_key(ctx->diag->number)
                                : (enum my_errno)0;
    if (problem != 0 && k->time_read) {
        problem = ER_WARN_DATA_TRUNCATED_FUNCTIONAL_INDEX;
    }
    return problem == 0 ? err : my_error(ctx->diag, problem, k->key, (long)k->number);
}

static db_err compute(struct row_rules *r, struct exec_ctx *ctx, const struct rule_column *rule,
                      struct expr_state *state, uint64_t number, struct value *row)
{
    struct key_part k;
    key_part_begin(&k, ctx, r->table, rule->column, number);
    return key_part_end(&k, ctx, compute_value(r, ctx, rule, state, number, row));
}

db_err row_rules_default(struct row_rules *r, struct exec_ctx *ctx, const bool *pending,
                         uint64_t number, struct value *row)
{
    if (r->rules == NULL || r->rules->default_count == 0) {
        return ERR_OK;
    }
    TRY(show_row(r, row));
    for (uint32_t i = 0; i < r->rules->default_count; i++) {
        const struct rule_column *d = &r->rules->defaults[i];
        if (pending == NULL || pending[d->column]) {
            TRY(compute(r, ctx, d, r->defaults[i], number, row));
        }
    }
    return ERR_OK;
}

db_err row_rules_default_of(struct row_rules *r, struct exec_ctx *ctx, uint32_t ordinal,
                            uint64_t number, struct value *row)
{
    TRY(show_row(r, row));
    for (uint32_t i = 0; i < r->rules->default_count; i++) {
        const struct rule_column *d = &r->rules->defaults[i];
        if (d->column == ordinal) {
            return compute(r, ctx, d, r->defaults[i], number, row);
        }
    }
    return ERR_OK;
}

static db_err generate(struct row_rules *r, struct exec_ctx *ctx, uint32_t i, uint64_t number,
                       struct value *row)
{
    const struct rule_column *g = &r->rules->generated[i];
    const struct column_def *c = &r->table->columns[g->column];
    TRY(compute(r, ctx, g, r->generated[i], number, row));
    if (!row[g->column].is_null || (c->type.flags & TYPE_F_NOT_NULL) == 0) {
        return ERR_OK;
    }
    char *name = arena_strdup(ctx->arena, c->name);
    if (!ctx->ignore) {
        return my_error(ctx->diag, ER_BAD_NULL_ERROR, name);
    }
    cast_warn(ctx->eval.cast, CAST_WARNING, ER_BAD_NULL_ERROR, name);
    exec__null_default(c, &row[g->column]);
    return r->rules->reads[g->column] ? show_value(r, g->column, &row[g->column]) : ERR_OK;
}

/* ---- rows that are read ---- */

/* MYSQL: whatever a statement that writes rows reads is computed as strictly as what it writes;
 * of DELETE, and where nothing is strict, what does not fit is cut without a word. */
static bool reads_strictly(const struct exec_ctx *ctx)
{
    return ctx->eval.cast->strict && !ctx->ignore && ctx->plan != NULL &&
           ctx->plan->root->kind != PLAN_DELETE;
}

static void say_nothing(void *arg, enum cast_level level, uint16_t number, const char *text)
{
    (void)arg;
    (void)level;
    (void)number;
    (void)text;
}

struct refusal {
    struct diag *diag;
    bool heard;
};

static void refuse(void *arg, enum cast_level level, uint16_t number, const char *text)
{
    struct refusal *r = arg;
    if (level == CAST_WARNING && !r->heard) {
        (void)diag_set_sql(r->diag, number, my_error_sqlstate((enum my_errno)number), "%s", text);
        r->heard = true;
    }
}

/* What is an error is what would be warned of. */
static db_err store_strictly(struct exec_ctx *ctx, const struct column_def *c,
                             const struct bexpr *e, const struct value *v, struct arena *arena,
                             struct value *ret)
{
    char name[4 * 64 + 1];
    struct cast_ctx cast = *ctx->eval.cast;
    struct store_target target = {.column = name, .table = "", .row = 1};
    struct refusal refusal = {.diag = ctx->diag};
    snprintf(name, sizeof(name), "%.*s", SLICE_FMT(c->name));
    cast.arena = arena;
    cast.strict = false;
    cast.warn = refuse;
    cast.warn_arg = &refusal;
    cast.json_source = e->json_source;
    TRY(type_store(&cast, &c->type, &target, &e->type, v, ret));
    return refusal.heard ? ERR_SQL : ERR_OK;
}

db_err row_virtual_value(struct exec_ctx *ctx, const struct table_def *t, uint32_t ordinal,
                         const struct bexpr *e, const struct value *v, struct arena *arena,
                         struct value *ret)
{
    const struct column_def *c = &t->columns[ordinal];
    struct store_target target = {.column = "", .table = "", .row = 1};
    struct cast_ctx cast = *ctx->eval.cast;
    struct diag ignored;
    if (v->is_null) {
        value_set_null(ret, &c->type);
        return (c->type.flags & TYPE_F_NOT_NULL) == 0 ? ERR_OK
                                                      : exec__implicit_default(ctx, c, ret);
    }
    if (reads_strictly(ctx)) {
        return store_strictly(ctx, c, e, v, arena, ret);
    }
    diag_reset(&ignored);
    cast.arena = arena;
    cast.strict = false;
    cast.warn = NULL;
    cast.diag = &ignored;
    cast.json_source = e->json_source;
    db_err err = type_store(&cast, &c->type, &target, &e->type, v, ret);
    if (err == ERR_SQL) { /* not even a value cut to size (JSON) */
        value_set_null(ret, &c->type);
        return ERR_OK;
    }
    return err;
}

static db_err read_virtual(struct row_rules *r, struct exec_ctx *ctx, uint32_t i,
                           struct arena *arena, struct value *to)
{
    const struct rule_column *g = &r->rules->generated[i];
    struct vector *v;
    struct value x;
    TRY(expr_eval(ctx, r->generated[i], &r->row, &v));
    vector_get(v, 0, &x);
    TRY(row_virtual_value(ctx, r->table, g->column, g->expr, &x, arena, to));
    TRY(value_copy(to, arena, to));
    return r->rules->reads[g->column] ? show_value(r, g->column, to) : ERR_OK;
}

db_err row_rules_read(struct row_rules *r, struct exec_ctx *ctx, bool strict, struct value *row)
{
    struct arena *arena = r->values != NULL ? r->values : ctx->arena;
    struct cast_ctx *cast = ctx->eval.cast;
    void (*warn)(void *, enum cast_level, uint16_t, const char *) = cast->warn;
    bool statement = cast->strict;
    db_err err = show_row(r, row);
    cast->strict = strict && cast->strict && !ctx->ignore;
    cast->warn = cast->strict ? say_nothing : NULL;
    for (uint32_t i = 0; i < r->rules->generated_count && err == ERR_OK; i++) {
        uint32_t column = r->rules->generated[i].column;
        struct key_part k;
        key_part_begin(&k, ctx, r->table, column, 1);
        k.time_read = type_is_temporal(&r->table->columns[column].type);
        err = key_part_end(&k, ctx, read_virtual(r, ctx, i, arena, &row[column]));
    }
    cast->warn = warn;
    cast->strict = statement;
    return err;
}

void whole_row_init(struct whole_row *w, struct mem_tracker *mem, const struct table_def *table,
                    const struct table_rules *virtuals)
{
    *w = (struct whole_row){.table = table, .virtuals = virtuals};
    arena_init(&w->state, NULL, mem, 0);
}

void whole_row_fini(struct whole_row *w)
{
    arena_fini(&w->state);
}

static db_err whole_row_open(struct whole_row *w, struct exec_ctx *ctx)
{
    uint32_t n = w->table->column_count;
    uint32_t *all = ARENA_ARRAY(w->arena, uint32_t, n);
    if (all == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < n; i++) {
        all[i] = i;
    }
    TRY(row_rules_init(&w->rules, ctx, w->table, w->virtuals));
    return row_reader_new(w->arena, w->table->format->layout, all, n, &w->reader);
}

/* State that is made on the way goes where the reader's goes. */
db_err whole_row_read(struct whole_row *w, struct exec_ctx *ctx, struct slice stored,
                      struct arena *arena, struct value *ret_row)
{
    struct arena *statement = ctx->arena;
    db_err err = ERR_OK;
    w->arena = w->arena == NULL ? &w->state : w->arena;
    ctx->arena = w->arena;
    if (w->reader == NULL) {
        err = whole_row_open(w, ctx);
    }
    err = err != ERR_OK ? err : row_read_values(w->reader, stored, ret_row);
    if (err == ERR_OK && w->virtuals != NULL) {
        w->rules.values = arena;
        err = row_rules_read(&w->rules, ctx, w->strict, ret_row);
    }
    ctx->arena = statement;
    return err;
}

/* ---- checks ---- */

static db_err violated(struct exec_ctx *ctx, const struct rule_check *rule, bool *ret_pass)
{
    struct diag d = {0};
    bool warns = ctx->ignore;
    struct diag *diag = warns ? &d : ctx->diag;
    const char *name = arena_strdup(ctx->arena, rule->name);
    db_err err = rule->of_view ? my_error(diag, ER_VIEW_CHECK_FAILED,
                                          arena_strdup(ctx->arena, rule->schema), name)
                               : my_error(diag, ER_CHECK_CONSTRAINT_VIOLATED, name);
    if (!warns) {
        return err;
    }
    exec__warn_text(ctx, CAST_WARNING, d.number, d.text);
    *ret_pass = false;
    return ERR_OK;
}

/* MYSQL: only FALSE violates; the checks run in the order of their names. */
db_err row_rules_judge(struct exec_ctx *ctx, const struct rule_check *rule, const struct vector *v,
                       bool *ret_pass)
{
    bool holds = false;
    if (vec_is_null(v, 0) && !rule->of_view) {
        return ERR_OK;
    }
    if (!vec_is_null(v, 0)) {
        TRY(exec__truth(ctx, v, 0, &holds));
    }
    return holds ? ERR_OK : violated(ctx, rule, ret_pass);
}

/* What is not valid in a document is told of before that the check is violated. */
static db_err report(struct row_rules *r, struct exec_ctx *ctx, uint32_t i)
{
    struct vector *v;
    struct json_view at, keyword, schema_at;
    struct diag d = {0};
    TRY(expr_eval(ctx, r->reports[i], &r->row, &v));
    if (vec_is_null(v, 0)) {
        return ERR_OK;
    }
    struct json_view doc = json_view_of(vec_str(v, 0));
    if (json_member(&doc, SLICE_LIT("document-location"), &at) &&
        json_member(&doc, SLICE_LIT("schema-failed-keyword"), &keyword) &&
        json_member(&doc, SLICE_LIT("schema-location"), &schema_at)) {
        (void)my_error(&d, ER_JSON_SCHEMA_VALIDATION_ERROR_WITH_DETAILED_REPORT,
                       arena_strdup(ctx->arena, json_str(&at)),
                       arena_strdup(ctx->arena, json_str(&keyword)),
                       arena_strdup(ctx->arena, json_str(&schema_at)));
        exec__warn_text(ctx, CAST_ERROR, d.number, d.text);
    }
    return ERR_OK;
}

/* MYSQL: what cannot be computed violates, too: its error is among the warnings. */
static db_err check(struct row_rules *r, struct exec_ctx *ctx, uint32_t i, bool *ret_pass)
{
    const struct rule_check *rule = &r->rules->checks[i];
    struct vector *v;
    ctx->eval.cast->refusal = NULL;
    db_err err = expr_eval(ctx, r->checks[i], &r->row, &v);
    if (err != ERR_SQL || rule->of_view) {
        bool holds = true;
        TRY(err);
        if (r->reports[i] != NULL && !vec_is_null(v, 0)) {
            TRY(exec__truth(ctx, v, 0, &holds));
            TRY(holds ? ERR_OK : report(r, ctx, i));
        }
        return row_rules_judge(ctx, rule, v, ret_pass);
    }
    ctx->eval.cast->refused = false;
    if (ctx->eval.cast->refusal == NULL) { /* else it has been told of */
        exec__warn_text(ctx, CAST_ERROR, ctx->diag->number, ctx->diag->text);
    }
    diag_reset(ctx->diag);
    return violated(ctx, rule, ret_pass);
}

db_err row_rules_generate(struct row_rules *r, struct exec_ctx *ctx, uint64_t number,
                          struct value *row)
{
    TRY(show_row(r, row));
    for (uint32_t i = 0; i < r->rules->generated_count; i++) {
        TRY(generate(r, ctx, i, number, row));
    }
    return ERR_OK;
}

db_err row_rules_apply(struct row_rules *r, struct exec_ctx *ctx, uint64_t number,
                       struct value *row, bool *ret_pass)
{
    bool pass = true;
    if (r->rules != NULL) {
        TRY(row_rules_generate(r, ctx, number, row));
        for (uint32_t i = 0; i < r->rules->check_count && pass; i++) {
            TRY(check(r, ctx, i, &pass));
        }
    }
    *ret_pass = pass;
    return ERR_OK;
}
