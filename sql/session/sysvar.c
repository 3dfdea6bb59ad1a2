#include "sql/session/sysvar.h"

#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "sql/charset/charset.h"
#include "sql/diag/my_error.h"
#include "sql/types/cast.h"
#include "sql/types/sql_mode.h"

#define GLOBAL    SYSVAR_GLOBAL
#define SESSION   SYSVAR_SESSION
#define BOTH      SYSVAR_BOTH
#define BOOL      SYSVAR_T_BOOL
#define INT       SYSVAR_T_INT
#define DOUBLE    SYSVAR_T_DOUBLE
#define STR       SYSVAR_T_STR
#define ENUM      SYSVAR_T_ENUM
#define SET       SYSVAR_T_SET
#define FLAGSET   SYSVAR_T_FLAGSET
#define DYNAMIC   SYSVAR_DYNAMIC
#define ACTS      SYSVAR_ACTS
#define HIDDEN    SYSVAR_HIDDEN
#define ADMIN     SYSVAR_ADMIN
#define OPERATOR  SYSVAR_OPERATOR
#define APPLIER   SYSVAR_APPLIER
#define NODE      SYSVAR_NODE
#define NOPERSIST SYSVAR_NOPERSIST
#define HINT      SYSVAR_HINT
#define LOGGED    SYSVAR_LOGGED
const struct sysvar_def sysvar_defs[VAR__COUNT] = {
#define SYSVAR(name, scope, type, def, min, max, allowed, flags)                                   \
    [VAR_##name] = {#name, scope, type, flags, def, (uint64_t)(min), (uint64_t)(max), allowed},
#include "sql/session/sysvars.def"
#undef SYSVAR
};
#undef GLOBAL
#undef SESSION
#undef BOTH
#undef BOOL
#undef INT
#undef DOUBLE
#undef STR
#undef ENUM
#undef SET
#undef FLAGSET
#undef DYNAMIC
#undef ACTS
#undef HIDDEN
#undef ADMIN
#undef OPERATOR
#undef APPLIER
#undef NODE
#undef NOPERSIST
#undef HINT
#undef LOGGED

static int name_order(struct slice name, const char *def)
{
    size_t i = 0;
    for (; i < name.len && def[i] != '\0'; i++) {
        int a = name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? name.ptr[i] + 32 : name.ptr[i];
        int b = (unsigned char)def[i];
        if (a != b) {
            return a - b;
        }
    }
    return i < name.len ? 1 : def[i] != '\0' ? -1 : 0;
}

enum sysvar_id sysvar_find(struct slice name)
{
    uint32_t low = 0;
    uint32_t high = VAR__COUNT;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        int c = name_order(name, sysvar_defs[mid].name);
        if (c == 0) {
            return (enum sysvar_id)mid;
        }
        if (c < 0) {
            high = mid;
        } else {
            low = mid + 1;
        }
    }
    return VAR__COUNT;
}

/* ---- members of ENUM and SET ---- */

static bool next_member(const char **io, struct slice *ret)
{
    if (*io == NULL) {
        return false;
    }
    const char *bar = strchr(*io, '|');
    size_t n = bar == NULL ? strlen(*io) : (size_t)(bar - *io);
    *ret = slice_of(*io, n);
    *io = bar == NULL ? NULL : bar + 1;
    return true;
}

static int member_index(const char *allowed, struct slice name)
{
    struct slice m;
    for (int i = 0; next_member(&allowed, &m); i++) {
        if (slice_eq_nocase(m, name)) {
            return i;
        }
    }
    return -1;
}

static struct slice member_name(const char *allowed, int64_t index)
{
    struct slice m = SLICE_EMPTY;
    for (int64_t i = 0; next_member(&allowed, &m); i++) {
        if (i == index) {
            return m;
        }
    }
    return SLICE_LIT("");
}

/* The word up to the next comma, from *io_at on, which is behind the comma then. */
static struct slice next_word(struct slice text, size_t *io_at)
{
    size_t start = *io_at;
    size_t end = start;
    while (end < text.len && text.ptr[end] != ',') {
        end++;
    }
    *io_at = end + 1;
    return slice_of(text.ptr + start, end - start);
}

/* False: *ret_bad is no member. */
static bool set_bits(const char *allowed, struct slice text, uint64_t *ret, struct slice *ret_bad)
{
    uint64_t bits = 0;
    for (size_t at = 0; at < text.len;) {
        struct slice word = next_word(text, &at);
        int i = word.len == 0 ? 0 : member_index(allowed, word);
        if (i < 0) {
            *ret_bad = word;
            return false;
        }
        bits |= word.len == 0 ? 0 : 1ull << i;
    }
    *ret = bits;
    return true;
}

/* "name=on" and the like: adds to the bits that are set and to those that are named. */
static bool one_flag(const char *allowed, struct slice word, uint64_t defaults, uint64_t *io_on,
                     uint64_t *io_named)
{
    const uint8_t *eq = word.len == 0 ? NULL : memchr(word.ptr, '=', word.len);
    if (eq == NULL) {
        return false;
    }
    struct slice how = slice_from(word, (size_t)(eq - word.ptr) + 1);
    int i = member_index(allowed, slice_of(word.ptr, (size_t)(eq - word.ptr)));
    uint64_t bit = i < 0 ? 0 : 1ull << i;
    if (i < 0 || (*io_named & bit) != 0) {
        return false;
    }
    *io_named |= bit;
    if (slice_eq_nocase(how, SLICE_LIT("default"))) {
        *io_on |= defaults & bit;
        return true;
    }
    *io_on |= slice_eq_nocase(how, SLICE_LIT("on")) ? bit : 0;
    return (*io_on & bit) != 0 || slice_eq_nocase(how, SLICE_LIT("off"));
}

/* "name=on,name=off,name=default,default": changes bits of `old`. MYSQL: each at most once; the
 * last, without a name, is where all others start from wherever it stands. False: *ret_bad is none
 * of these. */
static bool flag_bits(const char *allowed, struct slice text, uint64_t old, uint64_t defaults,
                      uint64_t *ret, struct slice *ret_bad)
{
    uint64_t on = 0;
    uint64_t named = 0;
    bool from_defaults = false;
    for (size_t at = 0; at < text.len || (at == text.len && at != 0);) {
        size_t start = at;
        struct slice word = next_word(text, &at);
        if (slice_eq_nocase(word, SLICE_LIT("default")) && !from_defaults) {
            from_defaults = true;
        } else if (!one_flag(allowed, word, defaults, &on, &named)) {
            *ret_bad = word.len == 0 ? slice_from(text, start) : word;
            return false;
        }
    }
    *ret = on | ((from_defaults ? defaults : old) & ~named);
    return true;
}

/* ---- defaults ---- */

static bool sql_mode_bits(struct slice text, uint64_t *ret, struct slice *ret_bad);

static void default_value(enum sysvar_id id, struct sysvar_value *v)
{
    const struct sysvar_def *d = &sysvar_defs[id];
    struct slice text = slice_str(d->default_text);
    struct slice bad;
    uint64_t bits = 0;
    *v = (struct sysvar_value){.is_null = strcmp(d->default_text, "\\N") == 0};
    switch (d->type) {
    case SYSVAR_T_BOOL:
        v->i = slice_eq_nocase(text, SLICE_LIT("ON")) || slice_eq(text, SLICE_LIT("1"));
        break;
    case SYSVAR_T_INT: v->i = (int64_t)strtoull(d->default_text, NULL, 10); break;
    case SYSVAR_T_DOUBLE: v->d = strtod(d->default_text, NULL); break;
    case SYSVAR_T_STR: v->s = text; break;
    case SYSVAR_T_ENUM:
        v->i = member_index(d->allowed, text) < 0 ? 0 : member_index(d->allowed, text);
        break;
    case SYSVAR_T_SET:
        if (id == VAR_sql_mode) {
            sql_mode_bits(text, &bits, &bad);
        } else {
            set_bits(d->allowed, text, &bits, &bad);
        }
        v->i = (int64_t)bits;
        break;
    case SYSVAR_T_FLAGSET:
        flag_bits(d->allowed, text, 0, 0, &bits, &bad);
        v->i = (int64_t)bits;
        break;
    default: break;
    }
}

db_err sysvar_globals_new(struct sysvar_globals **ret)
{
    struct sysvar_globals *g = mem_calloc(1, sizeof(*g));
    if (g == NULL) {
        return ERR_NOMEM;
    }
    atomic_init(&g->refs, 1);
    arena_init(&g->arena, NULL, NULL, 0);
    for (int i = 0; i < VAR__COUNT; i++) {
        default_value((enum sysvar_id)i, &g->values[i]);
    }
    *ret = g;
    return ERR_OK;
}

db_err sysvar_globals_copy(const struct sysvar_globals *from, struct sysvar_globals **ret)
{
    struct sysvar_globals *g = mem_calloc(1, sizeof(*g));
    if (g == NULL) {
        return ERR_NOMEM;
    }
    atomic_init(&g->refs, 1);
    arena_init(&g->arena, NULL, NULL, 0);
    for (int i = 0; i < VAR__COUNT; i++) {
        g->values[i] = from->values[i];
        if (sysvar_defs[i].type == SYSVAR_T_STR &&
            arena_copy(&g->arena, from->values[i].s, &g->values[i].s) != ERR_OK) {
            sysvar_globals_unref(g);
            return ERR_NOMEM;
        }
    }
    *ret = g;
    return ERR_OK;
}

void sysvar_globals_ref(struct sysvar_globals *g)
{
    atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
}

void sysvar_globals_unref(struct sysvar_globals *g)
{
    if (g != NULL && atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel) == 1) {
        arena_fini(&g->arena);
        mem_free(g);
    }
}

/* ---- conversions ---- */

static db_err text_of(const struct value *v, struct arena *arena, struct slice *ret)
{
    struct cast_ctx c;
    struct sql_type t = value_type(v);
    cast_ctx_init(&c, arena, NULL);
    return value_to_text(&c, &t, v, ret);
}

static db_err wrong_value(enum sysvar_id id, const struct value *v, struct arena *arena,
                          struct diag *diag)
{
    struct slice text = SLICE_LIT("NULL");
    if (!v->is_null) {
        TRY(text_of(v, arena, &text));
    }
    return my_error(diag, ER_WRONG_VALUE_FOR_VAR, sysvar_defs[id].name, arena_strdup(arena, text));
}

static db_err wrong_type(enum sysvar_id id, struct diag *diag)
{
    return my_error(diag, ER_WRONG_TYPE_FOR_VAR, sysvar_defs[id].name);
}

static bool is_fraction(const struct value *v)
{
    return v->phys == PHYS_DECIMAL || v->phys == PHYS_DOUBLE;
}

static db_err to_bool(enum sysvar_id id, const struct value *v, struct arena *arena,
                      struct diag *diag, int64_t *ret)
{
    if (v->phys == PHYS_INT && (v->i == 0 || v->i == 1)) {
        *ret = v->i;
        return ERR_OK;
    }
    if (v->phys == PHYS_STR) {
        bool on = slice_eq_nocase(v->str, SLICE_LIT("ON"));
        bool off = slice_eq_nocase(v->str, SLICE_LIT("OFF"));
        if (on || off) {
            *ret = on;
            return ERR_OK;
        }
    }
    return is_fraction(v) ? wrong_type(id, diag) : wrong_value(id, v, arena, diag);
}

static db_err to_int(enum sysvar_id id, const struct value *v, struct diag *diag, int64_t *ret,
                     bool *ret_clipped)
{
    const struct sysvar_def *d = &sysvar_defs[id];
    if (v->phys != PHYS_INT) {
        return wrong_type(id, diag);
    }
    bool negative = !v->is_unsigned && v->i < 0;
    bool signed_min = (int64_t)d->min < 0;
    int64_t n = v->i;
    if (negative && !signed_min) {
        n = (int64_t)d->min;
    } else if (negative) {
        n = v->i < (int64_t)d->min ? (int64_t)d->min : v->i;
    } else if (v->u > d->max && d->max != 0) {
        n = (int64_t)d->max;
    } else if (!signed_min && v->u < d->min) {
        n = (int64_t)d->min;
    }
    *ret_clipped = n != v->i;
    *ret = n;
    return ERR_OK;
}

static db_err to_enum(enum sysvar_id id, const struct value *v, struct arena *arena,
                      struct diag *diag, int64_t *ret)
{
    const char *allowed = sysvar_defs[id].allowed;
    int64_t i = -1;
    if (v->phys == PHYS_STR) {
        i = member_index(allowed, v->str);
    } else if (v->phys == PHYS_INT && v->i >= 0 && member_name(allowed, v->i).len != 0) {
        i = v->i;
    } else if (v->phys != PHYS_INT) {
        return wrong_type(id, diag);
    }
    if (i < 0) {
        return wrong_value(id, v, arena, diag);
    }
    *ret = i;
    return ERR_OK;
}

/* MYSQL: ANSI and TRADITIONAL stand for several modes. */
static uint64_t widen_sql_mode(uint64_t bits)
{
    if ((bits & SQL_MODE_ANSI) != 0) {
        bits |= SQL_MODE_REAL_AS_FLOAT | SQL_MODE_PIPES_AS_CONCAT | SQL_MODE_ANSI_QUOTES |
                SQL_MODE_IGNORE_SPACE | SQL_MODE_ONLY_FULL_GROUP_BY;
    }
    if ((bits & SQL_MODE_TRADITIONAL) != 0) {
        bits |= SQL_MODE_STRICT_TRANS_TABLES | SQL_MODE_STRICT_ALL_TABLES |
                SQL_MODE_NO_ZERO_IN_DATE | SQL_MODE_NO_ZERO_DATE |
                SQL_MODE_ERROR_FOR_DIVISION_BY_ZERO | SQL_MODE_NO_ENGINE_SUBSTITUTION;
    }
    return bits;
}

static const struct {
    const char *name;
    uint64_t bit;
} g_modes[] = {
    {"REAL_AS_FLOAT", SQL_MODE_REAL_AS_FLOAT},
    {"PIPES_AS_CONCAT", SQL_MODE_PIPES_AS_CONCAT},
    {"ANSI_QUOTES", SQL_MODE_ANSI_QUOTES},
    {"IGNORE_SPACE", SQL_MODE_IGNORE_SPACE},
    {"ONLY_FULL_GROUP_BY", SQL_MODE_ONLY_FULL_GROUP_BY},
    {"NO_UNSIGNED_SUBTRACTION", SQL_MODE_NO_UNSIGNED_SUBTRACTION},
    {"NO_DIR_IN_CREATE", SQL_MODE_NO_DIR_IN_CREATE},
    {"ANSI", SQL_MODE_ANSI},
    {"NO_AUTO_VALUE_ON_ZERO", SQL_MODE_NO_AUTO_VALUE_ON_ZERO},
    {"NO_BACKSLASH_ESCAPES", SQL_MODE_NO_BACKSLASH_ESCAPES},
    {"STRICT_TRANS_TABLES", SQL_MODE_STRICT_TRANS_TABLES},
    {"STRICT_ALL_TABLES", SQL_MODE_STRICT_ALL_TABLES},
    {"NO_ZERO_IN_DATE", SQL_MODE_NO_ZERO_IN_DATE},
    {"NO_ZERO_DATE", SQL_MODE_NO_ZERO_DATE},
    {"ALLOW_INVALID_DATES", SQL_MODE_ALLOW_INVALID_DATES},
    {"ERROR_FOR_DIVISION_BY_ZERO", SQL_MODE_ERROR_FOR_DIVISION_BY_ZERO},
    {"TRADITIONAL", SQL_MODE_TRADITIONAL},
    {"HIGH_NOT_PRECEDENCE", SQL_MODE_HIGH_NOT_PRECEDENCE},
    {"NO_ENGINE_SUBSTITUTION", SQL_MODE_NO_ENGINE_SUBSTITUTION},
    {"PAD_CHAR_TO_FULL_LENGTH", SQL_MODE_PAD_CHAR_TO_FULL_LENGTH},
    {"TIME_TRUNCATE_FRACTIONAL", SQL_MODE_TIME_TRUNCATE_FRACTIONAL},
};

static bool sql_mode_bits(struct slice text, uint64_t *ret, struct slice *ret_bad)
{
    uint64_t bits = 0;
    for (size_t at = 0; at < text.len;) {
        struct slice word = next_word(text, &at);
        bool found = word.len == 0;
        for (size_t i = 0; i < ARRAY_COUNT(g_modes) && !found; i++) {
            found = slice_eq_nocase(word, slice_str(g_modes[i].name));
            bits |= found ? g_modes[i].bit : 0;
        }
        if (!found) {
            *ret_bad = word;
            return false;
        }
    }
    *ret = widen_sql_mode(bits);
    return true;
}

/* The number of a set's members; of sql_mode some have no name. */
static unsigned member_count(enum sysvar_id id)
{
    enum { SQL_MODE_MEMBERS = 34 };
    const char *allowed = sysvar_defs[id].allowed;
    struct slice m;
    unsigned n = 0;
    while (next_member(&allowed, &m)) {
        n++;
    }
    return id == VAR_sql_mode ? SQL_MODE_MEMBERS : n;
}

static db_err to_set(enum sysvar_id id, const struct value *v, struct arena *arena,
                     struct diag *diag, int64_t *ret)
{
    uint64_t bits = v->u;
    const char *allowed = sysvar_defs[id].allowed;
    struct slice bad = SLICE_EMPTY;
    struct sysvar_value defaults;
    if (is_fraction(v)) {
        return wrong_type(id, diag);
    }
    if (v->phys != PHYS_STR) {
        if (v->phys != PHYS_INT || bits >> member_count(id) != 0) {
            return wrong_value(id, v, arena, diag);
        }
        *ret = (int64_t)(id == VAR_sql_mode ? widen_sql_mode(bits) : bits);
        return ERR_OK;
    }
    default_value(id, &defaults);
    bool ok = id == VAR_sql_mode ? sql_mode_bits(v->str, &bits, &bad)
              : sysvar_defs[id].type == SYSVAR_T_FLAGSET
                  ? flag_bits(allowed, v->str, (uint64_t)*ret, (uint64_t)defaults.i, &bits, &bad)
                  : set_bits(allowed, v->str, &bits, &bad);
    if (!ok) {
        struct value word = value_str(bad, COLL_UTF8MB3_GENERAL_CI);
        return wrong_value(id, &word, arena, diag);
    }
    *ret = (int64_t)bits;
    return ERR_OK;
}

db_err sysvar_convert(enum sysvar_id id, const struct value *from, struct arena *arena,
                      struct diag *diag, struct sysvar_value *ret, bool *ret_clipped)
{
    const struct sysvar_def *d = &sysvar_defs[id];
    struct sysvar_value v;
    bool clipped = false;
    default_value(id, &v);
    if (from != NULL) {
        if (from->is_null && d->type != SYSVAR_T_STR) {
            bool number = d->type == SYSVAR_T_INT || d->type == SYSVAR_T_DOUBLE;
            return number ? wrong_type(id, diag) : wrong_value(id, from, arena, diag);
        }
        v.is_null = from->is_null;
        v.i = d->type == SYSVAR_T_FLAGSET ? ret->i : v.i;
        switch (d->type) {
        case SYSVAR_T_BOOL: TRY(to_bool(id, from, arena, diag, &v.i)); break;
        case SYSVAR_T_INT: TRY(to_int(id, from, diag, &v.i, &clipped)); break;
        case SYSVAR_T_DOUBLE: {
            struct cast_ctx c;
            struct sql_type t = value_type(from);
            if (from->phys == PHYS_STR) {
                return wrong_type(id, diag);
            }
            cast_ctx_init(&c, arena, diag);
            TRY(value_to_double(&c, &t, from, &v.d));
            break;
        }
        case SYSVAR_T_STR:
            if (!from->is_null && from->phys != PHYS_STR) {
                return wrong_type(id, diag);
            }
            TRY(arena_copy(arena, from->is_null ? SLICE_LIT("") : from->str, &v.s));
            break;
        case SYSVAR_T_ENUM: TRY(to_enum(id, from, arena, diag, &v.i)); break;
        default: TRY(to_set(id, from, arena, diag, &v.i)); break;
        }
    }
    if (ret_clipped != NULL) {
        *ret_clipped = clipped;
    }
    *ret = v;
    return ERR_OK;
}

struct sql_type sysvar_type(enum sysvar_id id)
{
    switch (sysvar_defs[id].type) {
    case SYSVAR_T_BOOL: {
        struct sql_type t = type_int(TYPE_BIGINT, false);
        t.length = 1;
        t.flags |= TYPE_F_EXPR;
        return t;
    }
    case SYSVAR_T_INT: {
        struct sql_type t = type_int(TYPE_BIGINT, (int64_t)sysvar_defs[id].min >= 0);
        t.length = 21;
        t.flags |= TYPE_F_EXPR;
        return t;
    }
    case SYSVAR_T_DOUBLE: {
        struct sql_type t = type_double();
        t.length = 23;
        t.decimals = 6;
        t.flags |= TYPE_F_EXPR;
        return t;
    }
    default: {
        struct sql_type t = type_char(TYPE_VARCHAR, 21845, COLL_UTF8MB3_GENERAL_CI);
        t.flags |= TYPE_F_EXPR;
        return t;
    }
    }
}

static db_err set_text(enum sysvar_id id, uint64_t bits, struct arena *arena, struct slice *ret)
{
    struct buf b;
    buf_init(&b, 16384);
    db_err err = ERR_OK;
    bool flags = sysvar_defs[id].type == SYSVAR_T_FLAGSET;
    const char *allowed = sysvar_defs[id].allowed;
    struct slice m;
    if (id == VAR_sql_mode) {
        for (size_t i = 0; i < ARRAY_COUNT(g_modes) && err == ERR_OK; i++) {
            if ((bits & g_modes[i].bit) != 0) {
                err = buf_printf(&b, "%s%s", b.len == 0 ? "" : ",", g_modes[i].name);
            }
        }
    } else {
        for (int i = 0; next_member(&allowed, &m) && err == ERR_OK; i++) {
            bool on = (bits >> i & 1) != 0;
            if (flags) {
                err = buf_printf(&b, "%s%.*s=%s", b.len == 0 ? "" : ",", SLICE_FMT(m),
                                 on ? "on" : "off");
            } else if (on) {
                err = buf_printf(&b, "%s%.*s", b.len == 0 ? "" : ",", SLICE_FMT(m));
            }
        }
    }
    if (err == ERR_OK) {
        err = arena_copy(arena, buf_slice(&b), ret);
    }
    buf_fini(&b);
    return err;
}

db_err sysvar_to_text(enum sysvar_id id, const struct sysvar_value *v, struct arena *arena,
                      struct slice *ret)
{
    const struct sysvar_def *d = &sysvar_defs[id];
    const char *text = NULL;
    switch (d->type) {
    case SYSVAR_T_BOOL: *ret = v->i != 0 ? SLICE_LIT("ON") : SLICE_LIT("OFF"); return ERR_OK;
    case SYSVAR_T_INT:
        text = (int64_t)d->min < 0 ? arena_printf(arena, "%" PRId64, v->i)
                                   : arena_printf(arena, "%" PRIu64, (uint64_t)v->i);
        break;
    case SYSVAR_T_DOUBLE: text = arena_printf(arena, "%.6f", v->d); break;
    case SYSVAR_T_STR: *ret = v->s; return ERR_OK;
    case SYSVAR_T_ENUM: *ret = member_name(d->allowed, v->i); return ERR_OK;
    default: return set_text(id, (uint64_t)v->i, arena, ret);
    }
    if (text == NULL) {
        return ERR_NOMEM;
    }
    *ret = slice_str(text);
    return ERR_OK;
}

db_err sysvar_to_value(enum sysvar_id id, const struct sysvar_value *v, struct arena *arena,
                       struct value *ret)
{
    struct sql_type t = sysvar_type(id);
    if (v->is_null) {
        value_set_null(ret, &t);
        return ERR_OK;
    }
    switch (sysvar_defs[id].type) {
    case SYSVAR_T_BOOL: *ret = value_int(v->i); return ERR_OK;
    case SYSVAR_T_INT:
        *ret = type_is_unsigned(&t) ? value_uint((uint64_t)v->i) : value_int(v->i);
        return ERR_OK;
    case SYSVAR_T_DOUBLE: *ret = value_double(v->d); return ERR_OK;
    default: break;
    }
    struct slice text;
    TRY(sysvar_to_text(id, v, arena, &text));
    *ret = value_str(text, COLL_UTF8MB3_GENERAL_CI);
    return ERR_OK;
}
