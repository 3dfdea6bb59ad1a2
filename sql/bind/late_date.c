/* Text beside dates that has no value before the statement is executed.
 *
 * MYSQL: constant text beside a date that is no date is error 1525 (sql/func/compare/moment.c).
 * Text of variables, of USER() and of a subquery that reads tables, has its value only when the
 * statement is executed: what is no date is below every date then, and a warning names the column.
 * But `column = text` that must be true, or is a part of AND and OR that must be, is looked at
 * again when the values are known, before a row is read, and is the error then.
 *
 * MYSQL: of text that differs from row to row only the date is compared with a DATE that does, too;
 * not among the values of IN, BETWEEN, CASE and NULLIF, nor where rows are put in order, and only
 * where a join is made: in query blocks, and conditions of changes of several tables. What a table
 * of one row has does not differ. */
#include "sql/bind/bind_int.h"

/* What text is made of, the strongest last. */
enum source { SOURCE_EARLY, SOURCE_LATE, SOURCE_ROWS };

static bool has_table(const struct lnode *n)
{
    bool is = n->kind == LNODE_TABLE || n->kind == LNODE_CTE_REF || n->kind == LNODE_TABLE_FUNC;
    for (uint32_t i = 0; i < n->child_count && !is; i++) {
        is = has_table(n->children[i]);
    }
    return is;
}

static enum source source_of_node(const struct bexpr *e)
{
    switch ((int)e->kind) {
    case BEXPR_CONST:
    case BEXPR_CAST:
    case BEXPR_AND:
    case BEXPR_OR:
    case BEXPR_CASE:
    case BEXPR_COALESCE:
    case BEXPR_IN_LIST: return SOURCE_EARLY;
    case BEXPR_PARAM: return !e->placeholder ? SOURCE_EARLY : e->own ? SOURCE_LATE : SOURCE_ROWS;
    case BEXPR_FUNC:
        return (e->u.func->def->flags & FUNC_EXECUTION) != 0 ? SOURCE_LATE : SOURCE_EARLY;
    case BEXPR_USER_VAR:
    case BEXPR_SYSTEM_VAR: return SOURCE_LATE;
    case BEXPR_SUBQUERY_SCALAR:
        return e->u.subquery.sub->correlated        ? SOURCE_ROWS
               : has_table(e->u.subquery.sub->root) ? SOURCE_LATE
                                                    : SOURCE_EARLY;
    default: return SOURCE_ROWS;
    }
}

static bool ask_source(const struct bexpr *e, void *ctx)
{
    enum source *found = ctx;
    enum source s = source_of_node(e);
    *found = s > *found ? s : *found;
    return *found != SOURCE_ROWS;
}

static enum source source_of(const struct bexpr *e)
{
    enum source found = SOURCE_EARLY;
    if (e->is_volatile) {
        return SOURCE_ROWS;
    }
    bexpr_walk(e, ask_source, &found);
    return found;
}

bool bind__is_known_early(const struct bexpr *e)
{
    return source_of(e) == SOURCE_EARLY;
}

/* A comparison's cast of text that makes a date of it. */
static bool is_date_cast(const struct bexpr *e)
{
    return e->kind == BEXPR_CAST && !e->u.cast.explicit_cast && type_has_date(&e->type) &&
           type_is_string(&e->args[0]->type);
}

static bool varies_here(const struct bexpr *e, void *ctx)
{
    bool *found = ctx;
    bool steady =
        e->kind == BEXPR_COLUMN && e->u.column.origin != NULL && e->u.column.origin->steady;
    bool rows = e->kind != BEXPR_PARAM && !steady && source_of_node(e) == SOURCE_ROWS;
    *found = *found || rows;
    return !*found;
}

/* Is it computed of each row? MYSQL: a subquery that reads tables is not. */
static bool varies(const struct bexpr *e)
{
    bool found = e->is_volatile;
    if (e->kind == BEXPR_SUBQUERY_SCALAR && has_table(e->u.subquery.sub->root)) {
        return false;
    }
    bexpr_walk(e, varies_here, &found);
    return found;
}

static bool all_steady(const struct lnode *project)
{
    bool steady = true;
    for (uint32_t i = 0; i < project->u.project.count && steady; i++) {
        steady = !varies(project->u.project.exprs[i].expr);
    }
    return steady;
}

static bool is_one(const struct bexpr *limit)
{
    return limit != NULL && limit->kind == BEXPR_CONST && !limit->u.constant.is_null &&
           limit->u.constant.u <= 1;
}

static const struct bexpr *projected(const struct lnode *n, col_id_t id)
{
    for (uint32_t i = 0; i < n->u.project.count; i++) {
        if (n->u.project.exprs[i].out == id) {
            return n->u.project.exprs[i].expr;
        }
    }
    return NULL;
}

bool bind__is_steady(const struct binder *b, const struct lnode *query, col_id_t id)
{
    bool merged = true;
    for (const struct lnode *n = query; n != NULL; n = n->children[0]) {
        switch ((int)n->kind) {
        case LNODE_DUAL: return true;
        case LNODE_VALUES: return n->u.values.row_count <= 1;
        case LNODE_AGGREGATE: return n->u.aggregate.group_count == 0;
        case LNODE_FILTER:
        case LNODE_SORT: break;
        case LNODE_LIMIT:
            if (is_one(n->u.limit.limit)) {
                return true;
            }
            merged = false;
            break;
        case LNODE_DISTINCT:
            if (n->children[0]->kind == LNODE_PROJECT && all_steady(n->children[0])) {
                return true;
            }
            merged = false;
            break;
        case LNODE_PROJECT: {
            const struct bexpr *e = projected(n, id);
            if (e != NULL && merged && !varies(e)) {
                return true;
            }
            id = e != NULL && e->kind == BEXPR_COLUMN ? e->u.column.id : id;
            break;
        }
        case LNODE_CTE_REF: {
            const struct lnode *made =
                n->u.cte_ref.working ? NULL : b->stmt->ctes[n->u.cte_ref.cte];
            for (uint32_t i = 0; made != NULL && i < n->column_count; i++) {
                if (n->columns[i].id == id) {
                    return bind__is_steady(b, made, made->columns[i].id);
                }
            }
            return false;
        }
        default: return false;
        }
    }
    return false;
}

static bool is_text(const struct sql_type *t)
{
    return type_is_string(t) || t->id == TYPE_ENUM || t->id == TYPE_SET;
}

void bind__only_date(const struct binder *b, const struct bexpr *date, const struct bexpr *text,
                     struct func_arg *io)
{
    if (!b->of_block || b->func.among || (b->func.apart && !b->joins_query) || !io->want_cast ||
        io->want.id != TYPE_DATETIME || date->type.id != TYPE_DATE || !is_text(&text->type) ||
        !varies(date) || !varies(text)) {
        return;
    }
    unsigned wire = io->want.wire;
    io->want = type_temporal(TYPE_DATE, 0);
    io->want.wire = (uint16_t)wire;
}

void bind__late_date(const struct binder *b, const struct func_arg *date, struct func_arg *text,
                     const struct bexpr *source)
{
    const unsigned refuse = TYPE_W_REFUSE_DATE | TYPE_W_REFUSE_DATETIME | TYPE_W_REFUSE_TIMESTAMP;
    if (!text->want_cast || !type_has_date(&text->want) || !type_is_string(&text->type) ||
        !type_has_date(&date->type) || source->kind == BEXPR_CONST) {
        return;
    }
    switch (source_of(source)) {
    case SOURCE_EARLY:
        if (source->has_subquery && !b->func.among && !b->func.view) {
            text->want.wire |= (uint16_t)(TYPE_W_COMPARED | func_refuse_date(&date->type));
        }
        break;
    case SOURCE_LATE:
        text->want.wire &= (uint16_t)~refuse;
        text->want.wire |= (uint16_t)TYPE_W_COMPARED;
        break;
    case SOURCE_ROWS: break;
    }
}

/* The column, which another DATETIME's cast may stand around; NULL: it is something else. */
static const struct bexpr *date_column(const struct bexpr *e)
{
    const struct bexpr *c = e->kind == BEXPR_CAST && !e->u.cast.explicit_cast ? e->args[0] : e;
    bool is = c->kind == BEXPR_COLUMN && type_has_date(&c->type) && !(c->type.flags & TYPE_F_EXPR);
    return is ? c : NULL;
}

static bool is_call(const struct bexpr *e, const char *name)
{
    return e->kind == BEXPR_FUNC && strcmp(e->u.func->def->name, name) == 0;
}

/* column = text; *ret_text: the side that the text is. NULL: it is something else. */
static const struct bexpr *equal_date(const struct bexpr *e, bool negated, uint32_t *ret_text)
{
    for (uint32_t i = 0; i < 2 && is_call(e, negated ? "op_ne" : "op_eq"); i++) {
        const struct bexpr *column = date_column(e->args[1 - i]);
        if (column != NULL && !e->u.func->among && is_date_cast(e->args[i]) &&
            source_of(e->args[i]->args[0]) == SOURCE_LATE) {
            *ret_text = i;
            return column;
        }
    }
    return NULL;
}

/* Does another of the conditions say that the column equals a constant? MYSQL: then the two
 * constants are compared. */
static bool is_known_otherwise(struct bexpr *const *all, uint32_t count, uint32_t self,
                               const struct bexpr *column)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct bexpr *e = all[i];
        for (uint32_t side = 0; side < 2 && i != self && is_call(e, "op_eq"); side++) {
            const struct bexpr *c = date_column(e->args[side]);
            if (c != NULL && bexpr_equal(c, column) &&
                source_of(e->args[1 - side]) != SOURCE_ROWS) {
                return true;
            }
        }
    }
    return false;
}

/* A number that makes the conditions of an AND false. */
static bool is_false(struct binder *b, const struct bexpr *e)
{
    const struct value *v = e->kind == BEXPR_CONST ? &e->u.constant : e->lifted;
    if (e->kind == BEXPR_PARAM && v != NULL) {
        b->func.by_text = true;
        bind__take_by_text(b);
    }
    return v != NULL && !v->is_null && v->phys == PHYS_INT && v->i == 0;
}

/* The conditions of an AND, or of an OR; negated: of one that NOT stands before. */
static db_err refuse_among(struct binder *b, bool both, bool negated, bool early,
                           struct bexpr **all, uint32_t count)
{
    for (uint32_t i = 0; i < count && both; i++) { /* MYSQL: what is false leaves nothing to do */
        if (is_false(b, all[i])) {
            return ERR_OK;
        }
        early = early && (all[i]->has_subquery || source_of(all[i]) != SOURCE_EARLY);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct bexpr *e = all[i];
        uint32_t text = 0;
        const struct bexpr *column = equal_date(e, negated, &text);
        if (is_call(e, "op_not")) {
            TRY(refuse_among(b, both, !negated, early, e->args, 1));
        } else if (e->kind == BEXPR_AND || e->kind == BEXPR_OR) {
            bool all_of = (e->kind == BEXPR_AND) != negated;
            TRY(refuse_among(b, all_of, negated, early, e->args, e->arg_count));
        } else if (column != NULL && !(both && is_known_otherwise(all, count, i, column))) {
            struct bexpr *cast = e->args[text];
            cast->type.wire |= (uint16_t)func_refuse_date(&column->type);
            e->u.func->arg_types[text] = cast->type;
            TRY(early && !cast->has_subquery ? bind__early(b, cast) : ERR_OK);
        }
    }
    return ERR_OK;
}

db_err bind__refuse_dates(struct binder *b, struct bexpr **conjuncts, uint32_t count)
{
    bool now = !b->opts->defines_view && !b->scalar;
    return now ? refuse_among(b, true, false, true, conjuncts, count) : ERR_OK;
}
