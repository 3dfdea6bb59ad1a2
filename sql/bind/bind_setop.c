/* Chains of set operations.
 *
 * MYSQL: one operation of many operands is made of several of the same kind, also of such in
 * parentheses; the types of each column of all its operands are agreed on at once. Other ones among
 * the operands have types of their own before. */
#include "sql/bind/bind_int.h"

#include "sql/diag/my_error.h"

/* Unions below each other of a recursive common table expression's first blocks. */
enum { UNIONS_DEEP_MAX = 200 };

/* ---- nodes ---- */

struct nodes {
    struct lnode **items;
    uint32_t count, room;
};

static db_err add_node(struct binder *b, struct nodes *io, struct lnode *n)
{
    enum { ROOM_FIRST = 4 };
    if (io->count == io->room) {
        uint32_t room = io->room == 0 ? ROOM_FIRST : io->room * 2;
        struct lnode **items = BIND_ARRAY(b, struct lnode *, room);
        if (items == NULL) {
            return ERR_NOMEM;
        }
        if (io->count != 0) {
            memcpy(items, io->items, io->count * sizeof(*items));
        }
        io->items = items;
        io->room = room;
    }
    io->items[io->count++] = n;
    return ERR_OK;
}

/* A set operation of nodes that have the common columns' types. */
static db_err set_node(struct binder *b, enum ast_setop_kind op, bool distinct,
                       const struct nodes *of, const struct lcolumn *common, struct lnode **ret)
{
    struct lnode *n = lnode_new(b->arena, LNODE_SETOP, of->count);
    if (n == NULL) {
        return ERR_NOMEM;
    }
    n->column_count = of->items[0]->column_count;
    n->columns = BIND_ARRAY(b, struct lcolumn, n->column_count + 1);
    if (n->columns == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n->column_count; i++) {
        n->columns[i] = common[i];
        n->columns[i].id = bind__new_col(b);
    }
    memcpy(n->children, of->items, of->count * sizeof(*n->children));
    n->u.setop.op = op;
    n->u.setop.distinct = distinct;
    *ret = n;
    return ERR_OK;
}

static bool is_union(const struct lnode *n, bool distinct)
{
    return n->kind == LNODE_SETOP && n->u.setop.op == AST_SETOP_UNION &&
           n->u.setop.distinct == distinct;
}

/* One more child, which has the columns' types. */
static db_err add_child(struct binder *b, struct lnode *n, struct lnode *child)
{
    bool full = n->child_count >= 2 && (n->child_count & (n->child_count - 1)) == 0;
    struct nodes children = {n->children, n->child_count, full ? n->child_count : UINT32_MAX};
    TRY(add_node(b, &children, child));
    n->children = children.items;
    n->child_count = children.count;
    return ERR_OK;
}

/* The union that takes another operand, made of this one, whose columns nobody has read yet; or
 * NULL. What becomes DISTINCT has all operands side by side. */
static db_err union_to_grow(struct binder *b, struct growing_union *u, bool all, struct lnode **ret)
{
    struct lnode *n = u->node;
    *ret = is_union(n, !all) ? n : NULL;
    if (all || !is_union(n, false)) {
        return ERR_OK;
    }
    struct lnode *set = n->children[0];
    if (!is_union(set, true)) {
        n->u.setop.distinct = true;
        *ret = n;
        return ERR_OK;
    }
    for (uint32_t i = 1; i < n->child_count; i++) {
        TRY(add_child(b, set, n->children[i]));
    }
    u->depth--;
    *ret = set;
    return ERR_OK;
}

db_err bind__add_to_union(struct binder *b, struct growing_union *u, bool all, struct lnode *n,
                          uint32_t visible)
{
    if (u->width != visible) {
        return my_error(b->diag, ER_WRONG_NUMBER_OF_COLUMNS_IN_SELECT);
    }
    struct lnode *sides[2] = {u->node, n};
    struct lnode *grown = NULL;
    struct lcolumn *common;
    TRY(bind__trim(b, &sides[0], u->width));
    TRY(bind__trim(b, &sides[1], u->width));
    TRY(bind__common_columns(b, AST_SETOP_UNION, sides, 2, false, &common));
    TRY(bind__cast_operand(b, &sides[0], common, u->width));
    TRY(bind__cast_operand(b, &sides[1], common, u->width));
    TRY(u->made && sides[0] == u->node ? union_to_grow(b, u, all, &grown) : ERR_OK);
    if (grown == NULL) {
        struct nodes two = {.items = sides, .count = 2};
        if (++u->depth > UNIONS_DEEP_MAX) {
            return bind__too_deep(b);
        }
        u->made = true;
        return set_node(b, AST_SETOP_UNION, !all, &two, common, &u->node);
    }
    TRY(add_child(b, grown, sides[1]));
    for (uint32_t i = 0; i < u->width; i++) {
        col_id_t id = grown->columns[i].id;
        grown->columns[i] = common[i];
        grown->columns[i].id = id;
    }
    u->node = grown;
    return ERR_OK;
}

/* ---- what is one operation ---- */

/* The set operation that a body is, also one in parentheses; not one with an order or a limit of
 * its own, which makes its rows before they meet others. */
static const struct ast_setop *set_within(const struct ast_body *body)
{
    while (body->kind == AST_BODY_QUERY) {
        const struct ast_query *q = ((const struct ast_body_query *)body)->query;
        if (q->with != NULL || q->order_by.count != 0 || q->limit != NULL ||
            q->locking.count != 0 || q->into != NULL) {
            return NULL;
        }
        body = q->body;
    }
    return body->kind == AST_BODY_SETOP ? (const struct ast_setop *)body : NULL;
}

/* An operand that is a set operation of the same kind, or NULL. */
static const struct ast_setop *of_kind(enum ast_setop_kind op, const struct ast_body *operand)
{
    const struct ast_setop *in = set_within(operand);
    return in != NULL && ast_set_last(in)->op == op ? in : NULL;
}

/* Does the operation of the first `count` links keep ALL, and so does each part of it? */
static bool keeps_all(const struct ast_setop *s, uint32_t count, bool in_table)
{
    enum ast_setop_kind op = s->links.items[count - 1]->op;
    bool right = op == AST_SETOP_INTERSECT;
    bool left = right || (op == AST_SETOP_UNION && in_table);
    for (uint32_t i = count; i-- > 0;) {
        const struct ast_set_link *link = s->links.items[i];
        if (link->op != op || !link->all) {
            return link->op != op;
        }
        const struct ast_setop *in = right ? of_kind(op, link->body) : NULL;
        if (in != NULL && !keeps_all(in, in->links.count, in_table)) {
            return false;
        }
        if (!left) {
            return true;
        }
    }
    const struct ast_setop *in = of_kind(op, s->first);
    return in == NULL || keeps_all(in, in->links.count, in_table);
}

/* MYSQL: a UNION that is DISTINCT begins one that keeps ALL whose rows lie in a table, and is no
 * part of another; INTERSECT ALL is none of one that keeps ALL; what EXCEPT takes away stays one
 * set. */

/* Is the i-th link one operation with those before it? */
static bool goes_on(const struct ast_setop *s, uint32_t i, bool in_table)
{
    const struct ast_set_link *link = s->links.items[i];
    if (s->links.items[i - 1]->op != link->op) {
        return false;
    }
    switch (link->op) {
    case AST_SETOP_UNION: return !link->all || in_table || keeps_all(s, i, in_table);
    case AST_SETOP_INTERSECT: return !link->nests || !keeps_all(s, i, in_table);
    case AST_SETOP_EXCEPT: break;
    }
    return true;
}

/* The first link of the operation that the last one belongs to. */
static uint32_t begin_of(const struct ast_setop *s, bool in_table)
{
    uint32_t i = s->links.count - 1;
    while (i > 0 && goes_on(s, i, in_table)) {
        i--;
    }
    return i;
}

/* An operand that is part of its operation, or NULL. first: the leftmost one. */
static const struct ast_setop *same_set(const struct ast_set_link *link,
                                        const struct ast_body *operand, bool first, bool in_table)
{
    const struct ast_setop *in = of_kind(link->op, operand);
    bool part = false;
    if (in != NULL) {
        bool all = keeps_all(in, in->links.count, in_table);
        switch (link->op) {
        case AST_SETOP_UNION: part = !link->all || (in_table && first) || all; break;
        case AST_SETOP_INTERSECT: part = !link->all || !all; break;
        case AST_SETOP_EXCEPT: part = first; break;
        }
    }
    return part ? in : NULL;
}

/* ---- binding ---- */

/* What an operation is made of, from left to right. */
struct operands {
    struct nodes nodes;
    uint32_t next, width;
    bool in_table; /* the rows lie in a table */
    struct lcolumn *common;
};

struct set_place {
    struct binder *b;
    struct scope *parent;
    struct bsubquery *sub;
};

static db_err bind_operand(const struct set_place *p, const struct ast_body *body,
                           struct operands *io)
{
    struct binder *b = p->b;
    struct lnode *n;
    uint32_t visible;
    b->operand = true;
    TRY(bind__body(b, p->parent, p->sub, body, &n, &visible));
    if (io->nodes.count > 0 && visible != io->width) {
        return my_error(b->diag, ER_WRONG_NUMBER_OF_COLUMNS_IN_SELECT);
    }
    TRY(bind__trim(b, &n, visible));
    io->width = visible;
    return add_node(b, &io->nodes, n);
}

const struct ast_body *bind__chain_before(struct binder *b, const struct ast_setop *s,
                                          uint32_t link)
{
    if (link == 0) {
        return s->first;
    }
    struct ast_setop *before = BIND_NEW(b, struct ast_setop);
    if (before == NULL) {
        return NULL;
    }
    *before = *s;
    before->links.count = link;
    return &before->body;
}

static db_err bind_operands(const struct set_place *p, const struct ast_setop *s,
                            struct operands *io)
{
    struct binder *b = p->b;
    if (s->first->kind == AST_BODY_SELECT && ((const struct ast_select *)s->first)->into != NULL) {
        return my_error(b->diag, ER_MISPLACED_INTO);
    }
    bool as_set = b->rows_asked == ROWS_AS_SET;
    uint32_t begin = begin_of(s, io->in_table);
    uint32_t counted = 0; /* links before this one are left of an EXCEPT ALL, or are it */
    for (uint32_t i = begin; i < s->links.count; i++) {
        const struct ast_set_link *link = s->links.items[i];
        counted = link->op == AST_SETOP_EXCEPT && link->all ? i + 1 : counted;
    }
    for (uint32_t i = begin; i <= s->links.count; i++) {
        bool first = i == begin;
        uint32_t at = first ? begin : i - 1;
        const struct ast_set_link *link = s->links.items[at];
        const struct ast_body *body = first ? bind__chain_before(b, s, begin) : link->body;
        if (body == NULL) {
            return ERR_NOMEM;
        }
        const struct ast_setop *in =
            first && begin != 0 ? NULL : same_set(link, body, first, io->in_table);
        b->rows_asked = as_set && at >= counted ? ROWS_AS_SET : ROWS_EACH;
        TRY(in != NULL ? bind_operands(p, in, io) : bind_operand(p, body, io));
    }
    return ERR_OK;
}

/* ---- combining ---- */

static db_err take_operand(struct binder *b, struct operands *io, struct nodes *to)
{
    struct lnode *n = io->nodes.items[io->next++];
    TRY(bind__cast_operand(b, &n, io->common, io->width));
    return add_node(b, to, n);
}

/* Operands from the first one to that of link `last` stand beside each other. *io_distinct: some
 * link is not ALL. */
static db_err flatten(struct binder *b, const struct ast_setop *s, uint32_t last,
                      struct operands *io, struct nodes *to, bool *io_distinct)
{
    uint32_t begin = begin_of(s, io->in_table);
    const struct ast_setop *in =
        begin != 0 ? NULL : same_set(s->links.items[0], s->first, true, io->in_table);
    TRY(in != NULL ? flatten(b, in, in->links.count - 1, io, to, io_distinct)
                   : take_operand(b, io, to));
    for (uint32_t i = begin; i <= last; i++) {
        const struct ast_set_link *link = s->links.items[i];
        *io_distinct = *io_distinct || !link->all;
        in = same_set(link, link->body, false, io->in_table);
        TRY(in != NULL ? flatten(b, in, in->links.count - 1, io, to, io_distinct)
                       : take_operand(b, io, to));
    }
    return ERR_OK;
}

/* UNION ALL of what is added: a DISTINCT link makes one set of all before it. */
static db_err combine_union(struct binder *b, const struct ast_setop *s, struct operands *io,
                            struct nodes *to)
{
    uint32_t begin = begin_of(s, io->in_table);
    uint32_t next = s->links.count;
    while (next > begin && s->links.items[next - 1]->all) {
        next--;
    }
    const struct ast_setop *in;
    if (next > begin) {
        struct nodes set = {0};
        bool distinct = false;
        struct lnode *n;
        TRY(flatten(b, s, next - 1, io, &set, &distinct));
        TRY(set_node(b, AST_SETOP_UNION, true, &set, io->common, &n));
        TRY(add_node(b, to, n));
    } else {
        in = begin != 0 ? NULL : same_set(s->links.items[0], s->first, true, io->in_table);
        TRY(in != NULL ? combine_union(b, in, io, to) : take_operand(b, io, to));
    }
    for (uint32_t i = next; i < s->links.count; i++) {
        const struct ast_set_link *link = s->links.items[i];
        in = same_set(link, link->body, false, io->in_table);
        TRY(in != NULL ? combine_union(b, in, io, to) : take_operand(b, io, to));
    }
    return ERR_OK;
}

/* What is DISTINCT once stays so, whatever is taken away; before that ALL counts. */
static db_err combine_except(struct binder *b, const struct ast_setop *s, struct operands *io,
                             struct lnode **ret)
{
    uint32_t begin = begin_of(s, io->in_table);
    const struct ast_setop *in =
        begin != 0 ? NULL : same_set(s->links.items[0], s->first, true, io->in_table);
    struct nodes of = {0};
    bool distinct = !s->links.items[begin]->all;
    if (in != NULL) {
        struct lnode *n;
        TRY(combine_except(b, in, io, &n));
        TRY(add_node(b, &of, n));
    } else {
        TRY(take_operand(b, io, &of));
    }
    for (uint32_t i = begin; i < s->links.count; i++) {
        if (!distinct && !s->links.items[i]->all) {
            struct lnode *n;
            TRY(set_node(b, AST_SETOP_EXCEPT, false, &of, io->common, &n));
            of.count = 0;
            distinct = true;
            TRY(add_node(b, &of, n));
        }
        TRY(take_operand(b, io, &of));
    }
    return set_node(b, AST_SETOP_EXCEPT, distinct, &of, io->common, ret);
}

static db_err combine(struct binder *b, const struct ast_setop *s, struct operands *io,
                      struct lnode **ret)
{
    enum ast_setop_kind op = ast_set_last(s)->op;
    struct nodes of = {0};
    bool distinct = false;
    switch (op) {
    case AST_SETOP_EXCEPT: return combine_except(b, s, io, ret);
    case AST_SETOP_INTERSECT:
        TRY(flatten(b, s, s->links.count - 1, io, &of, &distinct));
        ASSERT(distinct || of.count == 2);
        return set_node(b, op, distinct, &of, io->common, ret);
    case AST_SETOP_UNION: break;
    }
    TRY(combine_union(b, s, io, &of));
    *ret = of.items[0];
    return of.count == 1 ? ERR_OK : set_node(b, op, false, &of, io->common, ret);
}

/* MYSQL: the WITH of a first operand in parentheses is the whole operation's. */
static db_err push_first_ctes(struct binder *b, struct scope *parent, struct bsubquery *sub,
                              const struct ast_body *body)
{
    while (body->kind == AST_BODY_QUERY || body->kind == AST_BODY_SETOP) {
        if (body->kind == AST_BODY_SETOP) {
            body = ((const struct ast_setop *)body)->first;
            continue;
        }
        const struct ast_query *q = ((const struct ast_body_query *)body)->query;
        TRY(bind__push_ctes(b, parent, sub, q->with));
        body = q->body;
    }
    return ERR_OK;
}

db_err bind__set_chain(struct binder *b, struct scope *parent, struct bsubquery *sub,
                       const struct ast_setop *s, bool operand, struct lnode **ret,
                       uint32_t *ret_visible)
{
    struct cte_def *saved = b->ctes;
    bool stored = b->set_in_table;
    const struct ast_set_link *last = ast_set_last(s);
    struct set_place place = {b, parent, sub};
    struct operands o = {.in_table = stored || last->op != AST_SETOP_UNION || !last->all};
    TRY(my_stack_reserve(b->diag, MY_STACK_STEP));
    b->set_in_table = o.in_table;
    enum rows_asked asked = b->rows_asked;
    b->rows_asked = ROWS_EACH;
    TRY(push_first_ctes(b, parent, sub, s->first));
    b->rows_asked = asked;
    TRY(bind_operands(&place, s, &o));
    b->ctes = saved;
    b->set_in_table = stored;
    TRY(bind__common_columns(b, last->op, o.nodes.items, o.nodes.count, operand, &o.common));
    *ret_visible = o.width;
    return combine(b, s, &o, ret);
}
