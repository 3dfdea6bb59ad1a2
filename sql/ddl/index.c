/* Keys: names, parts, limits. */
#include <stdio.h>

#include "sql/charset/charset.h"
#include "sql/ddl/fk_int.h"
#include "sql/types/sql_mode.h"

static db_err add_parts(struct draft *d, const struct ast_index_def *ast, struct draft_index *ix)
{
    struct ddl_ctx *ctx = d->ctx;
    if (ast->parts.count > CATALOG_INDEX_PARTS_MAX) {
        return my_error(ctx->diag, ER_TOO_MANY_KEY_PARTS, CATALOG_INDEX_PARTS_MAX);
    }
    ix->part_count = ast->parts.count;
    ix->parts = ARENA_ARRAY(ctx->arena, struct draft_part, ast->parts.count + 1);
    if (ix->parts == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < ast->parts.count; i++) {
        const struct ast_key_part *p = ast->parts.items[i];
        if (p->empty_prefix) {
            return my_error(ctx->diag, ER_KEY_PART_0, ddl__text(ctx, p->column));
        }
        if (p->prefix > UINT32_MAX) {
            return my_error(ctx->diag, ER_WRONG_SUB_KEY);
        }
        ix->parts[i] = (struct draft_part){.name = p->column,
                                           .expr = p->expr,
                                           .prefix = (uint32_t)p->prefix,
                                           .desc = p->desc,
                                           .has_order = p->has_order};
    }
    return ERR_OK;
}

static db_err check_key_name(struct draft *d, const struct ast_index_def *ast, struct slice name)
{
    struct ddl_ctx *ctx = d->ctx;
    if (name.ptr == NULL) {
        return ERR_OK;
    }
    if (ddl__too_long(name, DDL_NAME_CHARS_MAX)) {
        return my_error(ctx->diag, ER_TOO_LONG_IDENT, ddl__text(ctx, name));
    }
    bool bad = name.len == 0 || name.ptr[name.len - 1] == ' ' ||
               (slice_eq_nocase(name, SLICE_LIT("PRIMARY")) && ast->kind != AST_INDEX_PRIMARY);
    return bad ? my_error(ctx->diag, ER_WRONG_NAME_FOR_INDEX, ddl__text(ctx, name)) : ERR_OK;
}

static db_err kind_of(struct draft *d, const struct ast_index_def *ast, enum index_kind *ret)
{
    switch ((int)ast->kind) {
    case AST_INDEX_KEY: *ret = INDEX_PLAIN; return ERR_OK;
    case AST_INDEX_UNIQUE: *ret = INDEX_UNIQUE; return ERR_OK;
    case AST_INDEX_PRIMARY: *ret = INDEX_PRIMARY; return ERR_OK;
    case AST_INDEX_FULLTEXT:
        if (ast->parts.count != 0 && ast->parts.items[0]->expr != NULL) {
            return my_error(d->ctx->diag, ER_FULLTEXT_FUNCTIONAL_INDEX);
        }
        return ddl__unsupported(d->ctx, "FULLTEXT indexes");
    case AST_INDEX_SPATIAL: return ddl__unsupported(d->ctx, "SPATIAL indexes");
    default: return ERR_INVALID;
    }
}

/* All indexes are ordered. */
static db_err set_algorithm(struct draft *d, const struct ast_index_def *ast,
                            struct draft_index *ix)
{
    ix->def.using_btree = ast->algorithm == AST_INDEX_BTREE;
    if (ast->algorithm == AST_INDEX_RTREE) {
        return my_error(d->ctx->diag, ER_SPATIAL_MUST_HAVE_GEOM_COL);
    }
    if (ast->algorithm == AST_INDEX_HASH && !slice_eq_nocase(d->def.engine, SLICE_LIT("MEMORY")) &&
        !slice_eq_nocase(d->def.engine, SLICE_LIT("HEAP"))) {
        diag_area_note(d->ctx->warnings, ER_UNSUPPORTED_INDEX_ALGORITHM, "HASH");
    }
    return ERR_OK;
}

db_err ddl__index(struct draft *d, const struct ast_index_def *ast)
{
    struct ddl_ctx *ctx = d->ctx;
    if (ast->kind == AST_INDEX_FOREIGN) {
        return ddl__foreign_key(d, ast);
    }
    struct draft_index *ix = ARENA_NEW(ctx->arena, struct draft_index);
    if (ix == NULL) {
        return ERR_NOMEM;
    }
    ix->source = -1;
    TRY(kind_of(d, ast, &ix->def.kind));
    if (ast->engine_attribute.ptr != NULL) {
        return ddl__unsupported(ctx, "ENGINE_ATTRIBUTE");
    }
    struct slice name = ast->name.ptr != NULL ? ast->name : ast->constraint;
    TRY(check_key_name(d, ast, name));
    if (ix->def.kind == INDEX_PRIMARY) {
        name = SLICE_LIT("PRIMARY");
        if (ddl__primary(d) != NULL) {
            return my_error(ctx->diag, ER_MULTIPLE_PRI_KEY);
        }
        if (ast->visible == AST_NO) {
            return my_error(ctx->diag, ER_PK_INDEX_CANT_BE_INVISIBLE);
        }
    }
    ix->def.name = name;
    ix->def.comment = ast->comment;
    ix->def.invisible = ast->visible == AST_NO;
    TRY(set_algorithm(d, ast, ix));
    TRY(add_parts(d, ast, ix));
    return ddl__add_index(d, ix);
}

db_err ddl__column_key(struct draft *d, struct slice column, bool primary)
{
    struct draft_index *ix = ARENA_NEW(d->ctx->arena, struct draft_index);
    struct draft_part *part = ARENA_NEW(d->ctx->arena, struct draft_part);
    if (ix == NULL || part == NULL) {
        return ERR_NOMEM;
    }
    if (primary && ddl__primary(d) != NULL) {
        return my_error(d->ctx->diag, ER_MULTIPLE_PRI_KEY);
    }
    part->name = column;
    ix->source = -1;
    ix->def.kind = primary ? INDEX_PRIMARY : INDEX_UNIQUE;
    ix->def.name = primary ? SLICE_LIT("PRIMARY") : SLICE_EMPTY;
    ix->part_count = 1;
    ix->parts = part;
    return ddl__add_index(d, ix);
}

/* ---- parts ---- */

static unsigned char_bytes(const struct sql_type *t)
{
    const struct collation *c = collation_by_id(t->collation);
    return c == NULL ? 1 : c->cs->maxlen;
}

/* Bytes that a part counts for in MySQL's limits. */
static uint32_t part_bytes(const struct draft_part *p)
{
    const struct sql_type *t = column_key_type(&p->column->def);
    if (p->prefix != 0) {
        return p->prefix * char_bytes(t);
    }
    if (type_is_string(t)) {
        return t->id == TYPE_CHAR || t->id == TYPE_VARCHAR ? t->length * char_bytes(t) : t->length;
    }
    uint32_t fixed = type_row_bytes(t);
    return fixed == 0 ? 8 : fixed;
}

static db_err check_prefix(struct draft *d, struct draft_part *p)
{
    const struct sql_type *t = &p->column->def.type;
    if (p->prefix == 0) {
        return ERR_OK;
    }
    if (!type_is_string(t)) {
        return my_error(d->ctx->diag, ER_WRONG_SUB_KEY);
    }
    if (!type_is_blob(t)) {
        if (p->prefix > t->length) {
            return my_error(d->ctx->diag, ER_WRONG_SUB_KEY);
        }
        p->prefix = p->prefix == t->length ? 0 : p->prefix;
    } else if (p->prefix > type_max_bytes(t) / char_bytes(t)) {
        return my_error(d->ctx->diag, ER_WRONG_SUB_KEY);
    }
    return ERR_OK;
}

/* MYSQL: of a column that is changed a key that was there has the beginning only while the column
 * has as much, counted in bytes. */
static void keep_prefix(const struct draft *d, const struct draft_index *ix, struct draft_part *p)
{
    const struct sql_type *t = &p->column->def.type;
    if (p->prefix == 0 || ix->source < 0 || !p->column->redefined) {
        return;
    }
    uint64_t bytes = (uint64_t)p->prefix * char_bytes(&d->old->columns[p->column->source].type);
    bool shorter = !type_is_blob(t) && t->length < p->prefix;
    if (!type_is_string(t) || type_max_bytes(t) < bytes || shorter) {
        p->prefix = 0;
    }
}

static db_err resolve_part(struct draft *d, struct draft_index *ix, uint32_t at)
{
    struct ddl_ctx *ctx = d->ctx;
    struct draft_part *p = &ix->parts[at];
    if (p->column == NULL && p->expr != NULL) {
        TRY(ddl__functional_part(d, ix, at, &p->column));
    } else if (p->column == NULL) {
        p->column = ddl__find_column(d, p->name);
    }
    if (p->column == NULL) {
        return my_error(ctx->diag, ER_KEY_COLUMN_DOES_NOT_EXITS, ddl__text(ctx, p->name));
    }
    const char *name = ddl__text(ctx, p->column->def.name);
    const struct sql_type *t = &p->column->def.type;
    for (uint32_t i = 0; i < at; i++) {
        if (ix->parts[i].column == p->column) {
            return my_error(ctx->diag, ER_DUP_FIELDNAME, name);
        }
    }
    if (t->id == TYPE_JSON && p->column->def.element == NULL) {
        return my_error(ctx->diag, ER_JSON_USED_AS_KEY, name);
    }
    if (t->id == TYPE_VECTOR) {
        return my_error(ctx->diag, ER_NON_SCALAR_USED_AS_KEY, name);
    }
    if (t->id == TYPE_GEOMETRY) {
        return my_error(ctx->diag, ER_WRONG_KEY_COLUMN, name);
    }
    keep_prefix(d, ix, p);
    TRY(check_prefix(d, p));
    if (type_is_blob(t) && p->prefix == 0 && p->column->def.element == NULL) {
        return my_error(ctx->diag, ER_BLOB_KEY_WITHOUT_LENGTH, name);
    }
    return ERR_OK;
}

static bool is_strict(const struct draft *d)
{
    return (d->ctx->bind->sql_mode & SQL_MODE_STRICT) != 0;
}

/* MYSQL: a part of a key that is not unique is cut to the limit with a warning when the mode is not
 * strict; all else is an error. */
static db_err check_length(struct draft *d, struct draft_index *ix)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < ix->part_count; i++) {
        struct draft_part *p = &ix->parts[i];
        uint32_t bytes = part_bytes(p);
        if (bytes > DDL_KEY_BYTES_MAX && ix->def.kind == INDEX_PLAIN && !is_strict(d)) {
            diag_area_warn(d->ctx->warnings, ER_TOO_LONG_KEY, DDL_KEY_BYTES_MAX);
            p->prefix = DDL_KEY_BYTES_MAX / char_bytes(&p->column->def.type);
            bytes = DDL_KEY_BYTES_MAX;
        }
        total += bytes;
    }
    return total > DDL_KEY_BYTES_MAX ? my_error(d->ctx->diag, ER_TOO_LONG_KEY, DDL_KEY_BYTES_MAX)
                                     : ERR_OK;
}

/* Do keys written before this one have the name? */
static bool name_taken(const struct draft *d, uint32_t before, struct slice name)
{
    for (uint32_t i = 0; i < before; i++) {
        if (slice_eq_nocase(d->indexes[i]->def.name, name)) {
            return true;
        }
    }
    return false;
}

/* MYSQL: the first column's name, then that with _2, _3, ... */
static db_err make_name(struct draft *d, uint32_t at)
{
    struct draft_index *ix = d->indexes[at];
    const struct draft_column *c = ix->parts[0].column; /* a functional part: none yet */
    struct slice base = ix->parts[0].expr != NULL ? SLICE_LIT("functional_index") : c->def.name;
    struct slice name = base;
    bool taken = slice_eq_nocase(name, SLICE_LIT("PRIMARY"));
    for (unsigned n = 2; taken || name_taken(d, at, name); n++) {
        const char *text = arena_printf(d->ctx->arena, "%.*s_%u", SLICE_FMT(base), n);
        if (text == NULL) {
            return ERR_NOMEM;
        }
        name = slice_str(text);
        taken = false;
    }
    ix->def.name = name;
    return ERR_OK;
}

static bool same_parts(const struct draft_index *a, const struct draft_index *b)
{
    if (a->part_count != b->part_count ||
        (a->def.kind == INDEX_PLAIN) != (b->def.kind == INDEX_PLAIN)) {
        return false;
    }
    for (uint32_t i = 0; i < a->part_count; i++) {
        if (a->parts[i].column != b->parts[i].column || a->parts[i].prefix != b->parts[i].prefix ||
            a->parts[i].desc != b->parts[i].desc) {
            return false;
        }
    }
    return true;
}

static void note_duplicate(struct draft *d, uint32_t at)
{
    const struct draft_index *ix = d->indexes[at];
    for (uint32_t i = 0; i < d->index_count; i++) {
        const struct draft_index *other = d->indexes[i];
        bool earlier = i < at || other->source >= 0;
        if (i != at && earlier && other->def.kind != INDEX_PRIMARY && same_parts(ix, other)) {
            struct diag text;
            diag_reset(&text);
            diag_set_sql(
                &text, ER_DUP_INDEX, "HY000",
                "Duplicate index '%.*s' defined on the table '%.*s.%.*s'. This is deprecated "
                "and will be disallowed in a future release.",
                SLICE_FMT(ix->def.name), SLICE_FMT(d->def.schema_name), SLICE_FMT(d->def.name));
            diag_area_add(d->ctx->warnings, DIAG_WARNING, &text);
            return;
        }
    }
}

static db_err check_names(struct draft *d, uint32_t at)
{
    struct draft_index *ix = d->indexes[at];
    if (ix->def.name.ptr == NULL) {
        return make_name(d, at);
    }
    return name_taken(d, at, ix->def.name)
               ? my_error(d->ctx->diag, ER_DUP_KEYNAME, ddl__text(d->ctx, ix->def.name))
               : ERR_OK;
}

db_err ddl__check_indexes(struct draft *d)
{
    d->keep_order = false;
    ddl__order_hidden(d);
    ddl__drop_generated(d);
    /* The hidden clustered index takes a place too. */
    if (d->index_count >= CATALOG_INDEXES_MAX) {
        return my_error(d->ctx->diag, ER_TOO_MANY_KEYS, CATALOG_INDEXES_MAX - 1);
    }
    for (uint32_t i = 0; i < d->index_count; i++) {
        struct draft_index *ix = d->indexes[i];
        ix->nullable = false;
        if (ix->part_count != 0 && ix->parts[0].expr != NULL) {
            TRY(check_names(d, i)); /* messages about the parts name the key */
        }
        for (uint32_t p = 0; p < ix->part_count; p++) {
            TRY(resolve_part(d, ix, p));
            struct draft_column *c = ix->parts[p].column;
            if (ix->def.kind == INDEX_PRIMARY) {
                /* MYSQL: only keys written after this one see that the column cannot be NULL. */
                c->def.type.flags |= TYPE_F_NOT_NULL;
            }
            ix->nullable = ix->nullable || (c->def.type.flags & TYPE_F_NOT_NULL) == 0;
        }
        if (ix->part_count == 0 || ix->parts[0].expr == NULL) {
            TRY(check_names(d, i));
        }
        TRY(ddl__fit_comment(d->ctx, &ix->def.comment, DDL_INDEX_COMMENT_MAX,
                             ER_TOO_LONG_INDEX_COMMENT, ix->def.name));
        TRY(check_length(d, ix));
        if (ix->source < 0 && ix->def.kind != INDEX_PRIMARY) {
            note_duplicate(d, i);
        }
    }
    return ERR_OK;
}
