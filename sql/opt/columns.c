/* Which columns expressions read. */
#include "sql/opt/opt_int.h"

db_err opt__add_conjunct(struct optimizer *o, struct conjuncts *c, struct bexpr *e)
{
    if (c->count == c->cap) {
        uint32_t cap = c->cap == 0 ? 8 : c->cap * 2;
        struct bexpr **list = OPT_ARRAY(o, struct bexpr *, cap);
        if (list == NULL) {
            return ERR_NOMEM;
        }
        if (c->count != 0) {
            memcpy(list, c->list, c->count * sizeof(*list));
        }
        c->list = list;
        c->cap = cap;
    }
    TRY(opt__stack_for(o, e));
    c->list[c->count++] = e;
    return ERR_OK;
}

db_err opt__set_init(struct optimizer *o, struct col_set *s)
{
    s->word_count = 4;
    s->words = OPT_ARRAY(o, uint64_t, s->word_count);
    return s->words == NULL ? ERR_NOMEM : ERR_OK;
}

db_err opt__set_add(struct optimizer *o, struct col_set *s, col_id_t id)
{
    uint32_t word = id / 64;
    if (word >= s->word_count) {
        uint64_t *words = OPT_ARRAY(o, uint64_t, word * 2);
        if (words == NULL) {
            return ERR_NOMEM;
        }
        memcpy(words, s->words, s->word_count * sizeof(*words));
        s->words = words;
        s->word_count = word * 2;
    }
    s->words[word] |= 1ull << (id % 64);
    return ERR_OK;
}

bool opt__set_has(const struct col_set *s, col_id_t id)
{
    return id / 64 < s->word_count && (s->words[id / 64] >> (id % 64) & 1) != 0;
}

db_err opt__set_add_expr(struct optimizer *o, struct col_set *s, const struct bexpr *e)
{
    if (e->kind == BEXPR_COLUMN) {
        TRY(opt__set_add(o, s, e->u.column.id));
    }
    if (e->kind >= BEXPR_SUBQUERY_SCALAR && e->kind <= BEXPR_SUBQUERY_QUANTIFIED) {
        const struct bsubquery *sub = e->u.subquery.sub;
        for (uint32_t i = 0; i < sub->outer_count; i++) {
            TRY(opt__set_add(o, s, sub->outer_columns[i]));
        }
    }
    for (uint32_t i = 0; i < e->arg_count; i++) {
        TRY(opt__set_add_expr(o, s, e->args[i]));
    }
    return ERR_OK;
}

struct reads {
    const struct lnode *node;
    bool inside, outside;
};

static void note_read(struct reads *r, col_id_t id)
{
    if (lnode_gives(r->node, id)) {
        r->inside = true;
    } else {
        r->outside = true;
    }
}

static bool visit(const struct bexpr *e, void *ctx)
{
    struct reads *r = ctx;
    if (e->kind == BEXPR_COLUMN) {
        note_read(r, e->u.column.id);
    }
    if (e->kind >= BEXPR_SUBQUERY_SCALAR && e->kind <= BEXPR_SUBQUERY_QUANTIFIED) {
        for (uint32_t i = 0; i < e->u.subquery.sub->outer_count; i++) {
            note_read(r, e->u.subquery.sub->outer_columns[i]);
        }
    }
    return true;
}

bool opt__reads_only(const struct bexpr *e, const struct lnode *n)
{
    struct reads r = {.node = n};
    bexpr_walk(e, visit, &r);
    return !r.outside;
}

bool opt__reads_any(const struct bexpr *e, const struct lnode *n)
{
    struct reads r = {.node = n};
    bexpr_walk(e, visit, &r);
    return r.inside;
}

static bool visit_free(const struct bexpr *e, void *ctx)
{
    (void)ctx;
    bool subquery = e->kind >= BEXPR_SUBQUERY_SCALAR && e->kind <= BEXPR_SUBQUERY_QUANTIFIED;
    return e->kind != BEXPR_COLUMN && (!subquery || !e->u.subquery.sub->correlated);
}

bool opt__is_free(const struct bexpr *e)
{
    return !e->is_volatile && bexpr_walk(e, visit_free, NULL);
}

struct bexpr *opt__column(struct optimizer *o, const struct lcolumn *c)
{
    struct bexpr *e = OPT_NEW(o, struct bexpr);
    if (e != NULL) {
        e->kind = BEXPR_COLUMN;
        e->type = c->type;
        e->coercibility = c->coercibility;
        e->u.column.id = c->id;
        e->u.column.padded = lcolumn_reads_padded(c, o->opts->bind->sql_mode);
    }
    return e;
}

db_err opt__stack_for(const struct optimizer *o, const struct bexpr *e)
{
    enum { LOW = 64 };
    return e->height < LOW ? ERR_OK : my_stack_for_levels(o->diag, 2u * e->height);
}

static uint32_t size_of(const struct bexpr *e, const struct lproj *by, uint32_t count)
{
    uint32_t size = 1;
    for (uint32_t i = 0; i < count && e->kind == BEXPR_COLUMN; i++) {
        if (by[i].out == e->u.column.id) {
            return size_of(by[i].expr, NULL, 0);
        }
    }
    for (uint32_t i = 0; i < e->arg_count; i++) {
        size += size_of(e->args[i], by, count);
    }
    return size;
}

bool opt__grows_too_large(const struct bexpr *e, const struct lproj *by, uint32_t count)
{
    enum { SMALL = 500 };
    uint32_t size = size_of(e, by, count);
    return size > SMALL && size / 3 * 2 > size_of(e, NULL, 0);
}

struct bexpr *opt__substitute(struct optimizer *o, const struct bexpr *e, const struct lproj *by,
                              uint32_t count)
{
    if (e->kind == BEXPR_COLUMN) {
        for (uint32_t i = 0; i < count; i++) {
            if (by[i].out == e->u.column.id) {
                return bexpr_clone(o->arena, by[i].expr);
            }
        }
    }
    struct bexpr *c = OPT_NEW(o, struct bexpr);
    if (c == NULL) {
        return NULL;
    }
    *c = *e;
    if (e->arg_count != 0) {
        c->args = OPT_ARRAY(o, struct bexpr *, e->arg_count);
        if (c->args == NULL) {
            return NULL;
        }
        for (uint32_t i = 0; i < e->arg_count; i++) {
            c->args[i] = opt__substitute(o, e->args[i], by, count);
            if (c->args[i] == NULL) {
                return NULL;
            }
            c->height =
                c->args[i]->height >= c->height ? (uint16_t)(c->args[i]->height + 1) : c->height;
            c->has_subquery = c->has_subquery || c->args[i]->has_subquery;
            c->is_volatile = c->is_volatile || c->args[i]->is_volatile;
        }
    }
    return c;
}
