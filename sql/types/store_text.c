/* Assigning to CHAR, VARCHAR, TEXT and BLOB families, ENUM and SET. */
#include "sql/types/store_int.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"

/* MYSQL: the character sets of one byte whose tables take U+00A0 for a space. */
static bool has_other_space(const struct charset *cs)
{
    static const char *const names[] = {"armscii8", "cp1250", "cp852",  "cp866",   "dec8",
                                        "geostd8",  "greek",  "hebrew", "keybcs2", "latin1",
                                        "latin2",   "latin5", "latin7"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(cs->name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* MYSQL: tabs and ends of lines are spaces, too, but in characters of two and more bytes. It looks
 * at the bytes of the value as if they were of the column's character set. */
static bool only_spaces(const struct store *s, struct slice rest)
{
    enum { NO_BREAK_SPACE = 0xa0 };
    const struct charset *cs = collation_by_id(s->to->collation)->cs;
    const struct collation *from = collation_by_id(s->v->collation);
    bool text = s->v->phys == PHYS_STR && from != NULL && from->id != COLL_BINARY;
    bool same = text && from->cs == cs;
    bool no_break = same && has_other_space(cs);
    if (text && !same && (cs->minlen > 1 || from->cs->minlen > 1)) {
        return false;
    }
    while (rest.len != 0) {
        uint32_t cp = 0;
        unsigned n = charset_decode(cs, rest.ptr, rest.ptr + rest.len, &cp);
        bool ascii = cp == ' ' || (cs->minlen == 1 && cp >= '\t' && cp <= '\r');
        if (n == 0 || !(ascii || (no_break && cp == NO_BREAK_SPACE))) {
            return false;
        }
        rest = slice_from(rest, n);
    }
    return true;
}

/* The bytes from the first one that `to` cannot hold: up to six, hex but for printable ASCII, then
 * dots. */
static db_err incorrect_string(const struct store *s, struct slice bad)
{
    char shown[40];
    size_t n = 0;
    const struct collation *c = collation_by_id(s->v->collation);
    bool wide = c != NULL && c->cs->minlen > 1;
    for (size_t i = 0; i < bad.len && i < 6; i++) {
        bool plain = !wide && bad.ptr[i] >= ' ' && bad.ptr[i] < 0x7f;
        n += (size_t)snprintf(shown + n, sizeof(shown) - n, plain ? "%c" : "\\x%02X", bad.ptr[i]);
    }
    snprintf(shown + n, sizeof(shown) - n, "%s", bad.len > 6 ? "..." : "");
    unsigned long long row = s->target->row;
    if (s->ctx->strict) {
        return cast_error(s->ctx, 1366, "string", shown, s->target->column, row);
    }
    cast_warn(s->ctx, CAST_WARNING, 1366, "string", shown, s->target->column, row);
    return ERR_OK;
}

/* Where the first character is that `to` does not have. */
static struct slice first_lost(const struct charset *from, struct slice s, const struct charset *to)
{
    const uint8_t *p = s.ptr;
    const uint8_t *end = s.ptr + s.len;
    while (p < end) {
        uint32_t cp;
        uint8_t enc[8];
        unsigned n = from->ops == NULL ? 0 : charset_decode(from, p, end, &cp);
        if (n == 0 || to->ops == NULL || charset_encode(to, cp, enc) == 0) {
            break;
        }
        p += n;
    }
    return slice_of(p, (size_t)(end - p));
}

/* MYSQL: all digits that the number has as a DOUBLE, whatever FLOAT(M,D) it was. */
static db_err digits_of_real(const struct store *s, struct slice *ret)
{
    char text[NUMBER_TEXT_MAX];
    unsigned len = double_to_text(s->v->d, DECIMALS_NOT_FIXED, text);
    return arena_copy(s->ctx->arena, slice_of(text, len), ret);
}

/* The value's text in the column's charset. MYSQL: with the zeros of ZEROFILL in TEXT and BLOB
 * alone. */
static db_err converted(const struct store *s, const struct collation *target, struct slice *ret)
{
    struct slice text;
    struct sql_type from = *s->from;
    bool filled = s->target->as_text || type_is_blob(s->to);
    from.flags &= (uint8_t) ~(filled ? 0 : TYPE_F_ZEROFILL);
    if (!filled && s->v->phys == PHYS_DOUBLE) {
        TRY(digits_of_real(s, &text));
    } else {
        TRY(value_to_text(s->ctx, &from, s->v, &text));
    }
    unsigned id = s->v->phys == PHYS_STR ? s->v->collation : COLL_ASCII_GENERAL_CI;
    if (s->from->id == TYPE_ENUM || s->from->id == TYPE_SET) {
        id = s->from->collation;
    } else if (s->from->id == TYPE_BIT) {
        id = COLL_BINARY;
    }
    const struct collation *source = collation_by_id(id);
    bool same = source != NULL && source->cs == target->cs;
    /* a parameter's bytes may be no text of the charset that they are said to have */
    bool looks = same && s->v->phys == PHYS_STR && (s->from->flags & TYPE_F_EXPR) != 0;
    if (source == NULL || (same && !looks) || target->id == COLL_BINARY) {
        *ret = text;
        return ERR_OK;
    }
    if (same || source->id == COLL_BINARY) { /* bytes must be text of the column's charset */
        TRY(same ? ERR_OK : charset_whole_units(target->cs, text, s->ctx->arena, &text));
        size_t good = target->cs->ops->valid_prefix(target->cs, text);
        bool named = s->to->id == TYPE_ENUM || s->to->id == TYPE_SET;
        if (good < text.len && !named) { /* MYSQL: names are looked up by their bytes */
            TRY(incorrect_string(s, slice_from(text, good)));
            text.len = good;
        }
        *ret = text;
        return ERR_OK;
    }
    size_t lossy = 0;
    struct slice out;
    TRY(charset_convert_arena(source->cs, text, target->cs, s->ctx->arena, &out, &lossy));
    if (lossy != 0) {
        TRY(incorrect_string(s, first_lost(source->cs, text, target->cs)));
    }
    *ret = out;
    return ERR_OK;
}

/* MYSQL: the value of a column whose texts have the same form, with as many bytes for their length,
 * is copied. What does not fit is then cut (1265) and not too long. */
static bool is_copied(const struct store *s)
{
    return (s->to->id == TYPE_VARCHAR || s->to->id == TYPE_VARBINARY) && s->from->id == s->to->id &&
           s->from->collation == s->to->collation && (s->from->flags & TYPE_F_EXPR) == 0 &&

           (type_max_bytes(s->from) > UINT8_MAX) == (type_max_bytes(s->to) > UINT8_MAX);
}

static db_err cut(const struct store *s, struct slice text, struct slice fit, struct value *ret)
{
    ret->str = fit;
    struct slice rest = slice_from(text, fit.len);
    bool is_text = s->to->collation != COLL_BINARY;
    if (is_text && !is_copied(s) && only_spaces(s, rest)) {
        if (s->to->id != TYPE_CHAR) {
            store__note_truncated(s);
        }
        return ERR_OK;
    }
    if (s->v->phys == PHYS_DOUBLE) {
        char buffer[NUMBER_TEXT_MAX];
        bool known;
        unsigned len = double_to_text_cut(s->v->d, s->to->length, buffer, &known);
        if (!known) {
            TRY(store__condition(s, 1406));
        }
        return arena_copy(s->ctx->arena, slice_of(buffer, len), &ret->str);
    }
    return store__condition(s, is_copied(s) ? 1265 : 1406);
}

static db_err pad_binary(const struct store *s, struct value *ret)
{
    if (s->to->id != TYPE_BINARY || ret->str.len >= s->to->length) {
        return ERR_OK;
    }
    uint8_t *padded = arena_alloc(s->ctx->arena, s->to->length);
    if (padded == NULL) {
        return ERR_NOMEM;
    }
    memset(padded, 0, s->to->length);
    if (ret->str.len != 0) {
        memcpy(padded, ret->str.ptr, ret->str.len);
    }
    ret->str = slice_of(padded, s->to->length);
    return ERR_OK;
}

db_err store__text(const struct store *s, struct value *ret)
{
    const struct collation *target;
    TRY(collation_require_id(s->to->collation, s->ctx->diag, &target));
    struct slice text;
    TRY(converted(s, target, &text));
    ret->str = text;
    if (type_is_blob(s->to)) {
        uint64_t max = type_max_bytes(s->to);
        if (text.len > max) { /* cut at a character */
            struct slice fit = {text.ptr, (size_t)max};
            fit.len = target->cs->ops->valid_prefix(target->cs, fit);
            return cut(s, text, fit, ret);
        }
        return ERR_OK;
    }
    if (text.len > s->to->length) {
        struct slice fit = charset_substring(target->cs, text, 0, s->to->length);
        if (fit.len < text.len) {
            TRY(cut(s, text, fit, ret));
        }
    }
    if (s->to->id == TYPE_CHAR) {
        ret->str = charset_trim_pad(target->cs, ret->str);
    }
    return pad_binary(s, ret);
}

/* Number of the member that equals text under the collation, 0 when there is none. */
static uint32_t find_member(const struct sql_type *to, const struct collation *c, struct slice text)
{
    text = charset_trim_pad(c->cs, text);
    for (uint32_t i = 0; i < to->names->count; i++) {
        if (collation_compare(c, to->names->names[i], text) == 0) {
            return i + 1;
        }
    }
    return 0;
}

/* The text as a plain unsigned number. */
static bool as_number(struct slice text, uint64_t *ret)
{
    bool is_unsigned;
    bool overflow;
    size_t used;
    int64_t n = text_to_int(text, &is_unsigned, &used, &overflow);
    if (used == 0 || used != text.len || overflow || (n < 0 && !is_unsigned)) {
        return false;
    }
    *ret = (uint64_t)n;
    return true;
}

/* A number's whole part, clipped to int64. */
static int64_t whole_part(const struct value *v)
{
    int64_t whole = 0;
    uint32_t nanos;
    bool neg = false;
    if (!cast__split_number(v, &whole, &nanos, &neg)) {
        return neg ? INT64_MIN : INT64_MAX;
    }
    return whole;
}

/* Numbers (not times, which are taken for text) as the index or the bits they stand for. */
static bool is_number(const struct value *v, const struct sql_type *from)
{
    return v->phys == PHYS_DOUBLE || v->phys == PHYS_DECIMAL ||
           (v->phys == PHYS_INT && from->id != TYPE_ENUM && from->id != TYPE_SET);
}

db_err store__enum(const struct store *s, struct value *ret)
{
    uint64_t index = 0;
    if (s->from->id == TYPE_ENUM && s->v->u == 0) { /* MYSQL: what is no member stays none */
        ret->u = 0;
        return ERR_OK;
    }
    if (is_number(s->v, s->from)) {
        int64_t n = whole_part(s->v);
        index = n < 0 ? 0 : (uint64_t)n;
    } else {
        const struct collation *c;
        struct slice text;
        TRY(collation_require_id(s->to->collation, s->ctx->diag, &c));
        TRY(converted(s, c, &text));
        index = find_member(s->to, c, text);
        if (index == 0 && as_number(text, &index) && index == 0) {
            ret->u = 0; /* '0' is the number of the empty value */
            return ERR_OK;
        }
    }
    if (index == 0 || index > s->to->names->count) {
        ret->u = 0;
        return store__condition(s, 1265);
    }
    ret->u = index;
    return ERR_OK;
}

/* Bits of the members in a text parted by commas; false when some are not members. */
static bool set_bits(const struct sql_type *to, const struct collation *c, struct slice text,
                     uint64_t *ret)
{
    bool known = true;
    bool more = text.len > 0;
    *ret = 0;
    while (more) { /* what follows the last comma is a member too, the empty one perhaps */
        const uint8_t *comma = charset_find_mark(c->cs, text, ',');
        size_t len = comma == NULL ? text.len : (size_t)(comma - text.ptr);
        uint32_t member = find_member(to, c, slice_of(text.ptr, len));
        if (member == 0) {
            known = false;
        } else {
            *ret |= 1ull << (member - 1);
        }
        more = comma != NULL;
        text = slice_from(text, more ? len + c->cs->minlen : len);
    }
    return known;
}

db_err store__set(const struct store *s, struct value *ret)
{
    uint32_t count = s->to->names->count;
    uint64_t all = count >= 64 ? UINT64_MAX : (1ull << count) - 1;
    uint64_t bits;
    bool known = true;
    if (is_number(s->v, s->from)) {
        bits = (uint64_t)whole_part(s->v);
    } else {
        const struct collation *c;
        struct slice text;
        TRY(collation_require_id(s->to->collation, s->ctx->diag, &c));
        TRY(converted(s, c, &text));
        known = set_bits(s->to, c, text, &bits);
        uint64_t number;
        if (!known && as_number(text, &number) && number <= all) {
            known = true;
            bits = number;
        }
    }
    ret->u = bits & all;
    return known && bits == ret->u ? ERR_OK : store__condition(s, 1265);
}
