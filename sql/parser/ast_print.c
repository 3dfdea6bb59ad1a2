#include "sql/parser/ast_print.h"

#include "sql/parser/ast_condition.h"
#include "sql/parser/ast_print_int.h"

void print__slice(struct printer *p, struct slice s)
{
    if (p->err == ERR_OK) {
        p->err = buf_append_slice(p->buf, s);
    }
}

/* Words of ours in the case of MySQL's views: all small but for AS and the constants. */
static void view_text(struct printer *p, const char *text)
{
    bool keeps = strcmp(text, " AS ") == 0 || strcmp(text, "NULL") == 0;
    if (strcmp(text, ", ") == 0) {
        text = ",";
    }
    for (; *text != '\0'; text++) {
        uint8_t c = (uint8_t)*text;
        c = !keeps && c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
        print__slice(p, slice_of(&c, 1));
    }
}

void print__text(struct printer *p, const char *text)
{
    if (p->view) {
        view_text(p, text);
        return;
    }
    print__slice(p, slice_str(text));
}

void print__function(struct printer *p, struct slice name)
{
    for (size_t i = 0; p->view && i < name.len; i++) {
        uint8_t c = name.ptr[i];
        c = c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
        print__slice(p, slice_of(&c, 1));
    }
    if (!p->view) {
        print__slice(p, name);
    }
}

bool print__hidden(const struct printer *p, struct slice schema)
{
    return p->hide.ptr != NULL && slice_eq(p->hide, schema);
}

void print__u64(struct printer *p, uint64_t v)
{
    if (p->err == ERR_OK) {
        p->err = buf_printf(p->buf, "%llu", (unsigned long long)v);
    }
}

static void quoted(struct printer *p, struct slice text, char quote, bool backslash)
{
    uint8_t q = (uint8_t)quote;
    print__slice(p, slice_of(&q, 1));
    size_t from = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c == q || (c == '\\' && backslash)) {
            print__slice(p, slice_of(text.ptr + from, i - from));
            print__slice(p, slice_of(&c, 1));
            from = i;
        }
    }
    print__slice(p, slice_of(text.ptr + from, text.len - from));
    print__slice(p, slice_of(&q, 1));
}

/* MYSQL: letters, digits, _, $ and what is not ASCII; not only digits, and no keyword. */
static bool needs_quotes(struct slice name)
{
    bool digits = true;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.ptr[i];
        bool digit = c >= '0' && c <= '9';
        bool plain = digit || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
                     (c == '$' && i != 0) || c >= 0x80;
        if (!plain) {
            return true;
        }
        digits = digits && digit;
    }
    return digits || parser_is_keyword(name);
}

db_err ast_print_name(struct buf *buf, struct slice name, const struct ast_name_style *style)
{
    if (style->bare && !needs_quotes(name)) {
        return buf_append_slice(buf, name);
    }
    return buf_append_quoted(buf, name, style->double_quotes ? '"' : '`');
}

void print__name(struct printer *p, struct slice name)
{
    if (p->style == NULL) {
        quoted(p, name, '`', false);
    } else if (p->err == ERR_OK) {
        p->err = ast_print_name(p->buf, name, p->style);
    }
}

void print__string(struct printer *p, struct slice text)
{
    if (p->client != NULL && p->err == ERR_OK) {
        p->err = p->client->to_utf8(p->client->arg, p->arena, text, &text);
    }
    quoted(p, text, '\'', true);
}

void print__table_name(struct printer *p, const struct ast_name *name)
{
    if (name->schema.ptr != NULL && !print__hidden(p, name->schema)) {
        print__name(p, name->schema);
        print__text(p, ".");
    }
    print__name(p, name->name);
}

void print__names(struct printer *p, const struct ast_ident_list *names)
{
    for (uint32_t i = 0; i < names->count; i++) {
        print__text(p, i > 0 ? ", " : "");
        print__name(p, names->items[i]->name);
    }
}

void print__exprs(struct printer *p, const struct ast_expr_list *exprs)
{
    for (uint32_t i = 0; i < exprs->count; i++) {
        print__text(p, i > 0 ? ", " : "");
        print__expr(p, exprs->items[i]);
    }
}

void print__order(struct printer *p, const struct ast_order_list *order)
{
    for (uint32_t i = 0; i < order->count; i++) {
        print__text(p, i > 0 ? ", " : " ORDER BY ");
        print__expr(p, order->items[i]->expr);
        print__text(p, order->items[i]->desc ? " DESC" : "");
    }
}

/* ---- literals ---- */

void print__bytes(struct printer *p, struct slice bytes, bool hex)
{
    print__text(p, hex ? "x'" : "b'");
    for (size_t i = 0; i < bytes.len && p->err == ERR_OK; i++) {
        if (hex) {
            p->err = buf_printf(p->buf, "%02X", bytes.ptr[i]);
            continue;
        }
        for (unsigned bit = 8; bit-- > 0;) {
            print__text(p, (bytes.ptr[i] >> bit & 1) != 0 ? "1" : "0");
        }
    }
    print__text(p, "'");
}

static void print_literal(struct printer *p, const struct ast_literal *l)
{
    if (l->charset.ptr != NULL) {
        print__text(p, "_");
        print__slice(p, l->charset);
        print__text(p, " ");
    }
    switch (l->kind) {
    case AST_LIT_NULL: print__text(p, "NULL"); break;
    case AST_LIT_TRUE: print__text(p, "TRUE"); break;
    case AST_LIT_FALSE: print__text(p, "FALSE"); break;
    case AST_LIT_INT: print__u64(p, l->u64); break;
    case AST_LIT_DECIMAL:
    case AST_LIT_FLOAT: print__slice(p, l->text); break;
    case AST_LIT_STRING:
        if (l->charset.ptr != NULL) { /* bytes of that charset */
            quoted(p, l->text, '\'', true);
        } else {
            print__string(p, l->text);
        }
        break;
    case AST_LIT_HEX: print__bytes(p, l->text, true); break;
    case AST_LIT_BIT: print__bytes(p, l->text, false); break;
    case AST_LIT_DATE:
        print__text(p, "DATE ");
        print__string(p, l->text);
        break;
    case AST_LIT_TIME:
        print__text(p, "TIME ");
        print__string(p, l->text);
        break;
    case AST_LIT_TIMESTAMP:
        print__text(p, "TIMESTAMP ");
        print__string(p, l->text);
        break;
    }
}

/* ---- operators ---- */

static const char *const op_text[AST_OP__COUNT] = {
    [AST_OP_NEG] = "-",
    [AST_OP_PLUS] = "+",
    [AST_OP_BIT_NOT] = "~",
    [AST_OP_NOT] = "NOT ",
    [AST_OP_BINARY] = "BINARY ",
    [AST_OP_AND] = " AND ",
    [AST_OP_OR] = " OR ",
    [AST_OP_XOR] = " XOR ",
    [AST_OP_EQ] = " = ",
    [AST_OP_NULL_SAFE_EQ] = " <=> ",
    [AST_OP_NE] = " <> ",
    [AST_OP_LT] = " < ",
    [AST_OP_LE] = " <= ",
    [AST_OP_GT] = " > ",
    [AST_OP_GE] = " >= ",
    [AST_OP_ADD] = " + ",
    [AST_OP_SUB] = " - ",
    [AST_OP_MUL] = " * ",
    [AST_OP_DIV] = " / ",
    [AST_OP_INT_DIV] = " DIV ",
    [AST_OP_MOD] = " % ",
    [AST_OP_BIT_AND] = " & ",
    [AST_OP_BIT_OR] = " | ",
    [AST_OP_BIT_XOR] = " ^ ",
    [AST_OP_SHIFT_LEFT] = " << ",
    [AST_OP_SHIFT_RIGHT] = " >> ",
    [AST_OP_CONCAT] = " || ",
    [AST_OP_JSON_EXTRACT] = " -> ",
    [AST_OP_JSON_UNQUOTE] = " ->> ",
    [AST_OP_MEMBER_OF] = " MEMBER OF ",
    [AST_OP_SOUNDS_LIKE] = " SOUNDS LIKE ",
};

void print__operator(struct printer *p, enum ast_op op)
{
    print__text(p, op_text[op]);
}

static void print_binary(struct printer *p, const struct ast_binary *b)
{
    bool member = b->op == AST_OP_MEMBER_OF;
    if (p->view && b->op == AST_OP_CONCAT) { /* in mode 0 the sign means OR */
        print__text(p, "concat(");
        print__expr(p, b->left);
        print__text(p, ",");
        print__expr(p, b->right);
        print__text(p, ")");
        return;
    }
    print__text(p, "(");
    print__expr(p, b->left);
    print__text(p, op_text[b->op]);
    print__text(p, member ? "(" : "");
    print__expr(p, b->right);
    print__text(p, member ? "))" : ")");
}

static void print_like(struct printer *p, const struct ast_like *l)
{
    print__text(p, "(");
    print__expr(p, l->arg);
    print__text(p, l->negated ? " NOT" : "");
    print__text(p, l->regexp ? " REGEXP " : " LIKE ");
    print__expr(p, l->pattern);
    if (l->escape != NULL) {
        print__text(p, " ESCAPE ");
        print__expr(p, l->escape);
    }
    print__text(p, ")");
}

static void print_in(struct printer *p, const struct ast_in *e)
{
    print__text(p, "(");
    print__expr(p, e->arg);
    print__text(p, e->negated ? " NOT IN (" : " IN (");
    if (e->query != NULL) {
        print__query(p, e->query);
    } else {
        print__exprs(p, &e->list);
    }
    print__text(p, "))");
}

static void print_case(struct printer *p, const struct ast_case *c)
{
    print__text(p, p->view ? "(CASE" : "CASE");
    if (c->value != NULL) {
        print__text(p, " ");
        print__expr(p, c->value);
    }
    for (uint32_t i = 0; i < c->whens.count; i++) {
        print__text(p, " WHEN ");
        print__expr(p, c->whens.items[i]->when);
        print__text(p, " THEN ");
        print__expr(p, c->whens.items[i]->then);
    }
    if (c->otherwise != NULL) {
        print__text(p, " ELSE ");
        print__expr(p, c->otherwise);
    }
    print__text(p, p->view ? " END)" : " END");
}

static void print_column(struct printer *p, const struct ast_column *c)
{
    if (c->schema.ptr != NULL && !print__hidden(p, c->schema)) {
        print__name(p, c->schema);
        print__text(p, ".");
    }
    if (c->table.ptr != NULL) {
        print__name(p, c->table);
        print__text(p, ".");
    }
    if (c->expr.kind == AST_EXPR_STAR) {
        print__text(p, "*");
    } else {
        print__name(p, c->name);
    }
}

static void print_sys_var(struct printer *p, const struct ast_sys_var *v)
{
    static const char *const scopes[] = {
        [AST_SCOPE_DEFAULT] = "@@",
        [AST_SCOPE_GLOBAL] = "@@GLOBAL.",
        [AST_SCOPE_SESSION] = "@@SESSION.",
        [AST_SCOPE_PERSIST] = "@@PERSIST.",
        [AST_SCOPE_PERSIST_ONLY] = "@@PERSIST_ONLY.",
    };
    print__text(p, scopes[v->scope]);
    if (v->component.ptr != NULL) {
        print__name(p, v->component);
        print__text(p, ".");
    }
    if (p->view) {
        print__slice(p, v->name);
    } else {
        print__name(p, v->name);
    }
}

static void print_user_var(struct printer *p, const struct ast_user_var *v)
{
    bool parens = p->view || v->value != NULL;
    print__text(p, parens ? "(@" : "@");
    print__name(p, v->name);
    if (v->value != NULL) {
        print__text(p, " := ");
        print__expr(p, v->value);
    }
    print__text(p, parens ? ")" : "");
}

static void print_cast(struct printer *p, const struct ast_cast *c)
{
    print__text(p, c->is_convert ? "CONVERT(" : "CAST(");
    print__expr(p, c->arg);
    if (c->time_zone != NULL) {
        print__text(p, " AT TIME ZONE ");
        print__expr(p, c->time_zone);
    }
    if (p->view && !c->is_convert) {
        print__slice(p, SLICE_LIT(" as "));
    } else {
        print__text(p, c->is_convert ? ", " : " AS ");
    }
    print__type(p, c->type);
    print__text(p, ")");
}

static void print_match(struct printer *p, const struct ast_match *m)
{
    print__text(p, "MATCH (");
    print__exprs(p, &m->columns);
    print__text(p, ") AGAINST (");
    print__expr(p, m->against);
    print__text(p, m->mode == AST_MATCH_BOOLEAN     ? " IN BOOLEAN MODE)"
                   : m->mode == AST_MATCH_EXPANSION ? " WITH QUERY EXPANSION)"
                                                    : ")");
}

static void print_is(struct printer *p, const struct ast_is *e)
{
    static const char *const tests[] = {"NULL", "TRUE", "FALSE", "UNKNOWN"};
    print__text(p, "(");
    print__expr(p, e->arg);
    print__text(p, e->negated ? " IS NOT " : " IS ");
    print__text(p, p->view && e->test == AST_IS_NULL ? "null" : tests[e->test]);
    print__text(p, ")");
}

static void print_between(struct printer *p, const struct ast_between *e)
{
    print__text(p, "(");
    print__expr(p, e->arg);
    print__text(p, e->negated ? " NOT BETWEEN " : " BETWEEN ");
    print__expr(p, e->low);
    print__text(p, " AND ");
    print__expr(p, e->high);
    print__text(p, ")");
}

static void print_unary(struct printer *p, const struct ast_unary *e)
{
    bool sign = p->view && (e->op == AST_OP_NEG || e->op == AST_OP_BIT_NOT);
    if (sign) { /* MYSQL: -(x) */
        print__text(p, op_text[e->op]);
        print__text(p, "(");
        print__expr(p, e->arg);
        print__text(p, ")");
        return;
    }
    if (p->view && e->op == AST_OP_BINARY) { /* the operator is warned of when it is written */
        print__slice(p, SLICE_LIT("cast("));
        print__expr(p, e->arg);
        print__slice(p, SLICE_LIT(" as char charset binary)"));
        return;
    }
    print__text(p, "(");
    print__text(p, op_text[e->op]);
    print__expr(p, e->arg);
    print__text(p, ")");
}

static void print_subquery(struct printer *p, const char *before, const struct ast_query *q)
{
    print__text(p, before);
    print__query(p, q);
    print__text(p, ")");
}

static void print_quantified(struct printer *p, const struct ast_quantified *e)
{
    print__text(p, "(");
    print__expr(p, e->arg);
    print__text(p, op_text[e->op]);
    print_subquery(p, e->all ? "ALL (" : "ANY (", e->query);
    print__text(p, ")");
}

static void print_collate(struct printer *p, const struct ast_collate *e)
{
    bool collate = e->expr.kind == AST_EXPR_COLLATE;
    print__text(p, collate ? "(" : "CONVERT(");
    print__expr(p, e->arg);
    print__text(p, collate ? " COLLATE " : " USING ");
    print__name(p, e->name);
    print__text(p, ")");
}

static void print_column_call(struct printer *p, const char *word, const struct ast_column *c)
{
    print__text(p, word);
    if (c->name.ptr != NULL) {
        print__text(p, "(");
        print_column(p, c);
        print__text(p, ")");
    }
}

static void print_row(struct printer *p, const struct ast_row *r)
{
    print__text(p, "ROW(");
    print__exprs(p, &r->items);
    print__text(p, ")");
}

static void print_interval(struct printer *p, const struct ast_interval *i)
{
    print__text(p, "INTERVAL ");
    print__expr(p, i->amount);
    print__text(p, " ");
    print__text(p, print__unit(i->unit));
}

void print__expr(struct printer *p, const struct ast_expr *e)
{
    if (p->shown && ast_is_condition(e)) {
        print__condition(p, e, false);
    } else {
        print__plain(p, e);
    }
}

void print__plain(struct printer *p, const struct ast_expr *e)
{
    const void *n = e;
    if (p->shown && print__shown(p, e)) {
        return;
    }
    switch (e->kind) {
    case AST_EXPR_LITERAL: print_literal(p, n); break;
    case AST_EXPR_PARAM: {
        const struct ast_param *param = n;
        if (param->literal != NULL && p->number_lifted) {
            print__text(p, "$");
            print__u64(p, param->index);
            print__text(p, "@");
            print__u64(p, param->expr.pos.offset);
        } else if (param->literal != NULL) {
            print_literal(p, param->literal);
        } else {
            print__text(p, "?");
        }
        break;
    }
    case AST_EXPR_COLUMN:
    case AST_EXPR_STAR: print_column(p, n); break;
    case AST_EXPR_USER_VAR:
    case AST_EXPR_USER_ASSIGN: print_user_var(p, n); break;
    case AST_EXPR_SYS_VAR: print_sys_var(p, n); break;
    case AST_EXPR_UNARY: print_unary(p, n); break;
    case AST_EXPR_BINARY: print_binary(p, n); break;
    case AST_EXPR_IS: print_is(p, n); break;
    case AST_EXPR_BETWEEN: print_between(p, n); break;
    case AST_EXPR_IN: print_in(p, n); break;
    case AST_EXPR_LIKE: print_like(p, n); break;
    case AST_EXPR_QUANTIFIED: print_quantified(p, n); break;
    case AST_EXPR_EXISTS:
        print_subquery(p, p->view ? "exists(" : "EXISTS (",
                       ((const struct ast_subquery *)n)->query);
        break;
    case AST_EXPR_SUBQUERY: print_subquery(p, "(", ((const struct ast_subquery *)n)->query); break;
    case AST_EXPR_ROW: print_row(p, n); break;
    case AST_EXPR_CASE: print_case(p, n); break;
    case AST_EXPR_CAST: print_cast(p, n); break;
    case AST_EXPR_CONVERT_USING:
    case AST_EXPR_COLLATE: print_collate(p, n); break;
    case AST_EXPR_INTERVAL: print_interval(p, n); break;
    case AST_EXPR_MATCH: print_match(p, n); break;
    case AST_EXPR_DEFAULT: print_column_call(p, "DEFAULT", n); break;
    case AST_EXPR_VALUES: print_column_call(p, "VALUES", n); break;
    case AST_EXPR_FUNC:
    case AST_EXPR_AGGREGATE:
    case AST_EXPR_WINDOW:
    case AST_EXPR_JSON_VALUE: print__call(p, e); break;
    case AST_EXPR__COUNT: break;
    }
}

db_err ast_print_expr(struct buf *buf, const struct ast_expr *expr)
{
    struct printer p = {.buf = buf};
    print__expr(&p, expr);
    return p.err;
}

db_err ast_print_type(struct buf *buf, const struct ast_type *type)
{
    struct printer p = {.buf = buf};
    print__type(&p, type);
    return p.err;
}
