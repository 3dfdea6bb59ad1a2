/* System variables: definitions, the global values, a session's own.
 *
 * Global values are one immutable array, replaced by SET GLOBAL; a session keeps the array of its
 * start and its own changes on top. Reading needs no lock. */
#ifndef SKEIN_SQL_SESSION_SYSVAR_H
#define SKEIN_SQL_SESSION_SYSVAR_H

#include "base/alloc.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/diag.h"
#include "sql/types/type.h"
#include "sql/types/value.h"

enum sysvar_scope { SYSVAR_GLOBAL = 1, SYSVAR_SESSION = 2, SYSVAR_BOTH = 3 };
enum sysvar_type {
    SYSVAR_T_BOOL,
    SYSVAR_T_INT,
    SYSVAR_T_DOUBLE,
    SYSVAR_T_STR,
    SYSVAR_T_ENUM,
    SYSVAR_T_SET,
    SYSVAR_T_FLAGSET
};
enum sysvar_flags {
    SYSVAR_DYNAMIC = 1,
    SYSVAR_ACTS = 2,
    SYSVAR_HIDDEN = 4,
    SYSVAR_ADMIN = 8,
    SYSVAR_OPERATOR = 16,
    SYSVAR_APPLIER = 32,
    SYSVAR_NODE = 64,
    SYSVAR_NOPERSIST = 128,
    SYSVAR_HINT = 256,
    SYSVAR_LOGGED = 512
};

enum sysvar_id {
#define SYSVAR(name, scope, type, def, min, max, allowed, flags) VAR_##name,
#include "sql/session/sysvars.def"
#undef SYSVAR
    VAR__COUNT
};

struct sysvar_def {
    const char *name;
    uint8_t scope, type;
    uint16_t flags;
    const char *default_text;
    uint64_t min, max;   /* INT; min as int64 when negative */
    const char *allowed; /* "A|B|C" */
};

/* BOOL, INT, ENUM (index), SET (bits): i. */
struct sysvar_value {
    bool is_null;
    union {
        int64_t i;
        double d;
        struct slice s;
    };
};

struct sysvar_globals {
    _Atomic uint32_t refs;
    struct arena arena; /* text of this generation and of those before it */
    struct sysvar_value values[VAR__COUNT];
};

extern const struct sysvar_def sysvar_defs[VAR__COUNT];

/* VAR__COUNT: unknown. */
enum sysvar_id sysvar_find(struct slice name);
/* Defaults; one reference. */
MUST_USE db_err sysvar_globals_new(struct sysvar_globals **ret);
MUST_USE db_err sysvar_globals_copy(const struct sysvar_globals *from, struct sysvar_globals **ret);
void sysvar_globals_ref(struct sysvar_globals *g);
void sysvar_globals_unref(struct sysvar_globals *g);

/* Checks and converts a value for a variable: 1231, 1232; out of range integers are clipped with
 * warning 1292. Text goes to the arena. from NULL: DEFAULT. clipped may be NULL. *ret is what the
 * variable has: flags that are not named stay. */
MUST_USE db_err sysvar_convert(enum sysvar_id id, const struct value *from, struct arena *arena,
                               struct diag *diag, struct sysvar_value *ret, bool *ret_clipped);
/* As SELECT @@x gives it (BOOL as 0/1, ENUM and SET as text). */
struct sql_type sysvar_type(enum sysvar_id id);
MUST_USE db_err sysvar_to_value(enum sysvar_id id, const struct sysvar_value *v,
                                struct arena *arena, struct value *ret);
/* As SHOW VARIABLES prints it (BOOL as ON/OFF). */
MUST_USE db_err sysvar_to_text(enum sysvar_id id, const struct sysvar_value *v, struct arena *arena,
                               struct slice *ret);

#endif
