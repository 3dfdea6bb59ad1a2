/* XPath: precedence climbing over a hand-written scanner. Only what MySQL knows of XPath 1.0. */
#include <stdlib.h>

#include "sql/diag/my_error.h"
#include "sql/func/xml/xpath_int.h"
#include "sql/types/cast.h"

struct xparser {
    struct arena *arena;
    struct diag *diag;
    const char *at, *end;
    uint32_t depth;
    uint32_t inside;   /* how many predicates */
    struct slice rest; /* behind a second error; ptr NULL: there was none */
};

static void skip_blanks(struct xparser *p)
{
    while (p->at < p->end &&
           (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r')) {
        p->at++;
    }
}

static db_err syntax(struct xparser *p)
{
    skip_blanks(p);
    return diag_set_sql(p->diag, 1105, "HY000", "XPATH syntax error: '%.*s'", (int)(p->end - p->at),
                        p->at);
}

static bool in_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || (unsigned char)c >= 0x80;
}

static bool at_token(struct xparser *p, const char *mark)
{
    size_t len = strlen(mark);
    skip_blanks(p);
    return (size_t)(p->end - p->at) >= len && memcmp(p->at, mark, len) == 0;
}

static bool accept(struct xparser *p, const char *mark)
{
    bool there = at_token(p, mark);
    p->at += there ? strlen(mark) : 0;
    return there;
}

/* A word that is an operator: not the beginning of a longer name. */
static bool accept_word(struct xparser *p, const char *word)
{
    const char *from = p->at;
    if (accept(p, word) && (p->at == p->end || !in_word(*p->at))) {
        return true;
    }
    p->at = from;
    return false;
}

static struct xpath_expr *new_expr(struct xparser *p, enum xpath_kind kind, int op)
{
    struct xpath_expr *e = ARENA_NEW(p->arena, struct xpath_expr);
    if (e != NULL) {
        e->kind = kind;
        e->op = op;
    }
    return e;
}

static db_err parse_level(struct xparser *p, unsigned level, struct xpath_expr **ret);

/* ---- location paths ---- */

static bool take_name(struct xparser *p, struct slice *ret)
{
    skip_blanks(p);
    const char *from = p->at;
    bool starts = p->at < p->end && in_word(*p->at) && *p->at != '-' && *p->at != '.' &&
                  !(*p->at >= '0' && *p->at <= '9');
    while (starts && p->at < p->end &&
           (in_word(*p->at) ||
            (*p->at == ':' && p->at + 1 < p->end && p->at[1] != ':' && p->at[-1] != ':'))) {
        p->at++;
    }
    *ret = slice_of(from, (size_t)(p->at - from));
    return starts;
}

static enum xpath_axis axis_of(struct slice name)
{
    static const struct {
        const char *name;
        enum xpath_axis axis;
    } axes[] = {{"descendant", XP_DESCENDANT},
                {"descendant-or-self", XP_DESCENDANT_OR_SELF},
                {"self", XP_SELF},
                {"parent", XP_PARENT},
                {"ancestor", XP_ANCESTOR},
                {"ancestor-or-self", XP_ANCESTOR_OR_SELF},
                {"attribute", XP_ATTRIBUTE}};
    for (size_t i = 0; i < ARRAY_COUNT(axes); i++) {
        if (slice_eq(name, slice_str(axes[i].name))) {
            return axes[i].axis;
        }
    }
    return XP_CHILD;
}

static db_err predicates(struct xparser *p, struct xpath_expr *step)
{
    while (accept(p, "[")) {
        if (step->arg_count == XPATH_ARGS_MAX) {
            return syntax(p);
        }
        p->inside++;
        TRY(parse_level(p, 0, &step->args[step->arg_count]));
        p->inside--;
        step->arg_count++;
        if (!accept(p, "]")) {
            return syntax(p);
        }
    }
    return ERR_OK;
}

static db_err parse_step(struct xparser *p, struct xpath_expr *input, struct xpath_expr **ret)
{
    struct xpath_expr *e = new_expr(p, XP_STEP, XP_CHILD);
    if (e == NULL) {
        return ERR_LIMIT;
    }
    e->args[0] = input;
    e->arg_count = 1;
    *ret = e;
    if (accept(p, "..")) {
        e->op = XP_PARENT;
        e->any_name = true;
        return ERR_OK;
    }
    if (accept(p, ".")) {
        e->op = XP_SELF;
        e->any_name = e->any_node = true;
        return predicates(p, e);
    }
    if (accept(p, "@")) {
        e->op = XP_ATTRIBUTE;
    }
    if (accept(p, "*")) {
        e->any_name = true;
        return predicates(p, e);
    }
    if (!take_name(p, &e->text)) {
        return syntax(p);
    }
    if (accept(p, "::")) {
        e->op = (int)axis_of(e->text);
        if (accept(p, "*")) {
            e->any_name = true;
            return predicates(p, e);
        }
        if (!take_name(p, &e->text)) {
            return syntax(p);
        }
    }
    bool node = slice_eq(e->text, SLICE_LIT("node")) || slice_eq(e->text, SLICE_LIT("text")) ||
                slice_eq(e->text, SLICE_LIT("comment"));
    if (node && accept(p, "(")) {
        e->any_node = true;
        if (!accept(p, ")")) {
            return syntax(p);
        }
    }
    return predicates(p, e);
}

/* Steps behind a first one, parted by / and //. */
static db_err more_steps(struct xparser *p, struct xpath_expr *first, struct xpath_expr **ret)
{
    struct xpath_expr *e = first;
    for (;;) {
        if (accept(p, "//")) {
            struct xpath_expr *all = new_expr(p, XP_STEP, XP_DESCENDANT_OR_SELF);
            if (all == NULL) {
                return ERR_LIMIT;
            }
            all->any_name = true;
            all->args[0] = e;
            all->arg_count = 1;
            TRY(parse_step(p, all, &e));
        } else if (accept(p, "/")) {
            TRY(parse_step(p, e, &e));
        } else {
            *ret = e;
            return ERR_OK;
        }
    }
}

static db_err parse_path(struct xparser *p, struct xpath_expr **ret)
{
    struct xpath_expr *e;
    skip_blanks(p);
    bool absolute = p->at < p->end && *p->at == '/';
    e = new_expr(p, absolute ? XP_ROOT : XP_CONTEXT, 0);
    if (e == NULL) {
        return ERR_LIMIT;
    }
    if (!absolute) {
        TRY(parse_step(p, e, &e));
        return more_steps(p, e, ret);
    }
    const char *from = p->at;
    if (accept(p, "/")) {
        skip_blanks(p);
        if (p->at == p->end || (!in_word(*p->at) && strchr("/@*.", *p->at) == NULL)) {
            *ret = e; /* the document itself */
            return ERR_OK;
        }
        p->at = from;
    }
    return more_steps(p, e, ret);
}

/* ---- calls and other primaries ---- */

static const struct {
    const char *name;
    enum xpath_function function;
    uint32_t min, max;
} g_functions[] = {
    {"count", XP_COUNT, 1, 1},         {"last", XP_LAST, 0, 0},
    {"position", XP_POSITION, 0, 0},   {"true", XP_TRUE, 0, 0},
    {"false", XP_FALSE, 0, 0},         {"not", XP_NOT, 1, 1},
    {"boolean", XP_BOOLEAN, 1, 1},     {"concat", XP_CONCAT, 2, XPATH_ARGS_MAX},
    {"contains", XP_CONTAINS, 2, 2},   {"string-length", XP_STRING_LENGTH, 0, 1},
    {"substring", XP_SUBSTRING, 2, 3}, {"sum", XP_SUM, 1, 1},
    {"round", XP_ROUND, 1, 1},         {"floor", XP_FLOOR, 1, 1},
    {"ceiling", XP_CEILING, 1, 1},     {"number", XP_TO_NUMBER, 0, 1},
};

static bool is_nodes(const struct xpath_expr *e)
{
    return e->kind == XP_ROOT || e->kind == XP_CONTEXT || e->kind == XP_STEP ||
           (e->kind == XP_BINARY && e->op == XP_UNION);
}

static db_err parse_call(struct xparser *p, size_t which, struct xpath_expr **ret)
{
    struct xpath_expr *e = new_expr(p, XP_CALL, (int)g_functions[which].function);
    if (e == NULL) {
        return ERR_LIMIT;
    }
    bool more = g_functions[which].min != 0 || !at_token(p, ")");
    while (more) {
        if (e->arg_count == g_functions[which].max || at_token(p, ")")) {
            return syntax(p);
        }
        TRY(parse_level(p, 0, &e->args[e->arg_count]));
        e->arg_count++;
        more = accept(p, ",");
    }
    if (e->arg_count < g_functions[which].min || !accept(p, ")")) {
        return syntax(p);
    }
    bool placed = e->op == XP_LAST || e->op == XP_POSITION || e->op == XP_STRING_LENGTH;
    if (placed && e->arg_count == 0 && p->inside == 0) { /* MYSQL: there is no context node */
        return syntax(p);
    }
    bool of_nodes = e->op == XP_COUNT || e->op == XP_SUM;
    if (of_nodes && !is_nodes(e->args[0])) {
        return syntax(p);
    }
    *ret = e;
    return ERR_OK;
}

static db_err parse_literal(struct xparser *p, struct xpath_expr **ret)
{
    char quote = *p->at++;
    const char *from = p->at;
    while (p->at < p->end && *p->at != quote) {
        p->at++;
    }
    if (p->at == p->end) {
        p->at = from - 1;
        return syntax(p);
    }
    struct xpath_expr *e = new_expr(p, XP_STRING, 0);
    if (e == NULL) {
        return ERR_LIMIT;
    }
    e->text = slice_of(from, (size_t)(p->at - from));
    p->at++;
    *ret = e;
    return ERR_OK;
}

/* How many there are from there on. */
static size_t digits_at(const struct xparser *p, size_t from)
{
    size_t n = 0;
    while (from + n < (size_t)(p->end - p->at) && p->at[from + n] >= '0' &&
           p->at[from + n] <= '9') {
        n++;
    }
    return n;
}

static db_err parse_number(struct xparser *p, struct xpath_expr **ret)
{
    struct xpath_expr *e = new_expr(p, XP_NUMBER, 0);
    size_t used;
    bool overflow;
    if (e == NULL) {
        return ERR_LIMIT;
    }
    size_t len = digits_at(p, 0);
    if (len < (size_t)(p->end - p->at) && p->at[len] == '.') { /* MYSQL: there are no exponents */
        size_t fraction = digits_at(p, len + 1);
        e->decimals = fraction < DECIMALS_NOT_FIXED ? (uint8_t)fraction : DECIMALS_NOT_FIXED;
        len += 1 + fraction;
    }
    e->number = text_to_double(slice_of(p->at, len), &used, &overflow);
    p->at += len;
    *ret = e;
    return ERR_OK;
}

static bool is_operator_word(struct slice name)
{
    static const char *const words[] = {"and", "or", "div", "mod"};
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (slice_eq(name, slice_str(words[i]))) {
            return true;
        }
    }
    return false;
}

/* Behind the sign: MYSQL: a name there has no colon and is no operator. */
static bool take_variable(struct xparser *p, struct slice *ret)
{
    skip_blanks(p);
    const char *from = p->at;
    bool starts = p->at < p->end && in_word(*p->at) && *p->at != '-' && *p->at != '.' &&
                  !(*p->at >= '0' && *p->at <= '9');
    const char *to = from;
    while (starts && to < p->end && in_word(*to)) {
        to++;
    }
    *ret = slice_of(from, (size_t)(to - from));
    if (!starts || is_operator_word(*ret)) {
        return false;
    }
    p->at = to;
    return true;
}

/* MYSQL: there are no variables but the user's, and the rest does not parse then, either. */
static db_err unknown_variable(struct xparser *p, const char *from)
{
    int len = (int)(p->end - from);
    skip_blanks(p);
    p->rest = slice_of(p->at, (size_t)(p->end - p->at));
    return diag_set_sql(p->diag, 1105, "HY000", "Unknown XPATH variable at: '%.*s'", len, from);
}

/* `$@name`. Without a name *ret is NULL, and what follows is read as if the signs were not there
 * (MYSQL). */
static db_err parse_variable(struct xparser *p, struct xpath_expr **ret)
{
    struct slice name;
    const char *from = p->at;
    bool of_user;
    *ret = NULL;
    (void)accept(p, "$");
    of_user = accept(p, "@");
    if (!take_variable(p, &name) || (!of_user && at_token(p, "("))) {
        p->at = name.len != 0 && !of_user ? (const char *)name.ptr : p->at;
        return ERR_OK;
    }
    if (!of_user) {
        return unknown_variable(p, from);
    }
    *ret = new_expr(p, XP_VARIABLE, 0);
    if (*ret == NULL) {
        return ERR_LIMIT;
    }
    (*ret)->text = name;
    return ERR_OK;
}

static db_err parse_literal_or_call(struct xparser *p, struct xpath_expr **ret, bool *ret_found)
{
    *ret_found = true;
    skip_blanks(p);
    if (p->at == p->end) {
        return syntax(p);
    }
    if (*p->at == '"' || *p->at == '\'') {
        return parse_literal(p, ret);
    }
    if (*p->at >= '0' && *p->at <= '9') {
        return parse_number(p, ret);
    }
    const char *from = p->at;
    struct slice name;
    if (take_name(p, &name) && accept(p, "(")) {
        for (size_t i = 0; i < ARRAY_COUNT(g_functions); i++) {
            if (slice_eq(name, slice_str(g_functions[i].name))) {
                return parse_call(p, i, ret);
            }
        }
    }
    p->at = from;
    *ret_found = false;
    return ERR_OK;
}

static db_err parse_primary(struct xparser *p, struct xpath_expr **ret)
{
    bool found;
    if (accept(p, "(")) {
        TRY(parse_level(p, 0, ret));
        return accept(p, ")") ? more_steps(p, *ret, ret) : syntax(p);
    }
    bool variable = at_token(p, "$");
    if (variable) {
        TRY(parse_variable(p, ret));
        if (*ret != NULL) {
            return ERR_OK;
        }
    }
    TRY(parse_literal_or_call(p, ret, &found));
    if (found) {
        return ERR_OK;
    }
    return variable ? syntax(p) : parse_path(p, ret);
}

/* ---- operators ---- */

struct operator_row {
    const char *sign;
    bool word;
    enum xpath_op op;
    unsigned level;
};
static const struct operator_row g_operators[] = {
    {"or", true, XP_OR, 0},   {"and", true, XP_AND, 1},  {"!=", false, XP_NE, 2},
    {"=", false, XP_EQ, 2},   {"<=", false, XP_LE, 3},   {">=", false, XP_GE, 3},
    {"<", false, XP_LT, 3},   {">", false, XP_GT, 3},    {"+", false, XP_ADD, 4},
    {"-", false, XP_SUB, 4},  {"*", false, XP_MUL, 5},   {"div", true, XP_DIV, 5},
    {"mod", true, XP_MOD, 5}, {"|", false, XP_UNION, 7},
};
enum { LEVEL_UNARY = 6, LEVEL_PRIMARY = 8 };

static const struct operator_row *take_operator(struct xparser *p, unsigned level)
{
    for (size_t i = 0; i < ARRAY_COUNT(g_operators); i++) {
        const struct operator_row *o = &g_operators[i];
        if (o->level == level && (o->word ? accept_word(p, o->sign) : accept(p, o->sign))) {
            return o;
        }
    }
    return NULL;
}

/* MYSQL: nodes do not compare with nodes. `from`: the operator's sign. */
static db_err check_sides(struct xparser *p, const struct xpath_expr *e, const char *from)
{
    if (e->op < XP_EQ || e->op > XP_GE || !is_nodes(e->args[0]) || !is_nodes(e->args[1])) {
        return ERR_OK;
    }
    skip_blanks(p);
    p->rest = slice_of(p->at, (size_t)(p->end - p->at));
    return diag_set_sql(p->diag, 1105, "HY000",
                        "XPATH error: comparison of two nodesets is not supported: '%.*s'",
                        (int)(p->end - from), from);
}

static db_err parse_operators(struct xparser *p, unsigned level, struct xpath_expr **ret)
{
    if (level == LEVEL_PRIMARY) {
        return parse_primary(p, ret);
    }
    if (level == LEVEL_UNARY && accept(p, "-")) {
        struct xpath_expr *e = new_expr(p, XP_NEGATE, 0);
        if (e == NULL) {
            return ERR_LIMIT;
        }
        e->arg_count = 1;
        *ret = e;
        return parse_level(p, LEVEL_UNARY, &e->args[0]);
    }
    TRY(parse_level(p, level + 1, ret));
    const struct operator_row *o;
    while ((o = take_operator(p, level)) != NULL) {
        struct xpath_expr *e = new_expr(p, XP_BINARY, (int)o->op);
        if (e == NULL) {
            return ERR_LIMIT;
        }
        const char *sign = p->at - strlen(o->sign);
        e->args[0] = *ret;
        e->arg_count = 2;
        if (o->op == XP_UNION && !is_nodes(e->args[0])) {
            return syntax(p);
        }
        TRY(parse_level(p, level + 1, &e->args[1]));
        if (o->op == XP_UNION && !is_nodes(e->args[1])) {
            return syntax(p);
        }
        TRY(check_sides(p, e, sign));
        *ret = e;
    }
    return ERR_OK;
}

static db_err parse_level(struct xparser *p, unsigned level, struct xpath_expr **ret)
{
    if (++p->depth > XPATH_DEPTH_MAX * LEVEL_PRIMARY) {
        return syntax(p);
    }
    db_err err = parse_operators(p, level, ret);
    p->depth--;
    return err;
}

db_err xpath_parse(struct arena *arena, struct slice query, struct diag *diag,
                   struct xpath_expr **ret, struct slice *ret_rest)
{
    struct xparser p = {.arena = arena,
                        .diag = diag,
                        .at = (const char *)query.ptr,
                        .end = (const char *)query.ptr + query.len};
    db_err err = parse_level(&p, 0, ret);
    if (err != ERR_OK) {
        *ret_rest = p.rest.ptr != NULL ? p.rest : *ret_rest;
        return err;
    }
    skip_blanks(&p);
    return p.at == p.end ? ERR_OK : syntax(&p);
}
