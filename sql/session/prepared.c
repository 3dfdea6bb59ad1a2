/* Prepared statements: of the protocol (sql_stmt) and by name (PREPARE).
 *
 * The syntax tree is kept; the plan is made for the types that the parameters have and kept as long
 * as types, schema version and the settings that binding reads stay the same. User variables keep
 * the types that they have when the statement is prepared. */
#include <stdio.h>

#include "base/alloc.h"
#include "sql/charset/charset.h"
#include "sql/session/perf_event.h"
#include "sql/session/query_log.h"
#include "sql/session/session_int.h"
#include "sql/types/temporal.h"

enum { PARAMS_MAX = 65535 };

/* What a plan was made for. */
struct plan_key {
    uint64_t catalog_version, sql_mode, select_limit, optimizer_switch;
    const struct timezone *tz; /* constants that became temporal values are of it */
    const struct date_locale *locale;
    uint16_t collation, charset, utf8mb4_collation;
    struct buf schema;
};

struct kept_chunk {
    struct kept_chunk *next;
    struct chunk chunk;
    uint32_t sent;
};

struct sql_stmt {
    struct sql_session *session;
    struct arena arena; /* text and tree */
    struct slice text;
    struct ast_stmt *ast;
    struct parse_options parse; /* those in force when it was prepared */
    struct parse_charset charset;
    digest_id digest;
    enum event_class class;
    uint32_t param_count;
    struct sql_column *params, *columns;
    uint32_t column_count;
    struct plan *plan;
    struct plan_key key;
    struct sql_type *types; /* of the plan's parameters */
    struct param_manner *manners;
    struct var_types vars;
    struct param_state *states; /* by parameter; NULL: no place says anything */
    uint64_t places_version;    /* of the catalog that says what the places say, and of the */
    uint64_t temporary_version; /* session's temporary tables */
    /* cursor */
    struct arena cursor_arena;
    struct kept_chunk *first, *last;
    struct plan *cursor_plan;
};

static bool is_query(const struct ast_stmt *ast)
{
    return ast->kind == AST_STMT_SELECT || ast->kind == AST_STMT_INSERT ||
           ast->kind == AST_STMT_UPDATE || ast->kind == AST_STMT_DELETE;
}

/* st: NULL at PREPARE. */
static db_err plan_typed(struct sql_stmt *p, const struct statement *st, struct plan **ret)
{
    struct sql_session *s = p->session;
    p->vars.arena = &p->arena;
    p->vars.unset = false;
    if (st == NULL) {
        p->vars.auto_is_null = vars__get(s, VAR_sql_auto_is_null)->i != 0;
    }
    s->var_types = &p->vars;
    db_err err = query__plan(s, p->ast, st, st == NULL, ret);
    s->var_types = NULL;
    return err;
}

static db_err note_places(struct sql_stmt *p, const struct param_place *places)
{
    bool any = false;
    for (uint32_t i = 0; i < p->param_count; i++) {
        any = any || places[i].number != 0 || places[i].collation != 0 || places[i].stored != 0;
    }
    if (!any) {
        return ERR_OK;
    }
    p->states = ARENA_ARRAY(&p->arena, struct param_state, p->param_count);
    if (p->states == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < p->param_count; i++) {
        p->states[i] = (struct param_state){.place = places[i], .number = places[i].number};
    }
    return ERR_OK;
}

static db_err describe(struct sql_stmt *p)
{
    struct sql_session *s = p->session;
    struct plan *plan;
    struct lcolumn *cols;
    if (!is_query(p->ast)) {
        return ERR_OK;
    }
    TRY(plan_typed(p, NULL, &plan));
    db_err err = ERR_OK;
    p->column_count =
        plan->kind == BOUND_SELECT && plan->into_var_count == 0 && plan->into_file == NULL
            ? plan->result_count
            : 0;
    cols = ARENA_ARRAY(&p->arena, struct lcolumn, p->column_count + 1);
    if (cols == NULL) {
        err = ERR_LIMIT;
    }
    for (uint32_t i = 0; i < p->column_count && err == ERR_OK; i++) {
        struct lcolumn *c = &cols[i];
        *c = plan->result[i];
        err = arena_copy(&p->arena, c->name, &c->name);
        err = err != ERR_OK ? err : arena_copy(&p->arena, c->org_name, &c->org_name);
        err = err != ERR_OK ? err : arena_copy(&p->arena, c->table, &c->table);
        err = err != ERR_OK ? err : arena_copy(&p->arena, c->org_table, &c->org_table);
        err = err != ERR_OK ? err : arena_copy(&p->arena, c->schema, &c->schema);
    }
    if (err == ERR_OK) {
        err = result__columns(s, plan, cols, p->column_count, &p->arena, &p->columns);
    }
    if (err == ERR_OK && plan->param_places != NULL) {
        err = note_places(p, plan->param_places);
    }
    p->places_version = plan->catalog_version;
    p->temporary_version = plan->temporary_version;
    plan_unref(plan);
    return err;
}

static db_err note_alone(struct sql_stmt *p)
{
    if (param__alone(p->ast, NULL) == 0) {
        return ERR_OK;
    }
    if (p->states == NULL) {
        p->states = ARENA_ARRAY(&p->arena, struct param_state, p->param_count);
        if (p->states == NULL) {
            return ERR_NOMEM;
        }
        memset(p->states, 0, p->param_count * sizeof(*p->states));
    }
    param__alone(p->ast, p->states);
    return ERR_OK;
}

static db_err describe_params(struct sql_stmt *p)
{
    p->params = ARENA_ARRAY(&p->arena, struct sql_column, p->param_count + 1);
    if (p->params == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < p->param_count; i++) {
        p->params[i] = (struct sql_column){.name = SLICE_LIT("?"),
                                           .charset_id = COLL_BINARY,
                                           .type = WIRE_TYPE_VAR_STRING,
                                           .flags = WIRE_FLAG_BINARY};
    }
    return ERR_OK;
}

static db_err parse(struct sql_stmt *p, struct slice sql)
{
    struct sql_session *s = p->session;
    size_t consumed;
    p->parse = (struct parse_options){.mode = session__parse_mode(s), .flags = PARSE_PREPARE};
    if (session__parse_charset(s) != NULL) {
        p->charset = *session__parse_charset(s);
        p->parse.charset = &p->charset;
    }
    TRY(arena_copy(&p->arena, sql, &p->text));
    struct parse_options telling = p->parse; /* at EXECUTE it is parsed in silence */
    telling.warnings = &s->parse_warnings;
    TRY(parser_parse(&p->arena, p->text, &telling, &s->diag, &p->ast, &consumed));
    TRY(hints__read(s, &p->arena, p->ast, true));
    if (p->ast->kind == AST_STMT_EMPTY) {
        return my_error(&s->diag, ER_EMPTY_QUERY);
    }
    bool alters_view =
        p->ast->kind == AST_STMT_CREATE_VIEW && ((const struct ast_create_view *)p->ast)->alter;
    if (p->ast->kind == AST_STMT_LOAD_DATA || p->ast->kind == AST_STMT_PREPARE ||
        p->ast->kind == AST_STMT_EXECUTE || p->ast->kind == AST_STMT_DEALLOCATE ||
        p->ast->kind == AST_STMT_HANDLER || alters_view) {
        return my_error(&s->diag, ER_UNSUPPORTED_PS);
    }
    if (p->ast->kind == AST_STMT_KILL && p->ast->param_count != 0) {
        return my_error(&s->diag, ER_NON_DML_DYNAMIC_PARAMETERS);
    }
    p->param_count = p->ast->param_count;
    if (p->param_count > PARAMS_MAX) {
        return my_error(&s->diag, ER_PS_MANY_PARAM);
    }
    TRY(describe_params(p));
    p->digest = perf__digest(s, p->text);
    p->class = perf__class(p->ast);
    TRY(hints__begin(s, p->ast)); /* whoever prepares ends it */
    TRY(describe(p));
    return note_alone(p);
}

static db_err prepare(struct sql_session *s, struct slice sql, struct sql_stmt **ret)
{
    status__count(s, COUNT_STMT_PREPARE);
    struct sysvar_globals *g = engine__globals(s->engine);
    uint64_t max = (uint64_t)g->values[VAR_max_prepared_stmt_count].i;
    sysvar_globals_unref(g);
    if (atomic_load_explicit(&s->engine->prepared_count, memory_order_relaxed) >= max) {
        return my_error(&s->diag, ER_MAX_PREPARED_STMT_COUNT_REACHED, (unsigned long)max);
    }
    struct sql_stmt *p = mem_calloc(1, sizeof(*p));
    if (p == NULL) {
        return ERR_NOMEM;
    }
    atomic_fetch_add_explicit(&s->engine->prepared_count, 1, memory_order_relaxed);
    p->session = s;
    arena_init(&p->arena, NULL, &s->kept, 0);
    arena_init(&p->cursor_arena, NULL, &s->mem, 0);
    buf_init(&p->key.schema, 1024);
    db_err err = parse(p, sql);
    if (err != ERR_OK) {
        sql_stmt_close(p);
        return err;
    }
    *ret = p;
    return ERR_OK;
}

db_err sql_stmt_prepare(struct sql_session *session, struct slice sql, struct diag *diag,
                        struct sql_stmt **ret_stmt)
{
    db_err err = UNLIKELY(!session->greeted) ? session__greet(session) : ERR_OK;
    if (err == ERR_OK) {
        session__forget_kill(session);
        session__begin_statement(session);
        status__count(session, COUNT_NO_QUESTIONS);
        diag_area_reset(&session->conditions);
        err = prepare(session, sql, ret_stmt);
    }
    if (err == ERR_OK && query_log__general_on(session)) {
        query_log__general(session, "Prepare", sql, session__secret((*ret_stmt)->ast));
    }
    if (session->txn_mode == TXN_NONE) {
        mdl_release_all(session->engine->mdl, &session->mdl);
    }
    if (err != ERR_OK) {
        err = session__fail(session, err);
        diag_area_add(&session->conditions, DIAG_ERROR, &session->diag);
        *diag = session->diag;
    }
    hints__end(session);
    return err;
}

uint32_t sql_stmt_param_count(const struct sql_stmt *stmt)
{
    return stmt->param_count;
}

const struct sql_column *sql_stmt_params(const struct sql_stmt *stmt)
{
    return stmt->params;
}

const struct sql_column *sql_stmt_columns(const struct sql_stmt *stmt, uint32_t *ret_count)
{
    *ret_count = stmt->column_count;
    return stmt->columns;
}

/* ---- parameters ---- */

static int64_t pack_time(const struct sql_time *t, bool is_time)
{
    struct time_parts p = {.year = t->year,
                           .month = t->month,
                           .day = t->day,
                           .hour = t->hour,
                           .minute = t->minute,
                           .second = t->second,
                           .micro = t->microsecond,
                           .neg = t->negative};
    return is_time ? time_pack(&p) : datetime_pack(&p);
}

/* MYSQL: fields of a time are looked at one by one; a day that a month does not have is a matter of
 * where the value goes. */
static db_err check_time(struct sql_session *s, const struct sql_cell *c)
{
    enum { YEAR_MAX = 9999, MONTH_MAX = 12, DAY_MAX = 31, SIXTY = 60, MICRO_MAX = 999999 };
    const struct sql_time *t = &c->v.time;
    bool is_time = c->kind == SQL_CELL_TIME;
    uint32_t hour_max = is_time ? 838 : 23;
    if (t->year <= YEAR_MAX && t->month <= MONTH_MAX && t->day <= DAY_MAX && t->hour <= hour_max &&
        t->minute < SIXTY && t->second < SIXTY && t->microsecond <= MICRO_MAX) {
        return ERR_OK;
    }
    return my_error(&s->diag, ER_DATA_OUT_OF_RANGE,
                    is_time                    ? "TIME"
                    : c->kind == SQL_CELL_DATE ? "DATE"
                                               : "DATETIME",
                    "set_parameter_value");
}

static struct sql_type text_type(unsigned collation)
{
    enum { WIDTH_MAX = 4 };
    return type_char(collation == COLL_BINARY ? TYPE_VARBINARY : TYPE_VARCHAR,
                     VARCHAR_BYTES_MAX / WIDTH_MAX, collation);
}

static db_err param_value(struct sql_session *s, const struct sql_param *p, struct value *v,
                          struct sql_type *t)
{
    const struct sql_cell *c = &p->cell;
    bool binary = p->type >= WIRE_TYPE_TINY_BLOB && p->type <= WIRE_TYPE_BLOB;
    unsigned collation = binary ? (unsigned)COLL_BINARY : s->vars.collation_connection;
    *v = value_null();
    *t = type_null();
    if (p->is_null) {
        return ERR_OK;
    }
    switch (c->kind) {
    case SQL_CELL_NULL: return ERR_OK;
    case SQL_CELL_INT:
        *v = value_int(c->v.i64);
        *t = type_int(TYPE_BIGINT, false);
        break;
    case SQL_CELL_UINT:
        *v = value_uint(c->v.u64);
        *t = type_int(TYPE_BIGINT, true);
        break;
    case SQL_CELL_FLOAT:
    case SQL_CELL_DOUBLE:
        *v = value_double(c->v.f64);
        *t = type_double();
        break;
    case SQL_CELL_TEXT:
        if (p->type == WIRE_TYPE_NEWDECIMAL || p->type == WIRE_TYPE_DECIMAL) {
            struct decimal d;
            decimal_from_text(c->v.text, &d);
            *v = value_decimal(&d);
            *t = type_decimal(DECIMAL_PRECISION_MAX, DECIMAL_SCALE_MAX, false);
            break;
        }
        *v = value_str(c->v.text, collation);
        *t = text_type(collation);
        v->type = t->id;
        break;
    case SQL_CELL_TIME:
    case SQL_CELL_DATE:
    case SQL_CELL_DATETIME: {
        enum type_id id = c->kind == SQL_CELL_TIME   ? TYPE_TIME
                          : c->kind == SQL_CELL_DATE ? TYPE_DATE
                                                     : TYPE_DATETIME;
        /* MYSQL: it has microseconds, whether there are any or not */
        unsigned decimals = id == TYPE_DATE ? 0 : TIME_DECIMALS_MAX;
        TRY(check_time(s, c));
        *v = value_temporal(id, pack_time(&c->v.time, id == TYPE_TIME), decimals);
        *t = type_temporal(id, decimals);
        break;
    }
    }
    t->flags |= TYPE_F_NOT_NULL | TYPE_F_EXPR;
    return ERR_OK;
}

/* ---- plans ---- */

static bool same_types(const struct sql_type *a, const struct sql_type *b, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (a[i].id != b[i].id || a[i].flags != b[i].flags || a[i].collation != b[i].collation ||
            a[i].decimals != b[i].decimals) {
            return false;
        }
    }
    return true;
}

static bool same_manners(const struct param_manner *a, const struct param_manner *b, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (a[i].placed != b[i].placed || a[i].coercibility != b[i].coercibility ||
            a[i].reads != b[i].reads || a[i].own != b[i].own) {
            return false;
        }
    }
    return true;
}

static bool current(const struct sql_stmt *p, const struct statement *st)
{
    const struct sql_session *s = p->session;
    return p->plan != NULL && !p->vars.unset && !table_locks__active(s) &&
           p->key.catalog_version == catalog_version(s->engine->catalog) &&
           p->plan->temporary_version == s->temporaries.version &&
           p->key.sql_mode == s->vars.sql_mode && p->key.select_limit == s->vars.sql_select_limit &&
           p->key.optimizer_switch == s->vars.optimizer_switch && p->key.tz == s->vars.tz &&
           p->key.locale == s->vars.locale && p->key.collation == s->vars.collation_connection &&
           p->key.charset == s->vars.charset_client &&
           p->key.utf8mb4_collation == s->vars.utf8mb4_collation &&
           slice_eq(buf_slice(&p->key.schema), s->schema) &&
           same_types(p->types, st->types, p->param_count) &&
           same_manners(p->manners, st->manners, p->param_count) &&
           !estimate_outgrown(p->session, p->plan);
}

/* Of other tables, or of tables that have changed. */
static bool tables_differ(const struct plan *a, const struct plan *b)
{
    if (a->table_count != b->table_count) {
        return true;
    }
    for (uint32_t i = 0; i < a->table_count; i++) {
        if (a->tables[i]->id != b->tables[i]->id ||
            a->tables[i]->version != b->tables[i]->version) {
            return true;
        }
    }
    return false;
}

static db_err make_plan(struct sql_stmt *p, const struct statement *st)
{
    struct sql_session *s = p->session;
    struct plan *plan;
    TRY(plan_typed(p, st, &plan));
    if (p->plan != NULL && tables_differ(p->plan, plan)) {
        status__count(s, COUNT_STMT_REPREPARE);
    }
    plan_unref(p->plan);
    p->plan = plan;
    if (p->types == NULL) {
        p->types = ARENA_ARRAY(&p->arena, struct sql_type, p->param_count + 1);
        p->manners = ARENA_ARRAY(&p->arena, struct param_manner, p->param_count + 1);
        if (p->types == NULL || p->manners == NULL) {
            return ERR_LIMIT;
        }
    }
    memcpy(p->types, st->types, p->param_count * sizeof(*p->types));
    memcpy(p->manners, st->manners, p->param_count * sizeof(*p->manners));
    p->key.catalog_version = plan->catalog_version;
    p->key.sql_mode = s->vars.sql_mode;
    p->key.select_limit = s->vars.sql_select_limit;
    p->key.optimizer_switch = s->vars.optimizer_switch;
    p->key.tz = s->vars.tz;
    p->key.locale = s->vars.locale;
    p->key.collation = s->vars.collation_connection;
    p->key.charset = s->vars.charset_client;
    p->key.utf8mb4_collation = s->vars.utf8mb4_collation;
    buf_reset(&p->key.schema);
    return buf_append_slice(&p->key.schema, s->schema);
}

static db_err run_query(struct sql_stmt *p, struct statement *st)
{
    enum { PLAN_TRIES = 10 };
    db_err err = ERR_SCHEMA_CHANGED;
    for (int i = 0; i < PLAN_TRIES && err == ERR_SCHEMA_CHANGED; i++) {
        if (!current(p, st)) {
            TRY(make_plan(p, st));
        }
        plan_ref(p->plan);
        struct plan *plan = p->plan;
        err = query__execute(st, plan);
        plan_unref(plan);
    }
    return err;
}

/* What shows or stores a query's text completes the names in its tree, in the statement's memory:
 * such a tree is good for one execution. */
static db_err run_fresh(struct sql_stmt *p, struct statement *st)
{
    struct sql_session *s = p->session;
    struct ast_stmt *ast;
    size_t consumed;
    TRY(parser_parse(&s->stmt_arena, p->text, &p->parse, &s->diag, &ast, &consumed));
    TRY(hints__read(s, &s->stmt_arena, ast, false));
    TRY(hints__begin(s, ast));
    st->told = diag_area_mark(&s->conditions);
    return session__run(st, ast);
}

static db_err run(struct sql_stmt *p, struct statement *st)
{
    if (p->ast->kind == AST_STMT_EXPLAIN || p->ast->kind == AST_STMT_CREATE_VIEW) {
        return run_fresh(p, st);
    }
    TRY(hints__begin(p->session, p->ast));
    st->told = diag_area_mark(&p->session->conditions);
    return is_query(p->ast) ? run_query(p, st) : session__run(st, p->ast);
}

static db_err execute(struct sql_stmt *p, struct statement *st)
{
    status__count(p->session, COUNT_STMT_EXECUTE);
    status__count_class(p->session, p->class);
    const struct statement *outer = p->session->prepared;
    p->session->prepared = st;
    db_err err = run(p, st);
    p->session->prepared = outer;
    return err;
}

static db_err new_values(struct sql_session *s, uint32_t count, struct param_values *ret)
{
    ret->count = count;
    ret->values = ARENA_ARRAY(&s->stmt_arena, struct value, count + 1);
    ret->types = ARENA_ARRAY(&s->stmt_arena, struct sql_type, count + 1);
    ret->manners = ARENA_ARRAY(&s->stmt_arena, struct param_manner, count + 1);
    return ret->values == NULL || ret->types == NULL || ret->manners == NULL ? ERR_LIMIT : ERR_OK;
}

static bool same_place(const struct param_place *a, const struct param_place *b)
{
    return a->known == b->known && a->number == b->number && a->is_unsigned == b->is_unsigned &&
           a->is_compared == b->is_compared && a->is_late == b->is_late &&
           a->is_long == b->is_long && a->coercibility == b->coercibility &&
           a->collation == b->collation && a->stored == b->stored;
}

/* MYSQL: when its tables have changed the statement is prepared again. */
static db_err refresh_places(struct sql_stmt *p)
{
    struct sql_session *s = p->session;
    struct plan *plan;
    bool changed = false;
    if (!is_query(p->ast) || (p->places_version == catalog_version(s->engine->catalog) &&
                              p->temporary_version == s->temporaries.version)) {
        return ERR_OK;
    }
    struct param_state *fresh = ARENA_ARRAY(&s->stmt_arena, struct param_state, p->param_count);
    if (fresh == NULL) {
        return ERR_LIMIT;
    }
    TRY(plan_typed(p, NULL, &plan));
    for (uint32_t i = 0; i < p->param_count && plan->param_places != NULL; i++) {
        fresh[i].place = plan->param_places[i];
        fresh[i].number = fresh[i].place.number;
    }
    param__alone(p->ast, fresh);
    for (uint32_t i = 0; i < p->param_count; i++) {
        changed = changed || !same_place(&fresh[i].place, &p->states[i].place);
    }
    if (changed) {
        memcpy(p->states, fresh, p->param_count * sizeof(*fresh));
    }
    p->places_version = plan->catalog_version;
    p->temporary_version = plan->temporary_version;
    plan_unref(plan);
    return ERR_OK;
}

/* Parameters as their places ask for them. */
static db_err take_values(struct sql_stmt *p, struct param_values *v, struct statement *st)
{
    TRY(p->states != NULL ? refresh_places(p) : ERR_OK);
    if (p->states != NULL) {
        TRY(param__place(p->session, p->states, p->ast->kind != AST_STMT_SELECT, v));
    } else if (is_query(p->ast)) {
        param__no_place(p->session, v);
    }
    st->values = v->values;
    st->types = v->types;
    st->manners = v->manners;
    st->param_count = v->count;
    return ERR_OK;
}

static db_err bind_params(struct sql_stmt *p, const struct sql_param *params, uint32_t count,
                          struct statement *st)
{
    struct sql_session *s = p->session;
    struct param_values v;
    TRY(new_values(s, count, &v));
    for (uint32_t i = 0; i < count; i++) {
        TRY(param_value(s, &params[i], &v.values[i], &v.types[i]));
    }
    return take_values(p, &v, st);
}

/* ---- cursors: the rows are kept in memory, charged to the session's statements ---- */

struct cursor_sink {
    struct sql_sink sink; /* stands in for the client's while the statement runs */
    struct sql_sink *client;
    struct sql_stmt *stmt;
    bool kept;
};

static db_err cursor_columns(struct sql_sink *sink, const struct sql_column *columns,
                             uint32_t count)
{
    struct cursor_sink *c = (struct cursor_sink *)sink;
    c->kept = true;
    return c->client->ops->columns(c->client, columns, count);
}

static db_err new_chunk(struct sql_stmt *p, const struct sql_rows *rows)
{
    struct kept_chunk *k = ARENA_NEW(&p->cursor_arena, struct kept_chunk);
    const struct sql_type **types =
        ARENA_ARRAY(&p->cursor_arena, const struct sql_type *, rows->column_count + 1);
    if (k == NULL || types == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < rows->column_count; i++) {
        types[i] = rows->chunk->columns[i].type;
    }
    if (chunk_init(&k->chunk, types, rows->column_count, &p->cursor_arena) != ERR_OK) {
        return ERR_LIMIT;
    }
    if (p->last == NULL) {
        p->first = k;
    } else {
        p->last->next = k;
    }
    p->last = k;
    return ERR_OK;
}

/* A chunk has room for many rows, however few come at a time. */
static db_err cursor_rows(struct sql_sink *sink, const struct sql_rows *rows)
{
    struct sql_stmt *p = ((struct cursor_sink *)sink)->stmt;
    uint16_t sel[CHUNK_ROWS];
    uint32_t n = rows->chunk->count;
    ASSERT(n <= CHUNK_ROWS);
    for (uint32_t i = 0; i < n; i++) {
        sel[i] = (uint16_t)chunk_row(rows->chunk, i);
    }
    if (p->last == NULL || p->last->chunk.count + n > CHUNK_ROWS) {
        TRY(new_chunk(p, rows));
    }
    struct chunk *to = &p->last->chunk;
    for (uint32_t i = 0; i < rows->column_count; i++) {
        TRY(vector_gather(&to->columns[i], to->count, &rows->chunk->columns[i], sel, n));
    }
    to->count += n;
    return ERR_OK;
}

static db_err cursor_end(struct sql_sink *sink, const struct sql_status *status, bool more)
{
    struct cursor_sink *c = (struct cursor_sink *)sink;
    struct sql_status st = *status;
    st.server_status |= SERVER_STATUS_CURSOR_EXISTS;
    return c->client->ops->end(c->client, &st, more);
}

static db_err cursor_ok(struct sql_sink *sink, const struct sql_status *status, bool more)
{
    struct cursor_sink *c = (struct cursor_sink *)sink;
    return c->client->ops->ok(c->client, status, more);
}

static db_err cursor_error(struct sql_sink *sink, const struct diag *diag)
{
    struct cursor_sink *c = (struct cursor_sink *)sink;
    return c->client->ops->error(c->client, diag);
}

static const struct sql_sink_ops g_cursor_ops = {cursor_columns, cursor_rows,  cursor_end,
                                                 cursor_ok,      cursor_error, NULL};

static db_err run_execute(struct sql_stmt *stmt, const struct sql_param *params,
                          uint32_t param_count, bool cursor, struct sql_sink *sink)
{
    struct sql_session *s = stmt->session;
    struct cursor_sink keep = {.sink = {&g_cursor_ops}, .client = sink, .stmt = stmt};
    bool keeps = cursor && stmt->ast->kind == AST_STMT_SELECT; /* MYSQL: others have no cursor */
    struct statement st = {.session = s, .sink = keeps ? &keep.sink : sink, .text = stmt->text};
    session__forget_kill(s);
    session__begin_statement(s);
    status__count(s, COUNT_QUESTIONS);
    s->secret_text = session__secret(stmt->ast);
    session__set_info(s, "Execute", s->secret_text ? SECRET_TEXT : stmt->text);
    s->sent_rows = s->examined_rows = 0;
    if (!statement_stats_knows(s->engine->stats, stmt->digest)) {
        stmt->digest = perf__digest(s, stmt->text); /* TRUNCATE has forgotten it */
    }
    perf__begin(s, EVENT_COM_EXECUTE, stmt->digest, s->secret_text ? SECRET_TEXT : stmt->text,
                s->command_start_us);
    s->hides_profile = !s->vars.profiling;
    if (query_log__general_on(s)) {
        query_log__general(s, "Execute", stmt->text, s->secret_text);
    }
    diag_area_reset(&s->conditions);
    sql_stmt_reset(stmt);
    db_err err = param_count == stmt->param_count
                     ? bind_params(stmt, params, param_count, &st)
                     : my_error(&s->diag, ER_WRONG_ARGUMENTS, "mysqld_stmt_execute");
    err = err == ERR_OK ? session__count(s, false) : err;
    if (err == ERR_OK) {
        err = execute(stmt, &st);
    }
    if (err == ERR_OK && keep.kept && stmt->plan != NULL) {
        stmt->cursor_plan = stmt->plan;
        plan_ref(stmt->cursor_plan);
    }
    db_err told = session__finish(&st, err);
    uint64_t ended = perf__end(&st, err);
    hints__end(s);
    session__end_command(s, stmt->text, ended);
    return told;
}

db_err sql_stmt_execute(struct sql_stmt *stmt, const struct sql_param *params, uint32_t param_count,
                        bool cursor, struct sql_sink *sink)
{
    size_t granted = statement_room_take_params(stmt->session, params, param_count);
    db_err err = run_execute(stmt, params, param_count, cursor, sink);
    statement_room_give(stmt->session, granted);
    return err;
}

static db_err fetch(struct sql_stmt *p, uint32_t rows_max, struct sql_sink *sink)
{
    struct sql_session *s = p->session;
    struct sql_status status = {.server_status = session__status(s)};
    if (p->cursor_plan == NULL) {
        my_error(&s->diag, ER_STMT_HAS_NO_OPEN_CURSOR, 0ul);
        return sink->ops->error(sink, &s->diag);
    }
    while (rows_max != 0 && p->first != NULL) {
        struct kept_chunk *k = p->first;
        uint32_t n = k->chunk.count - k->sent;
        n = n > rows_max ? rows_max : n;
        struct chunk part = k->chunk;
        bool lost = false;
        arena_reset(&s->chunk_arena);
        uint16_t *sel = ARENA_ARRAY(&s->chunk_arena, uint16_t, n + 1);
        if (sel == NULL) {
            return ERR_LIMIT;
        }
        for (uint32_t i = 0; i < n; i++) {
            sel[i] = (uint16_t)(k->sent + i);
        }
        part.sel = sel;
        part.count = n;
        struct sql_rows rows = {.session = s,
                                .chunk = &part,
                                .columns = p->cursor_plan->result,
                                .column_count = p->cursor_plan->result_count,
                                .arena = &s->chunk_arena,
                                .lost = &lost};
        TRY(sink->ops->rows(sink, &rows));
        if (lost) {
            return ERR_LIMIT;
        }
        k->sent += n;
        rows_max -= n;
        if (k->sent == k->chunk.count) {
            p->first = k->next;
        }
    }
    status.server_status |= (uint16_t)(SERVER_STATUS_CURSOR_EXISTS |
                                       (p->first == NULL ? SERVER_STATUS_LAST_ROW_SENT : 0));
    if (p->first == NULL) {
        sql_stmt_reset(p); /* MYSQL: a cursor closes with its last row */
    }
    return sink->ops->end(sink, &status, false);
}

db_err sql_stmt_fetch(struct sql_stmt *stmt, uint32_t rows_max, struct sql_sink *sink)
{
    struct statement st = {.session = stmt->session, .sink = sink};
    session__forget_kill(stmt->session);
    session__begin_statement(stmt->session);
    status__count(stmt->session, COUNT_QUESTIONS);
    status__count(stmt->session, COUNT_STMT_FETCH);
    return session__finish(&st, fetch(stmt, rows_max, sink));
}

void sql_stmt_reset(struct sql_stmt *stmt)
{
    plan_unref(stmt->cursor_plan);
    stmt->cursor_plan = NULL;
    stmt->first = stmt->last = NULL;
    arena_reset(&stmt->cursor_arena);
}

void sql_stmt_close(struct sql_stmt *stmt)
{
    if (stmt == NULL) {
        return;
    }
    sql_stmt_reset(stmt);
    atomic_fetch_sub_explicit(&stmt->session->engine->prepared_count, 1, memory_order_relaxed);
    plan_unref(stmt->plan);
    buf_fini(&stmt->key.schema);
    arena_fini(&stmt->cursor_arena);
    arena_fini(&stmt->arena);
    mem_free(stmt);
}

/* ---- by name ---- */

static struct named_stmt **find(struct sql_session *s, struct slice name)
{
    struct named_stmt **link = &s->named;
    while (*link != NULL && !slice_eq_nocase((*link)->name, name)) {
        link = &(*link)->next;
    }
    return link;
}

static void drop(struct named_stmt **link)
{
    struct named_stmt *n = *link;
    *link = n->next;
    sql_stmt_close(n->stmt);
    arena_fini(&n->arena);
    mem_free(n);
}

void prepared__drop_all(struct sql_session *s)
{
    while (s->named != NULL) {
        drop(&s->named);
    }
}

static db_err prepare_named(struct statement *st, const struct ast_prepare *a)
{
    struct sql_session *s = st->session;
    struct named_stmt **link = find(s, a->name);
    struct slice text = a->text;
    if (*link != NULL) {
        status__count(s, COUNT_STMT_CLOSE);
        drop(link);
    }
    if (a->text.ptr == NULL) {
        const struct user_var *v = vars__user_get(s, a->variable);
        struct cast_ctx c;
        struct sql_type t;
        if (v == NULL || v->value.is_null) {
            text = SLICE_LIT("NULL");
        } else {
            query__cast_ctx(s, &c, false);
            t = value_type(&v->value);
            TRY(value_to_text(&c, &t, &v->value, &text));
        }
    }
    struct named_stmt *n = mem_calloc(1, sizeof(*n));
    if (n == NULL) {
        return ERR_NOMEM;
    }
    arena_init(&n->arena, NULL, NULL, 0);
    db_err err = arena_copy(&n->arena, a->name, &n->name);
    if (err == ERR_OK) {
        err = prepare(s, text, &n->stmt);
    }
    if (err != ERR_OK) {
        arena_fini(&n->arena);
        mem_free(n);
        return err;
    }
    n->next = s->named;
    s->named = n;
    return session__ok(st, 0, SLICE_LIT("Statement prepared"));
}

static db_err unknown(struct sql_session *s, struct slice name, const char *what)
{
    return my_error(&s->diag, ER_UNKNOWN_STMT_HANDLER, arena_strdup(&s->stmt_arena, name), what);
}

static db_err execute_named(struct statement *st, const struct ast_execute *a)
{
    struct sql_session *s = st->session;
    struct named_stmt *n = *find(s, a->name);
    if (n == NULL) {
        return unknown(s, a->name, "EXECUTE");
    }
    if (a->variables.count != n->stmt->param_count) {
        return my_error(&s->diag, ER_WRONG_ARGUMENTS, "EXECUTE");
    }
    struct param_values all;
    TRY(new_values(s, a->variables.count, &all));
    for (uint32_t i = 0; i < all.count; i++) {
        const struct user_var *v = vars__user_get(s, a->variables.items[i]->name);
        struct sql_type *t = &all.types[i];
        all.values[i] = value_null();
        *t = type_null();
        if (v != NULL && !v->value.is_null) {
            TRY(value_copy(&v->value, &s->stmt_arena, &all.values[i]));
            uint16_t collation;
            vars__bind_user(s, a->variables.items[i]->name, t, &collation);
            if (type_is_string(t)) {
                *t = text_type(t->collation);
                all.values[i].type = t->id;
            }
            t->flags |= TYPE_F_NOT_NULL | TYPE_F_EXPR;
        }
    }
    TRY(take_values(n->stmt, &all, st));
    return execute(n->stmt, st);
}

db_err prepared__sql(struct statement *st, const struct ast_stmt *ast)
{
    struct sql_session *s = st->session;
    if (ast->kind == AST_STMT_PREPARE) {
        return prepare_named(st, (const struct ast_prepare *)ast);
    }
    if (ast->kind == AST_STMT_EXECUTE) {
        return execute_named(st, (const struct ast_execute *)ast);
    }
    const struct ast_deallocate *d = (const struct ast_deallocate *)ast;
    struct named_stmt **link = find(s, d->name);
    if (*link == NULL) {
        return unknown(s, d->name, "DEALLOCATE PREPARE");
    }
    status__count(s, COUNT_STMT_CLOSE);
    drop(link);
    return session__ok(st, 0, SLICE_EMPTY);
}
