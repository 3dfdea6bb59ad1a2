/* Prints queries, table references and the statements made of them. */
#include "sql/parser/ast_print_int.h"

/* ---- table references ---- */

void print__alias(struct printer *p, struct slice alias, const struct ast_ident_list *columns)
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
void print__table_alias(struct printer *p, struct slice alias, const struct ast_ident_list *columns)
{
    if (p->view && alias.ptr != NULL) {
        print__text(p, " ");
        print__name(p, alias);
        alias = SLICE_EMPTY;
    }
    print__alias(p, alias, columns);
}

void print__partitions(struct printer *p, const struct ast_ident_list *names)
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
    print__slice(p, slice_str(kinds[h->kind])); /* MYSQL: not small in views either */
    print__slice(p, slice_str(scopes[h->scope]));
    print__text(p, " (");
    for (uint32_t i = 0; i < h->indexes.count; i++) {
        struct slice name = h->indexes.items[i]->name;
        print__text(p, i > 0 ? ", " : "");
        if (p->view && slice_eq_nocase(name, SLICE_LIT("PRIMARY"))) {
            print__slice(p, SLICE_LIT("PRIMARY"));
        } else {
            print__name(p, name);
        }
    }
    print__text(p, ")");
}

static void print_base(struct printer *p, const struct ast_table_base *t)
{
    print__table_name(p, &t->name);
    print__partitions(p, &t->partitions);
    print__table_alias(p, t->alias, NULL);
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

static void print_joined(struct printer *p, const struct ast_table_join *j)
{
    bool swapped = p->view && j->kind == AST_JOIN_RIGHT && !j->natural && j->using_.count == 0;
    print__from(p, swapped ? j->right : j->left);
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
}

void print__from(struct printer *p, const struct ast_table *t)
{
    if (p->count_selects && t->kind == AST_TABLE_JOIN) {
        print_joined(p, (const struct ast_table_join *)t);
    } else {
        print__table(p, t);
    }
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
    case AST_TABLE_JOIN:
        print__text(p, "(");
        print_joined(p, (const struct ast_table_join *)t);
        print__text(p, ")");
        break;
    case AST_TABLE_DERIVED: {
        const struct ast_table_derived *d = (const struct ast_table_derived *)t;
        print__text(p, d->lateral ? "LATERAL (" : "(");
        print__query(p, d->query);
        print__text(p, ")");
        print__table_alias(p, d->alias, &d->columns);
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
        print__table_alias(p, j->alias, NULL);
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

void print__hints(struct printer *p, const struct ast_hints *hints)
{
    if (hints != NULL && hints->text.ptr != NULL && !p->view) {
        print__text(p, " /*+");
        print__slice(p, hints->text);
        print__text(p, "*/");
    }
}

void print__hints_in_front(struct printer *p)
{
    print__text(p, p->hints.len != 0 ? " /*+ " : "");
    print__slice(p, p->hints);
    print__text(p, p->hints.len != 0 ? "*/" : "");
}

/* In front of the first block stand those of all; of another one the note shows the name alone. */
static void print_view_hints(struct printer *p, const struct ast_select *s)
{
    if (&s->body == p->first) {
        print__hints_in_front(p);
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

void print__clause(struct printer *p, const char *word, const struct ast_expr *e)
{
    if (e != NULL) {
        print__text(p, word);
        print__expr(p, e);
    }
}

void print__condition_clause(struct printer *p, const char *word, const struct ast_expr *e)
{
    if (e != NULL) {
        print__text(p, word);
        print_where(p, e);
    }
}

void print__items(struct printer *p, const struct ast_select_list *items)
{
    for (uint32_t i = 0; i < items->count; i++) {
        const struct ast_select_item *item = items->items[i];
        print__text(p, i > 0 ? ", " : " ");
        print__expr(p, item->expr);
        print__alias(p, item->alias, NULL);
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
    print__hints(p, s->hints);
    if (p->view) {
        print_view_hints(p, s);
    }
    print_options(p, s->options);
    print__items(p, &s->items);
    print_into(p, s->into);
    if (s->from != NULL) {
        print__text(p, " FROM ");
        print__from(p, s->from);
    } else if (s->from_dual) {
        print__text(p, " FROM DUAL");
    }
    print__condition_clause(p, " WHERE ", s->where);
    print_group(p, s);
    print__condition_clause(p, " HAVING ", s->having);
    for (uint32_t i = 0; i < s->windows.count; i++) {
        print__text(p, i > 0 ? ", " : " WINDOW ");
        print__name(p, s->windows.items[i]->name);
        print__text(p, " AS ");
        print__window(p, s->windows.items[i]);
    }
    print__clause(p, " QUALIFY ", s->qualify);
}

static void print_body(struct printer *p, const struct ast_body *b);

/* An operand of a set operation: in parentheses unless it needs none. */
static void print_operand(struct printer *p, const struct ast_body *b, bool streams)
{
    bool parens = b->kind == AST_BODY_SETOP;
    print__text(p, parens ? "(" : "");
    p->streams = streams;
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

/* MYSQL: a view keeps a SELECT. */
static void print_table_body(struct printer *p, const struct ast_body_table *t)
{
    if (p->view && t->select != NULL) {
        print_select(p, t->select);
        return;
    }
    print__text(p, "TABLE ");
    print__table_name(p, &t->name);
}

/* Links of a chain that go together, from `begin` to `end`; those before `set` make one DISTINCT
 * operation, which MYSQL shows so. */
struct run {
    uint32_t begin, end, set;
};

static struct run run_at(const struct ast_set_links *links, uint32_t begin)
{
    struct run r = {begin, begin, begin};
    enum ast_setop_kind op = links->items[begin]->op;
    do {
        r.set = links->items[r.end]->all || op == AST_SETOP_EXCEPT ? r.set : r.end + 1;
        r.end++;
    } while (r.end < links->count && !links->items[r.end]->nests);
    r.set = op == AST_SETOP_INTERSECT && r.set > begin ? r.end : r.set;
    return r;
}

static void print_links(struct printer *p, const struct ast_set_links *links, struct run r,
                        bool streams)
{
    static const char *const ops[] = {" UNION ", " INTERSECT ", " EXCEPT "};
    for (uint32_t i = r.begin; i < r.end; i++) {
        const struct ast_set_link *link = links->items[i];
        bool all = link->all && (i >= r.set || !p->view);
        print__text(p, streams && i == r.set && i > r.begin ? ")" : "");
        print__text(p, ops[link->op]);
        print__text(p, all ? "ALL " : p->view ? "" : "DISTINCT ");
        print_operand(p, link->body, streams && i >= r.set);
    }
}

/* MYSQL: what goes together has no parentheses, but for a DISTINCT union before ALL when its rows
 * lie in no table (streams). */
static void print_chain(struct printer *p, const struct ast_setop *s, bool streams)
{
    struct run r = {0};
    const struct ast_set_link *last = ast_set_last(s);
    for (uint32_t at = 0; at < s->links.count; at = r.end) {
        print__text(p, at != 0 ? "(" : "");
        r = run_at(&s->links, at);
    }
    streams = streams && p->view && last->op == AST_SETOP_UNION && last->all;
    print__text(p, streams && r.set > r.begin ? "(" : "");
    print_operand(p, s->first, streams && r.set == 0);
    for (uint32_t at = 0; at < s->links.count; at = r.end) {
        print__text(p, at != 0 ? ")" : "");
        r = run_at(&s->links, at);
        print_links(p, &s->links, r, streams && r.end == s->links.count);
    }
}

static void print_body(struct printer *p, const struct ast_body *b)
{
    bool streams = p->streams;
    p->streams = false;
    switch (b->kind) {
    case AST_BODY_SELECT: print_select(p, (const struct ast_select *)b); break;
    case AST_BODY_SETOP: print_chain(p, (const struct ast_setop *)b, streams); break;
    case AST_BODY_VALUES: print_values(p, &((const struct ast_values *)b)->rows); break;
    case AST_BODY_TABLE: print_table_body(p, (const struct ast_body_table *)b); break;
    case AST_BODY_QUERY:
        print__text(p, "(");
        p->streams = streams;
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
        print__slice(p, i > 0 ? SLICE_LIT(", ") : SLICE_EMPTY);
        print__name(p, c->name);
        print__alias(p, SLICE_EMPTY, &c->columns);
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
    print__clause(p, " OFFSET ", l->offset);
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

static void reverse(uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        uint8_t c = bytes[i];
        bytes[i] = bytes[n - 1 - i];
        bytes[n - 1 - i] = c;
    }
}

void print__with_before(struct printer *p, const struct ast_with *w, size_t from)
{
    size_t end = p->buf->len;
    print__with(p, w);
    if (p->err == ERR_OK) {
        reverse(p->buf->ptr + from, end - from);
        reverse(p->buf->ptr + end, p->buf->len - end);
        reverse(p->buf->ptr + from, p->buf->len - from);
    }
}

void print__query(struct printer *p, const struct ast_query *q)
{
    size_t from = p->buf->len;
    bool streams = p->streams && q->order_by.count == 0;
    p->streams = false;
    print__with(p, p->count_selects ? NULL : q->with);
    p->streams = streams;
    print_body(p, q->body);
    p->streams = false;
    print__order(p, &q->order_by);
    print__limit(p, q->limit);
    for (uint32_t i = 0; i < q->locking.count; i++) {
        print_locking(p, q->locking.items[i]);
    }
    print_into(p, q->into);
    print__with_before(p, p->count_selects ? q->with : NULL, from);
}

/* ---- whole queries ---- */

db_err ast_print_query(struct buf *buf, const struct ast_query *query)
{
    struct printer p = {.buf = buf};
    print__query(&p, query);
    return p.err;
}

/* The first query block of the text. */
const struct ast_body *print__first_block(const struct ast_query *query)
{
    const struct ast_body *b = query->body;
    while (b->kind == AST_BODY_SETOP || b->kind == AST_BODY_QUERY) {
        b = b->kind == AST_BODY_SETOP ? ((const struct ast_setop *)b)->first
                                      : ((const struct ast_body_query *)b)->query->body;
    }
    const struct ast_select *completed =
        b->kind == AST_BODY_TABLE ? ((const struct ast_body_table *)b)->select : NULL;
    return completed == NULL ? b : &completed->body;
}

struct slice ast_hints_in_front(const struct ast_query *query)
{
    const struct ast_body *b = print__first_block(query);
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
                        .streams = true,
                        .first = print__first_block(query),
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
                        .streams = true,
                        .shown = true,
                        .first = print__first_block(query),
                        .hints = hints,
                        .hide = hide,
                        .style = style};
    print__query(&p, query);
    return p.err;
}
