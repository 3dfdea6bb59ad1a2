#include "sql/diag/diag_area.h"

#include <string.h>

enum { ARENA_LIMIT = 64 << 20 }; /* 65,535 texts of 512 bytes and their entries */

void diag_area_init(struct diag_area *area)
{
    *area = (struct diag_area){.max = DIAG_AREA_MAX_DEFAULT, .row = 1};
    arena_init(&area->arena, NULL, NULL, ARENA_LIMIT);
}

void diag_area_fini(struct diag_area *area)
{
    arena_fini(&area->arena);
}

void diag_area_reset(struct diag_area *area)
{
    if (!area->last_read) {
        area->last_total = area->total;
        area->last_errors = area->errors;
    }
    area->last_read = false;
    diag_area_forget(area);
}

void diag_area_forget(struct diag_area *area)
{
    area->next_items = NULL;
    if (area->total != 0) {
        arena_reset(&area->arena);
        area->conditions = NULL;
        area->count = 0;
        area->cap = 0;
        area->total = 0;
        area->errors = 0;
    }
    area->row = 1;
}

struct diag_area_mark diag_area_mark(const struct diag_area *area)
{
    return (struct diag_area_mark){area->count, area->total, area->errors};
}

void diag_area_forget_since(struct diag_area *area, const struct diag_area_mark *mark)
{
    if (mark->total == 0) {
        diag_area_forget(area);
        return;
    }
    area->next_items = NULL;
    area->count = mark->count;
    area->total = mark->total;
    area->errors = mark->errors;
    area->row = 1;
}

const char *diag_level_name(enum diag_level level)
{
    switch (level) {
    case DIAG_NOTE: return "Note";
    case DIAG_WARNING: return "Warning";
    case DIAG_ERROR: return "Error";
    }
    return "Error";
}

static bool grow(struct diag_area *area)
{
    uint32_t cap = area->cap == 0 ? 8 : area->cap * 2;
    struct diag_condition *more = ARENA_ARRAY(&area->arena, struct diag_condition, cap);
    if (more == NULL) {
        return false;
    }
    if (area->count > 0) {
        memcpy(more, area->conditions, area->count * sizeof(*more));
    }
    area->conditions = more;
    area->cap = cap;
    return true;
}

void diag_area_add(struct diag_area *area, enum diag_level level, const struct diag *diag)
{
    if (area == NULL || (level == DIAG_NOTE && area->notes_off)) {
        return;
    }
    area->total++;
    area->errors += level == DIAG_ERROR;
    if (area->count >= area->max || (area->count == area->cap && !grow(area))) {
        return;
    }
    struct diag_condition *c = &area->conditions[area->count];
    if (arena_copy(&area->arena, slice_str(diag->text), &c->text) != ERR_OK) {
        return;
    }
    c->items = area->next_items;
    area->next_items = NULL;
    c->level = level;
    c->number = diag->number != 0 ? diag->number : ER_UNKNOWN_ERROR;
    memcpy(c->sqlstate, diag->number != 0 ? diag->sqlstate : my_error_sqlstate(ER_UNKNOWN_ERROR),
           sizeof(c->sqlstate));
    area->count++;
}

static bool is_of(const struct diag_condition *c, const struct diag *diag)
{
    return c->level == DIAG_ERROR && c->number == diag->number &&
           slice_eq(c->text, slice_str(diag->text));
}

void diag_area_fail(struct diag_area *area, const struct diag *diag)
{
    /* Where not all are kept, errors are those of an expression, and the statement's is one. */
    bool told = area->errors != 0 && area->count >= area->max;
    for (uint32_t i = 0; i < area->count && !told; i++) {
        told = is_of(&area->conditions[i], diag);
    }
    if (!told) {
        diag_area_add(area, DIAG_ERROR, diag);
    }
}

static void add_formatted(struct diag_area *area, enum diag_level level, enum my_errno number,
                          enum my_errno format_of, va_list args)
{
    /* Past the maximum only the count matters: a statement may warn for each of a million rows. */
    if (area->count >= area->max) {
        area->total += !(level == DIAG_NOTE && area->notes_off);
        return;
    }
    struct diag d;
    my_verror_as(&d, number, format_of, args);
    diag_area_add(area, level, &d);
}

void diag_area_note(struct diag_area *area, enum my_errno number, ...)
{
    if (area == NULL) {
        return;
    }
    va_list args;
    va_start(args, number);
    add_formatted(area, DIAG_NOTE, number, number, args);
    va_end(args);
}

void diag_area_warn(struct diag_area *area, enum my_errno number, ...)
{
    if (area == NULL) {
        return;
    }
    va_list args;
    va_start(args, number);
    add_formatted(area, DIAG_WARNING, number, number, args);
    va_end(args);
}

void diag_area_warn_as(struct diag_area *area, enum my_errno number, enum my_errno format_of, ...)
{
    if (area == NULL) {
        return;
    }
    va_list args;
    va_start(args, format_of);
    add_formatted(area, DIAG_WARNING, number, format_of, args);
    va_end(args);
}

void diag_area_append(struct diag_area *area, const struct diag_area *from)
{
    for (uint32_t i = 0; i < from->count; i++) {
        const struct diag_condition *c = &from->conditions[i];
        struct diag d;
        diag_reset(&d);
        diag_set_sql(&d, c->number, c->sqlstate, "%.*s", SLICE_FMT(c->text));
        diag_area_add(area, c->level, &d);
    }
}
