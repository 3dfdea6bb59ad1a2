/* The registry of options and the parsing of their values. */
#include "node/main/config.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/slice.h"

enum { FLAG_ONLY = 1, SECRET = 2 };
enum option_type { TEXT, PATH, ADDRESS, SIZE, COUNT, SECONDS, SWITCH, CHOICE };

struct option_row {
    struct config_row shown;
    enum option_type type;
    unsigned flags;
    uint64_t min, max;
    size_t offset;
};

static const struct option_row g_rows[] = {
#define OPTION(id, type, def, min, max, flags, arg, help)                                          \
    {{#id, def, arg, help, type == SWITCH}, type, flags, min, max, offsetof(struct config, id)},
#include "node/main/config.def"
#undef OPTION
};
_Static_assert(ARRAY_COUNT(g_rows) == CONFIG__COUNT, "one row each");

const struct config_row *config_row(enum config_id id)
{
    return &g_rows[id].shown;
}

bool config_is_secret(enum config_id id)
{
    return (g_rows[id].flags & SECRET) != 0;
}

static bool same_name(const char *a, const char *b)
{
    for (; *a != '\0' && *b != '\0'; a++, b++) {
        char x = *a == '-' ? '_' : *a;
        char y = *b == '-' ? '_' : *b;
        if (x != y) {
            return false;
        }
    }
    return *a == *b;
}

db_err config_find(const char *name, enum config_id *ret_id)
{
    for (unsigned i = 0; i < CONFIG__COUNT; i++) {
        if (same_name(name, g_rows[i].shown.name)) {
            *ret_id = (enum config_id)i;
            return ERR_OK;
        }
    }
    return ERR_NOT_FOUND;
}

/* ---- values ---- */

/* Digits up to *ret_rest; at least one. */
static db_err parse_number(const char *text, const char **ret_rest, uint64_t *ret_number)
{
    if (!isdigit((unsigned char)text[0])) {
        return ERR_INVALID;
    }
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (errno != 0) {
        return ERR_INVALID;
    }
    *ret_rest = end;
    *ret_number = n;
    return ERR_OK;
}

static db_err scaled(uint64_t n, uint64_t unit, uint64_t *ret_product)
{
    return __builtin_mul_overflow(n, unit, ret_product) ? ERR_INVALID : ERR_OK;
}

db_err config_parse_size(const char *text, uint64_t *ret_size)
{
    static const char units[] = "KMGT";
    const char *rest;
    uint64_t n;
    TRY(parse_number(text, &rest, &n));
    const char *unit = *rest == '\0' ? NULL : strchr(units, toupper((unsigned char)*rest));
    uint64_t factor = 1;
    if (unit != NULL) {
        factor = 1ull << (10 * (unit - units + 1));
        rest++;
        rest += strcasecmp(rest, "ib") == 0 ? 2 : 0;
    }
    rest += toupper((unsigned char)*rest) == 'B' ? 1 : 0;
    return *rest != '\0' ? ERR_INVALID : scaled(n, factor, ret_size);
}

static db_err parse_seconds(const char *text, uint64_t *ret_seconds)
{
    const char *rest;
    uint64_t n;
    TRY(parse_number(text, &rest, &n));
    uint64_t unit;
    switch (*rest) {
    case '\0': return scaled(n, 1, ret_seconds);
    case 's': unit = 1; break;
    case 'm': unit = 60; break;
    case 'h': unit = 3600; break;
    case 'd': unit = 86400; break;
    default: return ERR_INVALID;
    }
    return rest[1] != '\0' ? ERR_INVALID : scaled(n, unit, ret_seconds);
}

static db_err set_host(struct config_address *a, const char *host, size_t len)
{
    if (len == 0 || len >= sizeof(a->host)) {
        return ERR_INVALID;
    }
    struct slice s = slice_of(host, len);
    if (slice_eq_nocase(s, SLICE_LIT("localhost"))) {
        s = SLICE_LIT("127.0.0.1");
    } else if (slice_eq(s, SLICE_LIT("*"))) {
        s = SLICE_LIT("0.0.0.0");
    }
    memcpy(a->host, s.ptr, s.len);
    a->host[s.len] = '\0';
    return ERR_OK;
}

static db_err set_port(struct config_address *a, const char *text)
{
    const char *rest;
    uint64_t n;
    TRY(parse_number(text, &rest, &n));
    if (*rest != '\0' || n > UINT16_MAX) {
        return ERR_INVALID;
    }
    a->port = (uint16_t)n;
    return ERR_OK;
}

db_err config_parse_address(const char *text, struct config_address *inout_address)
{
    struct config_address a = *inout_address;
    const char *colon = strrchr(text, ':');
    if (text[0] == '[') {
        const char *close = strchr(text, ']');
        if (close == NULL || (close[1] != '\0' && close[1] != ':')) {
            return ERR_INVALID;
        }
        TRY(set_host(&a, text + 1, (size_t)(close - text - 1)));
        if (close[1] == ':') {
            TRY(set_port(&a, close + 2));
        }
    } else if (colon == NULL) {
        bool digits = text[0] != '\0' && strspn(text, "0123456789") == strlen(text);
        TRY(digits ? set_port(&a, text) : set_host(&a, text, strlen(text)));
    } else if (strchr(text, ':') != colon) {
        TRY(set_host(&a, text, strlen(text))); /* a bare IPv6 address */
    } else {
        TRY(set_host(&a, text, (size_t)(colon - text)));
        TRY(set_port(&a, colon + 1));
    }
    *inout_address = a;
    return ERR_OK;
}

static db_err parse_switch(const char *text, bool *ret_on)
{
    static const char *const words[] = {"off", "on", "0", "1", "false", "true", "no", "yes"};
    for (unsigned i = 0; i < ARRAY_COUNT(words); i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *ret_on = (i & 1) != 0;
            return ERR_OK;
        }
    }
    return ERR_INVALID;
}

static db_err parse_choice(const char *text, const char *words, unsigned *ret_index)
{
    size_t len = strlen(text);
    for (unsigned i = 0;; i++) {
        size_t n = strcspn(words, "|");
        if (n == len && strncasecmp(words, text, n) == 0) {
            *ret_index = i;
            return ERR_OK;
        }
        if (words[n] == '\0') {
            return ERR_INVALID;
        }
        words += n + 1;
    }
}

static db_err set_text(char **slot, const char *text)
{
    char *copy = mem_strdup(text);
    if (copy == NULL) {
        return ERR_NOMEM;
    }
    mem_free(*slot);
    *slot = copy;
    return ERR_OK;
}

/* 0 always stands for "choose for me" where it is the default. */
static bool in_bounds(const struct option_row *r, uint64_t n)
{
    return (n >= r->min && n <= r->max) || (n == 0 && strcmp(r->shown.default_text, "0") == 0);
}

static db_err assign(struct config *c, const struct option_row *r, const char *text)
{
    void *slot = (char *)c + r->offset;
    uint64_t n = 0;
    switch (r->type) {
    case TEXT:
    case PATH: return set_text(slot, text);
    case ADDRESS: return config_parse_address(text, slot);
    case SWITCH: return parse_switch(text, slot);
    case CHOICE: return parse_choice(text, r->shown.arg, slot);
    case SIZE: TRY(config_parse_size(text, &n)); break;
    case SECONDS: TRY(parse_seconds(text, &n)); break;
    case COUNT:
    default: {
        const char *rest;
        TRY(parse_number(text, &rest, &n));
        if (*rest != '\0') {
            return ERR_INVALID;
        }
    }
    }
    if (!in_bounds(r, n)) {
        return ERR_LIMIT;
    }
    *(uint64_t *)slot = n;
    return ERR_OK;
}

static db_err complain(const struct option_row *r, const char *text, db_err err, struct diag *diag)
{
    static const char *const wanted[] = {
        [TEXT] = "text",         [PATH] = "a file name",
        [ADDRESS] = "HOST:PORT", [SIZE] = "a size such as 512M",
        [COUNT] = "a number",    [SECONDS] = "a time such as 90s or 10m",
        [SWITCH] = "on or off",  [CHOICE] = "one of the choices",
    };
    if (err == ERR_NOMEM) {
        return diag_set(diag, err, "out of memory");
    }
    if (err == ERR_LIMIT) {
        return diag_set(diag, ERR_INVALID, "option '%s': '%s' is not between %llu and %llu",
                        r->shown.name, text, (unsigned long long)r->min,
                        (unsigned long long)r->max);
    }
    const char *shown = (r->flags & SECRET) != 0 ? "the value" : text;
    const char *what = r->type == CHOICE ? r->shown.arg : wanted[r->type];
    return diag_set(diag, ERR_INVALID, "option '%s': '%s' is not %s", r->shown.name, shown, what);
}

db_err config_set(struct config *c, enum config_id id, const char *text, enum config_source source,
                  struct diag *diag)
{
    ASSERT(id < CONFIG__COUNT);
    const struct option_row *r = &g_rows[id];
    if (source == CONFIG_FROM_FILE && (r->flags & FLAG_ONLY) != 0) {
        return diag_set(diag, ERR_INVALID, "option '%s' cannot be given in a file", r->shown.name);
    }
    struct config checked = {0};
    bool keep = source >= c->source[id];
    db_err err = assign(keep ? c : &checked, r, text);
    if (!keep) { /* only looked at: a mistake in the file is told although a flag wins */
        config_fini(&checked);
    }
    if (err != ERR_OK) {
        return complain(r, text, err, diag);
    }
    if (keep) {
        c->source[id] = source;
    }
    return ERR_OK;
}

db_err config_init(struct config *c)
{
    memset(c, 0, sizeof(*c));
    for (unsigned i = 0; i < CONFIG__COUNT; i++) {
        TRY(assign(c, &g_rows[i], g_rows[i].shown.default_text));
    }
    return ERR_OK;
}

void config_fini(struct config *c)
{
    for (unsigned i = 0; i < CONFIG__COUNT; i++) {
        if (g_rows[i].type == TEXT || g_rows[i].type == PATH) {
            char **slot = (char **)(void *)((char *)c + g_rows[i].offset);
            mem_free(*slot);
            *slot = NULL;
        }
    }
}
