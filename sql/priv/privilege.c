#include "sql/priv/privilege.h"

#include <assert.h>

enum {
    G = PRIV_LEVEL_GLOBAL,
    D = PRIV_LEVEL_DB,
    T = PRIV_LEVEL_TABLE,
    C = PRIV_LEVEL_COLUMN,
    R = PRIV_LEVEL_ROUTINE
};

const struct priv_def priv_defs[PRIV_COUNT] = {
#define PRIVILEGE(symbol, words, column, member, levels) {words, column, member, levels},
#define DYNAMIC(name)
#include "sql/priv/privileges.def"
#undef PRIVILEGE
#undef DYNAMIC
};

const char *const dyn_names[DYN_COUNT] = {
#define PRIVILEGE(symbol, words, column, member, levels)
#define DYNAMIC(name) #name,
#include "sql/priv/privileges.def"
#undef PRIVILEGE
#undef DYNAMIC
};

static_assert(PRIV_COUNT <= 31, "a mask has 32 bits, an enumerator 31");
static_assert(DYN_COUNT <= 64, "a mask has 64 bits");

priv_t priv_all(enum priv_level level, bool with_grant_option)
{
    priv_t all = 0;
    for (int i = 0; i < PRIV_COUNT; i++) {
        all |= (priv_defs[i].levels & level) != 0 ? (priv_t)1 << i : 0;
    }
    return with_grant_option ? all : all & ~(priv_t)PRIV_GRANT;
}

priv_t priv_by_words(struct slice words, bool *ret_usage)
{
    *ret_usage = slice_eq_nocase(words, SLICE_LIT("USAGE"));
    for (int i = 0; i < PRIV_COUNT; i++) {
        if (slice_eq_nocase(words, slice_str(priv_defs[i].words))) {
            return (priv_t)1 << i;
        }
    }
    return 0;
}

int dyn_by_name(struct slice name)
{
    for (int i = 0; i < DYN_COUNT; i++) {
        if (slice_eq_nocase(name, slice_str(dyn_names[i]))) {
            return i;
        }
    }
    return -1;
}

const char *priv_text(struct arena *a, priv_t mask)
{
    const char *text = "";
    for (int i = 0; i < PRIV_COUNT && text != NULL; i++) {
        if ((mask & (priv_t)1 << i) != 0) {
            const char *words = i == PRIV_N_GRANT ? "GRANT" : priv_defs[i].words;
            text = *text == '\0' ? words : arena_printf(a, "%s, %s", text, words);
        }
    }
    return text == NULL ? "?" : text;
}
