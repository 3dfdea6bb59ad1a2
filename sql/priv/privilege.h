/* The registry of privileges: masks, names, the level at which each can be granted. */
#ifndef SKEIN_SQL_PRIV_PRIVILEGE_H
#define SKEIN_SQL_PRIV_PRIVILEGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/slice.h"

typedef uint32_t priv_t;     /* static ones */
typedef uint64_t priv_dyn_t; /* dynamic ones */

enum priv_number {
#define PRIVILEGE(symbol, words, column, member, levels) PRIV_N_##symbol,
#define DYNAMIC(name)
#include "sql/priv/privileges.def"
#undef PRIVILEGE
#undef DYNAMIC
    PRIV_COUNT
};

enum priv_bits {
#define PRIVILEGE(symbol, words, column, member, levels) PRIV_##symbol = 1 << PRIV_N_##symbol,
#define DYNAMIC(name)
#include "sql/priv/privileges.def"
#undef PRIVILEGE
#undef DYNAMIC
};

enum dyn_number {
#define PRIVILEGE(symbol, words, column, member, levels)
#define DYNAMIC(name) DYN_##name,
#include "sql/priv/privileges.def"
#undef PRIVILEGE
#undef DYNAMIC
    DYN_COUNT
};

enum priv_level {
    PRIV_LEVEL_GLOBAL = 1,
    PRIV_LEVEL_DB = 2,
    PRIV_LEVEL_TABLE = 4,
    PRIV_LEVEL_COLUMN = 8,
    PRIV_LEVEL_ROUTINE = 16,
};

struct priv_def {
    const char *words;  /* "SELECT", "GRANT OPTION" */
    const char *column; /* of mysql.user, without "_priv" */
    const char *member; /* of mysql.tables_priv.Table_priv, procs_priv.Proc_priv; "" */
    unsigned levels;    /* enum priv_level */
};
extern const struct priv_def priv_defs[PRIV_COUNT];
extern const char *const dyn_names[DYN_COUNT];

#define DYN_BIT(name) ((priv_dyn_t)1 << DYN_##name)
#define DYN_ALL       (((priv_dyn_t)1 << (DYN_COUNT - 1) << 1) - 1)

/* All that can be granted at a level; GRANT OPTION only when asked for. */
priv_t priv_all(enum priv_level level, bool with_grant_option);
/* As GRANT writes it (words joined by one blank, any case); 0: there is none. USAGE gives 0 with
 * *ret_usage. */
priv_t priv_by_words(struct slice words, bool *ret_usage);
/* -1: there is none. */
int dyn_by_name(struct slice name);
/* "SELECT, INSERT": MySQL's text of a mask in its messages (GRANT OPTION is "GRANT" there). In the
 * arena; "?" without memory. */
const char *priv_text(struct arena *a, priv_t mask);

#endif
