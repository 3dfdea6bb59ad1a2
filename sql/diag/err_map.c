/* Each internal code has a MySQL error of the same meaning where there is one, so that clients' own
 * retry rules work: 1213 for every "start the transaction again", 1205 for a wait that took too
 * long (the transaction lives on).
 *
 * An unknown commit outcome has a number of our own with SQLSTATE 40003 (statement completion
 * unknown): a client that retries on 1213 must not retry on it. */
#include "sql/diag/err_map.h"

#include <stdio.h>
#include <string.h>

enum my_errno err_map_number(db_err err)
{
    switch (err) {
    case ERR_OK:
    case ERR_SQL: return (enum my_errno)0;
    case ERR_NOMEM: return ER_OUT_OF_RESOURCES;
    case ERR_LIMIT: return ER_SKEIN_LIMIT;
    case ERR_INVALID: return ER_WRONG_ARGUMENTS;
    case ERR_NOT_FOUND: return ER_KEY_NOT_FOUND;
    case ERR_UNSUPPORTED: return ER_NOT_SUPPORTED_YET;
    case ERR_IO: return ER_GET_ERRNO;
    case ERR_DISK_FULL: return ER_DISK_FULL;
    case ERR_CORRUPT: return ER_SKEIN_CORRUPT;
    case ERR_TIMEOUT: return ER_QUERY_TIMEOUT;
    case ERR_CANCELED: return ER_QUERY_INTERRUPTED;
    case ERR_CLOSED: return ER_SERVER_SHUTDOWN;
    case ERR_BUSY:
    case ERR_NOT_LEADER:
    case ERR_STALE_EPOCH:
    case ERR_RANGE_NOT_FOUND:
    case ERR_UNAVAILABLE:
    case ERR_WOULD_BLOCK: return ER_SKEIN_UNAVAILABLE;
    case ERR_KEY_LOCKED:
    case ERR_LOCK_WAIT_TIMEOUT: return ER_LOCK_WAIT_TIMEOUT;
    case ERR_LOCK_NOWAIT: return ER_LOCK_NOWAIT;
    case ERR_LOCK_TABLE_FULL: return ER_LOCK_TABLE_FULL;
    case ERR_WRITE_CONFLICT:
    case ERR_DEADLOCK:
    case ERR_LOCK_LOST:
    case ERR_TXN_NOT_FOUND:
    case ERR_TXN_ABORTED: return ER_LOCK_DEADLOCK;
    case ERR_EXISTS:
    case ERR_KEY_EXISTS: return ER_DUP_ENTRY;
    case ERR_SNAPSHOT_TOO_OLD: return ER_SKEIN_SNAPSHOT_TOO_OLD;
    case ERR_SCHEMA_CHANGED: return ER_TABLE_DEF_CHANGED;
    case ERR_COMMIT_UNKNOWN:
    case ERR_OUTCOME_UNKNOWN: return ER_SKEIN_COMMIT_UNKNOWN;
    case ERR_TXN_COMMITTED:
    case ERR__COUNT: return ER_UNKNOWN_ERROR;
    }
    return ER_UNKNOWN_ERROR;
}

bool err_map_aborts_txn(db_err err)
{
    return err_map_number(err) == ER_LOCK_DEADLOCK || err == ERR_SCHEMA_CHANGED ||
           err == ERR_COMMIT_UNKNOWN;
}

void err_map(struct diag *diag, db_err err)
{
    if (diag->number != 0) {
        return;
    }
    char detail[DIAG_TEXT_SIZE];
    snprintf(detail, sizeof(detail), "%s",
             diag->err != ERR_OK && diag->text[0] != '\0' ? diag->text : err_text(err));
    uint32_t position = diag->position;
    uint64_t data = diag->data;
    enum my_errno number = err_map_number(err);
    if (err == ERR_SQL) { /* a text without a number: keep the text */
        my_error(diag, ER_UNKNOWN_ERROR);
        snprintf(diag->text, sizeof(diag->text), "%s", detail);
    } else {
        switch ((int)number) {
        case ER_GET_ERRNO: my_error(diag, number, 5, detail); break;
        case ER_DISK_FULL: my_error(diag, number, detail, 28, "No space left on device"); break;
        case ER_DUP_ENTRY: my_error(diag, number, detail, "PRIMARY"); break;
        case ER_SKEIN_LIMIT:
        case ER_SKEIN_CORRUPT:
        case ER_SKEIN_UNAVAILABLE:
        case ER_WRONG_ARGUMENTS:
        case ER_KEY_NOT_FOUND:
        case ER_NOT_SUPPORTED_YET: my_error(diag, number, detail); break;
        default: my_error(diag, number); break;
        }
    }
    diag->position = position;
    diag->data = data;
}
