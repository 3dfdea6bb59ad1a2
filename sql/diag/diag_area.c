#include "sql/diag/diag_area.h"

#include <stdio.h>

#include "sql/diag/my_error.h"

enum { DIAG_MAX_DEFAULT = 1024 };

void diag_area_init(struct diag_area *a, struct mem_tracker *mem)
{
    *a = (struct diag_area){.max = DIAG_MAX_DEFAULT, .notes = true};
    arena_init(&a->arena, NULL, mem, 0);
}

void diag_area_fini(struct diag_area *a)
{
    arena_fini(&a->arena);
}

void diag_area_clear(struct diag_area *a)
{
    if (a->cap != 0) {
        arena_reset(&a->arena);
    }
    a->conditions = NULL;
    a->count = a->cap = 0;
    a->warning_count = a->error_count = 0;
}

static bool grow(struct diag_area *a)
{
    uint32_t cap = a->cap == 0 ? 8 : a->cap * 2;
    struct diag_condition *list = ARENA_ARRAY(&a->arena, struct diag_condition, cap);
    if (list == NULL) {
        return false;
    }
    if (a->count != 0) {
        memcpy(list, a->conditions, a->count * sizeof(*list));
    }
    a->conditions = list;
    a->cap = cap;
    return true;
}

void diag_area_add(struct diag_area *a, enum diag_level level, uint16_t number, struct slice text)
{
    if (level == DIAG_NOTE && !a->notes) {
        return;
    }
    a->warning_count++;
    a->error_count += level == DIAG_ERROR;
    if (a->count >= a->max || (a->count == a->cap && !grow(a))) {
        return;
    }
    struct diag_condition *c = &a->conditions[a->count];
    c->level = level;
    c->number = number;
    snprintf(c->sqlstate, sizeof(c->sqlstate), "%s", my_sqlstate(number));
    c->text = SLICE_EMPTY;
    if (arena_copy(&a->arena, text, &c->text) == ERR_OK) {
        a->count++;
    }
}

void diag_area_add_diag(struct diag_area *a, const struct diag *diag)
{
    diag_area_add(a, DIAG_ERROR, diag->number, slice_str(diag->text));
}

const char *diag_level_name(enum diag_level level)
{
    static const char *const names[] = {"Note", "Warning", "Error"};
    return names[level];
}
