/* Rows of an XML file: the fields that are in force where an element of the row's name ends. */
#ifndef SKEIN_SQL_EXEC_LOAD_XML_H
#define SKEIN_SQL_EXEC_LOAD_XML_H

#include "sql/exec/load_reader.h"

struct load_xml_field {
    uint32_t depth;
    struct buf name, value;
};

struct load_xml {
    struct load_reader *reader;
    struct load_xml_field *fields; /* the newest last */
    uint32_t count, made, room;    /* in force; those with buffers; in the array */
    uint32_t depth;                /* of the element at hand */
    bool at_tag;                   /* its '<' has been read */
    struct buf tag, attribute;
};

/* The reader, whose spec names the row's element, outlives it. */
void load_xml_init(struct load_xml *x, struct load_reader *reader);
void load_xml_fini(struct load_xml *x);

/* To the end of the next row. *ret_found false: the file has ended. May park.
 * Errors: those of the input; ERR_LIMIT: too many fields, or one that is too long; ERR_NOMEM. */
MUST_USE db_err load_xml_next(struct load_xml *x, bool *ret_found);

/* The value of the row's field, valid until the next row. False: it has none. */
bool load_xml_value(const struct load_xml *x, struct slice name, struct slice *ret_text);

#endif
