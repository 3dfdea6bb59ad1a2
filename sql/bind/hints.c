#include "sql/bind/hints.h"

#include "sql/bind/hint_text.h"
#include "sql/parser/ast_admin.h"
#include "sql/parser/ast_ddl.h"
#include "sql/parser/ast_dml.h"
#include "sql/parser/ast_query.h"

/* A hint about indexes whose block was not there yet. MYSQL: it is looked for again when the hints
 * of a block around it have been read. */
struct pending {
    const struct ast_hint *hint;
    struct pending *next;
};

struct collector {
    struct arena *arena;
    const struct hint_env *env;
    struct hint_set *set;
    struct ast_body **bodies; /* the statement's blocks, in the order of their numbers */
    uint32_t body_count;
    uint32_t first;          /* the number of bodies[0] */
    bool is_select;          /* the statement is one */
    bool is_view;            /* it defines a view, or is the text of one */
    struct hint_block *here; /* the block whose hints are read */
    uint32_t end;            /* where it ends: what begins behind it is not known yet */
    struct pending *pending;
    bool retries;
    bool on_top; /* the block whose hints are read is within no other one */
    struct pending
        *late; /* MYSQL: INDEX of such a block may name what comes behind it: read last */
    struct hint_block *own; /* of a statement that is no query block itself */
    bool below;             /* a RESOURCE_GROUP is not in the first block */
};

/* ---- query blocks ---- */

static struct hint_block *new_block(struct collector *c, uint32_t number)
{
    struct hint_block *b = ARENA_NEW(c->arena, struct hint_block);
    struct hint_block **end = &c->set->blocks;
    if (b == NULL) {
        return NULL;
    }
    b->number = number;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = b;
    return b;
}

/* The block of a SELECT, made when it is first asked for. *ret is NULL for TABLE and VALUES, of
 * which there is nothing to say. */
static db_err block_of(struct collector *c, uint32_t i, struct hint_block **ret)
{
    struct ast_select *s = (struct ast_select *)c->bodies[i];
    *ret = NULL;
    if (s->body.kind != AST_BODY_SELECT) {
        return ERR_OK;
    }
    if (s->hints == NULL) {
        s->hints = ARENA_NEW(c->arena, struct ast_hints);
        if (s->hints == NULL) {
            return ERR_NOMEM;
        }
    }
    if (s->hints->block == NULL) {
        s->hints->block = new_block(c, c->first + i);
    }
    *ret = s->hints->block;
    return *ret == NULL ? ERR_NOMEM : ERR_OK;
}

static const struct ast_table *changed_tables(const struct ast_stmt *stmt)
{
    return stmt->kind == AST_STMT_UPDATE   ? ((const struct ast_update *)stmt)->table
           : stmt->kind == AST_STMT_DELETE ? ((const struct ast_delete *)stmt)->table
                                           : NULL;
}

static db_err number_blocks(struct collector *c, const struct ast_stmt *stmt, struct ast_body *last)
{
    for (const struct ast_body *b = last; b != NULL; b = b->before) {
        c->body_count++;
    }
    c->bodies = ARENA_ARRAY(c->arena, struct ast_body *, c->body_count + 1);
    if (c->bodies == NULL) {
        return ERR_NOMEM;
    }
    hint_sort_blocks(c->bodies, c->body_count, last, changed_tables(stmt), false);
    return ERR_OK;
}

/* n of "select#n", or 0 */
static uint32_t system_number(struct slice name)
{
    const struct slice prefix = SLICE_LIT("select#");
    uint32_t n = 0;
    if (name.len <= prefix.len || !slice_eq_nocase(slice_of(name.ptr, prefix.len), prefix)) {
        return 0;
    }
    for (size_t i = prefix.len; i < name.len; i++) {
        if (name.ptr[i] < '0' || name.ptr[i] > '9' || n > UINT32_MAX / 100) {
            return 0;
        }
        n = n * 10 + (uint32_t)(name.ptr[i] - '0');
    }
    return n;
}

/* *ret is NULL when there is none of the name. */
static db_err find_block(struct collector *c, struct slice name, struct hint_block **ret)
{
    uint32_t number = system_number(name);
    *ret = NULL;
    for (struct hint_block *b = c->set->blocks; b != NULL; b = b->next) {
        if (b->name.ptr != NULL ? slice_eq_nocase(b->name, name)
                                : number != 0 && b->number == number) {
            *ret = b;
            return ERR_OK;
        }
    }
    if (number >= c->first && number - c->first < c->body_count &&
        c->bodies[number - c->first]->pos.offset < c->end) {
        TRY(block_of(c, number - c->first, ret));
        if (*ret != NULL && (*ret)->name.ptr != NULL) {
            *ret = NULL; /* it has another name */
        }
    }
    return ERR_OK;
}

/* The block of a hint, by the name it gives, or the one in which it stands. Warns and gives NULL
 * when there is none. */
static db_err block_named(struct collector *c, const struct ast_hint *h, struct slice name,
                          struct hint_block **ret)
{
    *ret = c->here;
    if (name.ptr == NULL) {
        return ERR_OK;
    }
    TRY(find_block(c, name, ret));
    if (*ret == NULL) {
        hint_warn_block(c->env, h, name);
    }
    return ERR_OK;
}

/* ---- what is said of a block, of a table ---- */

static db_err conflict(struct collector *c, const struct ast_hint *h,
                       const struct ast_hint_table *table, struct slice index)
{
    if (!c->retries) {
        hint_warn(c->env, ER_WARN_CONFLICTING_HINT, &(struct hint_place){h, table, index});
    }
    return ERR_OK;
}

static enum ast_tristate said(const struct ast_hint *h)
{
    return h->off ? AST_NO : AST_YES;
}

static db_err name_block(struct collector *c, const struct ast_hint *h)
{
    struct hint_block *same;
    TRY(find_block(c, h->name, &same));
    if (same != NULL || c->here->name.ptr != NULL) {
        return conflict(c, h, NULL, SLICE_EMPTY);
    }
    c->here->name = h->name;
    return ERR_OK;
}

/* SEMIJOIN, NO_SEMIJOIN and SUBQUERY exclude each other. */
static db_err add_strategy(struct collector *c, const struct ast_hint *h)
{
    struct hint_block *b;
    TRY(block_named(c, h, h->block, &b));
    if (b == NULL) {
        return ERR_OK;
    }
    if (b->switches[HINT_SEMIJOIN] != AST_UNSET || b->subquery != 0) {
        return conflict(c, h, NULL, SLICE_EMPTY);
    }
    if (h->kind == HINT_SUBQUERY) {
        b->subquery = h->strategies;
    } else {
        b->switches[HINT_SEMIJOIN] = said(h);
        b->semijoin = h->strategies;
    }
    return ERR_OK;
}

/* JOIN_FIXED_ORDER goes with no other; of PREFIX and SUFFIX there is one each. */
static db_err add_order(struct collector *c, const struct ast_hint *h)
{
    struct hint_block *b;
    TRY(block_named(c, h, h->block, &b));
    if (b == NULL) {
        return ERR_OK;
    }
    struct hint_order **end = &b->orders;
    bool taken = b->switches[HINT_JOIN_FIXED_ORDER] != AST_UNSET;
    for (; *end != NULL; end = &(*end)->next) {
        taken = taken || h->kind == HINT_JOIN_FIXED_ORDER ||
                (h->kind != HINT_JOIN_ORDER && (*end)->kind == h->kind);
    }
    if (taken) {
        return conflict(c, h, NULL, SLICE_EMPTY);
    }
    if (h->kind == HINT_JOIN_FIXED_ORDER) {
        b->switches[h->kind] = AST_YES;
        return ERR_OK;
    }
    *end = ARENA_NEW(c->arena, struct hint_order);
    if (*end == NULL) {
        return ERR_NOMEM;
    }
    (*end)->kind = h->kind;
    (*end)->hint = h;
    return ERR_OK;
}

static struct hint_table *table_of(struct collector *c, struct hint_block *b, struct slice name)
{
    struct hint_table **end = &b->tables;
    for (; *end != NULL; end = &(*end)->next) {
        if (slice_eq((*end)->name, name)) {
            return *end;
        }
    }
    *end = ARENA_NEW(c->arena, struct hint_table);
    if (*end != NULL) {
        (*end)->name = name;
    }
    return *end;
}

static db_err add_table_switch(struct collector *c, const struct ast_hint *h)
{
    struct hint_block *b;
    if (h->tables.count == 0 || h->block.ptr != NULL) {
        TRY(block_named(c, h, h->block, &b));
        if (b == NULL) {
            return ERR_OK;
        }
        if (h->tables.count == 0 && b->switches[h->kind] != AST_UNSET) {
            return conflict(c, h, NULL, SLICE_EMPTY);
        }
        if (h->tables.count == 0) {
            b->switches[h->kind] = said(h);
        }
    }
    for (uint32_t i = 0; i < h->tables.count; i++) {
        const struct ast_hint_table *t = h->tables.items[i];
        TRY(block_named(c, h, t->block.ptr != NULL ? t->block : h->block, &b));
        if (b == NULL) {
            continue;
        }
        struct hint_table *table = table_of(c, b, t->name);
        if (table == NULL) {
            return ERR_NOMEM;
        }
        if (table->switches[h->kind] != AST_UNSET || b->switches[h->kind] != AST_UNSET) {
            TRY(conflict(c, h, t, SLICE_EMPTY));
            continue;
        }
        table->switches[h->kind] = said(h);
        table->said[h->kind] = h;
    }
    return ERR_OK;
}

/* ---- indexes ---- */

static db_err add_index_hint(struct collector *c, struct hint_table *t, const struct ast_hint *h,
                             const struct ast_ident *const *names, uint32_t count)
{
    struct hint_index **end = &t->indexes;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    struct hint_index *i = ARENA_NEW(c->arena, struct hint_index);
    if (i == NULL) {
        return ERR_NOMEM;
    }
    *i = (struct hint_index){.kind = h->kind, .off = h->off, .all = count == 0, .hint = h};
    i->names = ARENA_ARRAY(c->arena, struct slice, count + 1);
    if (i->names == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t k = 0; k < count; k++) {
        i->names[i->count++] = names[k]->name;
    }
    *end = i;
    return ERR_OK;
}

bool hint_names_index(const struct hint_index *i, struct slice name)
{
    for (uint32_t k = 0; k < i->count; k++) {
        if (slice_eq_nocase(i->names[k], name)) {
            return true;
        }
    }
    return false;
}

/* ICP, MRR, RANGE_OPTIMIZATION: each index by itself; what is said of the table says it of all. */
static db_err add_per_index(struct collector *c, struct hint_table *t, const struct ast_hint *h)
{
    const struct ast_hint_table *at = h->tables.items[0];
    bool all = false;
    for (const struct hint_index *i = t->indexes; i != NULL; i = i->next) {
        all = all || (i->kind == h->kind && i->all);
    }
    if (h->indexes.count == 0) {
        return all ? conflict(c, h, at, SLICE_EMPTY) : add_index_hint(c, t, h, NULL, 0);
    }
    for (uint32_t k = 0; k < h->indexes.count; k++) {
        struct slice name = h->indexes.items[k]->name;
        bool taken = all;
        for (const struct hint_index *i = t->indexes; i != NULL; i = i->next) {
            taken = taken || (i->kind == h->kind && hint_names_index(i, name));
        }
        TRY(taken ? conflict(c, h, at, name)
                  : add_index_hint(c, t, h, (const struct ast_ident *const *)&h->indexes.items[k],
                                   1));
    }
    return ERR_OK;
}

static bool is_part_of_index(enum ast_hint_kind kind)
{
    return kind == HINT_JOIN_INDEX || kind == HINT_GROUP_INDEX || kind == HINT_ORDER_INDEX;
}

/* Do they speak of the same? INDEX is all three of JOIN_, GROUP_ and ORDER_INDEX. */
static bool contradicts(const struct hint_index *i, const struct ast_hint *h)
{
    if (i->kind == h->kind) {
        return true;
    }
    bool related = (i->kind == HINT_INDEX && is_part_of_index(h->kind)) ||
                   (h->kind == HINT_INDEX && is_part_of_index(i->kind));
    if (!related || i->all || h->indexes.count == 0) {
        return related && i->all && h->indexes.count == 0;
    }
    for (uint32_t k = 0; k < h->indexes.count; k++) {
        if (hint_names_index(i, h->indexes.items[k]->name)) {
            return true;
        }
    }
    return false;
}

/* INDEX and its parts, INDEX_MERGE, SKIP_SCAN: one list a table. */
static db_err add_index_list(struct collector *c, struct hint_table *t, const struct ast_hint *h)
{
    const struct ast_hint_table *at = h->tables.items[0];
    if (h->kind == HINT_INDEX_MERGE && h->indexes.count == 1) {
        hint_warn(c->env, ER_WARN_INVALID_HINT, &(struct hint_place){h, at, SLICE_EMPTY});
        return ERR_OK;
    }
    for (const struct hint_index *i = t->indexes; i != NULL; i = i->next) {
        if (contradicts(i, h)) {
            return conflict(c, h, at, SLICE_EMPTY);
        }
    }
    return add_index_hint(c, t, h, (const struct ast_ident *const *)h->indexes.items,
                          h->indexes.count);
}

static db_err put_off(struct collector *c, const struct ast_hint *h)
{
    struct pending **end = &c->late;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = ARENA_NEW(c->arena, struct pending);
    if (*end == NULL) {
        return ERR_NOMEM;
    }
    **end = (struct pending){.hint = h};
    return ERR_OK;
}

static db_err add_indexes(struct collector *c, const struct ast_hint *h)
{
    const struct ast_hint_table *at = h->tables.items[0];
    bool list = !hint_is_per_index(h->kind);
    struct slice name = at->block.ptr != NULL ? at->block : h->block;
    struct hint_block *b;
    if (h->kind == HINT_INDEX && c->on_top && name.ptr != NULL) {
        TRY(find_block(c, name, &b));
        if (b == NULL) {
            return put_off(c, h);
        }
    }
    TRY(block_named(c, h, name, &b));
    if (b == NULL) {
        struct pending *p = list && !c->retries ? ARENA_NEW(c->arena, struct pending) : NULL;
        if (p != NULL) {
            *p = (struct pending){h, c->pending};
            c->pending = p;
        }
        return ERR_OK;
    }
    struct hint_table *t = table_of(c, b, at->name);
    return t == NULL ? ERR_NOMEM : list ? add_index_list(c, t, h) : add_per_index(c, t, h);
}

/* ---- statements ---- */

static db_err add_time_limit(struct collector *c, const struct ast_hint *h)
{
    if (!c->is_select || c->here->number != 1) {
        diag_area_warn(c->env->warnings, ER_WARN_UNSUPPORTED_MAX_EXECUTION_TIME);
        return ERR_OK;
    }
    if (c->set->has_time_limit) {
        return conflict(c, h, NULL, SLICE_EMPTY);
    }
    c->set->has_time_limit = true;
    c->set->time_limit_ms = h->number;
    return ERR_OK;
}

static db_err add_variable(struct collector *c, struct ast_hint *h)
{
    struct hint_var **end = &c->set->vars;
    if (!c->env->may_set(c->env->arg, &h->name)) {
        return ERR_OK;
    }
    for (; *end != NULL; end = &(*end)->next) {
        if (slice_eq_nocase((*end)->hint->name, h->name)) {
            return conflict(c, h, NULL, SLICE_EMPTY);
        }
    }
    *end = ARENA_NEW(c->arena, struct hint_var);
    if (*end == NULL) {
        return ERR_NOMEM;
    }
    (*end)->hint = h;
    return ERR_OK;
}

/* MYSQL: the last one of the first block counts. */
static void add_resource_group(struct collector *c, const struct ast_hint *h)
{
    if (c->here->number == 1) {
        c->set->resource_group = h->name;
    }
    c->below = c->below || c->here->number != 1;
}

/* MYSQL: of a group in a subquery is told when there is no other. */
static void tell_resource_group(const struct collector *c)
{
    if (c->below && c->set->resource_group.ptr == NULL) {
        diag_area_warn(c->env->warnings, ER_WARN_UNSUPPORTED_HINT,
                       "Subquery or Stored procedure or Trigger");
    }
}

/* MYSQL: what a view may have. Of others nothing is said. */
static bool goes_with_view(const struct ast_hint *h)
{
    return h->kind == HINT_INDEX || is_part_of_index(h->kind);
}

static db_err add_hint(struct collector *c, struct ast_hint *h)
{
    if (c->is_view && !goes_with_view(h)) {
        return ERR_OK;
    }
    switch (ast_hint_class_of(h->kind)) {
    case HINT_CLASS_BLOCK:
    case HINT_CLASS_TABLES: return add_order(c, h);
    case HINT_CLASS_STRATEGIES: return add_strategy(c, h);
    case HINT_CLASS_TABLE: return add_table_switch(c, h);
    case HINT_CLASS_INDEX: return add_indexes(c, h);
    case HINT_CLASS_STATEMENT: break;
    }
    if (h->kind == HINT_RESOURCE_GROUP) {
        add_resource_group(c, h);
        return ERR_OK;
    }
    return h->kind == HINT_QB_NAME   ? name_block(c, h)
           : h->kind == HINT_SET_VAR ? add_variable(c, h)
                                     : add_time_limit(c, h);
}

static db_err retry(struct collector *c)
{
    c->retries = true;
    for (struct pending *p = c->pending; p != NULL; p = p->next) {
        TRY(add_indexes(c, p->hint));
    }
    c->retries = false;
    return ERR_OK;
}

static db_err read_late(struct collector *c)
{
    c->end = UINT32_MAX;
    c->on_top = false;
    for (; c->late != NULL; c->late = c->late->next) {
        TRY(add_indexes(c, c->late->hint));
    }
    return ERR_OK;
}

static bool is_on_top(const struct collector *c, const struct ast_body *of)
{
    bool within = of->in_cte;
    for (uint32_t i = 0; i < c->body_count && !within; i++) {
        const struct ast_body *b = c->bodies[i];
        within = b->pos.offset < of->pos.offset && of->pos.offset < b->pos.offset + b->pos.len;
    }
    return !within;
}

/* The hints of one block, or of the INSERT, UPDATE or DELETE itself, which is the first block (of
 * INSERT .. SELECT together with the SELECT). */
static db_err add_list(struct collector *c, struct ast_hints *hints)
{
    struct pending *before = c->pending;
    c->end = UINT32_MAX;
    c->on_top = false;
    for (uint32_t i = 0; i < c->body_count && hints->block == NULL; i++) {
        struct ast_select *s = (struct ast_select *)c->bodies[i];
        if (s->body.kind == AST_BODY_SELECT && s->hints == hints) {
            c->end = c->env->of_view ? UINT32_MAX : s->body.pos.offset + s->body.pos.len;
            c->on_top = is_on_top(c, &s->body);
            TRY(block_of(c, i, &hints->block));
        }
    }
    if (hints->block == NULL) {
        TRY(read_late(c)); /* MYSQL: by then the statement itself has no name yet */
        TRY(c->first == 1 && c->body_count > 0 ? block_of(c, 0, &hints->block) : ERR_OK);
    }
    if (hints->block == NULL) {
        hints->block = c->own = new_block(c, 1);
    }
    c->here = hints->block;
    if (c->here == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < hints->list.count; i++) {
        TRY(add_hint(c, hints->list.items[i]));
    }
    return before != NULL ? retry(c) : ERR_OK;
}

struct hint_block *hint_block_of(const struct ast_body *body)
{
    const struct ast_hints *h =
        body->kind == AST_BODY_SELECT ? ((const struct ast_select *)body)->hints : NULL;
    return h == NULL ? NULL : h->block;
}

/* MYSQL: in the order in which they end, whoever named them first. */
static void order_blocks(struct collector *c, const struct ast_stmt *stmt, struct ast_body *last)
{
    struct hint_block *first = c->own;
    if (first != NULL) {
        first->next = NULL;
    }
    hint_sort_blocks(c->bodies, c->body_count, last, changed_tables(stmt), true);
    for (uint32_t i = c->body_count; i > 0; i--) {
        struct hint_block *block = hint_block_of(c->bodies[i - 1]);
        if (block != NULL) {
            block->next = first;
            first = block;
        }
    }
    c->set->blocks = first;
}

static const struct ast_stmt *explained(const struct ast_stmt *stmt)
{
    const struct ast_explain *e = (const struct ast_explain *)stmt;
    return stmt->kind == AST_STMT_EXPLAIN && e->target != NULL ? e->target : stmt;
}

/* Is the first query block of the text the statement's own? */
static bool begins_with_query(const struct ast_stmt *stmt)
{
    switch ((int)stmt->kind) {
    case AST_STMT_SELECT:
    case AST_STMT_CREATE_TABLE:
    case AST_STMT_CREATE_VIEW: return true;
    case AST_STMT_INSERT: return ((const struct ast_insert *)stmt)->source == AST_INSERT_QUERY;
    default: return false;
    }
}

db_err hints_collect(struct arena *arena, const struct hint_env *env, struct ast_stmt *stmt)
{
    const struct ast_stmt *run = explained(stmt);
    struct ast_hinted *hinted = stmt->hinted;
    struct collector c = {.arena = arena,
                          .env = env,
                          .first = begins_with_query(run) ? 1 : 2,
                          .is_select = run->kind == AST_STMT_SELECT,
                          .is_view = run->kind == AST_STMT_CREATE_VIEW || env->of_view};
    c.set = ARENA_NEW(arena, struct hint_set);
    if (c.set == NULL) {
        return ERR_NOMEM;
    }
    TRY(number_blocks(&c, run, hinted->last_block));
    for (uint32_t i = 0; i < hinted->lists.count; i++) {
        TRY(add_list(&c, hinted->lists.items[i]));
    }
    TRY(read_late(&c));
    tell_resource_group(&c);
    order_blocks(&c, run, hinted->last_block);
    hinted->set = c.set;
    return ERR_OK;
}

enum ast_tristate hints_switch(const struct hint_block *block, const struct hint_table *table,
                               enum ast_hint_kind kind)
{
    enum ast_tristate ret = table != NULL ? table->switches[kind] : AST_UNSET;
    return ret == AST_UNSET && block != NULL ? block->switches[kind] : ret;
}
