/* Constants beside dates and times.
 *
 * MYSQL: a constant beside a column is stored into that column first: a number beside dates or
 * times, text beside times. What the column takes as it is, rounded as it would be, is compared as
 * its value; of anything else the column's complaint is told, and the comparison is one of numbers,
 * or of text. Text beside dates is read as a date, whatever the other side is: what is none is an
 * error.
 *
 * A literal that was lifted out of the text is known here, too, but by it only this text's plan can
 * be made. Text beside dates alone is left to the execution (compare__refuse_later): all that it
 * changes is what is told. */
#include "sql/func/families.h"

#include <stdio.h>

#include "sql/diag/my_error.h"
#include "sql/func/compare/compare_int.h"

/* The constant's value; NULL: it comes later, or there is none. */
static const struct value *known(struct func_bind_ctx *ctx, const struct func_arg *constant)
{
    if (constant->constant == NULL && constant->lifted != NULL) {
        ctx->by_text = true;
        return constant->lifted;
    }
    return constant->constant;
}

/* Is this number a date, or a time, as the column would take it? */
static bool is_moment(const struct func_bind_ctx *ctx, const struct sql_type *column,
                      const struct sql_type *type, const struct value *number)
{
    struct cast_ctx cast = {.sql_mode = ctx->sql_mode};
    int64_t packed;
    bool null = true;
    if (column->id == TYPE_TIME && number->phys == PHYS_INT && number->is_unsigned &&
        number->i < 0) {
        return false;
    }
    db_err err = column->id == TYPE_TIME
                     ? value_to_time(&cast, type, number, column->decimals, &packed, &null)
                     : value_to_datetime(&cast, type, number, column->decimals, &packed, &null);
    return err == ERR_OK && !null;
}

static bool beside_moment(const struct func_arg *column, const struct func_arg *number)
{
    const struct sql_type *t = &column->type;
    bool bare = column->is_column && (t->flags & TYPE_F_EXPR) == 0;
    bool later = number->is_placeholder && type_has_date(t); /* of any date it takes the type */
    return (bare || later) && type_is_temporal(t) && number->is_const &&
           type_is_numeric(&number->type) && number->type.id != TYPE_BIT;
}

bool func_moment_of_number(struct func_bind_ctx *ctx, const struct func_arg *column,
                           struct func_arg *number)
{
    const struct sql_type *t = &column->type;
    bool later = number->is_placeholder && type_has_date(t);
    if ((ctx->by_value && !later) || !beside_moment(column, number)) {
        return false;
    }
    const struct value *v = known(ctx, number);
    if (v != NULL && (v->is_null || !is_moment(ctx, t, &number->type, v))) {
        return false;
    }
    enum type_id id = t->id == TYPE_TIMESTAMP ? TYPE_DATETIME : (enum type_id)t->id;
    func__want(number, type_temporal(id, t->decimals));
    return true;
}

/* A warning that is an error where a change of data is strict. */
static db_err tell(struct func_bind_ctx *ctx, int level, uint16_t number, const char *text)
{
    if (ctx->strict && level == CAST_WARNING) {
        return diag_set_sql(ctx->diag, number, my_error_sqlstate((enum my_errno)number), "%s",
                            text);
    }
    if (ctx->warn != NULL) {
        ctx->warn(ctx->warn_arg, level, number, text);
    }
    return ERR_OK;
}

static void take_note(void *arg, enum cast_level level, uint16_t number, const char *text)
{
    struct func_bind_ctx *ctx = arg;
    if (level == CAST_NOTE && number == ER_TRUNCATED_WRONG_VALUE) {
        (void)tell(ctx, level, number, text);
    }
}

/* Stores the constant into the column, as if there were no zero dates, nor months with a last day.
 * *ret_taken: there is nothing to complain of. */
static db_err store_into(struct func_bind_ctx *ctx, const struct func_arg *column,
                         const struct sql_type *type, const struct value *v, bool tells,
                         bool *ret_taken)
{
    struct diag complaint;
    struct cast_ctx cast;
    struct value stored;
    struct store_target target = {.column = arena_strdup(ctx->arena, column->name), .row = 1};
    if (target.column == NULL) {
        return ERR_NOMEM;
    }
    diag_reset(&complaint);
    cast_ctx_init(&cast, ctx->arena, &complaint);
    cast.sql_mode =
        (ctx->sql_mode & ~(uint64_t)SQL_MODE_NO_ZERO_DATE) | SQL_MODE_ALLOW_INVALID_DATES;
    cast.strict = true;
    cast.warn = tells ? take_note : NULL;
    cast.warn_arg = ctx;
    db_err err = type_store(&cast, &column->type, &target, type, v, &stored);
    *ret_taken = err == ERR_OK;
    if (tells && err == ERR_SQL && complaint.number == ER_TRUNCATED_WRONG_VALUE) {
        return tell(ctx, CAST_WARNING, complaint.number, complaint.text);
    }
    return err == ERR_SQL ? ERR_OK : err;
}

db_err compare__tell_of_number(struct func_bind_ctx *ctx, const struct func_arg *column,
                               const struct func_arg *number)
{
    bool taken;
    if (ctx->by_value || ctx->view || !beside_moment(column, number)) {
        return ERR_OK;
    }
    const struct value *v = known(ctx, number);
    return v == NULL || v->is_null ? ERR_OK
                                   : store_into(ctx, column, &number->type, v, true, &taken);
}

/* Is it text in which a time could be written, and nothing at all is? */
static bool says_nothing(const struct func_bind_ctx *ctx, const struct value *v)
{
    int64_t packed;
    int64_t datetime = 0;
    int32_t offset;
    return (time_parse(v->str, TIME_DECIMALS_MAX, temporal_flags(ctx->sql_mode), &packed, &datetime,
                       &offset, NULL) &
            TEMPORAL_EMPTY) != 0;
}

db_err compare__time_text(struct func_bind_ctx *ctx, const struct func_arg *time,
                          struct func_arg *text, bool *io_as_text)
{
    bool taken = false;
    if (time->type.id != TYPE_TIME || type_is_temporal(&text->type) ||
        !func__is_text(&text->type)) {
        return ERR_OK;
    }
    if (text->is_const && text->constant == NULL && text->lifted == NULL) {
        if (time->is_column) { /* a parameter takes the other's type */
            func__want(text, type_temporal(TYPE_TIME, time->type.decimals));
        }
        return ERR_OK;
    }
    if (!text->is_const || !time->is_column) {
        *io_as_text = true;
        return ERR_OK;
    }
    const struct value *v = known(ctx, text);
    if (v == NULL || v->is_null || v->phys != PHYS_STR ||
        !func__charset(&text->type)->ascii_superset) {
        return ERR_OK;
    }
    if (!says_nothing(ctx, v)) {
        TRY(store_into(ctx, time, &text->type, v, true, &taken));
    }
    *io_as_text = !taken;
    if (taken) {
        func__want(text, type_temporal(TYPE_TIME, time->type.decimals));
    }
    return ERR_OK;
}

db_err compare__time_bound(struct func_bind_ctx *ctx, const struct func_arg *time,
                           struct func_arg *text)
{
    bool taken = false;
    if (time->type.id != TYPE_TIME || !time->is_column || !text->is_const ||
        !type_is_string(&text->type) || !func__charset(&text->type)->ascii_superset) {
        return ERR_OK;
    }
    const struct value *v = known(ctx, text);
    if (v != NULL && !v->is_null && v->phys == PHYS_STR) {
        TRY(store_into(ctx, time, &text->type, v, false, &taken));
    }
    if (taken) {
        func__want(text, type_temporal(TYPE_TIME, time->type.decimals));
    }
    return ERR_OK;
}

db_err func_between_as_texts(struct func_bind_ctx *ctx, const struct func_arg args[3], bool *ret)
{
    bool texts = false;
    bool taken = args[0].type.id == TYPE_TIME && args[0].is_column;
    for (int i = 0; i < 3; i++) {
        const struct sql_type *t = &args[i].type;
        if (t->id != TYPE_TIME && t->id != TYPE_NULL && !type_is_string(t)) {
            *ret = false;
            return ERR_OK;
        }
        texts = texts || (type_is_string(t) && !args[i].is_placeholder);
    }
    for (int i = 1; i < 3 && taken; i++) {
        const struct value *v = args[i].is_const ? known(ctx, &args[i]) : NULL;
        bool later = args[i].is_placeholder || args[i].is_subquery || ctx->view;
        if (!type_is_string(&args[i].type) || later) {
            continue;
        }
        taken = v != NULL && !v->is_null && v->phys == PHYS_STR && !says_nothing(ctx, v) &&
                func__charset(&args[i].type)->ascii_superset;
        if (taken) {
            TRY(store_into(ctx, &args[0], &args[i].type, v, true, &taken));
        }
    }
    *ret = texts && !taken &&
           (args[0].type.id == TYPE_TIME || args[1].type.id == TYPE_TIME ||
            args[2].type.id == TYPE_TIME);
    return ERR_OK;
}

/* How 1525 names the type of dates. */
static unsigned name_of(const struct sql_type *date)
{
    return date->id == TYPE_DATE ? 0 : date->id == TYPE_DATETIME ? 1 : 2;
}

unsigned func_refuse_date(const struct sql_type *date)
{
    static const unsigned flags[] = {TYPE_W_REFUSE_DATE,
                                     TYPE_W_REFUSE_DATE | TYPE_W_REFUSE_DATETIME,
                                     TYPE_W_REFUSE_DATE | TYPE_W_REFUSE_TIMESTAMP};
    return flags[name_of(date)];
}

db_err compare__date_text(struct func_bind_ctx *ctx, const struct func_arg *date,
                          const struct func_arg *text)
{
    static const char *const names[] = {"DATE", "DATETIME", "TIMESTAMP"};
    const struct value *v = text->constant;
    int64_t packed;
    int32_t offset;
    if (!type_has_date(&date->type) || v == NULL || v->is_null || v->phys != PHYS_STR ||
        ctx->view || !func__charset(&text->type)->ascii_superset) {
        return ERR_OK;
    }
    unsigned cond = datetime_parse(v->str, TIME_DECIMALS_MAX, temporal_flags(ctx->sql_mode),
                                   &packed, &offset, NULL);
    if ((cond & TEMPORAL_INVALID) == 0) {
        return ERR_OK;
    }
    const char *shown = arena_strdup(ctx->arena, v->str);
    char said[DIAG_TEXT_SIZE];
    if (shown == NULL) {
        return ERR_NOMEM;
    }
    snprintf(said, sizeof(said), "%s %s value: '%.128s'",
             date->name.ptr != NULL ? "Incorrect" : "Truncated incorrect",
             date->type.id == TYPE_DATE ? "date" : "datetime", shown);
    if (date->name.ptr != NULL) {
        size_t len = strlen(said);
        snprintf(said + len, sizeof(said) - len, " for column '%.*s' at row 1", (int)date->name.len,
                 (const char *)date->name.ptr);
    }
    TRY(tell(ctx, CAST_WARNING, ER_TRUNCATED_WRONG_VALUE, said));
    return my_error(ctx->diag, ER_WRONG_VALUE, names[name_of(&date->type)], shown);
}

static bool is_date_text(const struct func_arg *date, const struct func_arg *text)
{
    return type_has_date(&date->type) && text->is_const && type_is_string(&text->type) &&
           text->want_cast && type_has_date(&text->want);
}

void compare__name_text(const struct func_arg *date, struct func_arg *text)
{
    if (is_date_text(date, text) && !text->is_placeholder) {
        text->want.wire |= (uint16_t)TYPE_W_COMPARED;
    }
}

void compare__refuse_later(const struct func_arg *date, struct func_arg *text)
{
    if (is_date_text(date, text) && text->constant == NULL && !text->is_placeholder) {
        text->want.wire |= (uint16_t)func_refuse_date(&date->type);
    }
}

void compare__lowest_if_none(const struct func_arg *date, struct func_arg *other, bool lowest)
{
    bool text = func__is_text(&other->type);
    bool null = other->is_placeholder && !lowest;
    if (type_has_date(&date->type) && !type_is_temporal(&other->type) && other->want_cast &&
        type_has_date(&other->want)) {
        bool zero = text && !other->is_placeholder;
        other->want.wire |=
            (uint16_t)((null ? 0 : TYPE_W_LOW_DATE) | (zero ? TYPE_W_NONE_IS_ZERO : 0) |
                       (date->type.id == TYPE_DATE && text ? TYPE_W_NAME_DATE : 0));
    }
}
