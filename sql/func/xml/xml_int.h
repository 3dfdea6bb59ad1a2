/* XML documents as arrays of nodes in document order, and XPath queries on them. Private to
 * sql/func. */
#ifndef SKEIN_SQL_FUNC_XML_XML_INT_H
#define SKEIN_SQL_FUNC_XML_XML_INT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/diag.h"
#include "base/slice.h"
#include "sql/charset/charset.h"
#include "sql/func/func_int.h"

enum xml_kind { XML_ROOT, XML_TAG, XML_ATTRIBUTE, XML_TEXT };

struct xml_node {
    enum xml_kind kind;
    uint32_t parent;    /* index; the root's is 0 */
    struct slice text;  /* name of a tag or attribute; a text's bytes, not unescaped */
    struct slice outer; /* all of the node in the document, marks included */
};

struct xml_doc {
    uint32_t count;
    struct xml_node *nodes; /* nodes[0] is the root */
};

enum { XML_MESSAGE_SIZE = 128, XML_DEPTH_MAX = 1024, XPATH_DEPTH_MAX = 64 };

/* Names and texts point into the text. False: what is wrong, as MySQL says it, is in the message.
 * *ret_err: ERR_LIMIT when the arena is full. */
bool xml_parse(struct arena *arena, struct slice text, char message[XML_MESSAGE_SIZE],
               struct xml_doc *ret, db_err *ret_err);

struct xpath_expr;
/* ERR_SQL 1105 with the rest of the query that does not parse. *ret_rest is set where MySQL tells
 * of a syntax error as well: of this rest. */
MUST_USE db_err xpath_parse(struct arena *arena, struct slice query, struct diag *diag,
                            struct xpath_expr **ret, struct slice *ret_rest);

/* Texts are compared by the collation. The value as text, in ctx->arena: of nodes, the texts right
 * below them, parted by blanks. *ret_null: it is NULL. Warnings are told; ERR_SQL where they are
 * errors. */
MUST_USE db_err xpath_text(struct eval_ctx *ctx, const struct xpath_expr *e,
                           const struct xml_doc *doc, const struct collation *collation,
                           bool *ret_null, struct slice *ret);
/* The nodes, marked by index; NULL when the query does not give nodes. */
MUST_USE db_err xpath_nodes(struct eval_ctx *ctx, const struct xpath_expr *e,
                            const struct xml_doc *doc, const struct collation *collation,
                            bool **ret_marks);

#endif
