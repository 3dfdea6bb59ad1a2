/* SELECT ... INTO OUTFILE and INTO DUMPFILE: rows of a result as text in a new file. */
#ifndef SKEIN_SQL_SESSION_INTO_FILE_H
#define SKEIN_SQL_SESSION_INTO_FILE_H

#include "base/buf.h"
#include "sql/session/server_file.h"
#include "sql/session/session_int.h"

struct into_writer {
    struct sql_session *session;
    const struct plan *plan;
    struct server_file file;
    struct arena arena; /* of the row at hand */
    struct buf row;
    uint64_t rows;
    struct slice line_term;
    bool fixed;                /* each field as wide as its column */
    bool escape_twice;         /* the separator would mean something else behind an escape */
    bool keep_term;            /* the first byte of the field terminator is not escaped */
    bool escape_numbers;       /* the separator may be part of a number */
    int separator, term, line; /* bytes that are escaped, or LOAD_NO_CHAR */
};

/* Makes the file. Errors: server_file_create's. */
MUST_USE db_err into_file_open(struct into_writer *w, struct sql_session *s,
                               const struct plan *plan);
MUST_USE db_err into_file_rows(struct into_writer *w, const struct chunk *chunk);
/* Ends the file; after an error it is deleted. Returns `err`, or what writing the rest has met. */
db_err into_file_close(struct into_writer *w, db_err err);

#endif
