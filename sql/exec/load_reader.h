/* Splits the bytes of a file into records and fields, as the FIELDS and LINES clauses of LOAD DATA
 * say. Knows nothing of tables. */
#ifndef SKEIN_SQL_EXEC_LOAD_READER_H
#define SKEIN_SQL_EXEC_LOAD_READER_H

#include "base/buf.h"
#include "sql/bind/load_spec.h"

/* Where the bytes come from. `next` gives a piece at each call, valid until the next one; an empty
 * piece is the end. May park. */
struct load_input {
    db_err (*next)(void *arg, struct slice *ret_piece);
    void *arg;
    /* From the beginning again. */
    db_err (*rewind)(void *arg);
};

struct load_field {
    struct slice text; /* valid until the next field is read */
    bool enclosed;
    bool is_null; /* written as \N, or as the bare word NULL */
};

struct load_reader {
    const struct load_spec *spec;
    const struct load_input *input;
    const uint8_t *pos, *end; /* of the piece at hand */
    uint8_t *back;            /* bytes that were read too far, the last one first */
    size_t back_count;
    struct buf field;
    bool special[256]; /* bytes that may be more than text */
    int lead_min;      /* bytes from here on may begin a character of several */
    bool eof;          /* the input has ended */
    bool end_of_line;  /* the line of the field that was read last has ended */
    bool at_start;     /* LINES STARTING BY is still to be looked for */
    bool cut;          /* load_next_line has skipped bytes that belong to no field */
    db_err err;
};

/* spec and input outlive the reader. ERR_NOMEM. */
MUST_USE db_err load_reader_init(struct load_reader *r, const struct load_spec *spec,
                                 const struct load_input *input);
void load_reader_fini(struct load_reader *r);

/* The next field of the line. *ret_found false: the line, or the input, has no more. */
MUST_USE db_err load_read_field(struct load_reader *r, struct load_field *ret_field,
                                bool *ret_found);
/* A line of fixed length: at most spec->fixed_size bytes. */
MUST_USE db_err load_read_fixed(struct load_reader *r, struct slice *ret_line, bool *ret_found);
/* To the next line; r->cut tells whether something was skipped. *ret_end: there is none. */
MUST_USE db_err load_next_line(struct load_reader *r, bool *ret_end);

/* Byte by byte, for what is no list of fields: the next byte, or LOAD_END at the end and on an
 * error (r->err). load_skip: does `text`, whose first byte has been read, stand here? If so it is
 * read. */
enum { LOAD_END = -1 };
int load_get(struct load_reader *r);
bool load_skip(struct load_reader *r, struct slice text);

#endif
