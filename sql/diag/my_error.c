#include "sql/diag/my_error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct my_row {
    uint16_t number;
    char sqlstate[6];
    const char *symbol;
    const char *text;
};

/* Sorted by number, as the registry is. */
static const struct my_row g_rows[] = {
#define MYERR(symbol, number, sqlstate, text) {number, sqlstate, #symbol, text},
#include "sql/diag/mysql_errors.def"
#undef MYERR
};

static int by_number(const void *key, const void *row)
{
    uint16_t k = *(const uint16_t *)key;
    uint16_t n = ((const struct my_row *)row)->number;
    return (k > n) - (k < n);
}

static const struct my_row *find(uint16_t number)
{
    return bsearch(&number, g_rows, ARRAY_COUNT(g_rows), sizeof(g_rows[0]), by_number);
}

size_t my_error_vtext(char *out, size_t size, enum my_errno number, va_list args)
{
    const struct my_row *row = find((uint16_t)number);
    int n;
    if (row != NULL && row->text[0] != '\0') {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        n = vsnprintf(out, size, row->text, args);
#pragma GCC diagnostic pop
    } else {
        n = snprintf(out, size, "%s", row != NULL ? row->symbol : "Unknown error");
    }
    return n < 0 ? 0 : (size_t)n >= size ? size - 1 : (size_t)n;
}

size_t my_error_text(char *out, size_t size, enum my_errno number, ...)
{
    va_list args;
    va_start(args, number);
    size_t n = my_error_vtext(out, size, number, args);
    va_end(args);
    return n;
}

db_err my_verror(struct diag *diag, enum my_errno number, va_list args)
{
    if (diag == NULL) {
        return ERR_SQL;
    }
    char text[DIAG_TEXT_SIZE];
    my_error_vtext(text, sizeof(text), number, args);
    return diag_set_sql(diag, (uint16_t)number, my_sqlstate((uint16_t)number), "%s", text);
}

db_err my_error(struct diag *diag, enum my_errno number, ...)
{
    va_list args;
    va_start(args, number);
    db_err err = my_verror(diag, number, args);
    va_end(args);
    return err;
}

const char *my_sqlstate(uint16_t number)
{
    const struct my_row *row = find(number);
    return row == NULL ? "HY000" : row->sqlstate;
}

const char *my_error_symbol(uint16_t number)
{
    const struct my_row *row = find(number);
    return row == NULL ? NULL : row->symbol;
}
