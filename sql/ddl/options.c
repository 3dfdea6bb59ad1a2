/* Table options. Those that have an effect become members of the descriptor; the others are kept as
 * text, one "NAME=value" after the other in MySQL's order, and shown again. */
#include "sql/charset/charset.h"
#include "sql/ddl/ddl_int.h"
#include "sql/types/sql_mode.h"

enum { OPTION_TEXT_MAX = 64 * 1024 };

/* In the order of SHOW CREATE TABLE; those after the comment have `late`. */
struct shown_option {
    const char *name;
    enum ast_table_option_kind kind;
    bool text; /* a quoted value */
};
static const struct shown_option shown_options[] = {
    {"MIN_ROWS", AST_TOPT_MIN_ROWS, false},
    {"MAX_ROWS", AST_TOPT_MAX_ROWS, false},
    {"AVG_ROW_LENGTH", AST_TOPT_AVG_ROW_LENGTH, false},
    {"PACK_KEYS", AST_TOPT_PACK_KEYS, false},
    {"STATS_PERSISTENT", AST_TOPT_STATS_PERSISTENT, false},
    {"STATS_AUTO_RECALC", AST_TOPT_STATS_AUTO_RECALC, false},
    {"STATS_SAMPLE_PAGES", AST_TOPT_STATS_SAMPLE_PAGES, false},
    {"CHECKSUM", AST_TOPT_CHECKSUM, false},
    {"DELAY_KEY_WRITE", AST_TOPT_DELAY_KEY_WRITE, false},
    {"ROW_FORMAT", AST_TOPT_ROW_FORMAT, false},
    {"KEY_BLOCK_SIZE", AST_TOPT_KEY_BLOCK_SIZE, false},
    {"COMPRESSION", AST_TOPT_COMPRESSION, true},
};

db_err ddl__collation(struct ddl_ctx *ctx, struct slice charset, struct slice collation,
                      uint16_t otherwise, uint16_t *ret)
{
    const struct collation *c = collation_by_id(otherwise);
    if (charset.len != 0) {
        const struct charset *cs;
        TRY(charset_require(charset, ctx->diag, &cs));
        c = bind_charset_collation(ctx->bind, cs);
    }
    if (collation.len != 0) {
        const struct collation *wanted;
        TRY(collation_require(collation, ctx->diag, &wanted));
        if (charset.len != 0 && wanted->cs != c->cs) {
            return my_error(ctx->diag, ER_COLLATION_CHARSET_MISMATCH, wanted->name, c->cs->name);
        }
        c = wanted;
    }
    if (c == NULL || c->ops == NULL) {
        return ddl__unsupported(ctx, c == NULL ? "this collation" : c->name);
    }
    *ret = c->id;
    return ERR_OK;
}

/* ---- the kept text ---- */

/* The value of an option in the kept text, or ptr NULL. Values hold no blank outside quotes. */
static struct slice kept_value(struct slice text, const char *name)
{
    size_t at = 0;
    while (at < text.len) {
        size_t eq = at;
        while (eq < text.len && text.ptr[eq] != '=') {
            eq++;
        }
        size_t end = eq + 1;
        bool quoted = false;
        while (end < text.len && (quoted || text.ptr[end] != ' ')) {
            quoted = text.ptr[end] == '\'' ? !quoted : quoted;
            end++;
        }
        if (eq < text.len && slice_eq(slice_of(text.ptr + at, eq - at), slice_str(name))) {
            return slice_of(text.ptr + eq + 1, end - eq - 1);
        }
        at = end + 1;
    }
    return SLICE_EMPTY;
}

struct slice ddl_table_option(const struct table_def *def, const char *name)
{
    return kept_value(def->create_options, name);
}

static db_err option_value(struct ddl_ctx *ctx, const struct shown_option *o,
                           const struct ast_table_option *ast, struct slice *ret)
{
    const char *text;
    /* MYSQL: DEFAULT (and 0, where 0 means that) takes the option away. */
    bool zero_is_off = ast->kind != AST_TOPT_STATS_PERSISTENT &&
                       ast->kind != AST_TOPT_STATS_AUTO_RECALC && ast->kind != AST_TOPT_PACK_KEYS;
    if (ast->is_default || (!o->text && ast->text.ptr == NULL && ast->number == 0 && zero_is_off)) {
        *ret = SLICE_EMPTY;
        return ERR_OK;
    }
    if (o->text) {
        text = arena_printf(ctx->arena, "'%.*s'", SLICE_FMT(ast->text));
    } else if (ast->text.ptr != NULL) {
        if (slice_eq_nocase(ast->text, SLICE_LIT("DEFAULT"))) {
            *ret = SLICE_EMPTY;
            return ERR_OK;
        }
        char *upper = arena_strdup(ctx->arena, ast->text);
        for (char *p = upper; p != NULL && *p != '\0'; p++) {
            *p = (char)(*p >= 'a' && *p <= 'z' ? *p - 32 : *p);
        }
        text = upper;
    } else {
        text = arena_printf(ctx->arena, "%llu", (unsigned long long)ast->number);
    }
    if (text == NULL) {
        return ERR_NOMEM;
    }
    *ret = slice_str(text);
    return ERR_OK;
}

static db_err keep(struct draft *d, const struct ast_table_option *ast)
{
    SCOPE_BUF(out, OPTION_TEXT_MAX);
    for (size_t i = 0; i < ARRAY_COUNT(shown_options); i++) {
        const struct shown_option *o = &shown_options[i];
        struct slice v = kept_value(d->def.create_options, o->name);
        if (o->kind == ast->kind) {
            TRY(option_value(d->ctx, o, ast, &v));
        }
        if (v.ptr != NULL && v.len != 0) {
            TRY(buf_printf(&out, "%s%s=%.*s", out.len == 0 ? "" : " ", o->name, SLICE_FMT(v)));
        }
    }
    return arena_copy(d->ctx->arena, buf_slice(&out), &d->def.create_options);
}

/* ---- ENGINE ---- */

struct engine_name {
    const char *word, *shown;
    bool usable;
};
static const struct engine_name engine_names[] = {
    {"InnoDB", "InnoDB", true},          {"MyISAM", "MyISAM", true},
    {"MEMORY", "MEMORY", true},          {"HEAP", "MEMORY", true},
    {"INNOBASE", "InnoDB", true},        {"CSV", "CSV", false},
    {"ARCHIVE", "ARCHIVE", false},       {"BLACKHOLE", "BLACKHOLE", false},
    {"FEDERATED", "FEDERATED", false},   {"MRG_MYISAM", "MRG_MYISAM", false},
    {"MERGE", "MRG_MYISAM", false},      {"PERFORMANCE_SCHEMA", "PERFORMANCE_SCHEMA", false},
    {"ndbcluster", "ndbcluster", false}, {"NDB", "ndbcluster", false},
};

bool ddl_engine_name(struct slice word, struct slice *ret_shown)
{
    for (size_t i = 0; i < ARRAY_COUNT(engine_names); i++) {
        if (engine_names[i].usable && slice_eq_nocase(word, slice_str(engine_names[i].word))) {
            *ret_shown = slice_str(engine_names[i].shown);
            return true;
        }
    }
    return false;
}

bool ddl_engine_known(struct slice word, struct slice *ret_shown)
{
    for (size_t i = 0; i < ARRAY_COUNT(engine_names); i++) {
        if (slice_eq_nocase(word, slice_str(engine_names[i].word))) {
            *ret_shown = slice_str(engine_names[i].shown);
            return true;
        }
    }
    return false;
}

static db_err set_engine(struct draft *d, struct slice word)
{
    struct ddl_ctx *ctx = d->ctx;
    for (size_t i = 0; i < ARRAY_COUNT(engine_names); i++) {
        const struct engine_name *e = &engine_names[i];
        if (slice_eq_nocase(word, slice_str(e->word))) {
            if (!e->usable) {
                return ddl__unsupported(ctx,
                                        arena_printf(ctx->arena, "storage engine %s", e->shown));
            }
            d->def.engine = slice_str(e->shown);
            return ERR_OK;
        }
    }
    if ((ctx->bind->sql_mode & SQL_MODE_NO_ENGINE_SUBSTITUTION) != 0) {
        return my_error(ctx->diag, ER_UNKNOWN_STORAGE_ENGINE, ddl__text(ctx, word));
    }
    diag_area_warn(ctx->warnings, ER_UNKNOWN_STORAGE_ENGINE, ddl__text(ctx, word));
    diag_area_warn(ctx->warnings, ER_WARN_USING_OTHER_HANDLER, "InnoDB",
                   ddl__text(ctx, d->def.name));
    d->def.engine = SLICE_LIT("InnoDB");
    return ERR_OK;
}

/* ---- all of them ---- */

static db_err one_option(struct draft *d, const struct ast_table_option *o, struct slice *charset,
                         struct slice *collation)
{
    struct ddl_ctx *ctx = d->ctx;
    switch ((int)o->kind) {
    case AST_TOPT_ENGINE: return set_engine(d, o->text);
    case AST_TOPT_AUTO_INCREMENT: d->def.auto_increment_start = o->number; return ERR_OK;
    case AST_TOPT_CHARSET: *charset = o->text; return ERR_OK;
    case AST_TOPT_COLLATE: *collation = o->text; return ERR_OK;
    case AST_TOPT_COMMENT:
        d->def.comment = o->text;
        return ddl__fit_comment(ctx, &d->def.comment, DDL_TABLE_COMMENT_MAX,
                                ER_TOO_LONG_TABLE_COMMENT, d->def.name);
    case AST_TOPT_AVG_ROW_LENGTH:
    case AST_TOPT_CHECKSUM:
    case AST_TOPT_TABLE_CHECKSUM:
    case AST_TOPT_DELAY_KEY_WRITE:
    case AST_TOPT_KEY_BLOCK_SIZE:
    case AST_TOPT_MAX_ROWS:
    case AST_TOPT_MIN_ROWS:
    case AST_TOPT_PACK_KEYS:
    case AST_TOPT_ROW_FORMAT:
    case AST_TOPT_STATS_AUTO_RECALC:
    case AST_TOPT_STATS_PERSISTENT:
    case AST_TOPT_STATS_SAMPLE_PAGES:
    case AST_TOPT_COMPRESSION: return keep(d, o);
    /* MYSQL: InnoDB takes no notice of them either. */
    case AST_TOPT_INSERT_METHOD:
    case AST_TOPT_PASSWORD:
    case AST_TOPT_STORAGE:
    case AST_TOPT_AUTOEXTEND_SIZE: return ERR_OK;
    case AST_TOPT_ENCRYPTION:
        return slice_eq_nocase(o->text, SLICE_LIT("N")) ? ERR_OK
                                                        : ddl__unsupported(ctx, "ENCRYPTION");
    case AST_TOPT_ENGINE_ATTRIBUTE:
        return my_error(ctx->diag, ER_ENGINE_ATTRIBUTE_NOT_SUPPORTED,
                        ddl__text(ctx, d->def.engine));
    case AST_TOPT_CONNECTION: return ddl__unsupported(ctx, "CONNECTION");
    case AST_TOPT_DATA_DIRECTORY: return ddl__unsupported(ctx, "DATA DIRECTORY");
    case AST_TOPT_INDEX_DIRECTORY: return ddl__unsupported(ctx, "INDEX DIRECTORY");
    case AST_TOPT_TABLESPACE: return ddl__unsupported(ctx, "TABLESPACE");
    case AST_TOPT_UNION: return ddl__unsupported(ctx, "UNION tables");
    case AST_TOPT_SECONDARY_ENGINE: return ddl__unsupported(ctx, "SECONDARY_ENGINE");
    default: return ddl__unsupported(ctx, "this table option");
    }
}

db_err ddl__options(struct draft *d, const struct ast_table_option_list *options)
{
    struct slice charset = SLICE_EMPTY;
    struct slice collation = SLICE_EMPTY;
    uint16_t otherwise = d->def.collation;
    for (uint32_t i = 0; i < options->count; i++) {
        TRY(one_option(d, options->items[i], &charset, &collation));
    }
    if (charset.ptr == NULL && collation.ptr == NULL) {
        return ERR_OK;
    }
    const struct schema_def *schema = snapshot_schema(d->ctx->bind->snapshot, d->def.schema_name);
    if (schema != NULL) {
        otherwise = schema->collation; /* DEFAULT */
    }
    if (charset.len == 0 && collation.len != 0) {
        charset = SLICE_EMPTY;
    }
    return ddl__collation(d->ctx, charset, collation, otherwise, &d->def.collation);
}
