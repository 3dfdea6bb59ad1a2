/* Which indexes of a table may be read, and for what: USE, FORCE and IGNORE INDEX of its reference
 * and the hints INDEX, JOIN_INDEX, ORDER_INDEX, GROUP_INDEX, which take the place of the former.
 *
 * MYSQL: what is allowed for joins is what conditions may be looked up by; the order of an index is
 * another use of it, and groups one more. An index that may be read for any of them may be read as
 * a whole where it has all columns wanted. A hint none of whose indexes is there is about all. */
#include "sql/opt/opt_int.h"

#include "sql/bind/hints.h"
#include "sql/parser/ast_query.h"

/* ---- of the reference ---- */

static bool in_scope(const struct index_hint *h, enum index_for what)
{
    static const int scopes[] = {AST_HINT_JOIN, AST_HINT_ORDER_BY, AST_HINT_GROUP_BY};
    return h->scope == AST_HINT_ALL || h->scope == scopes[what];
}

static bool reference_allows(const struct lnode *n, const struct index_def *ix, enum index_for what)
{
    bool only_listed = false;
    bool listed = false;
    for (uint32_t i = 0; i < n->u.table.hint_count; i++) {
        const struct index_hint *h = &n->u.table.hints[i];
        bool in = false;
        for (uint32_t k = 0; k < h->count; k++) {
            in = in || h->indexes[k] == ix;
        }
        if (!in_scope(h, what)) {
            continue;
        }
        if (h->kind == AST_HINT_IGNORE) {
            if (in) {
                return false;
            }
        } else {
            only_listed = true;
            listed = listed || in;
        }
    }
    return !only_listed || listed;
}

static bool reference_forces(const struct lnode *n, enum index_for what)
{
    for (uint32_t i = 0; i < n->u.table.hint_count; i++) {
        const struct index_hint *h = &n->u.table.hints[i];
        if (h->kind == AST_HINT_FORCE && (what == INDEX_FOR_JOIN || in_scope(h, what))) {
            return true; /* MYSQL: whatever it is for, a scan of the table costs too much */
        }
    }
    return false;
}

/* ---- of hints ---- */

static const enum ast_hint_kind g_kinds[] = {HINT_JOIN_INDEX, HINT_ORDER_INDEX, HINT_GROUP_INDEX};

static bool is_of_use(const struct hint_index *h)
{
    return h->kind == HINT_INDEX || h->kind == HINT_JOIN_INDEX || h->kind == HINT_ORDER_INDEX ||
           h->kind == HINT_GROUP_INDEX;
}

/* NULL: no hint says which indexes are used. */
static const struct hint_table *hinted(const struct lnode *n)
{
    const struct hint_table *t = n->u.table.hinted;
    const struct hint_index *h = t == NULL ? NULL : t->indexes;
    while (h != NULL && !is_of_use(h)) {
        h = h->next;
    }
    return h == NULL ? NULL : t;
}

static bool names_index(const struct lnode *n, const struct hint_index *h,
                        const struct index_def *ix)
{
    bool any = false;
    for (uint32_t i = 0; !h->all && i < h->count; i++) {
        const struct index_def *named = table_index(n->u.table.def, h->names[i]);
        if (named == ix) {
            return true;
        }
        any = any || named != NULL;
    }
    return !any;
}

static bool hints_allow(const struct lnode *n, const struct hint_table *t,
                        const struct index_def *ix, enum index_for what)
{
    bool allowed = true;
    for (const struct hint_index *h = t->indexes; h != NULL; h = h->next) {
        allowed = allowed && (!is_of_use(h) || h->off);
    }
    for (int specific = 0; specific < 2; specific++) {
        for (const struct hint_index *h = t->indexes; h != NULL; h = h->next) {
            if (h->kind == (specific ? g_kinds[what] : HINT_INDEX) && names_index(n, h, ix)) {
                allowed = !h->off;
            }
        }
    }
    return allowed;
}

static bool hints_force(const struct hint_table *t, enum index_for what)
{
    for (const struct hint_index *h = t->indexes; h != NULL; h = h->next) {
        if (!h->off && (h->kind == HINT_INDEX || h->kind == g_kinds[what])) {
            return true;
        }
    }
    return false;
}

/* ---- */

bool opt__index_visible(const struct optimizer *o, const struct index_def *ix)
{
    return ix->kind != INDEX_FULLTEXT && ix->kind != INDEX_SPATIAL &&
           (!ix->invisible || ix->id == INDEX_ID_CLUSTERED ||
            opt__switch(o, OPT_USE_INVISIBLE_INDEXES));
}

bool opt__index_allowed(const struct lnode *n, const struct index_def *ix, enum index_for what)
{
    const struct hint_table *t = hinted(n);
    return t != NULL ? hints_allow(n, t, ix, what) : reference_allows(n, ix, what);
}

bool opt__index_forced(const struct lnode *n, enum index_for what)
{
    const struct hint_table *t = hinted(n);
    return t != NULL ? hints_force(t, what) : reference_forces(n, what);
}

bool opt__index_without_ranges(const struct lnode *n, const struct index_def *ix)
{
    const struct hint_table *t = n->u.table.hinted;
    const struct hint_index *h = t == NULL ? NULL : t->indexes;
    while (h != NULL && !(h->kind == HINT_RANGE_OPTIMIZATION && names_index(n, h, ix))) {
        h = h->next;
    }
    return h != NULL;
}
