#include "base/diag.h"

#include <stdio.h>
#include <string.h>

void diag_reset(struct diag *d)
{
    if (d != NULL) {
        d->err = ERR_OK;
        d->number = 0;
        d->sqlstate[0] = '\0';
        d->position = 0;
        d->data = 0;
        d->text[0] = '\0';
    }
}

db_err diag_vset(struct diag *d, db_err err, const char *fmt, va_list args)
{
    if (d != NULL) {
        diag_reset(d);
        d->err = err;
        vsnprintf(d->text, sizeof(d->text), fmt, args);
    }
    return err;
}

db_err diag_set(struct diag *d, db_err err, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    diag_vset(d, err, fmt, args);
    va_end(args);
    return err;
}

db_err diag_set_sql(struct diag *d, uint16_t number, const char *sqlstate, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    diag_vset(d, ERR_SQL, fmt, args);
    va_end(args);
    if (d != NULL) {
        d->number = number;
        snprintf(d->sqlstate, sizeof(d->sqlstate), "%s", sqlstate);
    }
    return ERR_SQL;
}

db_err diag_context(struct diag *d, db_err err, const char *fmt, ...)
{
    if (d != NULL) {
        char before[DIAG_TEXT_SIZE];
        memcpy(before, d->text, sizeof(before));
        va_list args;
        va_start(args, fmt);
        int n = vsnprintf(d->text, sizeof(d->text), fmt, args);
        va_end(args);
        if (n >= 0 && (size_t)n < sizeof(d->text)) {
            snprintf(d->text + n, sizeof(d->text) - (size_t)n, ": %s",
                     before[0] != '\0' ? before : err_text(err));
        }
        d->err = err;
    }
    return err;
}
