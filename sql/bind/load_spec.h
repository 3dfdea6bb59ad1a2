/* What LOAD DATA says of its file and of where the fields go. Immutable, part of the plan. */
#ifndef SKEIN_SQL_BIND_LOAD_SPEC_H
#define SKEIN_SQL_BIND_LOAD_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "sql/types/type.h"

struct charset;

enum { LOAD_NO_CHAR = -2 };

enum load_item_kind {
    LOAD_TO_COLUMN,
    LOAD_TO_VARIABLE,
    LOAD_TO_NOTHING, /* a generated column: what stands in the file is dropped */
};
struct load_item {
    enum load_item_kind kind;
    uint32_t column;  /* ordinal */
    struct slice var; /* LOAD_TO_VARIABLE */
    uint32_t width;   /* bytes in a file of fixed length */
};

/* SELECT ... INTO OUTFILE and DUMPFILE. */
struct load_spec;
struct into_file {
    bool dump;                     /* DUMPFILE: bytes of one row, nothing added */
    const struct charset *charset; /* NULL: each value in its own */
    struct load_spec *format;
};

struct load_spec {
    struct slice file;
    bool local;
    const struct charset *charset;
    struct sql_type text; /* of a field */
    struct slice field_term, line_start, line_term;
    int enclosed, escaped; /* a byte, or LOAD_NO_CHAR */
    bool optionally_enclosed;
    bool multibyte; /* bytes of a longer character may look like a separator */
    bool fixed;     /* FIELDS TERMINATED BY '' ENCLOSED BY '' */
    size_t fixed_size;
    bool xml;              /* LOAD XML: */
    struct slice row_tag;  /* the element that is a row; empty: none is */
    uint64_t ignore_lines; /* rows of XML */
    struct load_item *items;
    uint32_t item_count;
};

#endif
