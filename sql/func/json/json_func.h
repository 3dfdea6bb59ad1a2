/* Shared by the JSON functions: documents, paths and values among the arguments. Private to
 * sql/func/json (families.h needs the variants). */
#ifndef SKEIN_SQL_FUNC_JSON_JSON_FUNC_H
#define SKEIN_SQL_FUNC_JSON_JSON_FUNC_H

#include "sql/func/func_int.h"
#include "sql/types/json.h"

enum json_change {
    JSON_CHANGE_SET,
    JSON_CHANGE_INSERT,
    JSON_CHANGE_REPLACE,
    JSON_CHANGE_APPEND,
    JSON_CHANGE_ARRAY_INSERT,
};
enum json_text_form { JSON_TEXT_TYPE, JSON_TEXT_QUOTE, JSON_TEXT_UNQUOTE, JSON_TEXT_PRETTY };
/* What JSON_DEPTH and others say of a document. */
enum json_number_kind {
    JSON_NUMBER_DEPTH,
    JSON_NUMBER_LENGTH,
    JSON_NUMBER_UNUSED,
    JSON_NUMBER_VALID,
    JSON_NUMBER_SIZE,
};

/* Bits of JSON_VALUE's last argument. */
enum { JSON_VALUE_FAIL_EMPTY = 1, JSON_VALUE_FAIL_ERROR = 2 };

/* As messages spell the call: "cast_as_json", "member of". */
const char *json__func_name(const struct func_call *call);
struct sql_type json__type(void);
/* The result is JSON. */
void json__result(struct func_call *call);

/* Did func_json_in_place ask for it? */
bool json__changes_in_place(const struct func_call *call);
/* Of such a call: a bit for each row whose document it could not change in place. ERR_LIMIT. */
MUST_USE db_err json__rewritten(struct eval_ctx *ctx, const struct func_call *call, uint64_t **ret);

/* May argument i, of this type, be a document? Errors: 3146. */
MUST_USE db_err json__takes(struct diag *diag, const struct func_call *call,
                            const struct sql_type *t, uint32_t i);
/* Argument i of the row as a document: JSON itself, or text that is parsed (3141, 3157); other
 * types are refused (3146, also where they are NULL; 3144). *ret_null: it is NULL. A text that
 * stays the same from row to row is parsed once. */
MUST_USE db_err json__doc(struct eval_ctx *ctx, const struct func_call *call,
                          struct vector *const *args, uint32_t i, uint32_t row,
                          struct json_view *ret, bool *ret_null);
/* The same as a tree that may be changed. */
MUST_USE db_err json__doc_node(struct eval_ctx *ctx, const struct func_call *call,
                               struct vector *const *args, uint32_t i, uint32_t row,
                               struct json_node **ret, bool *ret_null);
/* Argument i as a path (3143). many: wildcards are allowed, else 3149. */
MUST_USE db_err json__path(struct eval_ctx *ctx, const struct func_call *call,
                           struct vector *const *args, uint32_t i, uint32_t row, bool many,
                           const struct json_path **ret, bool *ret_null);
/* Argument i as a value: NULL is JSON's null, text is text. */
MUST_USE db_err json__value(struct eval_ctx *ctx, const struct func_call *call,
                            struct vector *const *args, uint32_t i, uint32_t row,
                            struct json_node **ret);
/* The row's result. */
MUST_USE db_err json__set(struct eval_ctx *ctx, struct vector *out, uint32_t row,
                          const struct json_node *n);
/* A part of a document as a document. */
MUST_USE db_err json__set_view(struct eval_ctx *ctx, struct vector *out, uint32_t row,
                               const struct json_view *v);
/* utf8mb4 text from the argument's charset. */
MUST_USE db_err json__utf8(struct eval_ctx *ctx, const struct sql_type *type, struct slice s,
                           struct slice *ret);
/* Parses utf8mb4 text that is argument `number` of the call. */
MUST_USE db_err json__parse(struct eval_ctx *ctx, const char *name, uint32_t number,
                            struct slice text, struct arena *arena, struct json_node **ret);
/* 'one' (false) or 'all' (true); anything else 3154. */
MUST_USE db_err json__one_or_all(struct eval_ctx *ctx, const struct func_call *call,
                                 struct vector *const *args, uint32_t i, uint32_t row,
                                 bool *ret_all, bool *ret_null);

#endif
