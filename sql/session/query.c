/* SELECT, INSERT, REPLACE, UPDATE, DELETE: bind, optimise, lock the tables' definitions, run,
 * answer. */
#include "base/assert.h"
#include "base/clock.h"
#include "base/scope.h"
#include "sql/bind/hints.h"
#include "sql/charset/charset.h"
#include "sql/exec/load_reader.h"
#include "sql/session/bulk_change.h"
#include "sql/session/into_file.h"
#include "sql/session/session_int.h"

static void warn(void *arg, enum cast_level level, uint16_t number, const char *text)
{
    struct sql_session *s = arg;
    struct diag d;
    diag_reset(&d);
    diag_set_sql(&d, number, my_error_sqlstate((enum my_errno)number), "%s", text);
    diag_area_add(&s->conditions,
                  level == CAST_NOTE      ? DIAG_NOTE
                  : level == CAST_WARNING ? DIAG_WARNING
                                          : DIAG_ERROR,
                  &d);
}

static void bind_warn(void *env, int level, uint16_t number, const char *text)
{
    warn(env, (enum cast_level)level, number, text);
}

void query__cast_ctx(struct sql_session *s, struct cast_ctx *ret, bool strict)
{
    struct session_vars *v = &s->vars;
    cast_ctx_init(ret, &s->stmt_arena, &s->diag);
    ret->sql_mode = v->sql_mode;
    ret->strict = strict && (v->sql_mode & SQL_MODE_STRICT) != 0;
    ret->div_precision_increment = (uint8_t)v->div_precision_increment;
    ret->collation = v->collation_connection;
    ret->tz = v->tz;
    ret->now_us = s->env.now_us;
    ret->warn = warn;
    ret->warn_arg = s;
}

void query__bind_opts(struct sql_session *s, const struct catalog_snapshot *snap,
                      struct bind_opts *ret)
{
    *ret = (struct bind_opts){
        .snapshot = snap,
        .current_schema = s->has_schema ? s->schema : SLICE_EMPTY,
        .sql_mode = s->vars.sql_mode,
        .view_limit_needs_key = vars__get(s, VAR_updatable_views_with_limit)->i == 0,
        .connection_collation = s->vars.collation_connection,
        .utf8mb4_collation = s->vars.utf8mb4_collation,
        .database_collation = s->vars.collation_database,
        .localized = s->vars.locale != date_locale_en_us,
        .charset_client = s->vars.charset_client,
        .div_precision_increment = s->vars.div_precision_increment,
        .max_allowed_packet = s->vars.max_allowed_packet,
        .group_concat_max_len = s->vars.group_concat_max_len,
        .version_chars = (uint32_t)s->env.version.len,
        .limits_select = s->vars.sql_select_limit != UINT64_MAX,
        .select_limit = s->vars.sql_select_limit,
        .use_invisible_indexes = (s->vars.optimizer_switch >> OPT_USE_INVISIBLE_INDEXES & 1) != 0,
        .tz = s->vars.tz,
        .auto_is_null = s->var_types != NULL ? s->var_types->auto_is_null
                                             : vars__get(s, VAR_sql_auto_is_null)->i != 0,
        .env = s,
        .may_use = table_locks__active(s) ? table_locks__may_use : NULL,
        .priv = s->is_own_query ? NULL : &s->priv,
        .warn = bind_warn,
        .user_var_type = vars__bind_user,
        .system_var = vars__bind_system};
}

/* From now on a SELECT may take as long as max_execution_time says, or the hint of that name.
 * MYSQL: 0 in the hint is as if it were not there. */
static void limit_time(const struct sql_session *s, uint64_t hint_ms)
{
    uint64_t ms = hint_ms != 0 ? hint_ms : s->vars.max_execution_time_ms;
    if (ms != 0) {
        fiber_set_deadline(clock_mono_ns() + ms * NS_PER_MS);
    }
}

void query__bind_params(const struct statement *st, struct bind_opts *ret)
{
    if (st != NULL) {
        ret->param_types = st->types;
        ret->param_manners = st->manners;
        ret->param_count = st->param_count;
    }
}

static db_err make_plan(struct sql_session *s, const struct ast_stmt *ast,
                        const struct statement *st, bool prepare, bool explain, struct plan **ret)
{
    TRY(priv_refresh(&s->priv));
    const struct catalog_snapshot *snap;
    TRY(session__snapshot(s, &snap));
    struct plan *p = plan_new(&s->mem);
    struct bind_opts bind;
    struct bound_stmt *bound;
    if (p == NULL) {
        catalog_release(snap);
        return ERR_NOMEM;
    }
    p->snapshot = snap;
    p->catalog_version = snapshot_version(snap);
    p->temporary_version = s->temporaries.version;
    query__bind_opts(s, snap, &bind);
    query__bind_params(st, &bind);
    bind.prepare = prepare;
    bind.prepared = s->var_types != NULL && !prepare;
    bind.explain = explain;
    bind.sent = !explain;
    struct estimate_env sizes = {s, p};
    struct opt_opts opt = {.bind = &bind,
                           .switches = s->vars.optimizer_switch,
                           .env = &sizes,
                           .table_rows = estimate_for_plan};
    uint64_t deadline = fiber_deadline();
    if (ast->kind == AST_STMT_SELECT) {
        p->time_limit_ms = s->hints == NULL ? 0 : s->hints->time_limit_ms;
    }
    if (ast->kind == AST_STMT_SELECT && !prepare) {
        limit_time(s, p->time_limit_ms); /* constants are computed here */
    }
    db_err err = bind_statement(&p->arena, &bind, ast, &s->diag, &bound);
    fiber_set_deadline(deadline);
    if (err == ERR_OK) {
        p->needs = bound->needs;
        err = optimize(p, bound, &opt, &s->diag);
    }
    if (err != ERR_OK) {
        plan_unref(p);
        return err == ERR_NOMEM ? ERR_LIMIT : err; /* nearly always the statement's own */
    }
    plan_keep(p);
    *ret = p;
    return ERR_OK;
}

db_err query__plan(struct sql_session *s, const struct ast_stmt *ast, const struct statement *st,
                   bool prepare, struct plan **ret)
{
    return make_plan(s, ast, st, prepare, false, ret);
}

db_err query__plan_explained(struct sql_session *s, const struct statement *st,
                             const struct ast_stmt *ast, struct plan **ret)
{
    return make_plan(s, ast, st, false, true, ret);
}

static db_err eval_as_query(struct sql_session *s, const struct ast_expr *e, struct value *ret);

db_err query__eval(struct sql_session *s, const struct ast_expr *e, struct value *ret)
{
    const struct catalog_snapshot *snap;
    struct bind_opts bind;
    struct bexpr *bound;
    struct cast_ctx cast;
    struct exec_ctx ctx;
    TRY(session__snapshot(s, &snap));
    query__bind_opts(s, snap, &bind);
    query__bind_params(s->prepared, &bind);
    bool unsafe = false;
    bind.unsafe = &unsafe;
    db_err err = bind_scalar(&s->stmt_arena, &bind, e, NULL, &s->diag, &bound);
    track_txn__use(s, unsafe ? TRACK_UNSAFE : 0);
    if (err == ERR_OK && bound->has_subquery) {
        catalog_release(snap);
        return eval_as_query(s, e, ret);
    }
    if (err == ERR_OK) {
        query__cast_ctx(s, &cast, false);
        ctx = (struct exec_ctx){.storage = session__storage(s),
                                .arena = &s->stmt_arena,
                                .mem = &s->mem,
                                .diag = &s->diag,
                                .params = s->prepared == NULL ? NULL : s->prepared->values,
                                .vars = &session_var_ops,
                                .session = s};
        ctx.eval = (struct eval_ctx){.arena = &s->stmt_arena,
                                     .statement = &s->stmt_arena,
                                     .cast = &cast,
                                     .diag = &s->diag,
                                     .env = &s->env};
        err = expr_eval_scalar(&ctx, bound, ret);
        if (err == ERR_OK) {
            err = value_copy(ret, &s->stmt_arena, ret);
        }
    }
    catalog_release(snap);
    return err;
}

/* ---- running ---- */

struct row_target {
    struct statement *st;
    const struct plan *plan;
    uint64_t rows;
    bool columns_sent;
    struct value *keep; /* an expression with a subquery: its value goes here, nothing is sent */
    struct arena text;
};

/* Column definitions go out with the first rows, so that a statement that fails before them answers
 * with an error alone, as MySQL does. */
static db_err send_columns(struct row_target *t)
{
    struct sql_session *s = t->st->session;
    struct sql_column *columns;
    if (t->columns_sent) {
        return ERR_OK;
    }
    t->columns_sent = true;
    TRY(result__columns(s, t->plan, t->plan->result, t->plan->result_count, &s->stmt_arena,
                        &columns));
    return t->st->sink->ops->columns(t->st->sink, columns, t->plan->result_count);
}

static db_err send_rows(void *arg, const struct chunk *chunk)
{
    struct row_target *t = arg;
    bool lost = false;
    struct sql_rows rows = {.session = t->st->session,
                            .chunk = chunk,
                            .columns = t->plan->result,
                            .column_count = t->plan->result_count,
                            .arena = &t->text,
                            .lost = &lost};
    t->rows += chunk->count;
    TRY(send_columns(t));
    db_err err = t->st->sink->ops->rows(t->st->sink, &rows);
    arena_reset(&t->text);
    return err == ERR_OK && lost ? ERR_LIMIT : err;
}

/* A variable has no list of names: members of ENUM and SET become their text. */
static db_err named_as_text(struct sql_session *s, const struct sql_type *type, struct value *v)
{
    struct cast_ctx cast;
    struct slice text;
    if (!v->is_null && type->id == TYPE_BIT) {
        *v = value_uint(v->u); /* MYSQL: the number */
    }
    if (v->is_null || (type->id != TYPE_ENUM && type->id != TYPE_SET)) {
        return ERR_OK;
    }
    query__cast_ctx(s, &cast, false);
    TRY(value_to_text(&cast, type, v, &text));
    *v = value_str(text, type->collation);
    return ERR_OK;
}

static db_err keep_into(void *arg, const struct chunk *chunk)
{
    struct row_target *t = arg;
    struct sql_session *s = t->st->session;
    t->rows += chunk->count;
    if (t->rows > 1) {
        return my_error(&s->diag, ER_TOO_MANY_ROWS);
    }
    for (uint32_t i = 0; i < t->plan->into_var_count; i++) {
        struct value v;
        vector_get(&chunk->columns[i], chunk_row(chunk, 0), &v);
        TRY(named_as_text(s, &t->plan->result[i].type, &v));
        TRY(vars__user_set(s, t->plan->into_vars[i], &v));
    }
    return ERR_OK;
}

static void make_context(struct statement *st, const struct plan *plan, struct cast_ctx *cast,
                         struct exec_ctx *ctx)
{
    struct sql_session *s = st->session;
    query__cast_ctx(s, cast, plan->kind != BOUND_SELECT);
    *ctx = (struct exec_ctx){
        .plan = plan,
        .storage = session__storage(s),
        .txn = s->txn,
        .arena = &s->stmt_arena,
        .mem = &s->mem,
        .diag = &s->diag,
        .counters = st->counters,
        .params = st->values,
        .load = st->load,
        .given_rows = st->row_values,
        .given_row_count = st->row_count,
        .temp_dir = s->engine->opts.temp_dir,
        .spill_budget = s->vars.spill_budget,
        .max_sort_length = s->is_own_query ? 0 : s->vars.max_sort_length,
        .sql_mode = s->vars.sql_mode,
        .forced_insert_id = s->vars.insert_id,
        .auto_inc_step = s->vars.auto_increment_increment,
        .auto_inc_offset = s->vars.auto_increment_offset,
        .foreign_key_checks = s->vars.foreign_key_checks,
        .unique_checks = s->vars.unique_checks,
        .null_is_now = !s->vars.explicit_timestamps,
        .cte_depth_max = s->vars.cte_max_recursion_depth,
        .found_rows_flag = s->opts.found_rows,
        .short_paths = s->vars.short_paths,
        .pushdown = s->vars.pushdown,
        .defer_checks = s->vars.short_paths && s->txn_mode == TXN_STATEMENT &&
                        s->temporaries.storage == NULL && plan->shape == PLAN_SHAPE_INSERT_VALUES,
        .may_bulk = s->vars.short_paths && s->txn_mode == TXN_STATEMENT &&
                    s->temporaries.storage == NULL && plan->kind == BOUND_INSERT && !st->no_bulk,
        .bulk_change = st->bulk_change,
        .rows_until_bulk = bulk_change__rows_until(st, plan),
        .vars = &session_var_ops,
        .session = s};
    ctx->eval = (struct eval_ctx){.arena = &s->chunk_arena,
                                  .statement = &s->stmt_arena,
                                  .cast = cast,
                                  .diag = &s->diag,
                                  .env = &s->env};
    const struct plan_node *root = plan->root;
    ctx->ignore = (root->kind == PLAN_INSERT && root->u.insert.ignore) ||
                  ((root->kind == PLAN_UPDATE || root->kind == PLAN_DELETE) && root->u.dml.ignore);
    /* MYSQL: under IGNORE an expression warns where it would fail. */
    cast->strict = cast->strict && !ctx->ignore;
    if (UNLIKELY(st->walk != NULL)) {
        ctx->span_node = st->walk->scan;
        ctx->span = st->walk->span;
        ctx->cursor_key = st->walk->key;
    }
}

const struct plan_target *query__targets(const struct plan *plan, uint32_t *ret_count)
{
    const struct plan_node *root = plan->root;
    bool dml = root->kind == PLAN_UPDATE || root->kind == PLAN_DELETE;
    *ret_count = root->kind == PLAN_INSERT ? 1 : dml ? root->u.dml.target_count : 0;
    return root->kind == PLAN_INSERT ? root->u.insert.target : dml ? root->u.dml.targets : NULL;
}

static db_err lock_definitions(struct sql_session *s, const struct plan *plan)
{
    uint64_t deadline = clock_mono_ns() + s->vars.ddl_lock_wait_timeout_s * NS_PER_S;
    uint32_t target_count;
    const struct plan_target *targets = query__targets(plan, &target_count);
    bool listed = table_locks__active(s);
    if (listed) {
        TRY(table_locks__check_targets(s, plan));
    }
    for (uint32_t i = 0; i < plan->fk_lock_count; i++) {
        table_id_t id = plan->fk_locks[i]->id;
        if (!listed || !table_locks__has(s, id)) {
            TRY(mdl_lock_shared(s->engine->mdl, &s->mdl, id, deadline, &s->diag));
        }
    }
    if (listed) {
        return ERR_OK;
    }
    for (uint32_t i = 0; i < plan->table_count; i++) {
        if (plan->tables[i]->kind != TABLE_VIRTUAL && !table_is_temporary(plan->tables[i])) {
            TRY(mdl_lock_shared(s->engine->mdl, &s->mdl, plan->tables[i]->id, deadline, &s->diag));
        }
    }
    for (uint32_t i = 0; i < target_count; i++) {
        uint64_t rows = mdl_rows(targets[i].table->id);
        if (!table_is_temporary(targets[i].table) && !mdl_holds(&s->bulk_rows.owner, rows, true)) {
            TRY(mdl_lock_shared(s->engine->mdl, &s->mdl, rows, deadline, &s->diag));
        }
    }
    return ERR_OK;
}

static db_err lock_tables(struct sql_session *s, const struct plan *plan)
{
    atomic_store_explicit(&s->state, "Waiting for table metadata lock", memory_order_release);
    db_err err = lock_definitions(s, plan);
    atomic_store_explicit(&s->state, NULL, memory_order_release);
    return err;
}

static db_err keep_value(void *arg, const struct chunk *chunk)
{
    struct row_target *t = arg;
    struct value v;
    vector_get(&chunk->columns[0], chunk_row(chunk, 0), &v);
    return value_copy(&v, &t->st->session->stmt_arena, t->keep);
}

static db_err write_into(void *arg, const struct chunk *chunk)
{
    return into_file_rows(arg, chunk);
}

static db_err run_select(struct statement *st, struct exec_ctx *ctx, const struct plan *plan,
                         struct row_target *t)
{
    if (t->keep != NULL) {
        return exec_run(ctx, keep_value, t);
    }
    if (st->counters != NULL) {
        return exec_run(ctx, NULL, NULL);
    }
    if (plan->into_file != NULL) {
        struct into_writer w;
        TRY(into_file_open(&w, ctx->session, plan));
        db_err err = into_file_close(&w, exec_run(ctx, write_into, &w));
        t->rows = w.rows;
        return err;
    }
    return exec_run(ctx, plan->into_var_count != 0 ? keep_into : send_rows, t);
}

static db_err run_plan(struct statement *st, struct exec_ctx *ctx, const struct plan *plan,
                       struct row_target *t)
{
    struct sql_session *s = st->session;
    uint64_t savepoint = 0;
    bool change = plan->kind != BOUND_SELECT;
    bool undo = change && s->txn_mode != TXN_STATEMENT;
    if (undo) {
        TRY(storage_txn_savepoint(s->txn, &savepoint));
    }
    db_err err = change ? exec_run(ctx, NULL, NULL) : run_select(st, ctx, plan, t);
    if (err != ERR_OK && undo && !err_map_aborts_txn(err)) {
        struct diag keep = s->diag;
        if (storage_txn_rollback_to(s->txn, savepoint) != ERR_OK) {
            txn__rollback(s);
        }
        s->diag = keep;
    }
    return err;
}

/* The transaction has begun. Its licence may have been waited for, and the schema read anew before
 * it came: the plan and the locks were made without one then, and are made again. */
static db_err still_planned(struct sql_session *s, const struct plan *plan, uint32_t mark)
{
    if (LIKELY(plan->catalog_version == catalog_version(s->engine->catalog))) {
        return ERR_OK;
    }
    if (s->txn_mode == TXN_STATEMENT) {
        txn__rollback(s);
    } else {
        mdl_release_to(s->engine->mdl, &s->mdl, mark);
    }
    return ERR_SCHEMA_CHANGED;
}

/* An INSERT whose checks were left to the commit has met a duplicate: its transaction is gone with
 * the locks on definitions; the same rows once more, checked one by one. */
static db_err insert_again(struct sql_session *s, struct exec_ctx *ctx, const struct plan *plan)
{
    diag_reset(&s->diag);
    TRY(lock_tables(s, plan));
    if (plan->catalog_version != catalog_version(s->engine->catalog)) {
        mdl_release_all(s->engine->mdl, &s->mdl);
        return ERR_SCHEMA_CHANGED;
    }
    db_err err = txn__begin_statement(s, false, false);
    if (err == ERR_OK) {
        TRY(still_planned(s, plan, 0));
        ctx->txn = s->txn;
        err = exec_insert_again(ctx);
    }
    return txn__end_statement(s, err);
}

/* Rows that were kept aside have met a duplicate when the transaction was to be committed: which is
 * looked up in another one. */
static db_err tell_duplicate(struct sql_session *s, struct exec_ctx *ctx, const struct plan *plan,
                             struct slice key)
{
    diag_reset(&s->diag);
    TRY(lock_tables(s, plan));
    db_err err = txn__begin_statement(s, false, false);
    if (err == ERR_OK) {
        ctx->txn = s->txn;
        err = exec_duplicate(ctx, key);
    }
    return txn__end_statement(s, err);
}

/* IGNORE, and there are duplicates: once more, row by row. query__run plans it again. */
static db_err run_looking(struct statement *st)
{
    struct sql_session *s = st->session;
    diag_reset(&s->diag);
    session__forget_conditions(st);
    st->no_bulk = true;
    if (st->load != NULL) {
        TRY(st->load->rewind(st->load->arg));
    }
    return ERR_SCHEMA_CHANGED;
}

static bool is_single_table(const struct plan *plan)
{
    const struct plan_node *n = plan->root;
    while (n->child_count == 1) {
        n = n->children[0];
    }
    return n->child_count == 0;
}

struct named_count {
    const char *name;
    uint64_t count;
};

/* "NAME: COUNT  NAME: COUNT ...", empty without memory. Every UPDATE answers so: printing it by a
 * format would take as long as changing the row. */
static struct slice counts_text(struct arena *a, const struct named_count *counts, unsigned n)
{
    enum { NAME_MAX_SIZE = 16, DIGITS_MAX = 20, ROOM = NAME_MAX_SIZE + DIGITS_MAX + 4 };
    char *text = arena_alloc(a, (size_t)n * ROOM);
    char *p = text;
    for (unsigned i = 0; i < n && text != NULL; i++) {
        size_t name = strlen(counts[i].name);
        char digits[DIGITS_MAX];
        unsigned first = DIGITS_MAX;
        uint64_t left = counts[i].count;
        do {
            digits[--first] = (char)('0' + left % 10);
            left /= 10;
        } while (left != 0);
        ASSERT_SLOW(name <= NAME_MAX_SIZE);
        memcpy(p, counts[i].name, name);
        memcpy(p + name, ": ", 2);
        memcpy(p + name + 2, digits + first, DIGITS_MAX - first);
        p += name + 2 + DIGITS_MAX - first;
        if (i + 1 < n) {
            memcpy(p, "  ", 2);
            p += 2;
        }
    }
    return slice_of(text, text == NULL ? 0 : (size_t)(p - text));
}
#define COUNTS_TEXT(arena, ...)                                                                    \
    counts_text(arena, (const struct named_count[]){__VA_ARGS__},                                  \
                sizeof((const struct named_count[]){__VA_ARGS__}) / sizeof(struct named_count))

/* MYSQL: also of an INSERT that is refused for the sake of a row behind the first. */
static void keep_number(struct sql_session *s, const struct exec_ctx *ctx)
{
    if (s->vars.insert_id != 0 && ctx->forced_insert_id == 0) {
        vars__insert_id_used(s);
    }
    if (ctx->first_insert_id != 0) {
        s->last_insert_id = ctx->first_insert_id;
        s->env.last_insert_id = (int64_t)ctx->first_insert_id;
    }
}

static db_err answer_change(struct statement *st, const struct exec_ctx *ctx,
                            const struct plan *plan)
{
    struct sql_session *s = st->session;
    struct slice info = SLICE_EMPTY;
    uint64_t warnings = sql_session_warning_count(s);
    if (plan->kind == BOUND_UPDATE) {
        info = COUNTS_TEXT(&s->stmt_arena, {"Rows matched", ctx->matched_rows},
                           {"Changed", ctx->changed_rows}, {"Warnings", warnings});
    } else if (plan->kind == BOUND_INSERT && plan->root->children[0]->kind == PLAN_LOAD) {
        bool replace = plan->root->u.insert.replace;
        info = COUNTS_TEXT(
            &s->stmt_arena, {"Records", ctx->records}, {"Deleted", replace ? ctx->duplicates : 0},
            {"Skipped", replace ? 0 : ctx->records - ctx->affected_rows}, {"Warnings", warnings});
    } else if (plan->kind == BOUND_INSERT &&
               (ctx->records > 1 || (s->vars.sql_warnings && warnings != 0) ||
                plan->root->children[0]->u.values.row_count > 1 ||
                plan->root->children[0]->kind != PLAN_VALUES)) {
        info = COUNTS_TEXT(&s->stmt_arena, {"Records", ctx->records},
                           {"Duplicates", ctx->duplicates}, {"Warnings", warnings});
    }
    if (plan->kind == BOUND_UPDATE) {
        s->found_rows = is_single_table(plan) ? (int64_t)ctx->matched_rows : 0;
    }
    if (st->load == NULL) { /* MYSQL: LOAD DATA tells none */
        bool given = s->insert_id_given && plan->kind != BOUND_DELETE;
        st->status.last_insert_id = ctx->first_insert_id != 0 ? ctx->first_insert_id
                                    : given                   ? s->last_insert_id
                                                              : ctx->last_insert_id;
    }
    return session__ok(st, ctx->affected_rows, info);
}

static db_err answer_select(struct statement *st, const struct exec_ctx *ctx,
                            const struct plan *plan, struct row_target *t)
{
    struct sql_session *s = st->session;
    s->found_rows = (int64_t)(ctx->found_rows != 0 ? ctx->found_rows : t->rows);
    s->sent_rows += t->rows;
    if (plan->into_file != NULL) {
        return session__ok(st, t->rows, SLICE_EMPTY);
    }
    if (plan->into_var_count != 0) {
        if (t->rows == 0) {
            diag_area_warn(&s->conditions, ER_SP_FETCH_NO_DATA);
        }
        return session__ok(st, t->rows, SLICE_EMPTY);
    }
    TRY(send_columns(t));
    s->row_count = -1;
    st->status.server_status = session__status(s);
    st->status.warnings = sql_session_warning_count(s);
    TRY(result__told(st));
    return st->sink->ops->end(st->sink, &st->status, st->more);
}

/* One row by its primary key: the newest version will do, no timestamp is needed. */
static bool is_single_get(const struct plan *plan)
{
    if (plan->shape != PLAN_SHAPE_POINT_SELECT || !plan->read_only) {
        return false;
    }
    const struct scan_spec *s = &plan->root->children[0]->u.scan;
    return s->index->id == INDEX_ID_CLUSTERED && s->lock == ROW_LOCK_NONE;
}

/* What EXPLAIN FOR CONNECTION of another session finds; one row by its key is over before it could
 * be asked for. */
static void show_running(struct sql_session *s, struct plan *plan, bool on)
{
    if (plan->shape == PLAN_SHAPE_TREE) {
        spin_lock(&s->info_lock);
        s->running = on ? plan : NULL;
        spin_unlock(&s->info_lock);
    }
}

/* What the statement needs. An error leaves no lock of the statement; if it closed a circle, no
 * transaction either. */
static db_err lock_statement(struct sql_session *s, const struct plan *plan, uint32_t mark)
{
    db_err err = lock_tables(s, plan);
    if (UNLIKELY(err != ERR_OK)) {
        mdl_release_to(s->engine->mdl, &s->mdl, mark);
        return txn__end_statement(s, err);
    }
    return ERR_OK;
}

static db_err execute_once(struct statement *st, struct plan *plan, struct value *keep)
{
    struct sql_session *s = st->session;
    struct cast_ctx cast;
    struct exec_ctx ctx;
    struct row_target target = {.st = st, .plan = plan, .keep = keep};
    uint32_t mark = mdl_mark(&s->mdl);
    TRY(priv_refresh(&s->priv));
    if (UNLIKELY(s->password_expired) && keep == NULL) {
        return my_error(&s->diag, ER_MUST_CHANGE_PASSWORD);
    }
    TRY(s->is_own_query ? ERR_OK : priv_check_needs(&s->priv, &plan->needs, &s->diag));
    TRY(plan->kind == BOUND_SELECT ? ERR_OK : session__count(s, true));
    TRY(guard__plan(s, plan));
    TRY(lock_statement(s, plan, mark));
    if (plan->uses_tables && (plan->catalog_version != catalog_version(s->engine->catalog) ||
                              plan->temporary_version != s->temporaries.version)) {
        mdl_release_to(s->engine->mdl, &s->mdl, mark);
        return ERR_SCHEMA_CHANGED; /* between planning and locking: plan again */
    }
    bool needs_txn = plan->uses_tables;
    if (needs_txn) {
        /* MYSQL: a read-only transaction may change temporary tables. */
        bool reads = plan->read_only || (s->txn_read_only && s->temporaries.count != 0 &&
                                         temporaries__only_target(plan));
        db_err begun = txn__begin_statement(s, reads, is_single_get(plan));
        if (begun != ERR_OK) {
            return txn__end_statement(s, begun);
        }
        TRY(still_planned(s, plan, mark));
    }
    if (UNLIKELY(s->txn_track.on)) {
        track_txn__use_plan(s, plan, st->shows);
    }
    arena_init(&target.text, NULL, &s->mem, 0);
    make_context(st, plan, &cast, &ctx);
    if (plan->kind == BOUND_SELECT) {
        limit_time(s, plan->time_limit_ms);
    }
    s->is_snapshot = plan->snapshot;
    show_running(s, plan, true);
    db_err err = run_plan(st, &ctx, plan, &target);
    show_running(s, plan, false);
    s->examined_rows += ctx.examined_rows;
    status__count_run(s, plan, &ctx);
    s->is_snapshot = NULL;
    fiber_set_deadline(DEADLINE_NONE);
    if (needs_txn) {
        bool alone = s->txn_mode == TXN_STATEMENT;
        SCOPE_BUF(conflict, STORAGE_KEY_SIZE_MAX);
        if (UNLIKELY(ctx.in_bulk) && s->txn != NULL) {
            s->txn->conflict = &conflict;
        }
        err = txn__end_statement(s, err);
        if (UNLIKELY(err != ERR_OK) && alone && bulk_change__wanted(st, plan, err)) {
            arena_fini(&target.text);
            return ERR_SCHEMA_CHANGED; /* it is planned and run again */
        }
        if (err == ERR_KEY_EXISTS && ctx.in_bulk && ctx.ignore) {
            arena_fini(&target.text);
            return run_looking(st);
        }
        if (err == ERR_KEY_EXISTS && ctx.in_bulk) {
            err = tell_duplicate(s, &ctx, plan, buf_slice(&conflict));
        }
        if (err == ERR_KEY_EXISTS && ctx.defer_checks) {
            err = insert_again(s, &ctx, plan);
        }
    } else if (s->txn_mode == TXN_NONE) {
        mdl_release_to(s->engine->mdl, &s->mdl, mark);
    }
    if (err == ERR_OK && plan->kind != BOUND_SELECT) {
        estimate_changed(s->engine, plan, ctx.affected_rows);
    }
    if (plan->kind == BOUND_INSERT && (err == ERR_OK || err == ERR_SQL)) {
        keep_number(s, &ctx);
    }
    if (err == ERR_OK && keep == NULL && st->counters == NULL) {
        err = plan->kind == BOUND_SELECT ? answer_select(st, &ctx, plan, &target)
                                         : answer_change(st, &ctx, plan);
    }
    arena_fini(&target.text);
    return err;
}

static db_err execute(struct statement *st, struct plan *plan, struct value *keep)
{
    TRY(bulk_change__lock(st, plan));
    db_err err = execute_once(st, plan, keep);
    bulk_change__unlock(st);
    return err;
}

/* A plan outlives its statement when it is kept, so its memory is not the session's; large ones,
 * which are not kept, count as if it were. */
db_err query__execute(struct statement *st, struct plan *plan)
{
    enum { PLAN_CHARGE_MIN = 256 * 1024 };
    struct mem_tracker *mem = &st->session->mem;
    TRY(plan->stack == 0 ? ERR_OK : my_stack_reserve(&st->session->diag, plan->stack));
    size_t size = plan->arena.used + plan->stack;
    if (LIKELY(size < PLAN_CHARGE_MIN)) {
        return execute(st, plan, NULL);
    }
    TRY(mem_tracker_charge(mem, size));
    db_err err = execute(st, plan, NULL);
    mem_tracker_release(mem, size);
    return err;
}

/* SELECT e, for an expression outside of a query. */
static db_err eval_as_query(struct sql_session *s, const struct ast_expr *e, struct value *ret)
{
    enum { PLAN_TRIES = 10 };
    struct statement st = {.session = s};
    if (s->prepared != NULL) {
        st.values = s->prepared->values;
        st.types = s->prepared->types;
        st.manners = s->prepared->manners;
        st.param_count = s->prepared->param_count;
    }
    struct ast_select_item item = {.expr = (struct ast_expr *)(uintptr_t)e,
                                   .text = SLICE_LIT("value")};
    struct ast_select_item *items[] = {&item};
    struct ast_select select = {.body = {.kind = AST_BODY_SELECT},
                                .items = {.items = items, .count = 1}};
    struct ast_query query = {.body = &select.body};
    struct ast_select_stmt stmt = {.stmt = {.kind = AST_STMT_SELECT}, .query = &query};
    db_err err = ERR_SCHEMA_CHANGED;
    for (int i = 0; i < PLAN_TRIES && err == ERR_SCHEMA_CHANGED; i++) {
        struct plan *plan;
        TRY(query__plan(s, &stmt.stmt, &st, false, &plan));
        *ret = value_null();
        err = execute(&st, plan, ret);
        plan_unref(plan);
    }
    return err;
}

db_err query__run(struct statement *st, const struct ast_stmt *ast)
{
    enum { PLAN_TRIES = 10 };
    db_err err = ERR_SCHEMA_CHANGED;
    for (int i = 0; i < PLAN_TRIES && err == ERR_SCHEMA_CHANGED; i++) {
        struct plan *plan;
        TRY(query__plan(st->session, ast, st, false, &plan));
        err = query__execute(st, plan);
        plan_unref(plan);
    }
    return err;
}

db_err query__run_text(struct statement *st, struct slice sql)
{
    struct sql_session *s = st->session;
    struct parse_options opts = {.flags = st->param_count != 0 ? PARSE_PREPARE : 0};
    struct ast_stmt *ast;
    size_t consumed;
    TRY(parser_parse(&s->stmt_arena, sql, &opts, &s->diag, &ast, &consumed));
    return query__run(st, ast);
}
