/* What UPDATE and DELETE want of the rows that they change.
 *
 * All that is stored, as rows are written whole. Not a view's computed columns, which nobody reads.
 * MYSQL: a VIRTUAL column is computed when the statement reads it, an index has it, or what is
 * assigned changes it or is checked against it. Another one stays NULL in the rows: that its
 * expression is an error in one of them (1365, 1292) is nobody's business. */
#include "sql/bind/table_rules.h"
#include "sql/opt/opt_int.h"

static bool is_indexed(const struct table_def *t, uint32_t column)
{
    for (uint32_t i = 0; i < t->index_count; i++) {
        for (uint32_t p = 0; p < t->indexes[i].part_count; p++) {
            if (t->indexes[i].parts[p].column == column) {
                return true;
            }
        }
    }
    return false;
}

/* May it stay NULL as far as the table goes? */
static bool may_idle(const struct table_def *t, uint32_t column)
{
    const struct column_def *c = &t->columns[column];
    return c->generated == GENERATED_VIRTUAL && (c->type.flags & TYPE_F_NOT_NULL) == 0 &&
           !is_indexed(t, column);
}

/* Takes those away that the assignments change, or their rules read. */
static db_err leave_assigned(struct optimizer *o, uint32_t target, bool *io_idle)
{
    const struct bound_stmt *s = o->stmt;
    const struct table_def *t = s->targets[target].def;
    struct table_rules *rules;
    bool *changed = OPT_ARRAY(o, bool, t->column_count);
    if (changed == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < s->assign_count; i++) {
        if (s->assigns[i].table == target) {
            changed[s->assigns[i].column] = true;
        }
    }
    for (uint32_t i = 0; i < t->column_count; i++) {
        changed[i] = changed[i] || t->columns[i].on_update_now;
    }
    TRY(bind_table_rules(o->arena, o->opts->bind, t, RULES_NO_DEFAULTS, o->diag, &rules));
    if (rules != NULL) {
        rules = table_rules_affected(rules, t, changed);
    }
    for (uint32_t i = 0; i < t->column_count; i++) {
        io_idle[i] = io_idle[i] && !changed[i] && (rules == NULL || !rules->reads[i]);
    }
    return ERR_OK;
}

/* Is a DEFAULT assigned that reads what the row has? */
static bool computes_default(const struct bound_stmt *s, uint32_t target)
{
    const struct table_def *t = s->targets[target].def;
    for (uint32_t i = 0; i < s->assign_count; i++) {
        if (s->assigns[i].table == target && s->assigns[i].expr->kind == BEXPR_DEFAULT &&
            t->columns[s->assigns[i].column].default_kind == DEFAULT_EXPR) {
            return true;
        }
    }
    return false;
}

static db_err target_wants(struct optimizer *o, uint32_t target, struct col_set *wanted,
                           struct col_set *idle)
{
    const struct bound_target *bt = &o->stmt->targets[target];
    const struct table_def *t = bt->def;
    bool *idles = OPT_ARRAY(o, bool, t->column_count);
    bool any = false;
    bool computes = computes_default(o->stmt, target);
    if (idles == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < t->column_count; i++) {
        idles[i] = may_idle(t, i);
        any = any || idles[i];
    }
    if (any && !computes && o->stmt->kind == BOUND_UPDATE) {
        TRY(leave_assigned(o, target, idles));
    }
    for (uint32_t i = 0; i < t->column_count; i++) {
        TRY(opt__set_add(o, idles[i] && !computes ? idle : wanted, bt->columns[i]));
    }
    return ERR_OK;
}

bool opt__change_is_plain(const struct optimizer *o)
{
    const struct bound_stmt *s = o->stmt;
    bool plain = s->kind == BOUND_UPDATE || s->kind == BOUND_DELETE;
    for (uint32_t i = 0; i < s->target_count && plain; i++) {
        plain = s->targets[i].view_check_count == 0 && s->targets[i].joined_count == 0;
    }
    return plain;
}

db_err opt__change_wants(struct optimizer *o, struct col_set *wanted, struct col_set *idle)
{
    const struct bound_stmt *s = o->stmt;
    for (uint32_t i = 0; i < s->target_count; i++) {
        TRY(target_wants(o, i, wanted, idle));
    }
    for (uint32_t i = 0; i < s->assign_count; i++) {
        TRY(opt__set_add_expr(o, wanted, s->assigns[i].expr));
    }
    return ERR_OK;
}
