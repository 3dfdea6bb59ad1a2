/* Descriptors of tables as bytes, for what runs beside the data on a node whose own catalog may not
 * be there, or not be the same. */
#ifndef SKEIN_SQL_CATALOG_DESCRIPTOR_H
#define SKEIN_SQL_CATALOG_DESCRIPTOR_H

#include "base/buf.h"
#include "sql/catalog/schema.h"

/* What reading rows and index entries needs: columns and indexes. ERR_NOMEM, ERR_LIMIT. */
MUST_USE db_err table_descriptor_encode(const struct table_def *def, struct buf *out);

/* Decoded, with its storage format. Free it with table_descriptor_free (NULL is fine). ERR_CORRUPT,
 * ERR_NOMEM, ERR_UNSUPPORTED. */
struct table_descriptor;
MUST_USE db_err table_descriptor_decode(struct slice bytes, struct table_descriptor **ret);
const struct table_def *table_descriptor_def(const struct table_descriptor *d);
void table_descriptor_free(struct table_descriptor *d);

#endif
