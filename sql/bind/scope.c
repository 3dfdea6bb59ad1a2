/* Name resolution. Inner blocks hide outer ones; within a block a name that fits two columns is
 * ambiguous, unless both are one column merged by USING or NATURAL (the hidden twin answers only to
 * a qualified name). */
#include "sql/bind/bind_int.h"

#include <stdio.h>

#include "sql/diag/my_error.h"

const char *bind__place_name(enum bind_place place)
{
    switch (place) {
    case PLACE_FIELDS:
    case PLACE_VALUES: return "field list";
    case PLACE_WHERE: return "where clause";
    case PLACE_ON: return "on clause";
    case PLACE_GROUP: return "group statement";
    case PLACE_HAVING: return "having clause";
    case PLACE_ORDER: return "order clause";
    case PLACE_LIMIT: return "limit clause";
    case PLACE_TABLE_FUNC: return "a table function argument";
    case PLACE_WINDOW_PARTITION: return "window partition by";
    case PLACE_WINDOW_ORDER: return "window order by";
    }
    return "field list";
}

col_id_t bind__new_col(struct binder *b)
{
    return ++b->next_col;
}

struct lcolumn *bind__add_columns(struct binder *b, const struct lcolumn *left, uint32_t left_count,
                                  const struct lcolumn *right, uint32_t right_count)
{
    struct lcolumn *all = BIND_ARRAY(b, struct lcolumn, left_count + right_count + 1);
    if (all == NULL) {
        return NULL;
    }
    if (left_count != 0) {
        memcpy(all, left, left_count * sizeof(*all));
    }
    if (right_count != 0) {
        memcpy(all + left_count, right, right_count * sizeof(*all));
    }
    return all;
}

struct bexpr *bind__column_expr(struct binder *b, const struct lcolumn *c)
{
    struct bexpr *e = bind__new(b, BEXPR_COLUMN, &c->type, 0);
    if (e != NULL) {
        e->u.column.id = c->id;
        e->u.column.origin = c;
        e->u.column.padded = lcolumn_reads_padded(c, b->opts->sql_mode);
        e->coercibility = c->coercibility;
        if (c->type.id == TYPE_JSON) {
            e->json_source = arena_strdup(b->arena, c->name);
        }
    }
    return e;
}

struct bexpr *bind__made_column(struct binder *b, const struct lcolumn *c)
{
    struct lcolumn *kept = BIND_NEW(b, struct lcolumn);
    if (kept == NULL) {
        return NULL;
    }
    *kept = *c;
    return bind__column_expr(b, kept);
}

const char *bind__column_name(struct binder *b, const struct scope *scope, col_id_t id)
{
    const char *name = "?";
    for (uint32_t i = 0; i < scope->count; i++) {
        const struct lcolumn *c = &scope->columns[i];
        if (c->id == id) {
            name =
                c->schema.len != 0
                    ? arena_printf(b->arena, "%.*s.%.*s.%.*s", SLICE_FMT(c->schema),
                                   SLICE_FMT(c->table), SLICE_FMT(c->name))
                    : arena_printf(b->arena, "%.*s.%.*s", SLICE_FMT(c->table), SLICE_FMT(c->name));
        }
    }
    return name;
}

static bool fits(const struct lcolumn *c, const struct ast_column *n)
{
    if (n->table.ptr != NULL && !slice_eq(c->table, n->table)) {
        return false;
    }
    if (n->schema.ptr != NULL && !slice_eq(c->schema, n->schema)) {
        return false;
    }
    if (n->table.ptr == NULL && c->hidden) {
        return false;
    }
    return (c->def == NULL || !c->def->hidden) && slice_eq_nocase(c->name, n->name);
}

static const char *full_name(struct binder *b, const struct ast_column *c)
{
    const char *s;
    if (c->schema.ptr != NULL) {
        s = arena_printf(b->arena, "%.*s.%.*s.%.*s", SLICE_FMT(c->schema), SLICE_FMT(c->table),
                         SLICE_FMT(c->name));
    } else if (c->table.ptr != NULL) {
        s = arena_printf(b->arena, "%.*s.%.*s", SLICE_FMT(c->table), SLICE_FMT(c->name));
    } else {
        s = arena_printf(b->arena, "%.*s", SLICE_FMT(c->name));
    }
    return s == NULL ? "?" : s;
}

static db_err find_here(struct binder *b, const struct scope *scope, const struct ast_column *c,
                        const struct lcolumn **ret)
{
    const struct lcolumn *found = NULL;
    for (uint32_t i = 0; i < scope->count; i++) {
        if (!fits(&scope->columns[i], c)) {
            continue;
        }
        if (found != NULL && found->id != scope->columns[i].id) {
            return my_error(b->diag, ER_NON_UNIQ_ERROR, full_name(b, c),
                            bind__place_name(scope->place));
        }
        found = &scope->columns[i];
    }
    *ret = found;
    return ERR_OK;
}

const struct lcolumn *bind__column_here(const struct scope *scope, const struct ast_column *c)
{
    const struct lcolumn *found = NULL;
    for (uint32_t i = 0; i < scope->count; i++) {
        if (fits(&scope->columns[i], c)) {
            if (found != NULL && found->id != scope->columns[i].id) {
                return NULL;
            }
            found = &scope->columns[i];
        }
    }
    return found;
}

bool bind__is_of_star(const struct lcolumn *c, const struct ast_column *star)
{
    bool named = star->table.ptr == NULL
                     ? !c->hidden
                     : slice_eq(c->table, star->table) &&
                           (star->schema.ptr == NULL || slice_eq(c->schema, star->schema));
    return named && (c->def == NULL || !(c->def->hidden || c->def->invisible));
}

static db_err find_alias(struct binder *b, const struct scope *scope, const struct ast_column *c,
                         bool any_item, const struct select_item **ret)
{
    *ret = NULL;
    for (uint32_t i = 0; i < scope->item_count && c->table.ptr == NULL; i++) {
        const struct select_item *it = &scope->items[i];
        if ((!it->has_alias && !any_item) || it->expr == NULL ||
            !slice_eq_nocase(it->name, c->name)) {
            continue;
        }
        if (*ret == NULL) {
            *ret = it;
        } else if (it->has_alias && (*ret)->has_alias && scope->place == PLACE_ORDER &&
                   !bexpr_equal((*ret)->expr, it->expr)) {
            return my_error(b->diag, ER_NON_UNIQ_ERROR, full_name(b, c),
                            bind__place_name(scope->place));
        }
    }
    return ERR_OK;
}

static db_err add_outer(struct binder *b, struct bsubquery *sub, col_id_t id, bool named)
{
    for (uint32_t i = 0; i < sub->outer_count; i++) {
        if (sub->outer_columns[i] == id) {
            sub->outer_named[i] = sub->outer_named[i] && named;
            return ERR_OK;
        }
    }
    col_id_t *columns = BIND_ARRAY(b, col_id_t, sub->outer_count + 1);
    bool *names = BIND_ARRAY(b, bool, sub->outer_count + 1);
    if (columns == NULL || names == NULL) {
        return ERR_NOMEM;
    }
    if (sub->outer_count != 0) {
        memcpy(columns, sub->outer_columns, sub->outer_count * sizeof(*columns));
        memcpy(names, sub->outer_named, sub->outer_count * sizeof(*names));
    }
    columns[sub->outer_count] = id;
    names[sub->outer_count++] = named;
    sub->outer_columns = columns;
    sub->outer_named = names;
    return ERR_OK;
}

/* Notes that every block between the column's and ours reads an outer column. named: as part of a
 * select item, by its alias. */
static db_err note_outer(struct binder *b, struct scope *from, const struct scope *owner,
                         col_id_t id, bool named)
{
    for (struct scope *s = from; s != owner; s = s->parent) {
        if (s->sub != NULL) {
            s->sub->correlated = true;
            TRY(add_outer(b, s->sub, id, named));
        }
    }
    return ERR_OK;
}

db_err bind__note_outer(struct binder *b, struct scope *from, const struct scope *owner,
                        col_id_t id)
{
    return note_outer(b, from, owner, id, false);
}

static db_err column_node(struct binder *b, struct scope *scope, struct scope *owner,
                          uint32_t depth, const struct lcolumn *c, struct bexpr **ret)
{
    struct bexpr *e = bind__column_expr(b, c);
    if (e == NULL) {
        return ERR_NOMEM;
    }
    if (owner->by_ordinal) {
        e->u.column.slot = c->id - 1;
    }
    if (depth > 0) {
        e->kind = BEXPR_OUTER;
        e->u.column.depth = depth;
        TRY(bind__note_outer(b, scope, owner, c->id));
    }
    *ret = e;
    return ERR_OK;
}

/* MYSQL: outside aggregate functions HAVING sees a column only when it is selected or grouped by.
 */
static bool having_sees(const struct scope *s, const struct lcolumn *c)
{
    for (uint32_t i = 0; i < s->item_count; i++) {
        const struct bexpr *e = s->items[i].expr;
        if (e != NULL && e->kind == BEXPR_COLUMN && e->u.column.id == c->id) {
            return true;
        }
    }
    for (uint32_t i = 0; s->group_by != NULL && i < s->group_by->count; i++) {
        const struct ast_column *g = (const struct ast_column *)s->group_by->items[i];
        if (g->expr.kind == AST_EXPR_COLUMN && slice_eq_nocase(g->name, c->name) &&
            (g->table.ptr == NULL || slice_eq(g->table, c->table))) {
            return true;
        }
    }
    return false;
}

/* An item of an enclosing block's select list, seen from a block within: its columns are outer
 * ones here. */
static db_err seen_from_within(struct binder *b, struct scope *scope, const struct scope *owner,
                               uint32_t depth, struct bexpr *e)
{
    if (e->kind == BEXPR_COLUMN || e->kind == BEXPR_OUTER) {
        e->u.column.depth = depth + (e->kind == BEXPR_OUTER ? e->u.column.depth : 0);
        e->kind = BEXPR_OUTER;
        TRY(note_outer(b, scope, owner, e->u.column.id, true));
    }
    if (e->kind >= BEXPR_SUBQUERY_SCALAR && e->kind <= BEXPR_SUBQUERY_QUANTIFIED) {
        const struct bsubquery *sub = e->u.subquery.sub;
        for (uint32_t i = 0; i < sub->outer_count; i++) {
            TRY(note_outer(b, scope, owner, sub->outer_columns[i], true));
        }
    }
    for (uint32_t i = 0; i < e->arg_count; i++) {
        TRY(seen_from_within(b, scope, owner, depth, e->args[i]));
    }
    return ERR_OK;
}

/* A subquery belongs to one place: where its item is named from within, it is bound anew, with the
 * names that the item itself sees. */
static db_err bind_again(struct binder *b, const struct scope *owner,
                         const struct select_item *item, bool *ret_aggregates, struct bexpr **ret)
{
    struct scope *again = BIND_NEW(b, struct scope);
    if (again == NULL) {
        return ERR_NOMEM;
    }
    *again = *owner;
    again->place = PLACE_FIELDS;
    again->item_count = (uint32_t)(item - owner->items);
    again->in_agg = 0;
    again->aggs_allowed = true;
    again->has_agg = false;
    TRY(bind__expr(b, again, item->ast, ret));
    *ret_aggregates = again->has_agg;
    return ERR_OK;
}

static db_err item_from_within(struct binder *b, struct scope *scope, const struct scope *owner,
                               uint32_t depth, const struct ast_column *c,
                               const struct select_item *item, struct bexpr **ret)
{
    if (item->expr->has_window) {
        return my_error(b->diag, ER_WINDOW_INVALID_WINDOW_FUNC_ALIAS_USE, full_name(b, c));
    }
    bool aggregates = item->expr->has_agg;
    *ret = NULL;
    if (!aggregates && item->expr->has_subquery && item->ast != NULL) {
        TRY(bind_again(b, owner, item, &aggregates, ret));
    }
    if (aggregates) {
        return my_error(b->diag, ER_ILLEGAL_REFERENCE, full_name(b, c),
                        "reference to group function");
    }
    if (*ret == NULL) {
        *ret = bexpr_clone(b->arena, item->expr);
    }
    return *ret == NULL ? ERR_NOMEM : seen_from_within(b, scope, owner, depth, *ret);
}

static db_err item_node(struct binder *b, struct scope *scope, const struct scope *owner,
                        uint32_t depth, const struct ast_column *c, const struct select_item *item,
                        struct bexpr **ret)
{
    if (owner->place == PLACE_HAVING && item->expr->has_window) {
        return my_error(b->diag, ER_WINDOW_INVALID_WINDOW_FUNC_ALIAS_USE, full_name(b, c));
    }
    if (owner->place == PLACE_GROUP && (item->expr->has_agg || item->expr->has_window)) {
        return my_error(b->diag, ER_WRONG_GROUP_FIELD, full_name(b, c));
    }
    if (depth != 0) {
        return item_from_within(b, scope, owner, depth, c, item, ret);
    }
    *ret = bexpr_clone(b->arena, item->expr);
    if (*ret == NULL) {
        return ERR_NOMEM;
    }
    (*ret)->by_name = true;
    return ERR_OK;
}

static bool is_column(const struct select_item *item, const struct lcolumn *c)
{
    return item->expr->kind == BEXPR_COLUMN && item->expr->u.column.id == c->id;
}

/* The only column of the tables that has an unqualified name; *ret_count: how many have it. MYSQL:
 * what USING makes one are two here. */
static const struct lcolumn *column_named(const struct scope *s, struct slice name,
                                          uint32_t *ret_count)
{
    const struct lcolumn *found = NULL;
    *ret_count = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        const struct lcolumn *c = &s->columns[i];
        if ((c->def == NULL || !c->def->hidden) && slice_eq_nocase(c->name, name)) {
            found = c;
            ++*ret_count;
        }
    }
    return *ret_count == 1 ? found : NULL;
}

/* The select item that an unqualified name in GROUP BY or HAVING means: two different columns are
 * ambiguous. MYSQL: an expression comes before a column. NULL: none. */
static db_err find_named(struct binder *b, const struct scope *s, const struct ast_column *c,
                         const struct select_item **ret)
{
    *ret = NULL;
    for (uint32_t i = 0; c->table.ptr == NULL && i < s->item_count; i++) {
        const struct select_item *it = &s->items[i];
        if (it->expr == NULL || !slice_eq_nocase(it->name, c->name)) {
            continue;
        }
        if (it->expr->kind == BEXPR_COLUMN && *ret != NULL &&
            !bexpr_equal((*ret)->expr, it->expr)) {
            return my_error(b->diag, ER_NON_UNIQ_ERROR, full_name(b, c),
                            bind__place_name(s->place));
        }
        *ret = it;
        if (it->expr->kind != BEXPR_COLUMN) {
            break;
        }
    }
    return ERR_OK;
}

/* MYSQL: a column that is grouped by comes before an alias of HAVING; that both are there is told
 * of. NULL: there is none. */
static const struct lcolumn *grouped_column(struct binder *b, const struct scope *s,
                                            const struct ast_column *c,
                                            const struct select_item *item)
{
    uint32_t count;
    for (uint32_t i = 0; s->group_by != NULL && i < s->group_by->count; i++) {
        const struct ast_column *g = (const struct ast_column *)s->group_by->items[i];
        if (g->expr.kind != AST_EXPR_COLUMN || !slice_eq_nocase(g->name, c->name)) {
            continue;
        }
        const struct lcolumn *column = column_named(s, g->name, &count);
        if (column != NULL && !is_column(item, column)) {
            bind__warn(b, ER_NON_UNIQ_ERROR, full_name(b, c), bind__place_name(s->place));
            return column;
        }
    }
    return NULL;
}

db_err bind__grouped_names(struct binder *b, struct scope *scope)
{
    enum bind_place place = scope->place;
    db_err err = ERR_OK;
    scope->place = PLACE_GROUP;
    for (uint32_t i = 0; err == ERR_OK && i < scope->group_by->count; i++) {
        const struct ast_column *c = (const struct ast_column *)scope->group_by->items[i];
        const struct select_item *item = NULL;
        uint32_t count;
        if (c->expr.kind != AST_EXPR_COLUMN) {
            continue;
        }
        err = find_named(b, scope, c, &item);
        const struct lcolumn *column = item == NULL ? NULL : column_named(scope, c->name, &count);
        if (err == ERR_OK && column != NULL && !is_column(item, column)) {
            bind__warn(b, ER_NON_UNIQ_ERROR, full_name(b, c), bind__place_name(scope->place));
        }
    }
    scope->place = place;
    return err;
}

/* MYSQL: HAVING and ORDER BY know the select list's names; in GROUP BY a column comes before an
 * alias; a subquery of the select list knows the items before it. */
static db_err find_item(struct binder *b, const struct scope *s, const struct ast_column *c,
                        uint32_t depth, const struct lcolumn **ret_column,
                        const struct select_item **ret_item)
{
    bool alias_first = s->in_agg == 0 && (s->place == PLACE_HAVING || s->place == PLACE_ORDER);
    *ret_item = NULL;
    *ret_column = NULL;
    if (alias_first) {
        TRY(s->place == PLACE_HAVING ? find_named(b, s, c, ret_item)
                                     : find_alias(b, s, c, false, ret_item));
    }
    if (*ret_item != NULL && s->place == PLACE_HAVING) {
        *ret_column = grouped_column(b, s, c, *ret_item);
        *ret_item = *ret_column != NULL ? NULL : *ret_item;
    }
    if (*ret_item != NULL || *ret_column != NULL) {
        return ERR_OK;
    }
    TRY(find_here(b, s, c, ret_column));
    bool later = s->place >= PLACE_GROUP && s->place <= PLACE_ORDER;
    if (*ret_column == NULL && (later || (depth > 0 && s->place == PLACE_FIELDS))) {
        return find_alias(b, s, c, later, ret_item);
    }
    return ERR_OK;
}

/* The next block outwards that a name of `from` may be of; NULL: none. MYSQL: a subquery in the
 * document of JSON_TABLE sees no names around it. */
static struct scope *outwards(const struct scope *from, const struct scope *s)
{
    return s != from && s->document ? NULL : s->parent;
}

/* Is there no table at all that the name could be of? */
static bool without_tables(const struct scope *scope)
{
    return scope->count == 0 && (scope->parent == NULL || scope->parent->document);
}

static db_err not_found(struct binder *b, const struct scope *scope, const struct ast_column *c)
{
    if (c->table.ptr != NULL && without_tables(scope)) {
        return my_error(b->diag, ER_UNKNOWN_TABLE, arena_strdup(b->arena, c->table),
                        bind__place_name(scope->place));
    }
    for (const struct scope *s = scope->parent; s != NULL && c->table.ptr == NULL; s = s->parent) {
        for (uint32_t i = 0; s->ast_items != NULL && i < s->ast_items->count; i++) {
            struct slice alias = s->ast_items->items[i]->alias;
            if (s->place == PLACE_FIELDS && alias.ptr != NULL && slice_eq_nocase(alias, c->name)) {
                return my_error(b->diag, ER_ILLEGAL_REFERENCE, full_name(b, c),
                                "forward reference in item list");
            }
        }
    }
    TRY(bind__need_unknown(b, scope, c->name));
    if (b->opts->use != BIND_USE_ANY) {
        return bind__definition_unknown_column(b, full_name(b, c));
    }
    return my_error(b->diag, ER_BAD_FIELD_ERROR, full_name(b, c), bind__place_name(scope->place));
}

db_err bind__column(struct binder *b, struct scope *scope, const struct ast_column *c,
                    struct bexpr **ret)
{
    uint32_t depth = 0;
    for (struct scope *s = scope; s != NULL; s = outwards(scope, s), depth++) {
        const struct select_item *item;
        const struct lcolumn *found;
        TRY(find_item(b, s, c, depth, &found, &item));
        if (item != NULL) {
            return item_node(b, scope, s, depth, c, item, ret);
        }
        if (found != NULL && depth == 0 && s->place == PLACE_HAVING && s->in_agg == 0 &&
            s->items_known && !having_sees(s, found)) {
            continue;
        }
        if (found != NULL) {
            TRY(bind__need_column(b, found->need, found->need_column, b->column_use));
            bind__complete_column(b, c, found);
            TRY(bind__definition_column(b, found));
            return column_node(b, scope, s, depth, found, ret);
        }
    }
    return not_found(b, scope, c);
}

db_err bind__listed_item(struct binder *b, struct scope *scope, const struct ast_column *c,
                         struct bexpr **ret)
{
    const struct select_item *item;
    uint32_t count;
    *ret = NULL;
    TRY(find_named(b, scope, c, &item));
    if (item == NULL || column_named(scope, c->name, &count) != NULL || count == 0) {
        return ERR_OK;
    }
    for (uint32_t i = 0; i < scope->count && !item->has_alias; i++) {
        if (is_column(item, &scope->columns[i])) {
            bind__complete_column(b, c, &scope->columns[i]); /* as a view's text names it */
        }
    }
    return item_node(b, scope, scope, 0, c, item, ret);
}
