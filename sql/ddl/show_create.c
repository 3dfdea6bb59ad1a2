/* SHOW CREATE TABLE and SHOW CREATE DATABASE: a descriptor as the statement that would make it, to
 * the letter as MySQL prints it. */
#include "sql/charset/charset.h"
#include "sql/ddl/ddl_int.h"
#include "sql/types/cast.h"
#include "sql/types/sql_mode.h"

enum { DEFAULT_TEXT_MAX = 1024 * 1024 };

struct printer {
    struct arena *arena;
    const struct table_def *t;
    const struct ddl_show_opts *opts;
    struct buf *out;
};

static db_err put(struct printer *p, const char *text)
{
    return buf_append(p->out, text, strlen(text));
}

struct ast_name_style ddl__name_style(const struct ddl_show_opts *opts)
{
    return (struct ast_name_style){.double_quotes = (opts->sql_mode & SQL_MODE_ANSI_QUOTES) != 0,
                                   .bare = opts->bare};
}

/* MYSQL: sql_mode ANSI leaves out what other databases do not know. */
static bool for_others(const struct printer *p)
{
    return (p->opts->sql_mode & SQL_MODE_ANSI) != 0;
}

static db_err put_name(struct printer *p, struct slice name)
{
    struct ast_name_style style = ddl__name_style(p->opts);
    return ast_print_name(p->out, name, &style);
}

/* A literal with the escapes that MySQL itself prints. */
static db_err put_text(struct printer *p, struct slice text)
{
    TRY(put(p, "'"));
    for (size_t i = 0; i < text.len; i++) {
        switch (text.ptr[i]) {
        case '\\': TRY(put(p, "\\\\")); break;
        case '\0': TRY(put(p, "\\0")); break;
        case '\'': TRY(put(p, "''")); break;
        case '\n': TRY(put(p, "\\n")); break;
        case '\r': TRY(put(p, "\\r")); break;
        default: TRY(buf_append_u8(p->out, text.ptr[i]));
        }
    }
    return put(p, "'");
}

/* ---- columns ---- */

static db_err put_charset(struct printer *p, const struct column_def *c)
{
    const struct collation *coll = collation_by_id(c->type.collation);
    bool text = (type_is_string(&c->type) && c->type.collation != COLL_BINARY) ||
                c->type.id == TYPE_ENUM || c->type.id == TYPE_SET;
    if (!text || coll == NULL) {
        return ERR_OK;
    }
    bool shown = c->explicit_collation || coll->id != p->t->collation;
    if (shown) {
        TRY(buf_printf(p->out, " CHARACTER SET %s", coll->cs->name));
    }
    if (c->explicit_collation || !coll->is_default ||
        (shown && (coll->id == COLL_UTF8MB4_0900_AI_CI || coll->id == COLL_BINARY))) {
        TRY(buf_printf(p->out, " COLLATE %s", coll->name));
    }
    return ERR_OK;
}

static db_err put_bits(struct printer *p, const struct column_def *c)
{
    char text[65];
    unsigned n = 0;
    uint64_t v = c->default_value.u;
    for (int bit = 63; bit >= 0; bit--) {
        if (n != 0 || (v >> bit & 1) != 0 || bit == 0) {
            text[n++] = (v >> bit & 1) != 0 ? '1' : '0';
        }
    }
    return buf_printf(p->out, "b'%.*s'", (int)n, text);
}

static db_err put_hex(struct printer *p, struct slice bytes)
{
    TRY(put(p, "0x"));
    for (size_t i = 0; i < bytes.len; i++) {
        TRY(buf_printf(p->out, "%02X", bytes.ptr[i]));
    }
    return ERR_OK;
}

/* In utf8mb4, unless the column holds bytes. */
static db_err constant_text(struct printer *p, const struct column_def *c, struct slice *ret)
{
    struct cast_ctx cast;
    cast_ctx_init(&cast, p->arena, NULL);
    if (p->opts->tz != NULL) {
        cast.tz = p->opts->tz;
    }
    TRY(value_to_text(&cast, &c->type, &c->default_value, ret));
    const struct collation *coll = collation_by_id(c->type.collation);
    bool names = c->type.id == TYPE_ENUM || c->type.id == TYPE_SET;
    if (coll != NULL && (names || c->default_value.phys == PHYS_STR) && coll->id != COLL_BINARY) {
        const struct charset *to = collation_by_id(COLL_UTF8MB4_BIN)->cs;
        return charset_convert_arena(coll->cs, *ret, to, p->arena, ret, NULL);
    }
    return ERR_OK;
}

static db_err put_constant(struct printer *p, const struct column_def *c)
{
    struct slice text;
    if (c->type.id == TYPE_BIT) {
        return put_bits(p, c);
    }
    TRY(constant_text(p, c, &text));
    return utf8mb4_valid_prefix(text) == text.len ? put_text(p, text) : put_hex(p, text);
}

static db_err put_now(struct printer *p, const struct column_def *c)
{
    return c->type.decimals == 0 ? put(p, "CURRENT_TIMESTAMP")
                                 : buf_printf(p->out, "CURRENT_TIMESTAMP(%u)", c->type.decimals);
}

db_err ddl_default_text(struct arena *arena, const struct column_def *c, const struct timezone *tz,
                        struct slice *ret_text)
{
    SCOPE_BUF(out, DEFAULT_TEXT_MAX);
    struct ddl_show_opts opts = {.tz = tz};
    struct printer p = {.arena = arena, .opts = &opts, .out = &out};
    switch (c->default_kind) {
    case DEFAULT_NONE:
    case DEFAULT_NULL: *ret_text = SLICE_EMPTY; return ERR_OK;
    case DEFAULT_NOW: TRY(put_now(&p, c)); break;
    case DEFAULT_EXPR: TRY(buf_append_slice(&out, c->default_expr)); break;
    case DEFAULT_CONST:
        if (c->type.id == TYPE_BINARY || c->type.id == TYPE_VARBINARY) {
            /* MYSQL: up to the first zero byte. */
            struct slice bytes = c->default_value.str;
            const uint8_t *zero = bytes.len == 0 ? NULL : memchr(bytes.ptr, 0, bytes.len);
            bytes.len = zero == NULL ? bytes.len : (size_t)(zero - bytes.ptr);
            TRY(put_hex(&p, bytes));
        } else if (c->type.id == TYPE_BIT) {
            TRY(put_bits(&p, c));
        } else {
            struct slice text;
            TRY(constant_text(&p, c, &text));
            TRY(buf_append_slice(&out, text));
        }
        break;
    }
    TRY(arena_copy(arena, buf_slice(&out), ret_text));
    if (ret_text->ptr == NULL) {
        *ret_text = SLICE_LIT("");
    }
    return ERR_OK;
}

static db_err put_default(struct printer *p, const struct column_def *c)
{
    switch (c->default_kind) {
    case DEFAULT_NONE: return ERR_OK;
    case DEFAULT_NULL:
        /* MYSQL: of a BLOB or TEXT column it goes without saying. */
        return type_is_blob(&c->type) ? ERR_OK : put(p, " DEFAULT NULL");
    case DEFAULT_CONST: TRY(put(p, " DEFAULT ")); return put_constant(p, c);
    case DEFAULT_NOW: TRY(put(p, " DEFAULT ")); return put_now(p, c);
    case DEFAULT_EXPR: return buf_printf(p->out, " DEFAULT (%.*s)", SLICE_FMT(c->default_expr));
    }
    return ERR_INVALID;
}

static db_err put_media(struct printer *p, const struct column_def *c)
{
    static const char *const media[] = {"", "DEFAULT", "DISK", "MEMORY"};
    static const char *const format[] = {"", "DEFAULT", "FIXED", "DYNAMIC"};
    if (c->storage_media > 1 && c->storage_media < ARRAY_COUNT(media)) {
        TRY(buf_printf(p->out, " /*!50606 STORAGE %s */", media[c->storage_media]));
    }
    if (c->column_format > 1 && c->column_format < ARRAY_COUNT(format)) {
        TRY(buf_printf(p->out, " /*!50606 COLUMN_FORMAT %s */", format[c->column_format]));
    }
    return ERR_OK;
}

static db_err put_column(struct printer *p, const struct column_def *c)
{
    TRY(put(p, "  "));
    TRY(put_name(p, c->name));
    TRY(put(p, " "));
    TRY(type_print(&c->type, p->out));
    TRY(put_charset(p, c));
    if (c->generated != GENERATED_NO) {
        TRY(buf_printf(p->out, " GENERATED ALWAYS AS (%.*s) %s", SLICE_FMT(c->generated_expr),
                       c->generated == GENERATED_STORED ? "STORED" : "VIRTUAL"));
    }
    if ((c->type.flags & TYPE_F_NOT_NULL) != 0) {
        TRY(put(p, " NOT NULL"));
    } else if (c->type.id == TYPE_TIMESTAMP) {
        TRY(put(p, " NULL"));
    }
    TRY(put_media(p, c));
    if (c->generated == GENERATED_NO) {
        TRY(put_default(p, c));
    }
    if (c->on_update_now) {
        TRY(put(p, " ON UPDATE "));
        TRY(put_now(p, c));
    }
    if (c->auto_increment) {
        TRY(put(p, " AUTO_INCREMENT"));
    }
    if (c->invisible) {
        TRY(put(p, " /*!80023 INVISIBLE */"));
    }
    if (c->comment.len != 0) {
        TRY(put(p, " COMMENT "));
        TRY(put_text(p, c->comment));
    }
    return ERR_OK;
}

/* ---- keys ---- */

static db_err put_key(struct printer *p, const struct index_def *ix)
{
    switch ((int)ix->kind) {
    case INDEX_PRIMARY: TRY(put(p, "  PRIMARY KEY")); break;
    case INDEX_UNIQUE: TRY(put(p, "  UNIQUE KEY ")); break;
    default: TRY(put(p, "  KEY "));
    }
    if (ix->kind != INDEX_PRIMARY) {
        TRY(put_name(p, ix->name));
    }
    TRY(put(p, " ("));
    for (uint32_t i = 0; i < ix->part_count; i++) {
        const struct index_part *part = &ix->parts[i];
        TRY(put(p, i == 0 ? "" : ","));
        const struct column_def *c = &p->t->columns[part->column];
        TRY(c->hidden ? buf_printf(p->out, "(%.*s)", SLICE_FMT(c->generated_expr))
                      : put_name(p, c->name));
        if (part->prefix_len != 0) {
            TRY(buf_printf(p->out, "(%u)", part->prefix_len));
        }
        TRY(put(p, part->descending ? " DESC" : ""));
    }
    if (for_others(p)) {
        return put(p, ")");
    }
    TRY(put(p, ix->using_btree ? ") USING BTREE" : ")"));
    if (ix->comment.len != 0) {
        TRY(put(p, " COMMENT "));
        TRY(put_text(p, ix->comment));
    }
    return put(p, ix->invisible ? " /*!80000 INVISIBLE */" : "");
}

static db_err put_check(struct printer *p, const struct check_def *c)
{
    TRY(put(p, ",\n  CONSTRAINT "));
    TRY(put_name(p, c->name));
    return buf_printf(p->out, " CHECK (%.*s)%s", SLICE_FMT(c->expr),
                      c->enforced ? "" : " /*!80016 NOT ENFORCED */");
}

static const char *action_text(uint8_t action)
{
    switch (action) {
    case FK_RESTRICT: return "RESTRICT";
    case FK_CASCADE: return "CASCADE";
    case FK_SET_NULL: return "SET NULL";
    case FK_SET_DEFAULT: return "SET DEFAULT";
    default: return NULL;
    }
}

static db_err put_names(struct printer *p, const struct slice *names, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        TRY(put(p, i == 0 ? "(" : ", "));
        TRY(put_name(p, names[i]));
    }
    return put(p, ")");
}

static db_err put_foreign_key(struct printer *p, const struct foreign_key_def *f)
{
    TRY(put(p, ",\n  CONSTRAINT "));
    TRY(put_name(p, f->name));
    TRY(put(p, " FOREIGN KEY "));
    TRY(put_names(p, f->columns, f->column_count));
    TRY(put(p, " REFERENCES "));
    if (!slice_eq(f->ref_schema, p->t->schema_name)) {
        TRY(put_name(p, f->ref_schema));
        TRY(put(p, "."));
    }
    TRY(put_name(p, f->ref_table));
    TRY(put(p, " "));
    TRY(put_names(p, f->ref_columns, f->column_count));
    if (action_text(f->on_delete) != NULL) {
        TRY(buf_printf(p->out, " ON DELETE %s", action_text(f->on_delete)));
    }
    return action_text(f->on_update) == NULL
               ? ERR_OK
               : buf_printf(p->out, " ON UPDATE %s", action_text(f->on_update));
}

/* ---- the table ---- */

static db_err put_tail(struct printer *p)
{
    const struct table_def *t = p->t;
    const struct collation *coll = collation_by_id(t->collation);
    if (for_others(p)) {
        return put(p, "\n)");
    }
    uint64_t next =
        p->opts->next_auto_increment != 0 ? p->opts->next_auto_increment : t->auto_increment_start;
    TRY(buf_printf(p->out, "\n) ENGINE=%.*s", SLICE_FMT(t->engine)));
    bool hides = p->opts->hides_generated_primary && table_has_generated_primary(t);
    if (t->auto_increment >= 0 && next > 1 && !hides) {
        TRY(buf_printf(p->out, " AUTO_INCREMENT=%llu", (unsigned long long)next));
    }
    TRY(buf_printf(p->out, " DEFAULT CHARSET=%s", coll->cs->name));
    if (!coll->is_default || coll->id == COLL_UTF8MB4_0900_AI_CI) {
        TRY(buf_printf(p->out, " COLLATE=%s", coll->name));
    }
    if (t->create_options.len != 0) {
        TRY(buf_printf(p->out, " %.*s", SLICE_FMT(t->create_options)));
    }
    if (p->opts->verbose && ddl_table_option(t, "ROW_FORMAT").ptr == NULL) {
        TRY(put(p, slice_eq(t->engine, SLICE_LIT("InnoDB")) ? " ROW_FORMAT=DYNAMIC"
                                                            : " ROW_FORMAT=FIXED"));
    }
    if (t->comment.len != 0) {
        TRY(put(p, " COMMENT="));
        TRY(put_text(p, t->comment));
    }
    return ERR_OK;
}

db_err ddl_show_create_table_opts(struct arena *arena, const struct table_def *def,
                                  const struct ddl_show_opts *opts, struct buf *out)
{
    struct printer p = {arena, def, opts, out};
    bool first = true;
    bool hides = opts->hides_generated_primary && table_has_generated_primary(def);
    TRY(put(&p, opts->temporary || table_is_temporary(def) ? "CREATE TEMPORARY TABLE "
                                                           : "CREATE TABLE "));
    TRY(put_name(&p, def->name));
    TRY(put(&p, " (\n"));
    for (uint32_t i = hides ? 1 : 0; i < def->column_count; i++) {
        if (!def->columns[i].hidden) {
            TRY(put(&p, first ? "" : ",\n"));
            TRY(put_column(&p, &def->columns[i]));
            first = false;
        }
    }
    for (uint32_t i = def->has_primary && !hides ? 0 : 1; i < def->index_count; i++) {
        TRY(put(&p, ",\n"));
        TRY(put_key(&p, &def->indexes[i]));
    }
    for (uint32_t i = 0; i < def->foreign_key_count; i++) {
        TRY(put_foreign_key(&p, &def->foreign_keys[i]));
    }
    for (uint32_t i = 0; i < def->check_count; i++) {
        TRY(put_check(&p, &def->checks[i]));
    }
    return put_tail(&p);
}

db_err ddl_show_create_table(struct arena *arena, const struct table_def *def, struct buf *out)
{
    struct ddl_show_opts opts = {0};
    return ddl_show_create_table_opts(arena, def, &opts, out);
}

db_err ddl_show_create_schema(const struct schema_def *def, bool if_not_exists,
                              const struct ddl_show_opts *opts, struct buf *out)
{
    struct printer p = {.opts = opts, .out = out};
    const struct collation *coll = collation_by_id(def->collation);
    TRY(put(&p, "CREATE DATABASE "));
    TRY(put(&p, if_not_exists ? "/*!32312 IF NOT EXISTS*/ " : ""));
    TRY(put_name(&p, def->name));
    TRY(buf_printf(out, " /*!40100 DEFAULT CHARACTER SET %s", coll->cs->name));
    if (!coll->is_default || coll->id == COLL_UTF8MB4_0900_AI_CI) {
        TRY(buf_printf(out, " COLLATE %s", coll->name));
    }
    TRY(put(&p, " */"));
    if (!def->virtual) {
        TRY(put(&p, " /*!80016 DEFAULT ENCRYPTION='N' */"));
    }
    return put(&p, def->read_only ? " /* READ ONLY=1 */" : "");
}
