#include "sql/diag/err_map.h"

#include <stdio.h>
#include <string.h>

#include "sql/diag/my_error.h"

struct mapping {
    uint16_t number;
    const char *text; /* NULL: the row's own message */
};

/* Numbers without a row of their own in MySQL's list keep to MySQL's nearest, the text says the
 * rest. */
static struct mapping mapping_of(db_err err)
{
    switch (err) {
    case ERR_LOCK_WAIT_TIMEOUT: return (struct mapping){ER_LOCK_WAIT_TIMEOUT, NULL};
    case ERR_DEADLOCK: return (struct mapping){ER_LOCK_DEADLOCK, NULL};
    case ERR_WRITE_CONFLICT:
    case ERR_LOCK_LOST:
    case ERR_TXN_NOT_FOUND:
    case ERR_TXN_ABORTED: return (struct mapping){ER_LOCK_DEADLOCK, NULL};
    case ERR_LOCK_NOWAIT: return (struct mapping){ER_LOCK_NOWAIT, NULL};
    case ERR_SCHEMA_CHANGED: return (struct mapping){ER_TABLE_DEF_CHANGED, NULL};
    case ERR_KEY_EXISTS: return (struct mapping){ER_DUP_ENTRY, "Duplicate entry"};
    case ERR_NOMEM: return (struct mapping){ER_OUT_OF_RESOURCES, NULL};
    case ERR_LIMIT:
        return (struct mapping){ER_CAPACITY_EXCEEDED,
                                "Memory or size limit of the statement exceeded: use fewer rows at "
                                "a time or raise the limit"};
    case ERR_DISK_FULL:
        return (struct mapping){1021, "Disk full: writes go on when space has been freed; nothing "
                                      "of this statement was kept"};
    case ERR_CANCELED: return (struct mapping){ER_QUERY_INTERRUPTED, NULL};
    case ERR_TIMEOUT: return (struct mapping){ER_QUERY_TIMEOUT, NULL};
    case ERR_UNSUPPORTED:
        return (struct mapping){ER_NOT_SUPPORTED_YET, "This is not supported yet"};
    case ERR_COMMIT_UNKNOWN:
        return (struct mapping){ER_ERROR_DURING_COMMIT,
                                "The outcome of the commit is unknown: it may or may not have "
                                "happened; read the data to find out"};
    case ERR_SNAPSHOT_TOO_OLD:
        return (struct mapping){ER_TABLE_DEF_CHANGED, "Snapshot too old: start a new transaction"};
    case ERR_NOT_LEADER:
    case ERR_STALE_EPOCH:
    case ERR_RANGE_NOT_FOUND:
    case ERR_UNAVAILABLE:
    case ERR_BUSY:
    case ERR_CLOSED:
        return (struct mapping){ER_LOCK_WAIT_TIMEOUT, "The data is not available now: try again"};
    case ERR_IO:
    case ERR_CORRUPT:
    case ERR_OK:
    case ERR_INVALID:
    case ERR_NOT_FOUND:
    case ERR_EXISTS:
    case ERR_SQL:
    case ERR_KEY_LOCKED:
    case ERR_TXN_COMMITTED:
    case ERR_WOULD_BLOCK:
    case ERR__COUNT: break;
    }
    return (struct mapping){ER_UNKNOWN_ERROR, "Internal error"};
}

void err_to_mysql(db_err err, struct diag *diag)
{
    if (diag == NULL || (err == ERR_SQL && diag->number != 0)) {
        return;
    }
    struct mapping m = mapping_of(err);
    char detail[DIAG_TEXT_SIZE];
    snprintf(detail, sizeof(detail), "%s", diag->text);
    char text[DIAG_TEXT_SIZE];
    if (m.text == NULL) {
        my_error_text(text, sizeof(text), (enum my_errno)m.number);
        detail[0] = '\0';
    } else {
        snprintf(text, sizeof(text), "%s", m.text);
    }
    uint32_t position = diag->position;
    uint64_t data = diag->data;
    if (detail[0] != '\0') {
        diag_set_sql(diag, m.number, my_sqlstate(m.number), "%s (%s)", text, detail);
    } else if (m.number == ER_UNKNOWN_ERROR) {
        diag_set_sql(diag, m.number, my_sqlstate(m.number), "%s: %s", text, err_text(err));
    } else {
        diag_set_sql(diag, m.number, my_sqlstate(m.number), "%s", text);
    }
    diag->err = err;
    diag->position = position;
    diag->data = data;
}
