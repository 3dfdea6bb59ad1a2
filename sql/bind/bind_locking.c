/* FOR UPDATE and FOR SHARE: which tables of a query block they lock.
 *
 * MYSQL: a clause behind a set operation is of its last block. Names in OF are those of the block's
 * FROM, looked up before anything else of the query is; a derived table counts as locked already.
 * Locked are tables of FROM itself and those of views that are merged, not what derived tables and
 * common table expressions read. EXPLAIN and views know no such clause. */
#include "sql/bind/bind_int.h"

#include "sql/diag/my_error.h"

static const struct ast_body *last_block(const struct ast_body *body)
{
    while (body->kind == AST_BODY_SETOP || body->kind == AST_BODY_QUERY) {
        body = body->kind == AST_BODY_SETOP ? ast_set_last((const struct ast_setop *)body)->body
                                            : ((const struct ast_body_query *)body)->query->body;
    }
    return body;
}

/* ---- names ---- */

/* A table of FROM as clauses see it. */
struct reference {
    enum ast_table_kind kind;
    struct slice schema; /* ptr NULL: the current one, or none */
    struct slice name;
};

static struct reference reference_of(const struct ast_table *t)
{
    struct reference r = {.kind = t->kind};
    if (t->kind == AST_TABLE_BASE) {
        const struct ast_table_base *base = (const struct ast_table_base *)t;
        r.schema = base->name.schema;
        r.name = base->alias.ptr != NULL ? base->alias : base->name.name;
    } else if (t->kind == AST_TABLE_DERIVED) {
        r.name = ((const struct ast_table_derived *)t)->alias;
    } else {
        r.name = ((const struct ast_json_table *)t)->alias;
    }
    return r;
}

static bool names(const struct binder *b, const struct ast_name *n, const struct reference *r)
{
    struct slice own = r->schema.ptr != NULL ? r->schema : b->opts->current_schema;
    return slice_eq(n->name, r->name) &&
           (n->schema.ptr == NULL || (own.ptr != NULL && slice_eq(n->schema, own)));
}

/* The tables of FROM in their order, as far as there is room: how many there are. */
static uint32_t list_tables(const struct ast_table *from, struct reference *out, uint32_t room,
                            uint32_t count)
{
    while (from != NULL && from->kind == AST_TABLE_JOIN) {
        const struct ast_table_join *j = (const struct ast_table_join *)from;
        count = list_tables(j->left, out, room, count);
        from = j->right;
    }
    if (from != NULL) {
        if (count < room) {
            out[count] = reference_of(from);
        }
        count++;
    }
    return count;
}

static db_err references_of(struct binder *b, const struct ast_body *block, struct reference **ret,
                            uint32_t *ret_count)
{
    if (block->kind == AST_BODY_TABLE) {
        const struct ast_name *name = &((const struct ast_body_table *)block)->name;
        *ret = BIND_NEW(b, struct reference);
        if (*ret == NULL) {
            return ERR_NOMEM;
        }
        **ret = (struct reference){AST_TABLE_BASE, name->schema, name->name};
        *ret_count = 1;
        return ERR_OK;
    }
    const struct ast_table *from =
        block->kind == AST_BODY_SELECT ? ((const struct ast_select *)block)->from : NULL;
    uint32_t n = list_tables(from, NULL, 0, 0);
    *ret = BIND_ARRAY(b, struct reference, n + 1);
    if (*ret == NULL) {
        return ERR_NOMEM;
    }
    *ret_count = list_tables(from, *ret, n, 0);
    return ERR_OK;
}

static bool locks(const struct binder *b, const struct ast_locking *l, uint32_t count,
                  const struct reference *r)
{
    for (uint32_t k = 0; k < count; k++) {
        if (names(b, l->tables.items[k], r)) {
            return true;
        }
    }
    return false;
}

static db_err locked_again(struct binder *b, struct slice name, const char *quote)
{
    const char *text =
        arena_printf(b->arena, "%s%.*s%s", quote, (int)name.len, (const char *)name.ptr, quote);
    return text == NULL ? ERR_NOMEM : my_error(b->diag, ER_DUPLICATE_TABLE_LOCK, text);
}

/* Is the table locked before the k-th name of the i-th clause says so? */
static bool locked_before(const struct binder *b, const struct ast_locking_list *locking,
                          uint32_t i, uint32_t k, const struct reference *r)
{
    if (r->kind == AST_TABLE_JSON || (k != 0 && locks(b, locking->items[i], k, r))) {
        return true;
    }
    for (uint32_t before = 0; before < i; before++) {
        const struct ast_locking *o = locking->items[before];
        if (o->tables.count == 0 || locks(b, o, o->tables.count, r)) {
            return true;
        }
    }
    return false;
}

/* Every table that the i-th clause names must be there, and be locked by no other. MYSQL: the text
 * quotes a name of OF only. */
static db_err check_clause(struct binder *b, const struct ast_locking_list *locking, uint32_t i,
                           const struct reference *refs, uint32_t count)
{
    const struct ast_locking *l = locking->items[i];
    for (uint32_t k = 0; k < l->tables.count; k++) {
        const struct ast_name *name = l->tables.items[k];
        uint32_t at = 0;
        while (at < count && !names(b, name, &refs[at])) {
            at++;
        }
        if (at == count) {
            return my_error(b->diag, ER_UNRESOLVED_TABLE_LOCK, arena_strdup(b->arena, name->name));
        }
        if (refs[at].kind == AST_TABLE_DERIVED || locked_before(b, locking, i, k, &refs[at])) {
            return locked_again(b, name->name, "`");
        }
    }
    for (uint32_t at = 0; at < count && l->tables.count == 0; at++) {
        if (refs[at].kind != AST_TABLE_DERIVED && locked_before(b, locking, i, 0, &refs[at])) {
            return locked_again(b, refs[at].name, "");
        }
    }
    return ERR_OK;
}

db_err bind__begin_locking(struct binder *b, const struct ast_query *q, struct locking_tail *tail)
{
    struct reference *refs;
    uint32_t count;
    if (q->locking.count == 0 || b->opts->explain || b->views != NULL) {
        return ERR_OK;
    }
    *tail = (struct locking_tail){b->locking, &q->locking, last_block(q->body)};
    TRY(references_of(b, tail->block, &refs, &count));
    for (uint32_t i = 0; i < q->locking.count; i++) {
        TRY(check_clause(b, &q->locking, i, refs, count));
    }
    b->locking = tail;
    return ERR_OK;
}

/* ---- locks ---- */

static db_err lock_table(struct binder *b, const struct ast_locking *l, struct lnode *n,
                         bool in_view)
{
    const struct table_def *def = n->u.table.def;
    bool exclusive = l->strength == AST_LOCK_UPDATE;
    if (exclusive && b->opts->creates.ptr != NULL) {
        struct slice name = in_view ? n->u.table.view->name : def->name;
        return my_error(b->diag, ER_CANT_UPDATE_TABLE_IN_CREATE_TABLE_SELECT,
                        arena_strdup(b->arena, name), arena_strdup(b->arena, b->opts->creates));
    }
    bool shown =
        def->kind == TABLE_VIRTUAL && slice_eq(def->schema_name, SLICE_LIT("information_schema"));
    if (shown && !exclusive) {
        return my_error(b->diag, ER_IS_QUERY_INVALID_CLAUSE, "LOCK IN SHARE MODE");
    }
    if (shown && b->opts->priv != NULL) {
        struct priv_need need = {.def = def, .locks = true};
        return priv_check_need(b->opts->priv, &need, b->diag);
    }
    if (def->kind == TABLE_BASE) {
        TRY(exclusive ? bind__need_lock(b, n->u.table.need) : ERR_OK);
        n->u.table.lock = exclusive ? ROW_LOCK_EXCLUSIVE : ROW_LOCK_SHARED;
        n->u.table.wait = (enum row_lock_wait)l->wait;
        b->stmt->unsafe = b->stmt->unsafe || n->u.table.wait != ROW_LOCK_WAIT;
        b->stmt->read_only = false;
    }
    return ERR_OK;
}

/* in_view: below a view, whose name is the one that counts. */
static db_err lock_tables(struct binder *b, const struct ast_locking_list *locking, struct lnode *n,
                          bool in_view)
{
    if (n->kind == LNODE_TABLE) {
        struct slice name = in_view ? n->u.table.view_alias : n->u.table.alias;
        struct reference r = {AST_TABLE_BASE, n->u.table.def->schema_name, name};
        r.schema = in_view ? n->u.table.view->schema_name : r.schema;
        for (uint32_t i = 0; i < locking->count; i++) {
            const struct ast_locking *l = locking->items[i];
            if (l->tables.count == 0 || locks(b, l, l->tables.count, &r)) {
                TRY(lock_table(b, l, n, in_view));
            }
        }
        return ERR_OK;
    }
    if (n->kind == LNODE_PROJECT && n->u.project.derived) {
        const struct table_def *view = n->u.project.view;
        if (view == NULL || view->view.algorithm == VIEW_TEMPTABLE ||
            !bind__rows_merge(n->children[0])) {
            return ERR_OK;
        }
        in_view = true;
    } else if (n->kind != LNODE_PROJECT && n->kind != LNODE_JOIN && n->kind != LNODE_FILTER &&
               n->kind != LNODE_SORT) {
        return ERR_OK;
    }
    for (uint32_t i = 0; i < n->child_count; i++) {
        TRY(lock_tables(b, locking, n->children[i], in_view));
    }
    return ERR_OK;
}

db_err bind__lock_block(struct binder *b, const struct ast_body *block, struct lnode *n)
{
    for (const struct locking_tail *t = b->locking; t != NULL; t = t->outer) {
        if (t->block == block) {
            TRY(lock_tables(b, t->locking, n, false));
        }
    }
    return ERR_OK;
}
