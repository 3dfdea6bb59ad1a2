/* Parameters of COM_STMT_EXECUTE and attributes of COM_QUERY: binary values with types. Pure:
 * nothing but the bytes is looked at. */
#ifndef SKEIN_WIRE_COMMAND_PARAMS_H
#define SKEIN_WIRE_COMMAND_PARAMS_H

#include "sql/sql.h"
#include "wire/net/reader.h"

#define PARAM_UNSIGNED 0x8000u

/* false: a type that no client may bind. */
MUST_USE bool param_type_ok(uint16_t type);
/* One value of the type; text borrows from the packet. A short packet sets r->bad; an impossible
 * length of a time, too. */
void param_read(struct reader *r, uint16_t type, struct sql_param *ret_param);
/* The query attributes before the text of COM_QUERY: their number first (false: malformed), then
 * the rest into an array of that many; an unknown type is taken as text. Names and texts borrow
 * from the packet. */
MUST_USE bool query_attributes_count(struct reader *r, uint32_t *ret_count);
MUST_USE bool query_attributes_read(struct reader *r, uint32_t count,
                                    struct sql_attribute *ret_attributes);

#endif
