/* An expression as text that means the same under any sql_mode: what is kept of DEFAULT (expr),
 * generated columns and checks, and the WHERE of SHOW statements. The form is MySQL's own. Columns
 * are those of one table: its name, which may change, is left out. */
#include "sql/bind/bind.h"
#include "sql/charset/charset.h"
#include "sql/ddl/ddl_int.h"
#include "sql/parser/ast_condition.h"
#include "sql/parser/ast_print.h"

static db_err print(const struct ast_expr *e, struct expr_text *out);

static db_err put(struct expr_text *out, const char *text)
{
    return buf_append(out->buf, text, strlen(text));
}

static db_err put_lower(struct expr_text *out, struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.ptr[i];
        TRY(buf_append_u8(out->buf, c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c));
    }
    return ERR_OK;
}

static db_err put_hex(struct expr_text *out, struct slice bytes)
{
    TRY(put(out, bytes.len == 0 ? "x''" : "0x"));
    for (size_t i = 0; i < bytes.len; i++) {
        TRY(buf_printf(out->buf, "%02x", bytes.ptr[i]));
    }
    return ERR_OK;
}

/* Can the text stand in quotes? What needs an escape cannot, because backslashes mean different
 * things in different modes, and what is not ASCII only in UTF-8, as all that is kept. */
static bool is_quotable(const struct charset *cs, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < ' ' || text.ptr[i] == '\\') {
            return false;
        }
    }
    if (utf8_is_ascii(text)) {
        return cs->ascii_superset;
    }
    return strncmp(cs->name, "utf8mb", 6) == 0 && cs->ops->valid_prefix(cs, text) == text.len;
}

static db_err put_text(struct expr_text *out, const struct charset *cs, struct slice text)
{
    TRY(buf_printf(out->buf, "_%s", cs->name));
    if (!is_quotable(cs, text)) {
        TRY(put(out, " "));
        return put_hex(out, text);
    }
    TRY(put(out, "'"));
    for (size_t i = 0; i < text.len; i++) {
        TRY(put(out, text.ptr[i] == '\'' ? "'" : ""));
        TRY(buf_append_u8(out->buf, text.ptr[i]));
    }
    return put(out, "'");
}

/* Text of no charset of its own is in the client's, and means what it is in the connection's. */
static db_err print_string(const struct ast_literal *l, struct expr_text *out)
{
    const struct charset *cs;
    if (l->charset.ptr != NULL) {
        TRY(charset_require(l->charset, NULL, &cs));
        return put_text(out, cs, l->text);
    }
    if (out->opts == NULL) {
        return put_text(out, collation_by_id(COLL_UTF8MB4_BIN)->cs, l->text);
    }
    cs = collation_by_id(out->opts->connection_collation)->cs;
    uint16_t client = out->opts->charset_client;
    const struct charset *from = client == 0 ? cs : collation_by_id(client)->cs;
    if (from == cs || (cs->ascii_superset && utf8_is_ascii(l->text))) {
        return put_text(out, cs, l->text);
    }
    SCOPE_BUF(converted, SIZE_MAX / 2);
    TRY(charset_convert(from, l->text, cs, &converted, NULL));
    return put_text(out, cs, buf_slice(&converted));
}

static db_err print_literal(const struct ast_literal *l, struct expr_text *out)
{
    switch (l->kind) {
    case AST_LIT_NULL: return put(out, "NULL");
    case AST_LIT_TRUE: return put(out, "true");
    case AST_LIT_FALSE: return put(out, "false");
    case AST_LIT_INT:
    case AST_LIT_DECIMAL:
    case AST_LIT_FLOAT: return buf_append_slice(out->buf, l->text);
    case AST_LIT_STRING: return print_string(l, out);
    case AST_LIT_HEX:
    case AST_LIT_BIT: return l->charset.ptr != NULL ? print_string(l, out) : put_hex(out, l->text);
    case AST_LIT_DATE: TRY(put(out, "DATE")); break;
    case AST_LIT_TIME: TRY(put(out, "TIME")); break;
    case AST_LIT_TIMESTAMP: TRY(put(out, "TIMESTAMP")); break;
    }
    return buf_printf(out->buf, "'%.*s'", SLICE_FMT(l->text));
}

static db_err print_column(const struct ast_column *c, struct expr_text *out)
{
    return buf_append_quoted(out->buf, c->name, '`');
}

static db_err print_unary(const struct ast_unary *u, struct expr_text *out)
{
    switch ((int)u->op) {
    case AST_OP_PLUS: return print(u->arg, out);
    case AST_OP_NEG: TRY(put(out, "-")); break;
    case AST_OP_BIT_NOT: TRY(put(out, "~")); break;
    default:
        TRY(put(out, "cast("));
        TRY(print(u->arg, out));
        return put(out, " as char charset binary)");
    }
    TRY(put(out, "("));
    TRY(print(u->arg, out));
    return put(out, ")");
}

static db_err print_binary(const struct ast_binary *b, struct expr_text *out)
{
    static const char *const words[AST_OP__COUNT] = {
        [AST_OP_ADD] = "+",         [AST_OP_SUB] = "-",          [AST_OP_MUL] = "*",
        [AST_OP_DIV] = "/",         [AST_OP_INT_DIV] = "DIV",    [AST_OP_MOD] = "%",
        [AST_OP_BIT_AND] = "&",     [AST_OP_BIT_OR] = "|",       [AST_OP_BIT_XOR] = "^",
        [AST_OP_SHIFT_LEFT] = "<<", [AST_OP_SHIFT_RIGHT] = ">>",
    };
    const char *call = b->op == AST_OP_CONCAT         ? "concat("
                       : b->op == AST_OP_JSON_EXTRACT ? "json_extract("
                       : b->op == AST_OP_JSON_UNQUOTE ? "json_unquote(json_extract("
                                                      : NULL;
    if (call == NULL && words[b->op] == NULL) {
        return ERR_UNSUPPORTED;
    }
    TRY(put(out, call != NULL ? call : "("));
    TRY(print(b->left, out));
    if (call != NULL) {
        TRY(put(out, ","));
    } else {
        TRY(buf_printf(out->buf, " %s ", words[b->op]));
    }
    TRY(print(b->right, out));
    return put(out, b->op == AST_OP_JSON_UNQUOTE ? "))" : ")");
}

static db_err print_list(const struct ast_expr_list *list, struct expr_text *out)
{
    for (uint32_t i = 0; i < list->count; i++) {
        TRY(put(out, i == 0 ? "" : ","));
        TRY(print(list->items[i], out));
    }
    return ERR_OK;
}

static db_err print_case(const struct ast_case *c, struct expr_text *out)
{
    TRY(put(out, "(case "));
    if (c->value != NULL) {
        TRY(print(c->value, out));
        TRY(put(out, " "));
    }
    for (uint32_t i = 0; i < c->whens.count; i++) {
        TRY(put(out, "when "));
        TRY(print(c->whens.items[i]->when, out));
        TRY(put(out, " then "));
        TRY(print(c->whens.items[i]->then, out));
        TRY(put(out, " "));
    }
    if (c->otherwise != NULL) {
        TRY(put(out, "else "));
        TRY(print(c->otherwise, out));
        TRY(put(out, " "));
    }
    return put(out, "end)");
}

/* ---- casts, intervals, calls ---- */

static db_err print_cast_type(const struct ast_type *t, struct expr_text *out)
{
    switch ((int)t->kind) {
    case AST_TYPE_SIGNED: return put(out, "signed");
    case AST_TYPE_UNSIGNED: return put(out, "unsigned");
    case AST_TYPE_DATE: return put(out, "date");
    case AST_TYPE_YEAR: return put(out, "year");
    case AST_TYPE_JSON: return put(out, "json");
    case AST_TYPE_DOUBLE:
    case AST_TYPE_REAL: return put(out, "double");
    case AST_TYPE_FLOAT: return put(out, "float");
    case AST_TYPE_DECIMAL:
        return buf_printf(out->buf, "decimal(%llu,%llu)",
                          (t->flags & AST_TYPE_F_LENGTH) != 0 ? (unsigned long long)t->length : 10,
                          (t->flags & AST_TYPE_F_DEC) != 0 ? (unsigned long long)t->dec : 0);
    case AST_TYPE_TIME: TRY(put(out, "time")); break;
    case AST_TYPE_DATETIME: TRY(put(out, "datetime")); break;
    case AST_TYPE_BINARY:
    case AST_TYPE_CHAR: TRY(put(out, "char")); break;
    default: return ERR_UNSUPPORTED;
    }
    if ((t->flags & AST_TYPE_F_LENGTH) != 0) {
        TRY(buf_printf(out->buf, "(%llu)", (unsigned long long)t->length));
    }
    if (t->kind == AST_TYPE_BINARY) {
        return put(out, " charset binary");
    }
    if (t->kind == AST_TYPE_CHAR) {
        struct slice cs = t->charset.ptr == NULL ? SLICE_LIT("utf8mb4") : t->charset;
        return buf_printf(out->buf, " charset %.*s", SLICE_FMT(cs));
    }
    return ERR_OK;
}

/* MYSQL: of arrays the types are shown as those of columns. */
static db_err print_element_type(const struct ast_type *t, struct expr_text *out)
{
    unsigned long long length = t->length;
    bool bytes = t->kind == AST_TYPE_BINARY || t->charset.ptr != NULL;
    switch ((int)t->kind) {
    case AST_TYPE_DECIMAL:
        TRY(buf_printf(out->buf, "decimal(%llu, %llu)",
                       (t->flags & AST_TYPE_F_LENGTH) != 0 ? length : 10ULL,
                       (t->flags & AST_TYPE_F_DEC) != 0 ? (unsigned long long)t->dec : 0ULL));
        break;
    case AST_TYPE_BINARY:
    case AST_TYPE_CHAR:
        TRY(buf_printf(out->buf, "%s(%llu)", bytes ? "binary" : "char", length));
        break;
    default: TRY(print_cast_type(t, out)); break;
    }
    return put(out, " array");
}

static db_err print_special_call(const struct ast_func *f, struct expr_text *out, bool *ret_done)
{
    *ret_done = true;
    if (slice_eq_nocase(f->name, SLICE_LIT("EXTRACT")) && f->unit != AST_UNIT_NONE) {
        TRY(buf_printf(out->buf, "extract(%s from ", ast_unit_word(f->unit)));
        TRY(print(f->args.items[0], out));
        return put(out, ")");
    }
    if (f->mode >= AST_FUNC_TRIM_BOTH && f->mode <= AST_FUNC_TRIM_TRAILING) {
        static const char *const words[] = {"both ", "leading ", "trailing "};
        TRY(buf_printf(out->buf, "trim(%s", words[f->mode - AST_FUNC_TRIM_BOTH]));
        if (f->args.count > 1) {
            TRY(print(f->args.items[1], out));
            TRY(put(out, " "));
        }
        TRY(put(out, "from "));
        TRY(print(f->args.items[0], out));
        return put(out, ")");
    }
    if (slice_eq_nocase(f->name, SLICE_LIT("POSITION")) && f->args.count == 2) {
        TRY(put(out, "locate("));
        TRY(print_list(&f->args, out));
        return put(out, ")");
    }
    if (slice_eq_nocase(f->name, SLICE_LIT("TIMESTAMPADD")) && f->args.count == 2) {
        TRY(put(out, "("));
        TRY(print(f->args.items[1], out));
        TRY(put(out, " + interval "));
        TRY(print(f->args.items[0], out));
        return buf_printf(out->buf, " %s)", ast_unit_word(f->unit));
    }
    if (slice_eq_nocase(f->name, SLICE_LIT("YEARWEEK")) && f->args.count == 1) {
        TRY(put(out, "yearweek("));
        TRY(print(f->args.items[0], out));
        return put(out, ",0)");
    }
    if (f->mode >= AST_FUNC_FORMAT_DATE && f->mode <= AST_FUNC_FORMAT_DATETIME) {
        static const char *const words[] = {"DATE", "TIME", "DATETIME"};
        TRY(buf_printf(out->buf, "get_format(%s, ", words[f->mode - AST_FUNC_FORMAT_DATE]));
        TRY(print_list(&f->args, out));
        return put(out, ")");
    }
    if (f->mode == AST_FUNC_WEIGHT_CHAR || f->mode == AST_FUNC_WEIGHT_BINARY) {
        TRY(put(out, "weight_string("));
        bool chars = f->mode == AST_FUNC_WEIGHT_CHAR;
        TRY(chars ? ERR_OK : put(out, "cast("));
        TRY(print_list(&f->args, out));
        return buf_printf(out->buf, chars ? " as char(%llu))" : " as char(%llu) charset binary))",
                          (unsigned long long)f->length);
    }
    *ret_done = false;
    return ERR_OK;
}

static db_err print_call(const struct ast_func *f, struct expr_text *out)
{
    bool done;
    TRY(print_special_call(f, out, &done));
    if (done) {
        return ERR_OK;
    }
    if (f->schema.ptr != NULL || f->arg_names.count != 0 || f->mode > AST_FUNC_NO_PARENS) {
        return ERR_UNSUPPORTED;
    }
    TRY(put_lower(out, ast_function_shown(f->name)));
    TRY(put(out, "("));
    if (f->unit != AST_UNIT_NONE) {
        TRY(buf_printf(out->buf, "%s,", ast_unit_word(f->unit)));
    }
    TRY(print_list(&f->args, out));
    if (f->charset.ptr != NULL) {
        TRY(buf_printf(out->buf, " using %.*s", SLICE_FMT(f->charset)));
    }
    return put(out, ")");
}

static db_err print_json_on(const struct ast_json_on *on, const char *when, struct expr_text *out)
{
    static const char *const words[] = {[AST_JSON_ON_NULL] = " null",
                                        [AST_JSON_ON_ERROR] = " error",
                                        [AST_JSON_ON_DEFAULT] = " default "};
    if (on->kind == AST_JSON_ON_UNSET) {
        return ERR_OK;
    }
    TRY(put(out, words[on->kind]));
    if (on->kind == AST_JSON_ON_DEFAULT) {
        /* the grammar takes a signed literal here, which may not be in parentheses */
        const struct ast_unary *u = (const struct ast_unary *)on->value;
        bool sign = on->value->kind == AST_EXPR_UNARY;
        TRY(put(out, sign && u->op == AST_OP_NEG ? "-" : ""));
        TRY(print(sign ? u->arg : on->value, out));
    }
    return put(out, when);
}

static db_err print_json_value(const struct ast_json_value *j, struct expr_text *out)
{
    TRY(put(out, "json_value("));
    TRY(print(j->doc, out));
    TRY(put(out, ", "));
    TRY(print(j->path, out));
    TRY(put(out, " returning "));
    const struct ast_type *t = j->returning;
    if (t == NULL || t->kind != AST_TYPE_CHAR) {
        TRY(t == NULL ? put(out, "char(512)") : print_cast_type(t, out));
    } else {
        enum { CHARS_MAX = 1073741823 }; /* MYSQL: without a length */
        bool given = (t->flags & AST_TYPE_F_LENGTH) != 0;
        TRY(buf_printf(out->buf, "char(%llu)", given ? (unsigned long long)t->length : CHARS_MAX));
        if (t->charset.ptr != NULL) {
            TRY(buf_printf(out->buf, " character set %.*s", SLICE_FMT(t->charset)));
        }
    }
    TRY(print_json_on(&j->on_empty, " on empty", out));
    TRY(print_json_on(&j->on_error, " on error", out));
    return put(out, ")");
}

static db_err print(const struct ast_expr *e, struct expr_text *out)
{
    return ast_is_condition(e) ? ddl__print_condition(e, false, out) : ddl__print_plain(e, out);
}

db_err ddl__print_part(const struct ast_expr *e, struct expr_text *out)
{
    return print(e, out);
}

db_err ddl__print_plain(const struct ast_expr *e, struct expr_text *out)
{
    const struct ast_cast *cast = (const struct ast_cast *)e;
    const struct ast_collate *collate = (const struct ast_collate *)e;
    const struct ast_interval *interval = (const struct ast_interval *)e;
    switch ((int)e->kind) {
    case AST_EXPR_LITERAL: return print_literal((const struct ast_literal *)e, out);
    case AST_EXPR_COLUMN: return print_column((const struct ast_column *)e, out);
    case AST_EXPR_UNARY: return print_unary((const struct ast_unary *)e, out);
    case AST_EXPR_BINARY: return print_binary((const struct ast_binary *)e, out);
    case AST_EXPR_CASE: return print_case((const struct ast_case *)e, out);
    case AST_EXPR_FUNC: return print_call((const struct ast_func *)e, out);
    case AST_EXPR_JSON_VALUE: return print_json_value((const struct ast_json_value *)e, out);
    case AST_EXPR_CAST:
        TRY(put(out, "cast("));
        TRY(print(cast->arg, out));
        /* MYSQL: no other zone can be named. */
        TRY(put(out, cast->time_zone != NULL ? " AT TIME ZONE '+00:00' as " : " as "));
        TRY((cast->type->flags & AST_TYPE_F_ARRAY) != 0 ? print_element_type(cast->type, out)
                                                        : print_cast_type(cast->type, out));
        return put(out, ")");
    case AST_EXPR_CONVERT_USING:
        TRY(put(out, "convert("));
        TRY(print(collate->arg, out));
        return buf_printf(out->buf, " using %.*s)", SLICE_FMT(collate->name));
    case AST_EXPR_COLLATE:
        TRY(put(out, "("));
        TRY(print(collate->arg, out));
        return buf_printf(out->buf, " collate %.*s)", SLICE_FMT(collate->name));
    case AST_EXPR_INTERVAL:
        TRY(put(out, "interval "));
        TRY(print(interval->amount, out));
        return buf_printf(out->buf, " %s", ast_unit_word(interval->unit));
    default: return ERR_UNSUPPORTED;
    }
}

db_err ddl_print_expr(const struct ast_expr *expr, const struct bind_opts *opts, struct buf *out)
{
    struct expr_text text = {.buf = out, .opts = opts};
    return print(expr, &text);
}
