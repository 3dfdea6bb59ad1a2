/* GET DIAGNOSTICS, SIGNAL and RESIGNAL outside of stored programs, where no handler can be active.
 */
#include <stdio.h>

#include "sql/charset/charset.h"
#include "sql/parser/ast_admin.h"
#include "sql/session/session_int.h"

static const char *const g_item_names[] = {
    [AST_DIAG_NUMBER] = "NUMBER",
    [AST_DIAG_ROW_COUNT] = "ROW_COUNT",
    [AST_DIAG_CLASS_ORIGIN] = "CLASS_ORIGIN",
    [AST_DIAG_SUBCLASS_ORIGIN] = "SUBCLASS_ORIGIN",
    [AST_DIAG_CONSTRAINT_CATALOG] = "CONSTRAINT_CATALOG",
    [AST_DIAG_CONSTRAINT_SCHEMA] = "CONSTRAINT_SCHEMA",
    [AST_DIAG_CONSTRAINT_NAME] = "CONSTRAINT_NAME",
    [AST_DIAG_CATALOG_NAME] = "CATALOG_NAME",
    [AST_DIAG_SCHEMA_NAME] = "SCHEMA_NAME",
    [AST_DIAG_TABLE_NAME] = "TABLE_NAME",
    [AST_DIAG_COLUMN_NAME] = "COLUMN_NAME",
    [AST_DIAG_CURSOR_NAME] = "CURSOR_NAME",
    [AST_DIAG_MESSAGE_TEXT] = "MESSAGE_TEXT",
    [AST_DIAG_MYSQL_ERRNO] = "MYSQL_ERRNO",
    [AST_DIAG_RETURNED_SQLSTATE] = "RETURNED_SQLSTATE",
};
_Static_assert(AST_DIAG_MESSAGE_TEXT - AST_DIAG_CLASS_ORIGIN == DIAG_ITEM_COUNT,
               "the area keeps the items that are names");

static struct value text_value(struct slice s)
{
    return value_str(s, COLL_UTF8MB3_GENERAL_CI);
}

/* MYSQL: classes and subclasses that begin with 0-4 or A-H are the standard's. */
static bool is_standard(char c)
{
    return (c >= '0' && c <= '4') || (c >= 'A' && c <= 'H');
}

static struct slice origin(const char *sqlstate, bool subclass)
{
    bool ours = !is_standard(sqlstate[0]) || (subclass && !is_standard(sqlstate[2]));
    return ours ? SLICE_LIT("MySQL") : SLICE_LIT("ISO 9075");
}

static struct value condition_item(const struct diag_condition *c, enum ast_diag_item_kind item)
{
    switch ((int)item) {
    case AST_DIAG_MESSAGE_TEXT: return text_value(c->text);
    case AST_DIAG_MYSQL_ERRNO: return value_uint(c->number);
    case AST_DIAG_RETURNED_SQLSTATE: return text_value(slice_str(c->sqlstate));
    default: break;
    }
    if (c->items != NULL && c->items[item - AST_DIAG_CLASS_ORIGIN].ptr != NULL) {
        return text_value(c->items[item - AST_DIAG_CLASS_ORIGIN]);
    }
    switch ((int)item) {
    case AST_DIAG_CLASS_ORIGIN: return text_value(origin(c->sqlstate, false));
    case AST_DIAG_SUBCLASS_ORIGIN: return text_value(origin(c->sqlstate, true));
    default: return text_value(SLICE_LIT(""));
    }
}

static db_err check_targets(struct sql_session *s, const struct ast_get_diagnostics *g)
{
    for (uint32_t i = 0; i < g->items.count; i++) {
        const struct ast_expr *target = g->items.items[i]->target;
        if (target->kind != AST_EXPR_USER_VAR) {
            return my_error(
                &s->diag, ER_SP_UNDECLARED_VAR,
                arena_strdup(&s->stmt_arena, ((const struct ast_column *)target)->name));
        }
    }
    return ERR_OK;
}

/* The condition asked for. MYSQL: one that is not there is an error in the area, not of the
 * statement; *ret is then NULL. */
static db_err find_condition(struct sql_session *s, const struct ast_expr *number,
                             const struct diag_condition **ret)
{
    struct value v;
    *ret = NULL;
    TRY(query__eval(s, number, &v));
    if (!v.is_null && v.phys == PHYS_INT && v.i >= 1 && (uint64_t)v.i <= s->conditions.count) {
        *ret = &s->conditions.conditions[v.i - 1];
        return ERR_OK;
    }
    struct diag d;
    diag_reset(&d);
    (void)my_error(&d, ER_DA_INVALID_CONDITION_NUMBER);
    diag_area_add(&s->conditions, DIAG_ERROR, &d);
    return ERR_OK;
}

db_err diag__get(struct statement *st, const struct ast_get_diagnostics *g)
{
    struct sql_session *s = st->session;
    const struct diag_condition *c = NULL;
    int64_t row_count = s->row_count;
    uint32_t count = s->conditions.count;
    uint64_t total = s->conditions.total;
    if (g->stacked) {
        return my_error(&s->diag, ER_GET_STACKED_DA_WITHOUT_ACTIVE_HANDLER);
    }
    TRY(check_targets(s, g));
    if (g->condition != NULL) {
        TRY(find_condition(s, g->condition, &c));
    }
    for (uint32_t i = 0; i < g->items.count; i++) {
        const struct ast_diag_item *item = g->items.items[i];
        struct value v;
        if (g->condition != NULL && c == NULL) {
            break;
        }
        if (item->item == AST_DIAG_NUMBER) {
            v = value_uint(count);
        } else if (item->item == AST_DIAG_ROW_COUNT) {
            v = value_int(row_count);
        } else {
            v = condition_item(c, item->item);
        }
        TRY(vars__user_set(s, ((const struct ast_user_var *)item->target)->name, &v));
    }
    /* MYSQL: announces what itself has added, not the conditions that it reads. */
    uint64_t all = s->conditions.total;
    s->conditions.total = all - total;
    db_err err = session__ok(st, 0, SLICE_EMPTY);
    s->conditions.total = all;
    s->row_count = row_count;
    return err;
}

/* ---- SIGNAL ---- */

static bool is_sqlstate(struct slice s)
{
    bool good = s.len == 5 && !(s.ptr[0] == '0' && s.ptr[1] == '0');
    for (size_t i = 0; i < s.len && good; i++) {
        good = (s.ptr[i] >= '0' && s.ptr[i] <= '9') || (s.ptr[i] >= 'A' && s.ptr[i] <= 'Z');
    }
    return good;
}

static db_err wrong_item(struct sql_session *s, enum ast_diag_item_kind item, const char *value)
{
    return my_error(&s->diag, ER_WRONG_VALUE_FOR_VAR, g_item_names[item], value);
}

static db_err item_text(struct sql_session *s, const struct ast_diag_item *item, struct slice *ret)
{
    struct value v;
    struct cast_ctx cast;
    TRY(query__eval(s, item->value, &v));
    if (v.is_null) {
        return wrong_item(s, item->item, "NULL");
    }
    struct sql_type t = value_type(&v);
    query__cast_ctx(s, &cast, false);
    return value_to_text(&cast, &t, &v, ret);
}

static db_err item_number(struct sql_session *s, const struct ast_diag_item *item, uint16_t *ret)
{
    struct slice text;
    bool is_unsigned;
    bool overflow;
    size_t used;
    TRY(item_text(s, item, &text));
    int64_t n = text_to_int(text, &is_unsigned, &used, &overflow);
    if (n < 1 || n > UINT16_MAX || overflow) {
        return wrong_item(s, item->item, arena_strdup(&s->stmt_arena, text));
    }
    *ret = (uint16_t)n;
    return ERR_OK;
}

struct signal {
    uint16_t number;
    struct slice text;
    struct slice *items; /* DIAG_ITEM_COUNT */
};

static db_err read_items(struct sql_session *s, const struct ast_diag_item_list *list,
                         struct signal *io)
{
    for (uint32_t i = 0; i < list->count; i++) {
        const struct ast_diag_item *item = list->items[i];
        for (uint32_t k = 0; k < i; k++) {
            if (list->items[k]->item == item->item) {
                return my_error(&s->diag, ER_DUP_SIGNAL_SET, g_item_names[item->item]);
            }
        }
        if (item->item == AST_DIAG_MYSQL_ERRNO) {
            TRY(item_number(s, item, &io->number));
        } else if (item->item == AST_DIAG_MESSAGE_TEXT) {
            TRY(item_text(s, item, &io->text));
        } else {
            TRY(item_text(s, item, &io->items[item->item - AST_DIAG_CLASS_ORIGIN]));
        }
    }
    return ERR_OK;
}

db_err diag__signal(struct statement *st, const struct ast_signal *g)
{
    struct sql_session *s = st->session;
    struct diag d;
    char sqlstate[6];
    if (g->condition.ptr != NULL) {
        return my_error(&s->diag, ER_SP_COND_MISMATCH, arena_strdup(&s->stmt_arena, g->condition));
    }
    if (g->sqlstate.ptr != NULL && !is_sqlstate(g->sqlstate)) {
        return my_error(&s->diag, ER_SP_BAD_SQLSTATE, arena_strdup(&s->stmt_arena, g->sqlstate));
    }
    if (g->resignal) {
        return my_error(&s->diag, ER_RESIGNAL_WITHOUT_ACTIVE_HANDLER);
    }
    memcpy(sqlstate, g->sqlstate.ptr, 5);
    sqlstate[5] = '\0';
    bool warning = memcmp(sqlstate, "01", 2) == 0;
    bool not_found = memcmp(sqlstate, "02", 2) == 0;
    struct signal sig = {.number = warning     ? ER_SIGNAL_WARN
                                   : not_found ? ER_SIGNAL_NOT_FOUND
                                               : ER_SIGNAL_EXCEPTION,
                         .text = warning ? SLICE_LIT("Unhandled user-defined warning condition")
                                 : not_found
                                     ? SLICE_LIT("Unhandled user-defined not found condition")
                                     : SLICE_LIT("Unhandled user-defined exception condition"),
                         .items = ARENA_ARRAY(&s->conditions.arena, struct slice, DIAG_ITEM_COUNT)};
    if (sig.items == NULL) {
        return ERR_NOMEM;
    }
    TRY(read_items(s, &g->items, &sig));
    for (int i = 0; i < DIAG_ITEM_COUNT; i++) {
        if (sig.items[i].ptr != NULL) {
            TRY(arena_copy(&s->conditions.arena, sig.items[i], &sig.items[i]));
        }
    }
    s->conditions.next_items = sig.items;
    if (!warning) {
        return diag_set_sql(&s->diag, sig.number, sqlstate, "%.*s", SLICE_FMT(sig.text));
    }
    diag_reset(&d);
    (void)diag_set_sql(&d, sig.number, sqlstate, "%.*s", SLICE_FMT(sig.text));
    diag_area_add(&s->conditions, DIAG_WARNING, &d);
    return session__ok(st, 0, SLICE_EMPTY);
}
