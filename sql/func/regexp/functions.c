/* REGEXP, REGEXP_LIKE, REGEXP_INSTR, REGEXP_SUBSTR, REGEXP_REPLACE. The row's variant is the number
 * of the match_type argument. */
#include "sql/func/families.h"

#include "sql/func/regexp/regexp_int.h"

static bool is_bytes(const struct func_arg *a)
{
    return type_is_string(&a->type) && a->type.collation == COLL_BINARY;
}

/* MYSQL: a column of bytes of a fixed length, and those of a BLOB, meet text: both are read as they
 * are. Not in REGEXP_REPLACE. */
static bool meets_text(const struct func_arg *a, uint32_t texts)
{
    return texts == 2 && is_bytes(a) &&
           (type_is_blob(&a->type) || a->in_blob || (a->type.id == TYPE_BINARY && a->is_column));
}

static db_err mismatch(struct func_bind_ctx *ctx, const struct func_arg *bytes,
                       const struct func_arg *text, const char *operation)
{
    const char *name = collation_by_id(text->type.collation)->name;
    return diag_set_sql(ctx->diag, ER_CHARACTER_SET_MISMATCH, "HY000",
                        "Character set '%s' cannot be used in conjunction with '%s' in call to %s.",
                        bytes < text ? "binary" : name, bytes < text ? name : "binary", operation);
}

static bool is_characters(const struct func_arg *a)
{
    return func__is_text(&a->type) && !is_bytes(a);
}

/* MYSQL: text and bytes do not meet, but those that parameters and variables are part of do. */
static db_err refuse_bytes(struct func_bind_ctx *ctx, struct func_arg *args, uint32_t texts,
                           const char *operation)
{
    const struct func_arg *bytes = NULL;
    const struct func_arg *text = NULL;
    for (uint32_t i = 0; i < texts; i++) {
        struct func_arg *a = &args[i];
        if (!a->of_param && meets_text(a, texts)) {
            return ERR_OK;
        }
        if (is_bytes(a) && !a->of_param && bytes == NULL) {
            bytes = a;
        } else if (is_characters(a) && text == NULL) {
            text = a;
        }
    }
    return text == NULL || bytes == NULL ? ERR_OK : mismatch(ctx, bytes, text, operation);
}

/* Bytes of parameters and variables beside text, when they have agreed on a collation: of text they
 * are text, of bytes the text is bytes. MYSQL: not a literal that replaces, beside another. */
static db_err meet(struct func_bind_ctx *ctx, const struct func_call *call, struct func_arg *args,
                   uint32_t texts, const char *operation)
{
    struct func_arg *bytes = NULL;
    bool literal = false; /* has become bytes */
    for (uint32_t i = 0; i < texts && bytes == NULL; i++) {
        bytes = is_bytes(&args[i]) && args[i].of_param ? &args[i] : NULL;
    }
    if (bytes == NULL) {
        return ERR_OK;
    }
    for (uint32_t i = 0; i < texts; i++) {
        struct func_arg *a = &args[i];
        if (call->collation != COLL_BINARY) {
            if (is_bytes(a)) {
                func__want_valid(a, call->collation);
                a->type.collation = call->collation;
            }
        } else if (is_characters(a)) {
            bool is_literal = a->constant != NULL && !a->of_param;
            if (i == 2 && literal && is_literal) {
                return mismatch(ctx, bytes, a, operation);
            }
            literal = literal || is_literal;
            a->want = type_blob(TYPE_LONGBLOB, COLL_BINARY);
            a->want_cast = true;
        }
    }
    return ERR_OK;
}

/* MYSQL: a literal beside bytes is bytes, other text stays text. */
static bool text_as_bytes(const struct func_call *call, const struct func_arg *a)
{
    return call->collation == COLL_BINARY && a->constant != NULL && is_characters(a);
}

/* Text and pattern agree on one collation; numbers stand between them, a replacement and
 * match_type.
 */
static db_err bind_common(BIND_ARGS, uint32_t texts, const char *operation)
{
    uint8_t coercibility;
    const struct collation *c;
    uint32_t mode_arg = (uint32_t)call->variant;
    TRY(refuse_bytes(ctx, args, texts, operation));
    func__want_texts(ctx, args, texts);
    TRY(func_agree_collation(ctx, operation, args, 2, &call->collation, &coercibility));
    TRY(meet(ctx, call, args, texts, operation));
    for (uint32_t i = 0; i < texts; i++) {
        bool text = type_is_string(&args[i].type) && call->collation != COLL_BINARY;
        if (text && args[i].want_cast) {
            args[i].want.collation = call->collation;
        } else if (text_as_bytes(call, &args[i])) {
            args[i].want = type_blob(TYPE_LONGBLOB, COLL_BINARY);
            args[i].want_cast = true;
        }
    }
    TRY(collation_require_id(call->collation, ctx->diag, &c));
    call->coercibility = coercibility;
    for (uint32_t i = texts; i < call->arg_count; i++) {
        if (i == mode_arg) {
            func__want_text(ctx, &args[i]);
        } else {
            func__want_int(&args[i]);
        }
    }
    return ERR_OK;
}

/* A place, or a truth: of numbers alone it has no collation. */
static db_err bind_number(BIND_ARGS, const char *operation)
{
    bool text = false;
    bool nothing = args[0].type.id == TYPE_NULL && args[1].type.id == TYPE_NULL;
    for (uint32_t i = 0; i < 2; i++) {
        text = text || func__is_text(&args[i].type) || args[i].type.id == TYPE_JSON ||
               func__meets_as_text(&args[i]);
    }
    TRY(bind_common(ctx, call, args, 2, operation));
    call->coercibility = text ? call->coercibility : nothing ? 6 : 5;
    return ERR_OK;
}

db_err regexp_bind_test(BIND_ARGS)
{
    TRY(bind_number(ctx, call, args, "regexp_like"));
    func__result(call, args, func__bool());
    return ERR_OK;
}

db_err regexp_bind_instr(BIND_ARGS)
{
    TRY(bind_number(ctx, call, args, call->def->name));
    func__result(call, args, func__bigint(21));
    return ERR_OK;
}

db_err regexp_bind_substr(BIND_ARGS)
{
    TRY(bind_common(ctx, call, args, 2, call->def->name));
    func__result_null(call, func__text(func__chars(&args[0].type), call->collation));
    return ERR_OK;
}

db_err regexp_bind_replace(BIND_ARGS)
{
    TRY(bind_common(ctx, call, args, 3, call->def->name));
    bool binary = call->collation == COLL_BINARY;
    struct sql_type t = type_blob(binary ? TYPE_LONGBLOB : TYPE_LONGTEXT, call->collation);
    t.length = 1 << 24; /* MYSQL: what it announces, whatever comes */
    func__result_null(call, t);
    return ERR_OK;
}

static int64_t number(const struct func_call *call, struct vector *const *args, uint32_t i,
                      uint32_t row, int64_t otherwise)
{
    if (i >= call->arg_count || i == (uint32_t)call->variant) {
        return otherwise;
    }
    int64_t n = (int32_t)(uint32_t)vec_u64(args[i], row); /* MYSQL: its low 32 bits */
    return n;
}

db_err regexp_test(EVAL_ARGS)
{
    struct regexp *r;
    TRY(regexp__open(ctx, call, &r));
    EACH_ROW(row)
    {
        bool found;
        TRY(regexp__start(ctx, call, r, args, row, (uint32_t)call->variant));
        TRY(regexp__find(ctx, r, 1, 1, &found));
        vec_set_i64(out, row, found);
    }
    return ERR_OK;
}

/* REGEXP_INSTR(s, pattern [, from [, occurrence [, end [, match_type]]]]) */
db_err regexp_instr(EVAL_ARGS)
{
    struct regexp *r;
    TRY(regexp__open(ctx, call, &r));
    EACH_ROW(row)
    {
        bool found;
        int64_t end = number(call, args, 4, row, 0);
        if (end != 0 && end != 1) {
            return my_error(ctx->diag, ER_WRONG_ARGUMENTS,
                            "regexp_instr: return_option must be 1 or 0.");
        }
        int64_t from = number(call, args, 2, row, 1);
        TRY(regexp__start(ctx, call, r, args, row, (uint32_t)call->variant));
        if (r->subject.len == 0 && from > 1) {
            vec_set_i64(out, row, 0);
            continue;
        }
        /* MYSQL: here, unlike in REGEXP_SUBSTR, the place after the last character is outside. */
        if (from > 1 && regexp__unit(r, from) == (int32_t)(r->subject.len / sizeof(UChar))) {
            return regexp__error(ctx, U_INDEX_OUTOFBOUNDS_ERROR, NULL);
        }
        TRY(regexp__find(ctx, r, from, number(call, args, 3, row, 1), &found));
        int64_t at = 0;
        if (found) {
            UErrorCode status = U_ZERO_ERROR;
            int32_t unit =
                end == 1 ? uregex_end(r->re, 0, &status) : uregex_start(r->re, 0, &status);
            at = regexp__chars(r, unit) + 1;
        }
        vec_set_i64(out, row, at);
    }
    return ERR_OK;
}

/* MYSQL: a place that no text can have is told of as such; REGEXP_INSTR does not look. */
static db_err check_place(struct eval_ctx *ctx, const struct func_call *call,
                          struct vector *const *args, uint32_t i, uint32_t row)
{
    int64_t from = number(call, args, i, row, 1);
    return from >= 1 && from <= INT32_MAX
               ? ERR_OK
               : my_error(ctx->diag, ER_WRONG_PARAMETERS_TO_NATIVE_FCT, call->def->name);
}

/* REGEXP_SUBSTR(s, pattern [, from [, occurrence [, match_type]]]) */
db_err regexp_substr(EVAL_ARGS)
{
    struct regexp *r;
    TRY(regexp__open(ctx, call, &r));
    EACH_ROW(row)
    {
        bool found;
        TRY(check_place(ctx, call, args, 2, row));
        TRY(regexp__start(ctx, call, r, args, row, (uint32_t)call->variant));
        TRY(regexp__find(ctx, r, number(call, args, 2, row, 1), number(call, args, 3, row, 1),
                         &found));
        if (!found) {
            vec_set_null(out, row);
            continue;
        }
        UErrorCode status = U_ZERO_ERROR;
        int32_t start = uregex_start(r->re, 0, &status);
        int32_t end = uregex_end(r->re, 0, &status);
        const UChar *text = (const UChar *)(const void *)r->subject.ptr;
        TRY(regexp__set(ctx, out, row, text + start, end - start));
    }
    return ERR_OK;
}

/* ---- REGEXP_REPLACE ---- */

static db_err append_group(struct eval_ctx *ctx, struct regexp *r, int32_t group, struct buf *b)
{
    UErrorCode status = U_ZERO_ERROR;
    int32_t start = uregex_start(r->re, group, &status);
    int32_t end = uregex_end(r->re, group, &status);
    if (U_FAILURE(status)) {
        return regexp__error(ctx, status, NULL);
    }
    if (start < 0) { /* the group took no part in the match */
        return ERR_OK;
    }
    const UChar *text = (const UChar *)(const void *)r->subject.ptr;
    return buf_append(b, text + start, (size_t)(end - start) * sizeof(UChar));
}

/* $n and ${name} at p[*io_at], which is the dollar sign. */
static db_err append_reference(struct eval_ctx *ctx, struct regexp *r, const UChar *p, int32_t len,
                               int32_t *io_at, struct buf *b)
{
    UErrorCode status = U_ZERO_ERROR;
    int32_t at = *io_at + 1;
    int32_t groups = uregex_groupCount(r->re, &status);
    int32_t group = 0;
    if (at < len && p[at] == '{') {
        int32_t end = at + 1;
        while (end < len && p[end] != '}') {
            end++;
        }
        if (end == len) {
            return regexp__error(ctx, U_REGEX_INVALID_CAPTURE_GROUP_NAME, NULL);
        }
        group = uregex_groupNumberFromName(r->re, p + at + 1, end - at - 1, &status);
        if (U_FAILURE(status)) {
            return regexp__error(ctx, status, NULL);
        }
        *io_at = end + 1;
        return append_group(ctx, r, group, b);
    }
    int32_t digits = 0;
    for (; at < len && p[at] >= '0' && p[at] <= '9'; at++, digits++) {
        int32_t next = group * 10 + (p[at] - '0');
        if (digits != 0 && next > groups) {
            break; /* as many digits as name a group */
        }
        group = next;
    }
    if (digits == 0 || group > groups) {
        return regexp__error(
            ctx, digits == 0 ? U_REGEX_INVALID_CAPTURE_GROUP_NAME : U_INDEX_OUTOFBOUNDS_ERROR,
            NULL);
    }
    *io_at = at;
    return append_group(ctx, r, group, b);
}

/* The replacement for the current match; a backslash takes the next character as it is. */
static db_err append_replacement(struct eval_ctx *ctx, struct regexp *r, struct buf *b)
{
    const UChar *p = (const UChar *)(const void *)r->scratch.ptr;
    int32_t len = (int32_t)(r->scratch.len / sizeof(UChar));
    for (int32_t at = 0; at < len;) {
        if (p[at] == '$') {
            TRY(append_reference(ctx, r, p, len, &at, b));
            continue;
        }
        if (p[at] == '\\' && at + 1 < len) {
            at++;
        }
        TRY(buf_append(b, &p[at++], sizeof(UChar)));
    }
    return ERR_OK;
}

static db_err replace_row(struct eval_ctx *ctx, struct regexp *r, int64_t from, int64_t occurrence,
                          struct vector *out, uint32_t row)
{
    const UChar *text = (const UChar *)(const void *)r->subject.ptr;
    int32_t units = (int32_t)(r->subject.len / sizeof(UChar));
    int32_t done = 0;
    bool found;
    TRY(regexp__find(ctx, r, from, occurrence, &found));
    SCOPE_BUF(b, SIZE_MAX / 4);
    while (found && units != 0) { /* MYSQL: in no text there is nothing to replace */
        UErrorCode status = U_ZERO_ERROR;
        int32_t start = uregex_start(r->re, 0, &status);
        TRY(buf_append(&b, text + done, (size_t)(start - done) * sizeof(UChar)));
        TRY(append_replacement(ctx, r, &b));
        done = uregex_end(r->re, 0, &status);
        found = false;
        if (occurrence == 0) {
            TRY(regexp__next(ctx, r, &found));
        }
    }
    TRY(buf_append(&b, text + done, (size_t)(units - done) * sizeof(UChar)));
    return regexp__set(ctx, out, row, (const UChar *)(const void *)b.ptr,
                       (int32_t)(b.len / sizeof(UChar)));
}

/* REGEXP_REPLACE(s, pattern, with [, from [, occurrence [, match_type]]]); occurrence 0: all. */
db_err regexp_replace(EVAL_ARGS)
{
    struct regexp *r;
    const struct charset *cs = regexp__charset(args[2]->type);
    TRY(regexp__open(ctx, call, &r));
    EACH_ROW(row)
    {
        TRY(check_place(ctx, call, args, 3, row));
        TRY(regexp__start(ctx, call, r, args, row, (uint32_t)call->variant));
        buf_reset(&r->scratch);
        TRY(regexp__utf16(ctx->diag, vec_str(args[2], row), cs, &r->scratch));
        TRY(replace_row(ctx, r, number(call, args, 3, row, 1), number(call, args, 4, row, 0), out,
                        row));
    }
    return ERR_OK;
}
