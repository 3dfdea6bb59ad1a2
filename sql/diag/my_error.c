#include "sql/diag/my_error.h"

#include <string.h>

#include "base/assert.h"
#include "base/fiber.h"

struct error_row {
    uint16_t number;
    char sqlstate[6];
    const char *symbol;
    const char *format;
};

static const struct error_row rows[] = {
#define MYERR(symbol, number, sqlstate, format)        {number, sqlstate, #symbol, format},
#define MYERR_UNSEEN(symbol, number, sqlstate, format) MYERR(symbol, number, sqlstate, format)
#define MYERR_NO_TEXT(symbol, number, sqlstate)        MYERR(symbol, number, sqlstate, #symbol)
#include "sql/diag/mysql_errors.def"
#undef MYERR
#undef MYERR_UNSEEN
#undef MYERR_NO_TEXT
};

static const struct error_row *find(enum my_errno number)
{
    size_t low = 0;
    size_t high = ARRAY_COUNT(rows);
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (rows[mid].number < (unsigned)number) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    if (low < ARRAY_COUNT(rows) && rows[low].number == (unsigned)number) {
        return &rows[low];
    }
    ASSERT(number != ER_UNKNOWN_ERROR);
    return find(ER_UNKNOWN_ERROR);
}

const char *my_error_format(enum my_errno number)
{
    return find(number)->format;
}

const char *my_error_sqlstate(enum my_errno number)
{
    return find(number)->sqlstate;
}

const char *my_error_symbol(enum my_errno number)
{
    return find(number)->symbol;
}

/* A precision in a format may have cut a character in two; so may the end of the buffer. Drops the
 * pieces. */
static void drop_broken_utf8(char *text)
{
    unsigned char *in = (unsigned char *)text;
    unsigned char *out = in;
    while (*in != '\0') {
        size_t len = *in < 0x80             ? 1
                     : (*in & 0xE0) == 0xC0 ? 2
                     : (*in & 0xF0) == 0xE0 ? 3
                     : (*in & 0xF8) == 0xF0 ? 4
                                            : 0;
        size_t have = len > 0 ? 1 : 0;
        while (have > 0 && have < len && (in[have] & 0xC0) == 0x80) {
            have++;
        }
        if (have == len && len > 0) {
            for (size_t i = 0; i < len; i++) {
                *out++ = *in++;
            }
        } else {
            in += have > 0 ? have : 1;
        }
    }
    *out = '\0';
}

/* The formats are the registry's own; my_error_test reads each of them. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static db_err fill(struct diag *diag, const struct error_row *row, const char *format, va_list args)
{
    if (diag != NULL) {
        diag_vset(diag, ERR_SQL, format, args);
        drop_broken_utf8(diag->text);
        diag->number = row->number;
        memcpy(diag->sqlstate, row->sqlstate, sizeof(diag->sqlstate));
    }
    return ERR_SQL;
}
#pragma GCC diagnostic pop

db_err my_verror_as(struct diag *diag, enum my_errno number, enum my_errno format_of, va_list args)
{
    return fill(diag, find(number), find(format_of)->format, args);
}

db_err my_verror(struct diag *diag, enum my_errno number, va_list args)
{
    return my_verror_as(diag, number, number, args);
}

const char *my_vtext(struct diag *room, enum my_errno number, va_list args)
{
    diag_reset(room);
    my_verror(room, number, args);
    return room->text;
}

db_err my_error_as(struct diag *diag, enum my_errno number, enum my_errno format_of, ...)
{
    va_list args;
    va_start(args, format_of);
    my_verror_as(diag, number, format_of, args);
    va_end(args);
    return ERR_SQL;
}

db_err my_error(struct diag *diag, enum my_errno number, ...)
{
    va_list args;
    va_start(args, number);
    my_verror(diag, number, args);
    va_end(args);
    return ERR_SQL;
}

db_err my_error_at(struct diag *diag, uint32_t position, enum my_errno number, ...)
{
    va_list args;
    va_start(args, number);
    my_verror(diag, number, args);
    va_end(args);
    if (diag != NULL) {
        diag->position = position + 1;
    }
    return ERR_SQL;
}

db_err my_stack_reserve(struct diag *diag, size_t bytes)
{
    if (LIKELY(fiber_stack_reserve(bytes) == ERR_OK)) {
        return ERR_OK;
    }
    size_t left = fiber_stack_left();
    size_t size = fiber_stack_size();
    return my_error(diag, ER_STACK_OVERRUN_NEED_MORE, (long)(size - left), (long)size, (long)bytes);
}

db_err my_stack_for_levels(struct diag *diag, size_t levels)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    enum { FRAME = 3072 };
#else
    enum { FRAME = 768 };
#endif
    return my_stack_reserve(diag, levels * FRAME + MY_STACK_STEP);
}
