/* Prints queries, table references and the statements made of them. */
#include "sql/parser/ast_print_int.h"

/* ---- table references ---- */

static void print_alias(struct printer *p, struct slice alias, const struct ast_ident_list *columns)
{
    if (alias.ptr != NULL) {
        print__text(p, " AS ");
        print__name(p, alias);
    }
    if (columns != NULL && columns->count > 0) {
        print__text(p, " (");
        print__names(p, columns);
        print__text(p, ")");
    }
}

/* MYSQL: views show a table's alias without AS. */
static void print_table_alias(struct printer *p, struct slice alias,
                              const struct ast_ident_list *columns)
{
    if (p->view && alias.ptr != NULL) {
        print__text(p, " ");
        print__name(p, alias);
        alias = SLICE_EMPTY;
    }
    print_alias(p, alias, columns);
}

static void print_partitions(struct printer *p, const struct ast_ident_list *names)
{
    if (names->count > 0) {
        print__text(p, " PARTITION (");
        print__names(p, names);
        print__text(p, ")");
    }
}

static void print_hint(struct printer *p, const struct ast_index_hint *h)
{
    static const char *const kinds[] = {" USE INDEX", " FORCE INDEX", " IGNORE INDEX"};
    static const char *const scopes[] = {"", " FOR JOIN", " FOR ORDER BY", " FOR GROUP BY"};
    print__text(p, kinds[h->kind]);
    print__text(p, scopes[h->scope]);
    print__text(p, " (");
    print__names(p, &h->indexes);
    print__text(p, ")");
}

static void print_base(struct printer *p, const struct ast_table_base *t)
{
    print__table_name(p, &t->name);
    print_partitions(p, &t->partitions);
    print_table_alias(p, t->alias, NULL);
    for (uint32_t i = 0; i < t->hints.count; i++) {
        print_hint(p, t->hints.items[i]);
    }
    if (t->sample != AST_SAMPLE_NONE) {
        print__text(p, t->sample == AST_SAMPLE_SYSTEM ? " TABLESAMPLE SYSTEM ("
                                                      : " TABLESAMPLE BERNOULLI (");
        print__expr(p, t->sample_percent);
        print__text(p, ")");
    }
}

static const char *join_words(const struct ast_table_join *j, bool view)
{
    if (j->comma) {
        return view ? " join " : ", ";
    }
    switch (j->kind) {
    case AST_JOIN_INNER:
        return j->natural ? " NATURAL JOIN " : j->cross ? " CROSS JOIN " : " JOIN ";
    case AST_JOIN_STRAIGHT: return " STRAIGHT_JOIN ";
    case AST_JOIN_LEFT: return j->natural ? " NATURAL LEFT JOIN " : " LEFT JOIN ";
    case AST_JOIN_RIGHT: return j->natural ? " NATURAL RIGHT JOIN " : " RIGHT JOIN ";
    case AST_JOIN_FULL: return j->natural ? " NATURAL FULL OUTER JOIN " : " FULL OUTER JOIN ";
    }
    return " JOIN ";
}

/* What stands as a condition. */
static void print_where(struct printer *p, const struct ast_expr *e)
{
    if (p->shown) {
        print__condition(p, e, false);
    } else {
        print__expr(p, e);
    }
}

static void print_join(struct printer *p, const struct ast_table_join *j)
{
    bool swapped = p->view && j->kind == AST_JOIN_RIGHT && !j->natural && j->using_.count == 0;
    print__text(p, "(");
    print__table(p, swapped ? j->right : j->left);
    print__text(p, swapped ? " LEFT JOIN " : join_words(j, p->view));
    print__table(p, swapped ? j->left : j->right);
    if (j->on != NULL) {
        print__text(p, p->view ? " on(" : " ON ");
        print_where(p, j->on);
        print__text(p, p->view ? ")" : "");
    }
    if (j->using_.count > 0) {
        print__text(p, " USING (");
        print__names(p, &j->using_);
        print__text(p, ")");
    }
    print__text(p, ")");
}

static void print_json_columns(struct printer *p, const struct ast_json_column_list *columns)
{
    print__text(p, " COLUMNS (");
    for (uint32_t i = 0; i < columns->count; i++) {
        const struct ast_json_column *c = columns->items[i];
        print__text(p, i > 0 ? ", " : "");
        if (c->kind == AST_JSON_COL_NESTED) {
            print__text(p, "NESTED PATH ");
            print__string(p, c->path);
            print_json_columns(p, &c->nested);
            continue;
        }
        print__name(p, c->name);
        if (c->kind == AST_JSON_COL_ORDINALITY) {
            print__text(p, " FOR ORDINALITY");
            continue;
        }
        print__text(p, " ");
        print__type(p, c->type);
        if (c->collation.ptr != NULL) {
            print__text(p, " COLLATE ");
            print__name(p, c->collation);
        }
        print__text(p, c->kind == AST_JSON_COL_EXISTS ? " EXISTS PATH " : " PATH ");
        print__string(p, c->path);
        print__json_on(p, &c->on_empty, &c->on_error);
    }
    print__text(p, ")");
}

void print__table(struct printer *p, const struct ast_table *t)
{
    switch (t->kind) {
    case AST_TABLE_BASE: print_base(p, (const struct ast_table_base *)t); break;
    case AST_TABLE_JOIN: print_join(p, (const struct ast_table_join *)t); break;
    case AST_TABLE_DERIVED: {
        const struct ast_table_derived *d = (const struct ast_table_derived *)t;
        print__text(p, d->lateral ? "LATERAL (" : "(");
        print__query(p, d->query);
        print__text(p, ")");
        print_table_alias(p, d->alias, &d->columns);
        break;
    }
    case AST_TABLE_JSON: {
        const struct ast_json_table *j = (const struct ast_json_table *)t;
        print__text(p, "JSON_TABLE(");
        print__expr(p, j->doc);
        print__text(p, ", ");
        print__string(p, j->path);
        print_json_columns(p, &j->columns);
        print__text(p, ")");
        print_table_alias(p, j->alias, NULL);
        break;
    }
    }
}

/* ---- queries ---- */

static void print_file_format(struct printer *p, const struct ast_file_format *f)
{
    const struct {
        const char *words;
        struct slice text;
    } fields[] = {
        {" TERMINATED BY ", f->field_term},
        {f->optionally_enclosed ? " OPTIONALLY ENCLOSED BY " : " ENCLOSED BY ", f->field_enclosed},
        {" ESCAPED BY ", f->field_escaped},
        {" STARTING BY ", f->line_start},
        {" TERMINATED BY ", f->line_term}};
    bool any = false;
    for (size_t i = 0; i < 5; i++) {
        if (i == 3) {
            any = false;
        }
        if (fields[i].text.ptr != NULL) {
            print__text(p, any ? "" : i < 3 ? " FIELDS" : " LINES");
            print__text(p, fields[i].words);
            print__string(p, fields[i].text);
            any = true;
        }
    }
}

static void print_into(struct printer *p, const struct ast_into *i)
{
    if (i == NULL) {
        return;
    }
    print__text(p, " INTO ");
    if (i->kind == AST_INTO_VARS) {
        print__exprs(p, &i->targets);
        return;
    }
    print__text(p, i->kind == AST_INTO_OUTFILE ? "OUTFILE " : "DUMPFILE ");
    print__string(p, i->file);
    if (i->format.charset.ptr != NULL) {
        print__text(p, " CHARACTER SET ");
        print__name(p, i->format.charset);
    }
    print_file_format(p, &i->format);
}

static void print_options(struct printer *p, uint32_t options)
{
    static const char *const words[] = {" DISTINCT",           " ALL",
                                        " HIGH_PRIORITY",      " STRAIGHT_JOIN",
                                        " SQL_SMALL_RESULT",   " SQL_BIG_RESULT",
                                        " SQL_BUFFER_RESULT",  " SQL_NO_CACHE",
                                        " SQL_CALC_FOUND_ROWS"};
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        print__text(p, (options >> i & 1) != 0 ? words[i] : "");
    }
}

static void print_hints(struct printer *p, const struct ast_hints *hints)
{
    if (hints != NULL && hints->text.ptr != NULL && !p->view) {
        print__text(p, " /*+");
        print__slice(p, hints->text);
        print__text(p, "*/");
    }
}

/* In front of the first block stand those of all; of another one the note shows the name alone. */
static void print_view_hints(struct printer *p, const struct ast_select *s)
{
    if (&s->body == p->first) {
        print__text(p, p->hints.len != 0 ? " /*+ " : "");
        print__slice(p, p->hints);
        print__text(p, p->hints.len != 0 ? "*/" : "");
        return;
    }
    for (uint32_t i = 0; p->count_selects && s->hints != NULL && i < s->hints->list.count; i++) {
        if (s->hints->list.items[i]->kind == HINT_QB_NAME) {
            print__slice(p, SLICE_LIT(" /*+ QB_NAME("));
            print__name(p, s->hints->list.items[i]->name);
            print__text(p, ") */");
            return;
        }
    }
}

static void print_group(struct printer *p, const struct ast_select *s)
{
    if (s->group_by.count > 0) {
        print__text(p, s->group_mode == AST_GROUP_CUBE ? " GROUP BY CUBE (" : " GROUP BY ");
        print__exprs(p, &s->group_by);
        print__text(p, s->group_mode == AST_GROUP_CUBE     ? ")"
                       : s->group_mode == AST_GROUP_ROLLUP ? " WITH ROLLUP"
                                                           : "");
    }
}

static void print_clause(struct printer *p, const char *word, const struct ast_expr *e)
{
    if (e != NULL) {
        print__text(p, word);
        print__expr(p, e);
    }
}

static void print_condition_clause(struct printer *p, const char *word, const struct ast_expr *e)
{
    if (e != NULL) {
        print__text(p, word);
        print_where(p, e);
    }
}

static void print_items(struct printer *p, const struct ast_select_list *items)
{
    for (uint32_t i = 0; i < items->count; i++) {
        const struct ast_select_item *item = items->items[i];
        print__text(p, i > 0 ? ", " : " ");
        print__expr(p, item->expr);
        print_alias(p, item->alias, NULL);
    }
}

static void print_select(struct printer *p, const struct ast_select *s)
{
    if (p->count_selects) {
        print__text(p, "/* select#");
        print__u64(p, ++p->selects);
        print__text(p, " */ ");
    }
    print__text(p, "SELECT");
    print_hints(p, s->hints);
    if (p->view) {
        print_view_hints(p, s);
    }
    print_options(p, s->options);
    print_items(p, &s->items);
    print_into(p, s->into);
    if (s->from != NULL) {
        print__text(p, " FROM ");
        print__table(p, s->from);
    } else if (s->from_dual) {
        print__text(p, " FROM DUAL");
    }
    print_condition_clause(p, " WHERE ", s->where);
    print_group(p, s);
    print_condition_clause(p, " HAVING ", s->having);
    for (uint32_t i = 0; i < s->windows.count; i++) {
        print__text(p, i > 0 ? ", " : " WINDOW ");
        print__name(p, s->windows.items[i]->name);
        print__text(p, " AS ");
        print__window(p, s->windows.items[i]);
    }
    print_clause(p, " QUALIFY ", s->qualify);
}

static void print_body(struct printer *p, const struct ast_body *b);

/* An operand of a set operation: in parentheses unless it needs none. */
static void print_operand(struct printer *p, const struct ast_body *b)
{
    bool parens = b->kind == AST_BODY_SETOP;
    print__text(p, parens ? "(" : "");
    print_body(p, b);
    print__text(p, parens ? ")" : "");
}

static void print_values(struct printer *p, const struct ast_row_list *rows)
{
    print__text(p, "VALUES ");
    for (uint32_t i = 0; i < rows->count; i++) {
        print__text(p, i > 0 ? ", ROW(" : "ROW(");
        print__exprs(p, &rows->items[i]->items);
        print__text(p, ")");
    }
}

static void print_body(struct printer *p, const struct ast_body *b)
{
    static const char *const ops[] = {" UNION ", " INTERSECT ", " EXCEPT "};
    switch (b->kind) {
    case AST_BODY_SELECT: print_select(p, (const struct ast_select *)b); break;
    case AST_BODY_SETOP: {
        const struct ast_setop *s = (const struct ast_setop *)b;
        print_operand(p, s->left);
        print__text(p, ops[s->op]);
        print__text(p, s->all ? "ALL " : p->view ? "" : "DISTINCT ");
        print_operand(p, s->right);
        break;
    }
    case AST_BODY_VALUES: print_values(p, &((const struct ast_values *)b)->rows); break;
    case AST_BODY_TABLE:
        print__text(p, "TABLE ");
        print__table_name(p, &((const struct ast_body_table *)b)->name);
        break;
    case AST_BODY_QUERY:
        print__text(p, "(");
        print__query(p, ((const struct ast_body_query *)b)->query);
        print__text(p, ")");
        break;
    }
}

void print__with(struct printer *p, const struct ast_with *w)
{
    if (w == NULL) {
        return;
    }
    print__text(p, w->recursive ? "WITH RECURSIVE " : "WITH ");
    for (uint32_t i = 0; i < w->ctes.count; i++) {
        const struct ast_cte *c = w->ctes.items[i];
        print__text(p, i > 0 ? ", " : "");
        print__name(p, c->name);
        print_alias(p, SLICE_EMPTY, &c->columns);
        print__text(p, " AS (");
        print__query(p, c->query);
        print__text(p, ")");
    }
    print__text(p, " ");
}

void print__limit(struct printer *p, const struct ast_limit *l)
{
    if (l == NULL) {
        return;
    }
    print__text(p, " LIMIT ");
    if (p->shown && l->offset != NULL) {
        print__expr(p, l->offset);
        print__text(p, ", ");
        print__expr(p, l->count);
        return;
    }
    print__expr(p, l->count);
    print_clause(p, " OFFSET ", l->offset);
}

static void print_locking(struct printer *p, const struct ast_locking *l)
{
    static const char *const waits[] = {"", " NOWAIT", " SKIP LOCKED"};
    if (l->old_syntax) {
        print__text(p, " LOCK IN SHARE MODE");
        return;
    }
    print__text(p, l->strength == AST_LOCK_UPDATE ? " FOR UPDATE" : " FOR SHARE");
    for (uint32_t i = 0; i < l->tables.count; i++) {
        print__text(p, i > 0 ? ", " : " OF ");
        print__table_name(p, l->tables.items[i]);
    }
    print__text(p, waits[l->wait]);
}

void print__query(struct printer *p, const struct ast_query *q)
{
    print__with(p, q->with);
    print_body(p, q->body);
    print__order(p, &q->order_by);
    print__limit(p, q->limit);
    for (uint32_t i = 0; i < q->locking.count; i++) {
        print_locking(p, q->locking.items[i]);
    }
    print_into(p, q->into);
}

/* ---- statements ---- */

static void print_dml_flags(struct printer *p, uint32_t flags)
{
    print__text(p, (flags & AST_DML_LOW_PRIORITY) != 0 ? " LOW_PRIORITY" : "");
    print__text(p, (flags & AST_DML_HIGH_PRIORITY) != 0 ? " HIGH_PRIORITY" : "");
    print__text(p, (flags & AST_DML_DELAYED) != 0 ? " DELAYED" : "");
    print__text(p, (flags & AST_DML_QUICK) != 0 ? " QUICK" : "");
    print__text(p, (flags & AST_DML_IGNORE) != 0 ? " IGNORE" : "");
}

static void print_set(struct printer *p, const char *word, const struct ast_assignment_list *set)
{
    for (uint32_t i = 0; i < set->count; i++) {
        print__text(p, i > 0 ? ", " : word);
        print__expr(p, &set->items[i]->column->expr);
        print__text(p, " = ");
        print__expr(p, set->items[i]->value);
    }
}

static void print_insert(struct printer *p, const struct ast_insert *s)
{
    print__text(p, s->replace ? "REPLACE" : "INSERT");
    print_hints(p, s->hints);
    print_dml_flags(p, s->flags);
    print__text(p, " INTO ");
    print__table_name(p, &s->table);
    print_partitions(p, &s->partitions);
    if (s->has_columns) {
        print__text(p, " (");
        print__exprs(p, &s->columns);
        print__text(p, ")");
    }
    switch (s->source) {
    case AST_INSERT_VALUES:
    case AST_INSERT_VALUES_ROW:
        for (uint32_t i = 0; i < s->rows.count; i++) {
            print__text(p, i > 0 ? ", (" : " VALUES (");
            print__exprs(p, &s->rows.items[i]->items);
            print__text(p, ")");
        }
        break;
    case AST_INSERT_SET: print_set(p, " SET ", &s->set); break;
    case AST_INSERT_QUERY:
        print__text(p, " ");
        print__query(p, s->query);
        break;
    }
    print_alias(p, s->row_alias, &s->row_alias_columns);
    print_set(p, " ON DUPLICATE KEY UPDATE ", &s->on_duplicate);
}

static void print_update(struct printer *p, const struct ast_update *s)
{
    print__with(p, s->with);
    print__text(p, "UPDATE");
    print_hints(p, s->hints);
    print_dml_flags(p, s->flags);
    print__text(p, " ");
    print__table(p, s->table);
    print_set(p, " SET ", &s->set);
    print_clause(p, " WHERE ", s->where);
    print__order(p, &s->order_by);
    print__limit(p, s->limit);
}

static void print_delete(struct printer *p, const struct ast_delete *s)
{
    print__with(p, s->with);
    print__text(p, "DELETE");
    print_hints(p, s->hints);
    print_dml_flags(p, s->flags);
    for (uint32_t i = 0; i < s->targets.count; i++) {
        print__text(p, i > 0 ? ", " : " ");
        print__table_name(p, s->targets.items[i]);
    }
    print__text(p, " FROM ");
    if (s->multi) {
        print__table(p, s->table);
    } else { /* here the alias stands before the partitions */
        const struct ast_table_base *t = (const struct ast_table_base *)s->table;
        print__table_name(p, &t->name);
        print_alias(p, t->alias, NULL);
        print_partitions(p, &t->partitions);
    }
    print_clause(p, " WHERE ", s->where);
    print__order(p, &s->order_by);
    print__limit(p, s->limit);
}

db_err ast_print_query(struct buf *buf, const struct ast_query *query)
{
    struct printer p = {.buf = buf};
    print__query(&p, query);
    return p.err;
}

/* The first query block of the text. */
static const struct ast_body *first_block(const struct ast_query *query)
{
    const struct ast_body *b = query->body;
    while (b->kind == AST_BODY_SETOP || b->kind == AST_BODY_QUERY) {
        b = b->kind == AST_BODY_SETOP ? ((const struct ast_setop *)b)->left
                                      : ((const struct ast_body_query *)b)->query->body;
    }
    return b;
}

struct slice ast_hints_in_front(const struct ast_query *query)
{
    const struct ast_body *b = first_block(query);
    const struct ast_hints *h =
        b->kind == AST_BODY_SELECT ? ((const struct ast_select *)b)->hints : NULL;
    struct slice text = h == NULL ? SLICE_EMPTY : h->text;
    return text.len != 0 && text.ptr[0] == ' ' ? slice_from(text, 1) : text;
}

db_err ast_print_view(struct buf *buf, const struct ast_query *query, struct slice hints,
                      const struct parse_charset *client, struct arena *arena)
{
    struct printer p = {.buf = buf,
                        .view = true,
                        .first = first_block(query),
                        .hints = hints,
                        .client = client,
                        .arena = arena};
    print__query(&p, query);
    return p.err;
}

db_err ast_print_shown(struct buf *buf, const struct ast_query *query, struct slice hints,
                       struct slice hide, const struct ast_name_style *style)
{
    struct printer p = {.buf = buf,
                        .view = true,
                        .shown = true,
                        .first = first_block(query),
                        .hints = hints,
                        .hide = hide,
                        .style = style};
    print__query(&p, query);
    return p.err;
}

db_err ast_print_explained(struct buf *buf, const struct ast_query *query, struct slice hints)
{
    struct printer p = {.buf = buf,
                        .view = true,
                        .count_selects = true,
                        .first = first_block(query),
                        .hints = hints};
    print__query(&p, query);
    return p.err;
}

static db_err print_stmt(struct buf *buf, const struct ast_stmt *stmt, bool number_lifted)
{
    struct printer p = {.buf = buf, .number_lifted = number_lifted};
    switch ((int)stmt->kind) {
    case AST_STMT_SELECT: print__query(&p, ((const struct ast_select_stmt *)stmt)->query); break;
    case AST_STMT_INSERT: print_insert(&p, (const struct ast_insert *)stmt); break;
    case AST_STMT_UPDATE: print_update(&p, (const struct ast_update *)stmt); break;
    case AST_STMT_DELETE: print_delete(&p, (const struct ast_delete *)stmt); break;
    case AST_STMT_DO:
        print__text(&p, "DO");
        print_items(&p, &((const struct ast_do *)stmt)->items);
        break;
    case AST_STMT_CALL:
        print__text(&p, "CALL ");
        print__table_name(&p, &((const struct ast_call *)stmt)->name);
        print__text(&p, "(");
        print__exprs(&p, &((const struct ast_call *)stmt)->args);
        print__text(&p, ")");
        break;
    default: return ERR_UNSUPPORTED;
    }
    return p.err;
}

db_err ast_print_stmt(struct buf *buf, const struct ast_stmt *stmt)
{
    return print_stmt(buf, stmt, false);
}

db_err ast_print_lifted(struct buf *buf, const struct ast_stmt *stmt)
{
    return print_stmt(buf, stmt, true);
}
