/* How operands meet: one collation for text (MYSQL: "Collation Coercibility in Expressions").
 *
 * The operands are gone through from left to right; what the ones before have agreed on meets the
 * next one:
 * - the lower coercibility wins. A side that loses is converted when its charset differs. That is
 *   allowed when the winner's charset is Unicode, or the loser is a constant or a number or holds
 *   only ASCII;
 * - on a tie the same collation is no conflict. A Unicode charset takes a non-Unicode one in, any
 *   charset takes in what is only ASCII, a _bin collation beats another of its charset; two other
 *   collations of one charset make text of no certain collation, in the charset's _bin one. That
 *   loses to any operand as strong that comes later, and beats what is weaker;
 * - COLLATE wins over all, but two that say different things never agree.
 *
 * What only gives its text on (CONCAT, COALESCE) may be of no certain collation: as an operand of
 * something else that loses to everything. What compares may not, but takes such operands; only a
 * comparison of two does not even take one when its collation would be the one to go by, nor does
 * COLLATE there have a column converted to a charset that may lack its characters. */
#include "sql/func/func.h"

#include "sql/func/func_int.h"

static bool is_text(const struct sql_type *t)
{
    return type_is_string(t) || t->id == TYPE_ENUM || t->id == TYPE_SET;
}

/* Text, JSON, which counts as text in utf8mb4_bin, and BIT, whose bytes are a binary string. */
static bool has_collation(const struct sql_type *t)
{
    return is_text(t) || t->id == TYPE_JSON || t->id == TYPE_BIT;
}

/* An operand as it meets others. */
struct side {
    const struct collation *c;
    uint8_t coercibility;
    bool ascii; /* nothing else is in it */
    bool mixed; /* two collations of one charset have met in it, here */
    bool is_const;
};

/* How operands meet. */
enum meeting { GIVES_ON, COMPARES_SOME, COMPARES_TWO };

enum { EXPLICIT = 0, IMPLICIT = 2, SYSCONST = 3, COERCIBLE = 4, NUMERIC = 5, IGNORABLE = 6 };

/* What the others are compared by: lower wins. */
static unsigned rank(const struct side *s)
{
    return 2u * s->coercibility + (s->mixed ? 1 : 0);
}

static const struct collation *own_collation(const struct func_arg *a)
{
    return collation_by_id(a->type.id == TYPE_JSON  ? (unsigned)COLL_UTF8MB4_BIN
                           : a->type.id == TYPE_BIT ? (unsigned)COLL_BINARY
                                                    : a->type.collation);
}

static bool is_variable_number(const struct func_arg *a)
{
    return a->is_variable && !has_collation(&a->type) && a->type.id != TYPE_NULL;
}

bool func__meets_as_text(const struct func_arg *a)
{
    return a->text_collation != 0 || is_variable_number(a);
}

static uint8_t own_coercibility(const struct func_arg *a)
{
    return a->type.id == TYPE_JSON || a->type.id == TYPE_BIT ? IMPLICIT : a->coercibility;
}

static bool is_unicode(const struct collation *c)
{
    return memcmp(c->cs->name, "utf", 3) == 0 || memcmp(c->cs->name, "ucs", 3) == 0;
}

/* MYSQL: utf8mb4 and utf32 take all of Unicode in, the others none. */
static bool takes_unicode(const struct charset *cs)
{
    return strcmp(cs->name, "utf32") == 0 || strcmp(cs->name, "utf8mb4") == 0;
}

static bool is_ascii(const struct collation *c)
{
    return strcmp(c->cs->name, "ascii") == 0;
}

static bool ends_bin(const struct collation *c)
{
    size_t n = strlen(c->name);
    return n > 4 && memcmp(c->name + n - 4, "_bin", 4) == 0;
}

static const char *coercibility_name(uint8_t c)
{
    static const char *const names[] = {"EXPLICIT",  "NONE",    "IMPLICIT",  "SYSCONST",
                                        "COERCIBLE", "NUMERIC", "IGNORABLE", "NONE"};
    return names[c <= COERCIBILITY_MIX ? c : 6];
}

static enum meeting meeting_of(const char *operation, uint32_t count)
{
    static const char *const giving[] = {
        "coalesce", "case",      "if",       "ifnull", "concat",     "concat_ws",
        "elt",      "make_set",  "greatest", "least",  "export_set", "group_concat",
        "UNION",    "INTERSECT", "EXCEPT",   "lag",    "lead"};
    static const char *const comparing[] = {"=",  "<>",  "<",      "<=",    ">",
                                            ">=", "<=>", "strcmp", "nullif"};
    for (size_t i = 0; i < ARRAY_COUNT(giving); i++) {
        if (strcmp(operation, giving[i]) == 0) {
            return GIVES_ON;
        }
    }
    for (size_t i = 0; i < ARRAY_COUNT(comparing) && count == 2; i++) {
        if (strcmp(operation, comparing[i]) == 0) {
            return COMPARES_TWO;
        }
    }
    return COMPARES_SOME;
}

/* MYSQL: does a parameter take the type of what it is beside? */
static bool gives_type(const char *operation)
{
    static const char *const names[] = {"=",      "<>",      "<",        "<=",       ">",
                                        ">=",     "<=>",     "strcmp",   "nullif",   "like",
                                        " IN ",   "between", "case",     "coalesce", "if",
                                        "ifnull", "least",   "greatest", "lag",      "lead"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (strcmp(operation, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Text that every charset with ASCII in it takes as it is. */
static bool only_ascii(const struct func_arg *a)
{
    const struct charset *cs = own_collation(a)->cs;
    if (is_ascii(own_collation(a))) {
        return true;
    }
    const struct value *v = a->constant;
    return v != NULL && !a->recoded && !v->is_null && v->phys == PHYS_STR && cs->ascii_superset &&
           cs->minlen == 1 && utf8_is_ascii(v->str);
}

static uint16_t connection_of(const struct func_bind_ctx *ctx)
{
    return ctx->connection_collation != 0 ? ctx->connection_collation : (uint16_t)COLL_BINARY;
}

/* False: the operand has no part in the agreement.
 * MYSQL: numbers and times are text of latin1; those of a variable of the connection's collation,
 * as strong as a column; what tells of a place in text is text of its collation. */
static bool side_of(const struct func_bind_ctx *ctx, const struct func_arg *a, struct side *ret)
{
    if (a->text_collation != 0) {
        *ret = (struct side){.c = collation_by_id(a->text_collation),
                             .coercibility = a->coercibility,
                             .is_const = a->is_const};
        return true;
    }
    if (is_variable_number(a)) {
        *ret = (struct side){
            .c = collation_by_id(connection_of(ctx)), .coercibility = IMPLICIT, .ascii = true};
        return true;
    }
    if (has_collation(&a->type)) {
        *ret = (struct side){.c = own_collation(a),
                             .coercibility = own_coercibility(a),
                             .ascii = only_ascii(a),
                             .is_const = a->is_const};
        return true;
    }
    bool null = a->type.id == TYPE_NULL;
    *ret = (struct side){.c = collation_by_id(null ? COLL_BINARY : COLL_LATIN1_SWEDISH_CI),
                         .coercibility = null ? IGNORABLE : NUMERIC,
                         .ascii = true,
                         .is_const = a->is_const};
    return a->type.id != TYPE_GEOMETRY && a->type.id != TYPE_VECTOR;
}

static const char *shown_coercibility(const struct func_arg *a, const struct side *s)
{
    return a->type.id == TYPE_NULL ? "NULL" : coercibility_name(s->coercibility);
}

/* MYSQL: two operands are shown by 1267, three by 1270, more are not shown (1271). */
static db_err illegal_mix(struct func_bind_ctx *ctx, const char *operation,
                          const struct func_arg *args, uint32_t count)
{
    struct side s[3];
    const char *how[3] = {"", "", ""};
    for (uint32_t i = 0; i < count && i < ARRAY_COUNT(s); i++) {
        side_of(ctx, &args[i], &s[i]);
        how[i] = shown_coercibility(&args[i], &s[i]);
    }
    if (count > 3) {
        return diag_set_sql(ctx->diag, 1271, "HY000",
                            "Illegal mix of collations for operation '%s'", operation);
    }
    if (count == 3) {
        return diag_set_sql(
            ctx->diag, 1270, "HY000",
            "Illegal mix of collations (%s,%s), (%s,%s), (%s,%s) for operation '%s'", s[0].c->name,
            how[0], s[1].c->name, how[1], s[2].c->name, how[2], operation);
    }
    uint32_t last = count - 1; /* of one: with itself */
    return diag_set_sql(ctx->diag, 1267, "HY000",
                        "Illegal mix of collations (%s,%s) and (%s,%s) for operation '%s'",
                        s[0].c->name, how[0], s[last].c->name, how[last], operation);
}

enum outcome { STANDS, YIELDS, MIXES, CLASHES, NEVER };

/* Both of one charset. */
static enum outcome meet_same(const struct side *a, const struct side *b, enum meeting how)
{
    if (a->c == b->c) {
        bool stays = how == COMPARES_TWO || (a->mixed && b->coercibility == a->coercibility);
        return !stays && rank(b) < rank(a) ? YIELDS : STANDS;
    }
    if (rank(a) != rank(b)) {
        return rank(a) < rank(b) ? STANDS : YIELDS;
    }
    if (ends_bin(a->c) && ends_bin(b->c)) {
        return CLASHES;
    }
    return ends_bin(a->c) ? STANDS : ends_bin(b->c) ? YIELDS : MIXES;
}

/* Does the first's charset, Unicode, have all characters of the other's? */
static bool takes_in(const struct side *a, const struct side *b)
{
    return is_unicode(a->c) &&
           (rank(a) < rank(b) ||
            (rank(a) == rank(b) && (!is_unicode(b->c) || takes_unicode(a->c->cs))));
}

/* Is the other side only ASCII, which is taken in as it is? */
static bool takes_ascii(const struct side *a, const struct side *b)
{
    if ((!b->ascii && !is_ascii(b->c)) || rank(a) > rank(b)) {
        return false;
    }
    return rank(a) < rank(b) || (is_ascii(a->c) != is_ascii(b->c) ? is_ascii(b->c) : !a->ascii);
}

/* What is agreed on meets the next operand. */
static enum outcome meet(const struct side *a, const struct side *b, enum meeting how)
{
    if (a->c != b->c && a->coercibility == EXPLICIT && b->coercibility == EXPLICIT) {
        return NEVER;
    }
    if (a->c->cs == b->c->cs) {
        return meet_same(a, b, how);
    }
    if (a->c->id == COLL_BINARY || b->c->id == COLL_BINARY) {
        bool first = a->c->id == COLL_BINARY ? rank(a) <= rank(b) : rank(a) < rank(b);
        return first ? STANDS : YIELDS;
    }
    if (takes_in(a, b)) {
        return STANDS;
    }
    if (takes_in(b, a)) {
        return YIELDS;
    }
    if (takes_ascii(a, b) || (rank(a) < rank(b) && b->coercibility >= SYSCONST)) {
        return STANDS;
    }
    if (takes_ascii(b, a) || a->mixed || (rank(b) < rank(a) && a->coercibility >= SYSCONST)) {
        return YIELDS;
    }
    if (how == COMPARES_TWO) { /* MYSQL: a constant is converted, also one with COLLATE */
        return b->coercibility != EXPLICIT ? CLASHES
               : b->is_const               ? STANDS
               : a->is_const               ? YIELDS
                                           : CLASHES;
    }
    return a->coercibility == EXPLICIT ? STANDS : b->coercibility == EXPLICIT ? YIELDS : CLASHES;
}

/* MYSQL: operands that do not agree are no error when a stronger one comes later. */
static bool agree(const struct func_bind_ctx *ctx, const struct func_arg *args, uint32_t count,
                  enum meeting how, struct side *ret)
{
    enum { NO_CLASH = UINT8_MAX };
    struct side s = {NULL, 0, false, false, false};
    uint8_t clash = NO_CLASH; /* the strongest of those that do not agree */
    for (uint32_t i = 0; i < count; i++) {
        struct side next;
        if (!side_of(ctx, &args[i], &next)) {
            continue;
        }
        if (s.c == NULL) {
            s = next;
            continue;
        }
        enum outcome outcome = meet(&s, &next, how);
        bool ascii = s.ascii && next.ascii;
        if (outcome == NEVER) {
            return false;
        }
        if (outcome == CLASHES || (outcome == MIXES && how != GIVES_ON)) {
            uint8_t stronger =
                s.coercibility < next.coercibility ? s.coercibility : next.coercibility;
            clash = stronger < clash ? stronger : clash;
        } else if (outcome == YIELDS) {
            s = next;
        } else if (outcome == MIXES) {
            const struct collation *bin = charset_bin_collation(s.c->cs);
            s.c = bin == NULL ? s.c : bin;
            s.mixed = true;
        }
        s.ascii = ascii;
    }
    *ret = s;
    if (how == COMPARES_TWO) {
        return clash == NO_CLASH && s.coercibility != COERCIBILITY_MIX;
    }
    return clash == NO_CLASH || s.coercibility < clash;
}

/* MYSQL: a constant with characters that the charset does not have is an error. */
static db_err check_convertible(struct func_bind_ctx *ctx, const struct func_arg *a,
                                const struct collation *from, const struct collation *to)
{
    const struct value *v = a->constant;
    if (v == NULL || v->is_null || v->phys != PHYS_STR || a->is_placeholder || ctx->view) {
        return ERR_OK;
    }
    struct slice text;
    size_t lossy = 0;
    TRY(charset_convert_arena(from->cs, v->str, to->cs, ctx->arena, &text, &lossy));
    return lossy == 0 ? ERR_OK : func__cannot_convert(ctx, v->str, from, to);
}

/* Has the operand's text converted to the charset agreed on. */
static db_err want_charset(struct func_bind_ctx *ctx, struct func_arg *a,
                           const struct collation *to)
{
    const struct collation *c = has_collation(&a->type) ? own_collation(a) : NULL;
    if (a->text_collation != 0 && a->want_cast && to->id != COLL_BINARY) {
        a->want.collation = to->id;
        return ERR_OK;
    }
    if (c == NULL || to->id == COLL_BINARY || c->cs == to->cs || a->type.id == TYPE_JSON) {
        return ERR_OK;
    }
    if (a->want_cast) {
        bool name = a->type.id == TYPE_ENUM || a->type.id == TYPE_SET;
        if (name && type_is_string(&a->want)) {
            a->want.collation = to->id;
            a->want.wire |= TYPE_W_REFUSE_LOSS;
        }
        return ERR_OK;
    }
    if (c->id == COLL_BINARY) {
        func__want_valid(a, to->id);
        return ERR_OK;
    }
    TRY(check_convertible(ctx, a, c, to));
    a->want_cast = true;
    a->want = a->type;
    a->want.collation = to->id;
    a->want.wire |= TYPE_W_REFUSE_LOSS | TYPE_W_WHOLE_TEXT;
    return ERR_OK;
}

static db_err agree_on(struct func_bind_ctx *ctx, const char *operation, enum meeting how,
                       struct func_arg *args, uint32_t count, uint16_t *ret_collation,
                       uint8_t *ret_coercibility)
{
    uint16_t connection = connection_of(ctx);
    bool any = false;
    for (uint32_t i = 0; i < count; i++) {
        any = any || has_collation(&args[i].type) || func__meets_as_text(&args[i]);
    }
    if (!any) {
        *ret_collation = connection;
        *ret_coercibility = COERCIBLE;
        return ERR_OK;
    }
    struct side s;
    if (!agree(ctx, args, count, how, &s)) {
        return illegal_mix(ctx, operation, args, count);
    }
    if (s.coercibility == NUMERIC) { /* beside text of no certain collation */
        s.c = collation_by_id(connection);
        s.coercibility = COERCIBLE;
    }
    for (uint32_t i = 0; i < count; i++) {
        TRY(want_charset(ctx, &args[i], s.c));
        if (args[i].want_cast && args[i].is_placeholder && gives_type(operation)) {
            args[i].want.wire |= TYPE_W_OF_PARAM;
        }
    }
    *ret_collation = s.c->id;
    *ret_coercibility = s.mixed ? COERCIBILITY_MIX : s.coercibility;
    return ERR_OK;
}

db_err func_agree_collation(struct func_bind_ctx *ctx, const char *operation, struct func_arg *args,
                            uint32_t count, uint16_t *ret_collation, uint8_t *ret_coercibility)
{
    return agree_on(ctx, operation, meeting_of(operation, count), args, count, ret_collation,
                    ret_coercibility);
}

db_err func_agree_compared(struct func_bind_ctx *ctx, const char *operation, struct func_arg *args,
                           uint32_t count, uint16_t *ret_collation, uint8_t *ret_coercibility)
{
    return agree_on(ctx, operation, COMPARES_SOME, args, count, ret_collation, ret_coercibility);
}

db_err func__may_meet(struct func_bind_ctx *ctx, const char *operation, const struct func_arg *args,
                      uint32_t count)
{
    struct side s;
    return agree(ctx, args, count, COMPARES_SOME, &s) ? ERR_OK
                                                      : illegal_mix(ctx, operation, args, count);
}
