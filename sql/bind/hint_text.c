#include "sql/bind/hint_text.h"

#include <inttypes.h>

#include "base/assert.h"
#include "base/buf.h"

enum { TEXT_MAX = 512 };

static void say(const struct hint_env *env, enum my_errno number, ...)
{
    struct diag d;
    va_list args;
    if (env->tell == NULL && env->warnings == NULL) {
        return;
    }
    va_start(args, number);
    my_verror_as(&d, number, number, args);
    va_end(args);
    if (env->tell != NULL) {
        env->tell(env->arg, number, d.text);
    } else {
        diag_area_add(env->warnings, DIAG_WARNING, &d);
    }
}

/* A message as it grows; what does not fit is left out. */
struct text {
    uint8_t space[TEXT_MAX];
    struct buf buf;
    bool full;
    char quote;
};

static void begin(struct text *t, const struct hint_env *env)
{
    buf_init_in(&t->buf, t->space, sizeof(t->space), TEXT_MAX - 1);
    t->full = false;
    t->quote = env->ansi_quotes ? '"' : '`';
}

static void put(struct text *t, const char *s)
{
    t->full = t->full || buf_append_slice(&t->buf, slice_str(s)) != ERR_OK;
}

static void put_name(struct text *t, const char *before, struct slice name)
{
    if (name.ptr != NULL) {
        put(t, before);
        t->full = t->full || buf_append_quoted(&t->buf, name, t->quote) != ERR_OK;
    }
}

static const char *ended(struct text *t)
{
    t->space[t->buf.len] = '\0';
    return (const char *)t->space;
}

const char *hint_strategy_name(uint32_t bit)
{
    static const char *const names[] = {"DUPSWEEDOUT", "FIRSTMATCH", "LOOSESCAN", "MATERIALIZATION",
                                        "INTOEXISTS"};
    ASSERT(bit < ARRAY_COUNT(names));
    return names[bit];
}

static void put_strategies(struct text *t, uint32_t strategies)
{
    const char *before = " ";
    for (uint32_t i = 0; strategies >> i != 0; i++) {
        if ((strategies >> i & 1) != 0) {
            put(t, before);
            put(t, hint_strategy_name(i));
            before = ", ";
        }
    }
}

static void put_tables(struct text *t, const struct ast_hint *h)
{
    for (uint32_t i = 0; i < h->tables.count; i++) {
        put_name(t, i > 0 ? "," : "", h->tables.items[i]->name);
        put_name(t, "@", h->tables.items[i]->block);
    }
}

/* What follows the place, after a blank. */
static void put_arguments(struct text *t, const struct hint_place *at)
{
    const struct ast_hint *h = at->hint;
    switch (ast_hint_class_of(h->kind)) {
    case HINT_CLASS_STRATEGIES: put_strategies(t, h->strategies); break;
    case HINT_CLASS_TABLES: put_tables(t, h); break;
    case HINT_CLASS_INDEX:
        for (uint32_t i = 0; at->index.ptr == NULL && i < h->indexes.count; i++) {
            put_name(t, i > 0 ? ", " : " ", h->indexes.items[i]->name);
        }
        break;
    case HINT_CLASS_STATEMENT:
    case HINT_CLASS_BLOCK:
    case HINT_CLASS_TABLE: break;
    }
}

static void put_hint(struct text *t, const struct hint_place *at)
{
    const struct ast_hint *h = at->hint;
    put(t, ast_hint_name(h->kind, h->off));
    put(t, "(");
    if (h->kind == HINT_QB_NAME) {
        put_name(t, "", h->name);
    } else if (h->kind == HINT_MAX_EXECUTION_TIME) {
        t->full = t->full || buf_printf(&t->buf, "%" PRIu64, h->number) != ERR_OK;
    } else if (h->kind == HINT_SET_VAR) {
        t->full = t->full || buf_append_slice(&t->buf, h->name) != ERR_OK;
        if (h->value_kind == HINT_VALUE_NUMBER) {
            t->full = t->full || buf_printf(&t->buf, "=%" PRIu64, h->number) != ERR_OK;
        } else if (h->value_kind == HINT_VALUE_DECIMAL) {
            t->full = t->full || buf_printf(&t->buf, "=%.*s", SLICE_FMT(h->value)) != ERR_OK;
        } else {
            t->full = t->full || buf_printf(&t->buf, "='%.*s'", SLICE_FMT(h->value)) != ERR_OK;
        }
    } else {
        bool of_table = at->table != NULL && (at->table->block.ptr != NULL ||
                                              ast_hint_class_of(h->kind) == HINT_CLASS_TABLE);
        struct slice block = of_table ? at->table->block : h->block;
        put_name(t, "", at->table != NULL ? at->table->name : SLICE_EMPTY);
        put_name(t, "@", block);
        put_name(t, " ", at->index);
        put(t, " ");
        put_arguments(t, at);
    }
    put(t, h->kind == HINT_SET_VAR ? ") " : ")");
}

void hint_warn(const struct hint_env *env, enum my_errno number, const struct hint_place *at)
{
    struct text t;
    begin(&t, env);
    put_hint(&t, at);
    say(env, number, ended(&t));
}

void hint_warn_block(const struct hint_env *env, const struct ast_hint *hint, struct slice block)
{
    struct text t;
    begin(&t, env);
    put_name(&t, "", block);
    say(env, ER_WARN_UNKNOWN_QB_NAME, ended(&t), ast_hint_name(hint->kind, hint->off));
}

void hint_warn_unresolved(const struct hint_env *env, const struct ast_hint *hint,
                          const struct hint_block *block, struct slice table, struct slice index)
{
    struct text t;
    begin(&t, env);
    put_name(&t, "", table);
    if (block != NULL && block->name.ptr != NULL) {
        put_name(&t, "@", block->name);
    } else if (block != NULL) {
        char name[32];
        snprintf(name, sizeof(name), "select#%" PRIu32, block->number);
        put_name(&t, "@", slice_str(name));
    }
    put_name(&t, " ", index);
    say(env, ER_UNRESOLVED_HINT_NAME, ended(&t), ast_hint_name(hint->kind, hint->off));
}
