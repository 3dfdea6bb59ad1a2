/* HANDLER: a table's rows one after the other, by an index or in the order of the table.
 *
 * A READ is a SELECT * of the table whose plan is made to scan the index that is named, from where
 * the handler stands: what WHERE says is wrapped, so that it is a filter and never a range. The
 * scan gives row by row and tells the key of the last one (exec_ctx.cursor_key), from which the
 * next READ goes on. Each READ sees what a SELECT would see: rows may come and go between two of
 * them.
 *
 * Where a handler stands is a key of one index: that of a row, or, when a READ has come to the end
 * of what it reads, the place behind it. With another index a READ begins anew: NEXT is then FIRST,
 * and PREV is LAST.
 *
 * No lock is held between two READs. A table that this session alters closes its handlers, as in
 * MySQL; when another session has done it, the handler goes on with the new definition, from the
 * beginning. */
#include "base/alloc.h"
#include "base/scope.h"
#include "sql/catalog/table_format.h"
#include "sql/codec/table_keys.h"
#include "sql/session/session_int.h"

enum { HANDLERS_MAX = 4096, KEY_MAX = 64 * 1024, NOWHERE = -1, NATURAL = -2 };

struct open_handler {
    struct open_handler *next;
    struct arena arena;
    struct slice alias, schema, name;
    table_id_t table;
    uint64_t version;
    int order; /* what `key` is of: an ordinal of an index, NATURAL, or NOWHERE */
    bool on_row;
    struct buf key;
};

static void free_handler(struct open_handler *h)
{
    buf_fini(&h->key);
    arena_fini(&h->arena);
    mem_free(h);
}

static struct open_handler **find(struct sql_session *s, const struct ast_name *name)
{
    struct open_handler **at = &s->handlers;
    while (*at != NULL && (!slice_eq_nocase((*at)->alias, name->name) ||
                           (name->schema.ptr != NULL && !slice_eq((*at)->schema, name->schema)))) {
        at = &(*at)->next;
    }
    return at;
}

static void close_at(struct sql_session *s, struct open_handler **at)
{
    struct open_handler *h = *at;
    *at = h->next;
    s->handler_count--;
    free_handler(h);
}

void handler__close_all(struct sql_session *s)
{
    while (s->handlers != NULL) {
        close_at(s, &s->handlers);
    }
}

db_err handler__after_ddl(struct sql_session *s)
{
    const struct catalog_snapshot *snap;
    TRY(session__snapshot(s, &snap));
    struct open_handler **at = &s->handlers;
    while (*at != NULL) {
        const struct table_def *t = snapshot_table(snap, (*at)->schema, (*at)->name);
        if (t != NULL && t->id == (*at)->table && t->version == (*at)->version) {
            at = &(*at)->next;
        } else {
            close_at(s, at);
        }
    }
    catalog_release(snap);
    return ERR_OK;
}

static db_err unknown(struct sql_session *s, const struct ast_name *name)
{
    return my_error(&s->diag, ER_UNKNOWN_TABLE, arena_strdup(&s->stmt_arena, name->name),
                    "HANDLER");
}

/* ---- the SELECT ---- */

static db_err quoted(struct buf *out, struct slice name)
{
    TRY(buf_append_u8(out, '`'));
    for (size_t i = 0; i < name.len; i++) {
        TRY(name.ptr[i] == '`' ? buf_append_u8(out, '`') : ERR_OK);
        TRY(buf_append_u8(out, name.ptr[i]));
    }
    return buf_append_u8(out, '`');
}

/* SELECT * FROM schema.name AS alias WHERE IF(where, 1, 0) LIMIT 1 */
static db_err query_of(struct sql_session *s, const struct open_handler *h,
                       const struct ast_handler *a, struct ast_stmt **ret)
{
    struct parse_options opts = {0};
    struct slice text;
    size_t consumed;
    SCOPE_BUF(sql, KEY_MAX);
    TRY(buf_append_slice(&sql, SLICE_LIT("SELECT * FROM ")));
    TRY(quoted(&sql, h->schema));
    TRY(buf_append_u8(&sql, '.'));
    TRY(quoted(&sql, h->name));
    TRY(buf_append_slice(&sql, SLICE_LIT(" AS ")));
    TRY(quoted(&sql, h->alias));
    TRY(buf_append_slice(&sql, a->where == NULL ? SLICE_LIT(" LIMIT 1")
                                                : SLICE_LIT(" WHERE IF(1, 1, 0) LIMIT 1")));
    TRY(arena_copy(&s->stmt_arena, buf_slice(&sql), &text));
    TRY(parser_parse(&s->stmt_arena, text, &opts, &s->diag, ret, &consumed));
    struct ast_query *q = ((struct ast_select_stmt *)*ret)->query;
    if (a->where != NULL) {
        struct ast_select *select = (struct ast_select *)q->body;
        ((struct ast_func *)select->where)->args.items[0] = a->where;
    }
    if (a->limit != NULL) {
        q->limit = a->limit;
    }
    return ERR_OK;
}

/* What the plan reads; NULL: it has found that there can be no row. */
static struct plan_node *scan_of(const struct plan *plan)
{
    struct plan_node *n = plan->root;
    while (n->child_count == 1) {
        n = n->children[0];
    }
    bool scans =
        n->kind == PLAN_TABLE_SCAN || n->kind == PLAN_INDEX_SCAN || n->kind == PLAN_VIRTUAL_SCAN;
    return scans ? n : NULL;
}

/* ---- OPEN, CLOSE ---- */

static db_err remember(struct sql_session *s, const struct ast_handler *a,
                       const struct table_def *t)
{
    struct open_handler *h = mem_calloc(1, sizeof(*h));
    if (h == NULL) {
        return ERR_NOMEM;
    }
    arena_init(&h->arena, NULL, NULL, 0);
    buf_init(&h->key, KEY_MAX);
    h->table = t->id;
    h->version = t->version;
    h->order = NOWHERE;
    struct slice alias = a->alias.ptr != NULL ? a->alias : a->table.name;
    db_err err = arena_copy(&h->arena, alias, &h->alias);
    err = err != ERR_OK ? err : arena_copy(&h->arena, t->schema_name, &h->schema);
    err = err != ERR_OK ? err : arena_copy(&h->arena, t->name, &h->name);
    if (err != ERR_OK) {
        free_handler(h);
        return err;
    }
    h->next = s->handlers;
    s->handlers = h;
    s->handler_count++;
    return ERR_OK;
}

static db_err check_table(struct sql_session *s, const struct ast_handler *a)
{
    const struct catalog_snapshot *snap;
    struct slice schema = a->table.schema.ptr != NULL ? a->table.schema : s->schema;
    TRY(session__snapshot(s, &snap));
    const struct table_def *t = snapshot_table(snap, schema, a->table.name);
    db_err err = ERR_OK;
    if (t != NULL && t->kind != TABLE_BASE) {
        err = my_error(&s->diag, ER_WRONG_OBJECT, arena_strdup(&s->stmt_arena, schema),
                       arena_strdup(&s->stmt_arena, t->name), "BASE TABLE");
    }
    catalog_release(snap);
    return err;
}

/* Planning the SELECT says whether there is such a table. MYSQL: whether all of it may be read is
 * asked by READ. */
static db_err open_table(struct statement *st, const struct ast_handler *a)
{
    struct sql_session *s = st->session;
    struct ast_name alias = {.name = a->alias.ptr != NULL ? a->alias : a->table.name};
    struct ast_handler bare = {.table = a->table};
    struct ast_stmt *ast;
    struct plan *plan;
    if (*find(s, &alias) != NULL) {
        return my_error(&s->diag, ER_NONUNIQ_TABLE, arena_strdup(&s->stmt_arena, alias.name));
    }
    if (a->table.schema.ptr == NULL && !s->has_schema) {
        return my_error(&s->diag, ER_NO_DB_ERROR);
    }
    if (s->handler_count == HANDLERS_MAX) {
        return ERR_LIMIT;
    }
    TRY(access__handler(s, &a->table));
    TRY(check_table(s, a));
    struct open_handler wanted = {.alias = alias.name,
                                  .schema =
                                      a->table.schema.ptr != NULL ? a->table.schema : s->schema,
                                  .name = a->table.name};
    TRY(query_of(s, &wanted, &bare, &ast));
    bool own = s->is_own_query;
    s->is_own_query = true;
    db_err err = query__plan(s, ast, NULL, false, &plan);
    s->is_own_query = own;
    TRY(err);
    const struct plan_node *scan = scan_of(plan);
    err = scan == NULL ? ERR_INVALID : remember(s, a, scan->u.scan.table);
    plan_unref(plan);
    TRY(err);
    return session__ok(st, 0, SLICE_EMPTY);
}

/* ---- READ ---- */

static db_err find_order(struct sql_session *s, const struct ast_handler *a,
                         const struct table_def *t, int *ret_order)
{
    if (a->index.ptr == NULL) {
        *ret_order = NATURAL;
        return ERR_OK;
    }
    for (uint32_t i = 0; i < t->index_count; i++) {
        const struct index_def *ix = &t->indexes[i];
        bool ordered = ix->kind != INDEX_FULLTEXT && ix->kind != INDEX_SPATIAL;
        bool named = i != 0 || !t->columns[ix->parts[0].column].hidden;
        if (named && ordered && slice_eq_nocase(ix->name, a->index)) {
            *ret_order = (int)i;
            return ERR_OK;
        }
    }
    return my_error(&s->diag, ER_KEY_DOES_NOT_EXITS, arena_strdup(&s->stmt_arena, a->index),
                    arena_strdup(&s->stmt_arena, a->table.name));
}

/* MYSQL: the value is stored as into the column, and what that makes of it is looked for. */
static db_err append_part(struct sql_session *s, const struct ast_handler *a,
                          const struct table_def *t, uint32_t index, uint32_t part, struct buf *key)
{
    const struct key_column *kc = &t->format->indexes[index].columns[part];
    const struct sql_type *type =
        column_key_type(&t->columns[t->indexes[index].parts[part].column]);
    struct store_target target = {.column = "", .row = 1};
    struct cast_ctx cast;
    struct value v;
    struct value stored;
    db_err err = query__eval(s, a->key.items[part], &v);
    if (err == ERR_SQL && s->diag.number == ER_BAD_FIELD_ERROR) {
        diag_reset(&s->diag);
        return my_error(&s->diag, ER_WRONG_ARGUMENTS, "HANDLER ... READ");
    }
    TRY(err);
    if (v.is_null) {
        return kc->nullable ? key_encode_null(kc, key)
                            : my_error(&s->diag, ER_BAD_NULL_ERROR,
                                       arena_strdup(&s->stmt_arena, t->indexes[index].name));
    }
    query__cast_ctx(s, &cast, false);
    cast.warn = NULL;
    struct sql_type own = value_type(&v);
    TRY(type_store(&cast, type, &target, &own, &v, &stored));
    return key_encode(kc, &stored, key);
}

/* The span of READ index op (values), and whether it is read backwards. */
static db_err span_of_key(struct sql_session *s, const struct ast_handler *a,
                          const struct table_def *t, uint32_t index, struct storage_span *io_span,
                          bool *ret_reverse)
{
    uint32_t parts = t->indexes[index].part_count;
    struct slice from;
    struct slice to;
    SCOPE_BUF(key, KEY_MAX);
    if (a->key.count > parts) {
        return my_error(&s->diag, ER_TOO_MANY_KEY_PARTS, (int)parts);
    }
    TRY(buf_append_slice(&key, t->format->index_prefixes[index]));
    for (uint32_t i = 0; i < a->key.count; i++) {
        TRY(append_part(s, a, t, index, i, &key));
    }
    TRY(arena_copy(&s->stmt_arena, buf_slice(&key), &from));
    key_prefix_end(&key);
    TRY(arena_copy(&s->stmt_arena, buf_slice(&key), &to));
    bool before = a->key_op == AST_OP_LT || a->key_op == AST_OP_LE;
    if (a->key_op == AST_OP_EQ || a->key_op == AST_OP_GE) {
        io_span->start = from;
    } else if (a->key_op == AST_OP_GT) {
        io_span->start = to;
    }
    if (a->key_op == AST_OP_EQ || a->key_op == AST_OP_LE) {
        io_span->end = to;
    } else if (a->key_op == AST_OP_LT) {
        io_span->end = from;
    }
    *ret_reverse = before;
    return ERR_OK;
}

static db_err span_of(struct sql_session *s, const struct open_handler *h,
                      const struct ast_handler *a, const struct table_def *t, int order,
                      struct storage_span *ret, bool *ret_reverse)
{
    uint32_t index = order == NATURAL ? 0 : (uint32_t)order;
    SCOPE_BUF(end, KEY_MAX);
    ret->start = t->format->index_prefixes[index];
    TRY(buf_append_slice(&end, ret->start));
    key_prefix_end(&end);
    TRY(arena_copy(&s->stmt_arena, buf_slice(&end), &ret->end));
    *ret_reverse = a->read == AST_READ_LAST || a->read == AST_READ_PREV;
    if (a->read == AST_READ_KEY) {
        return span_of_key(s, a, t, index, ret, ret_reverse);
    }
    if (h->order != order || a->read == AST_READ_FIRST || a->read == AST_READ_LAST) {
        return ERR_OK;
    }
    buf_reset(&end);
    TRY(buf_append_slice(&end, buf_slice(&h->key)));
    if (a->read == AST_READ_NEXT) {
        TRY(h->on_row ? buf_append_u8(&end, 0) : ERR_OK);
        return arena_copy(&s->stmt_arena, buf_slice(&end), &ret->start);
    }
    return arena_copy(&s->stmt_arena, buf_slice(&end), &ret->end);
}

/* Where the handler stands now: on the last row that was sent, or, when all were read, behind the
 * span in the direction of the reading. */
static db_err move_to(struct open_handler *h, int order, const struct handler_walk *walk,
                      bool reverse, bool all)
{
    struct slice key = buf_slice(walk->key);
    if (all) {
        key = reverse ? walk->span.start : walk->span.end;
    } else if (key.len == 0) {
        return ERR_OK; /* LIMIT 0 */
    }
    buf_reset(&h->key);
    h->order = NOWHERE;
    TRY(buf_append_slice(&h->key, key));
    h->order = order;
    h->on_row = !all;
    return ERR_OK;
}

static db_err limit_of(struct sql_session *s, const struct ast_handler *a, uint64_t *ret)
{
    struct value v;
    *ret = 1;
    if (a->limit != NULL) {
        TRY(query__eval(s, a->limit->count, &v));
        *ret = v.u;
    }
    return ERR_OK;
}

static db_err run_plan(struct statement *st, struct open_handler *h, const struct ast_handler *a,
                       struct plan *plan)
{
    struct sql_session *s = st->session;
    struct plan_node *scan = scan_of(plan);
    uint64_t limit;
    uint64_t before = s->sent_rows;
    int order = NOWHERE;
    bool reverse;
    if (scan == NULL) {
        return query__execute(st, plan);
    }
    const struct table_def *t = scan->u.scan.table;
    if (t->id != h->table || t->version != h->version) {
        h->order = NOWHERE; /* keys of another definition */
        h->table = t->id;
        h->version = t->version;
    }
    SCOPE_BUF(key, KEY_MAX);
    struct handler_walk walk = {.scan = scan, .key = &key};
    TRY(limit_of(s, a, &limit));
    TRY(find_order(s, a, t, &order));
    TRY(span_of(s, h, a, t, order, &walk.span, &reverse));
    uint32_t index = order == NATURAL ? 0 : (uint32_t)order;
    scan->kind = index == 0 ? PLAN_TABLE_SCAN : PLAN_INDEX_SCAN;
    scan->u.scan.index = &t->indexes[index];
    scan->u.scan.range_count = 0;
    scan->u.scan.covering = false;
    scan->u.scan.reverse = reverse;
    plan->shape = PLAN_SHAPE_TREE;
    enum exec_pushdown pushdown = s->vars.pushdown;
    s->vars.pushdown = EXEC_PUSHDOWN_OFF;
    st->walk = &walk;
    st->shows = true;
    db_err err = query__execute(st, plan);
    st->walk = NULL;
    s->vars.pushdown = pushdown;
    TRY(err);
    return move_to(h, order, &walk, reverse, s->sent_rows - before < limit);
}

static db_err read_rows(struct statement *st, const struct ast_handler *a)
{
    enum { PLAN_TRIES = 10 };
    struct sql_session *s = st->session;
    struct open_handler *h = *find(s, &a->table);
    struct ast_stmt *ast;
    if (h == NULL) {
        return unknown(s, &a->table);
    }
    TRY(query_of(s, h, a, &ast));
    db_err err = ERR_SCHEMA_CHANGED;
    for (int i = 0; i < PLAN_TRIES && err == ERR_SCHEMA_CHANGED; i++) {
        struct plan *plan;
        TRY(query__plan(s, ast, st, false, &plan));
        err = run_plan(st, h, a, plan);
        plan_unref(plan);
    }
    return err;
}

db_err handler__run(struct statement *st, const struct ast_handler *h)
{
    struct sql_session *s = st->session;
    if (h->op != AST_HANDLER_CLOSE && table_locks__active(s)) {
        return my_error(&s->diag, ER_LOCK_OR_ACTIVE_TRANSACTION);
    }
    switch (h->op) {
    case AST_HANDLER_OPEN: return open_table(st, h);
    case AST_HANDLER_READ: return read_rows(st, h);
    case AST_HANDLER_CLOSE: break;
    }
    struct open_handler **at = find(s, &h->table);
    if (*at == NULL) {
        return unknown(s, &h->table);
    }
    close_at(s, at);
    return session__ok(st, 0, SLICE_EMPTY);
}
