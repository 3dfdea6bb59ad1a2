/* FOR UPDATE and FOR SHARE: which tables of a query block they lock. */
#include "sql/bind/bind_int.h"

#include "sql/diag/my_error.h"

static bool has_base_table(const struct lnode *n, struct slice alias)
{
    if (n->kind == LNODE_TABLE) {
        return slice_eq(n->u.table.alias, alias);
    }
    for (uint32_t i = 0; i < n->child_count; i++) {
        if (has_base_table(n->children[i], alias)) {
            return true;
        }
    }
    return false;
}

static bool names_table(const struct ast_locking *l, uint32_t count, struct slice name)
{
    for (uint32_t k = 0; k < count; k++) {
        if (slice_eq(l->tables.items[k]->name, name)) {
            return true;
        }
    }
    return false;
}

/* The first table below n that one of the first `count` clauses locks, or NULL. */
static const struct slice *locked_before(const struct ast_locking_list *locking, uint32_t count,
                                         const struct lnode *n)
{
    if (n->kind == LNODE_TABLE) {
        for (uint32_t i = 0; i < count; i++) {
            const struct ast_locking *l = locking->items[i];
            if (l->tables.count == 0 || names_table(l, l->tables.count, n->u.table.alias)) {
                return &n->u.table.alias;
            }
        }
        return NULL;
    }
    const struct slice *found = NULL;
    for (uint32_t i = 0; i < n->child_count && found == NULL; i++) {
        found = locked_before(locking, count, n->children[i]);
    }
    return found;
}

static db_err locked_again(struct binder *b, struct slice name, const char *quote)
{
    const char *text =
        arena_printf(b->arena, "%s%.*s%s", quote, (int)name.len, (const char *)name.ptr, quote);
    return text == NULL ? ERR_NOMEM : my_error(b->diag, ER_DUPLICATE_TABLE_LOCK, text);
}

/* Every table that the i-th locking clause names must be there, and be locked by no other. MYSQL:
 * the text quotes a name of OF only. */
static db_err check_locking(struct binder *b, const struct ast_locking_list *locking, uint32_t i,
                            const struct lnode *n)
{
    const struct ast_locking *l = locking->items[i];
    const struct slice *again = l->tables.count == 0 ? locked_before(locking, i, n) : NULL;
    for (uint32_t k = 0; k < l->tables.count; k++) {
        struct slice name = l->tables.items[k]->name;
        bool twice = names_table(l, k, name);
        if (!has_base_table(n, name)) {
            return my_error(b->diag, ER_UNRESOLVED_TABLE_LOCK, arena_strdup(b->arena, name));
        }
        for (uint32_t before = 0; before < i && !twice; before++) {
            const struct ast_locking *o = locking->items[before];
            twice = o->tables.count == 0 || names_table(o, o->tables.count, name);
        }
        if (twice) {
            return locked_again(b, name, "`");
        }
    }
    return again == NULL ? ERR_OK : locked_again(b, *again, "");
}

static db_err lock_tables(struct binder *b, const struct ast_locking_list *locking, struct lnode *n)
{
    for (uint32_t i = 0; i < n->child_count; i++) {
        TRY(lock_tables(b, locking, n->children[i]));
    }
    if (n->kind != LNODE_TABLE || n->u.table.def->kind != TABLE_BASE) {
        return ERR_OK;
    }
    for (uint32_t i = 0; i < locking->count; i++) {
        const struct ast_locking *l = locking->items[i];
        bool named = l->tables.count == 0;
        for (uint32_t k = 0; k < l->tables.count; k++) {
            named = named || slice_eq(l->tables.items[k]->name, n->u.table.alias);
        }
        if (named) {
            n->u.table.lock = l->strength == AST_LOCK_UPDATE ? ROW_LOCK_EXCLUSIVE : ROW_LOCK_SHARED;
            if (l->strength == AST_LOCK_UPDATE) {
                TRY(bind__need_lock(b, n->u.table.need));
            }
            n->u.table.wait = (enum row_lock_wait)l->wait;
            b->stmt->read_only = false;
        }
    }
    return ERR_OK;
}

db_err bind__locking(struct binder *b, const struct ast_locking_list *locking, struct lnode *n)
{
    for (uint32_t i = 0; i < locking->count; i++) {
        TRY(check_locking(b, locking, i, n));
    }
    return lock_tables(b, locking, n);
}
