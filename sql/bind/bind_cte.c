/* Common table expressions.
 *
 * One is bound at its first reference; each reference is a node of its own on the one tree, which
 * runs once per statement. An expression that reads columns of an enclosing query has a value per
 * row of that: it is bound anew at each reference and stands there as a derived table would. One
 * that nothing refers to is not looked at.
 *
 * MYSQL: in a recursive one the query blocks that do not refer to it come first and decide names
 * and types; each of the others may refer to it once, in its FROM clause, and sees the rows of the
 * round before. */
#include "sql/bind/bind_int.h"

#include "sql/diag/my_error.h"

static const char *cte_name(struct binder *b, const struct cte_def *c)
{
    const char *s = arena_strdup(b->arena, c->ast->name);
    return s == NULL ? "?" : s;
}

db_err bind__push_ctes(struct binder *b, struct scope *parent, struct bsubquery *sub,
                       const struct ast_with *with)
{
    for (uint32_t i = 0; with != NULL && i < with->ctes.count; i++) {
        struct cte_def *c = BIND_NEW(b, struct cte_def);
        if (c == NULL) {
            return ERR_NOMEM;
        }
        for (uint32_t k = 0; k < i; k++) {
            if (slice_eq(with->ctes.items[k]->name, with->ctes.items[i]->name)) {
                return my_error(b->diag, ER_NONUNIQ_TABLE,
                                arena_strdup(b->arena, with->ctes.items[i]->name));
            }
        }
        *c = (struct cte_def){.outer = b->ctes,
                              .ast = with->ctes.items[i],
                              .scope = parent,
                              .sub = sub,
                              .recursive = with->recursive};
        b->ctes = c;
    }
    return ERR_OK;
}

/* ---- the recursive table ---- */

static db_err copy_columns(struct binder *b, const struct lcolumn *from, uint32_t count,
                           struct lnode *n)
{
    n->columns = bind__add_columns(b, from, count, NULL, 0);
    n->column_count = count;
    if (n->columns == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        n->columns[i].id = bind__new_col(b);
        const struct column_def *def = n->columns[i].def;
        n->columns[i].base = def != NULL ? def : n->columns[i].base;
        n->columns[i].def = NULL;
        n->columns[i].hidden = false;
    }
    return ERR_OK;
}

static db_err recursive_table(struct binder *b, struct scope *scope, struct cte_def *c,
                              struct slice alias, struct lnode **ret)
{
    if (!c->is_union || c->columns == NULL) {
        return my_error(b->diag,
                        c->is_union ? ER_CTE_RECURSIVE_REQUIRES_NONRECURSIVE_FIRST
                                    : ER_CTE_RECURSIVE_REQUIRES_UNION,
                        cte_name(b, c));
    }
    bool direct = scope->parent == &c->inner && b->derived_depth == c->derived_depth;
    if (!direct || c->references++ != 0) {
        return my_error(b->diag, ER_CTE_RECURSIVE_REQUIRES_SINGLE_REFERENCE, cte_name(b, c));
    }
    if (b->null_side != c->null_side) {
        return my_error(b->diag, ER_CTE_RECURSIVE_FORBIDDEN_JOIN_ORDER, cte_name(b, c));
    }
    struct lnode *n = bind__node(b, LNODE_CTE_REF, NULL);
    if (n == NULL) {
        return ERR_NOMEM;
    }
    n->u.cte_ref.cte = c->id;
    n->u.cte_ref.working = true;
    TRY(copy_columns(b, c->columns, c->column_count, n));
    *ret = n;
    return bind__derived_columns(b, alias.ptr != NULL ? alias : c->ast->name, &c->ast->columns, n,
                                 c->column_count);
}

/* ---- the blocks of a recursive one ---- */

static const struct ast_body *without_parens(const struct ast_body *body)
{
    while (body->kind == AST_BODY_QUERY) {
        const struct ast_query *q = ((const struct ast_body_query *)body)->query;
        if (q->with != NULL || q->order_by.count != 0 || q->limit != NULL ||
            q->locking.count != 0) {
            break;
        }
        body = q->body;
    }
    return body;
}

static bool is_union(const struct ast_body *body)
{
    return body->kind == AST_BODY_SETOP &&
           ast_set_last((const struct ast_setop *)body)->op == AST_SETOP_UNION;
}

/* MYSQL: what a recursive block may not have. */
static db_err check_block(struct binder *b, const struct cte_def *c, const struct lnode *n)
{
    if (c->ast->query->order_by.count != 0) {
        return my_error(b->diag, ER_NOT_SUPPORTED_YET,
                        "ORDER BY over UNION in recursive Common Table Expression");
    }
    for (; n->child_count == 1; n = n->children[0]) {
        switch ((int)n->kind) {
        case LNODE_AGGREGATE:
        case LNODE_WINDOW:
            return my_error(b->diag, ER_CTE_RECURSIVE_FORBIDS_AGGREGATION, cte_name(b, c));
        case LNODE_SORT:
        case LNODE_LIMIT:
        case LNODE_DISTINCT:
            return my_error(b->diag, ER_NOT_SUPPORTED_YET,
                            "ORDER BY / LIMIT / SELECT DISTINCT in recursive query block of "
                            "Common Table Expression");
        default: break;
        }
    }
    return ERR_OK;
}

struct blocks {
    struct growing_union seed, rest;
    bool distinct;
};

enum { PARAM_CHARS = 65535 };

/* MYSQL: a column of NULL takes no text but the empty one, that of a parameter which is NULL now
 * any. */
static void type_of_null(struct binder *b, const struct blocks *k, struct lcolumn *col)
{
    const struct bexpr *made = bind__constant_of(b, k->seed.node, col->id);
    if (made != NULL && made->placeholder) {
        col->type = func_text_type(PARAM_CHARS, b->opts->connection_collation);
    }
    bind_stored_type(&col->type);
}

/* From now on the recursive table has the columns of the blocks so far, all nullable. */
static db_err set_columns(struct binder *b, struct cte_def *c, const struct blocks *k)
{
    struct lcolumn *cols = bind__add_columns(b, k->seed.node->columns, k->seed.width, NULL, 0);
    if (cols == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < k->seed.width; i++) {
        struct lcolumn *col = &cols[i];
        bool column = col->def != NULL || col->base != NULL;
        if (column && type_is_integer(&col->type)) { /* MYSQL: without a width of its own */
            col->type = type_int((enum type_id)col->type.id, type_is_unsigned(&col->type));
        }
        if (col->type.id == TYPE_NULL) {
            type_of_null(b, k, col);
        }
        col->type.flags = (uint8_t)(col->type.flags & ~(TYPE_F_NOT_NULL | TYPE_F_EXPR));
        col->made = MADE_STORED;
        col->own_char = column || col->own_char;
        col->text_collation = 0;
        col->def = col->base = col->keyed = NULL;
    }
    c->columns = cols;
    c->column_count = k->seed.width;
    return ERR_OK;
}

static db_err add_block(struct binder *b, struct cte_def *c, const struct ast_body *body, bool all,
                        struct blocks *k)
{
    struct lnode *n;
    uint32_t visible;
    if (k->seed.node != NULL && k->rest.node == NULL) {
        TRY(set_columns(b, c, k));
    }
    c->references = 0;
    TRY(bind__body(b, &c->inner, &c->reads, body, &n, &visible));
    if (k->seed.node == NULL) {
        k->seed.node = n;
        k->seed.width = visible;
        return ERR_OK;
    }
    if (c->references == 0) {
        if (k->rest.node != NULL) {
            return my_error(b->diag, ER_CTE_RECURSIVE_REQUIRES_NONRECURSIVE_FIRST, cte_name(b, c));
        }
        return bind__add_to_union(b, &k->seed, all, n, visible);
    }
    TRY(check_block(b, c, n));
    if (visible != k->seed.width) {
        return my_error(b->diag, ER_WRONG_NUMBER_OF_COLUMNS_IN_SELECT);
    }
    k->distinct = k->distinct || !all;
    if (k->rest.node == NULL) {
        k->rest.node = n;
        k->rest.width = visible;
        return ERR_OK;
    }
    return bind__add_to_union(b, &k->rest, true, n, visible);
}

static db_err add_blocks(struct binder *b, struct cte_def *c, const struct ast_body *body, bool all,
                         struct blocks *k)
{
    const struct ast_body *plain = without_parens(body);
    if (!is_union(plain)) {
        return add_block(b, c, plain, all, k);
    }
    const struct ast_setop *s = (const struct ast_setop *)plain;
    uint32_t begin = s->links.count - 1;
    while (begin > 0 && s->links.items[begin - 1]->op == AST_SETOP_UNION) {
        begin--;
    }
    const struct ast_body *first = bind__chain_before(b, s, begin);
    if (first == NULL) {
        return ERR_NOMEM;
    }
    TRY(add_blocks(b, c, first, k->seed.node == NULL ? s->links.items[begin]->all : all, k));
    for (uint32_t i = begin; i < s->links.count; i++) {
        TRY(add_blocks(b, c, s->links.items[i]->body, s->links.items[i]->all, k));
    }
    return ERR_OK;
}

static db_err recursive_node(struct binder *b, struct cte_def *c, struct blocks *k,
                             struct lnode **ret)
{
    struct lnode *n = bind__node(b, LNODE_RECURSIVE, NULL);
    if (n == NULL) {
        return ERR_NOMEM;
    }
    TRY(bind__trim(b, &k->seed.node, k->seed.width));
    TRY(bind__trim(b, &k->rest.node, k->rest.width));
    for (uint32_t i = 0; i < k->rest.width; i++) {
        struct bexpr *made = bind__constant_of(b, k->rest.node, k->rest.node->columns[i].id);
        const struct sql_type *t = &c->columns[i].type;
        TRY(made != NULL && type_is_string(t) ? bind__text_fits(b, made, t->collation) : ERR_OK);
    }
    TRY(copy_columns(b, c->columns, c->column_count, n));
    n->children[0] = k->seed.node;
    n->children[1] = k->rest.node;
    n->child_count = 2;
    n->u.recursive.cte = c->id;
    n->u.recursive.distinct = k->distinct;
    *ret = n;
    return ERR_OK;
}

static db_err bind_blocks(struct binder *b, struct cte_def *c, struct lnode **ret,
                          uint32_t *ret_visible)
{
    const struct ast_query *q = c->ast->query;
    struct cte_def *saved = b->ctes;
    struct blocks k = {0};
    TRY(bind__push_ctes(b, &c->inner, &c->reads, q->with));
    TRY(add_blocks(b, c, q->body, true, &k));
    b->ctes = saved;
    *ret_visible = k.seed.width;
    if (k.rest.node == NULL) {
        *ret = k.seed.node;
    } else {
        TRY(recursive_node(b, c, &k, ret));
    }
    return bind__order_limit(b, &c->inner, &c->reads, q, ret, k.seed.width);
}

/* ---- binding ---- */

static db_err new_id(struct binder *b, uint32_t *ret)
{
    struct bound_stmt *st = b->stmt;
    uint32_t n = st->cte_count;
    if ((n & (n + 1)) == 0) { /* grow at 0, 1, 3, 7, ... */
        struct lnode **ctes = BIND_ARRAY(b, struct lnode *, (n + 1) * 2);
        uint32_t *references = BIND_ARRAY(b, uint32_t, (n + 1) * 2);
        if (ctes == NULL || references == NULL) {
            return ERR_NOMEM;
        }
        if (n != 0) {
            memcpy(ctes, st->ctes, n * sizeof(struct lnode *));
            memcpy(references, st->cte_references, n * sizeof(*references));
        }
        st->ctes = ctes;
        st->cte_references = references;
    }
    *ret = st->cte_count++;
    return ERR_OK;
}

static db_err bind_query(struct binder *b, struct cte_def *c, struct lnode **ret)
{
    uint32_t visible;
    struct cte_def *saved = b->ctes;
    TRY(new_id(b, &c->id));
    c->inner = (struct scope){.parent = c->scope, .place = PLACE_FIELDS, .sub = c->sub};
    c->reads = (struct bsubquery){0};
    c->columns = NULL;
    c->in_progress = c->recursive;
    c->is_union = is_union(without_parens(c->ast->query->body));
    b->ctes = c->recursive ? c : c->outer;
    struct unsteady before = b->unsteady;
    const struct view_read *reads = b->view_reads;
    bool stored = b->set_in_table;
    b->derived_depth++;
    b->set_in_table = true;
    c->derived_depth = b->derived_depth;
    c->null_side = b->null_side;
    db_err err = c->recursive && c->is_union
                     ? bind_blocks(b, c, ret, &visible)
                     : bind__query(b, &c->inner, &c->reads, c->ast->query, ret, &visible);
    b->derived_depth--;
    b->set_in_table = stored;
    b->unsteady = before;
    b->ctes = saved;
    c->in_progress = false;
    TRY(err);
    b->view_reads = bind__rows_merge(*ret) ? b->view_reads : reads;
    return bind__trim(b, ret, visible);
}

db_err bind__cte(struct binder *b, struct scope *scope, struct cte_def *c, struct slice alias,
                 struct lnode **ret)
{
    if (c->in_progress) {
        return recursive_table(b, scope, c, alias, ret);
    }
    struct slice name = alias.ptr != NULL ? alias : c->ast->name;
    struct lnode *root = c->root;
    if (root == NULL) {
        TRY(bind_query(b, c, &root));
    }
    if (c->reads.outer_count != 0) {
        /* Blocks between the reference and the expression depend on the same columns. */
        for (uint32_t i = 0; i < c->reads.outer_count; i++) {
            TRY(bind__note_outer(b, scope, c->scope, c->reads.outer_columns[i]));
        }
        TRY(bind__wrap(b, root, root->column_count, ret));
        return bind__derived_columns(b, name, &c->ast->columns, *ret, (*ret)->column_count);
    }
    TRY(bind__is_stored(b, root) ? bind__settle_decimals(b, root) : ERR_OK);
    c->root = root;
    b->stmt->ctes[c->id] = root;
    b->stmt->cte_references[c->id]++;
    struct lnode *n = bind__node(b, LNODE_CTE_REF, NULL);
    if (n == NULL) {
        return ERR_NOMEM;
    }
    n->u.cte_ref.cte = c->id;
    TRY(copy_columns(b, root->columns, root->column_count, n));
    *ret = n;
    return bind__derived_columns(b, name, &c->ast->columns, n, n->column_count);
}
