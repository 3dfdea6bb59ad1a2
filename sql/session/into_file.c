/* What is written can be read by LOAD DATA with the same FIELDS and LINES clauses.
 *
 * A byte is escaped when it is the escape itself, the enclosing character (without one: the first
 * byte of the field terminator), the first byte of the line terminator, or zero. When the separator
 * is a letter that means something behind the escape it is doubled instead. Values go out in their
 * own character sets, unless the statement names one. */
#include "sql/session/into_file.h"

#include "sql/bind/load_spec.h"

static int first_of(struct slice s)
{
    return s.len == 0 ? LOAD_NO_CHAR : s.ptr[0];
}

static bool is_one_of(int c, const char *set)
{
    return c > 0 && strchr(set, c) != NULL;
}

static bool is_number(const struct sql_type *t)
{
    return type_is_numeric(t) && t->id != TYPE_BIT;
}

static void ambiguities(struct into_writer *w, const struct load_spec *f)
{
    bool text = false;
    bool numbers = false;
    bool blob = false;
    for (uint32_t i = 0; i < w->plan->result_count; i++) {
        const struct sql_type *t = &w->plan->result[i].type;
        numbers = numbers || is_number(t);
        text = text || !is_number(t);
        blob = blob || type_is_blob(t) || t->id == TYPE_JSON || t->id == TYPE_GEOMETRY;
    }
    bool bare = f->enclosed == LOAD_NO_CHAR;
    w->term = first_of(f->field_term);
    w->line_term = f->line_term.len == 0 ? f->field_term : f->line_term; /* MYSQL: never without */
    w->line = first_of(f->line_term);
    w->separator = bare ? w->term : f->enclosed;
    w->fixed = f->field_term.len == 0 && bare && !blob;
    w->escape_twice = is_one_of(w->separator, "ntrb0ZN");
    w->escape_numbers = is_one_of(w->separator, ".0123456789e+-");
    w->keep_term = (bare && ((w->escape_twice && text) || (w->escape_numbers && numbers))) ||
                   (f->optionally_enclosed && numbers && is_one_of(w->term, ".0123456789e+-"));
    if (w->keep_term) {
        diag_area_warn(&w->session->conditions, ER_AMBIGUOUS_FIELD_TERM);
    }
}

db_err into_file_open(struct into_writer *w, struct sql_session *s, const struct plan *plan)
{
    *w = (struct into_writer){.session = s, .plan = plan, .file = {.fd = -1}};
    TRY(priv_need_any(&s->priv, PRIV_FILE, 0, "FILE", &s->diag));
    struct slice name;
    TRY(server_file_name(s, plan->into_file->format->file, &name));
    TRY(server_file_create(s, name, &w->file));
    arena_init(&w->arena, NULL, &s->mem, 0);
    buf_init(&w->row, (size_t)1 << 30);
    if (!plan->into_file->dump) {
        ambiguities(w, plan->into_file->format);
    }
    return ERR_OK;
}

db_err into_file_close(struct into_writer *w, db_err err)
{
    if (w->file.fd < 0) {
        return err;
    }
    if (err == ERR_OK) {
        err = server_file_finish(w->session, &w->file);
    }
    if (err == ERR_OK) {
        server_file_close(&w->file);
    } else {
        server_file_discard(&w->file);
    }
    arena_fini(&w->arena);
    buf_fini(&w->row);
    return err;
}

/* The value's text, and the character set that it is in (NULL: bytes). */
static db_err text_of(struct into_writer *w, uint32_t column, const struct value *v,
                      struct slice *ret, const struct charset **ret_cs)
{
    const struct lcolumn *c = &w->plan->result[column];
    const struct charset *to = w->plan->into_file->charset;
    struct cast_ctx cast;
    query__cast_ctx(w->session, &cast, false);
    cast.arena = &w->arena;
    if (to == NULL) {
        const struct collation *own = v->phys == PHYS_STR ? collation_by_id(v->collation) : NULL;
        *ret_cs = own == NULL ? NULL : own->cs;
        return value_to_text(&cast, &c->type, v, ret);
    }
    struct sql_type text = type_blob(TYPE_LONGTEXT, to->default_collation);
    struct store_target target = {
        .column = arena_strdup(&w->arena, c->name), .row = w->rows + 1, .as_text = true};
    struct value stored;
    TRY(type_store(&cast, &text, &target, &c->type, v, &stored));
    *ret_cs = to;
    *ret = stored.str;
    return ERR_OK;
}

static bool needs_escape(const struct into_writer *w, const struct load_spec *f, int c,
                         bool enclosed)
{
    if (!enclosed && w->keep_term && c == w->term) {
        return false;
    }
    return c == f->escaped || c == (enclosed ? w->separator : w->term) || c == w->line || c == 0;
}

static db_err put_escaped(struct into_writer *w, const struct load_spec *f, struct slice text,
                          const struct charset *cs, bool enclosed)
{
    const uint8_t *end = text.ptr + text.len;
    uint32_t cp;
    for (const uint8_t *p = text.ptr; p < end;) {
        unsigned n = cs == NULL || cs->maxlen == 1 ? 1 : charset_decode(cs, p, end, &cp);
        if (n > 1) {
            TRY(buf_append(&w->row, p, n));
            p += n;
            continue;
        }
        if (needs_escape(w, f, *p, enclosed)) {
            bool twice = *p == w->separator && w->escape_twice;
            TRY(buf_append_u8(&w->row, (uint8_t)(twice ? w->separator : f->escaped)));
        }
        bool zero = *p == 0 && needs_escape(w, f, 0, enclosed);
        TRY(buf_append_u8(&w->row, zero ? '0' : *p));
        p++;
    }
    return ERR_OK;
}

static db_err pad(struct into_writer *w, size_t used, size_t width)
{
    for (; used < width; used++) {
        TRY(buf_append_u8(&w->row, ' '));
    }
    return ERR_OK;
}

static size_t width_of(const struct sql_type *t)
{
    struct wire_column wire;
    type_wire_column(t, t->collation, &wire);
    return wire.length;
}

static db_err put_null(struct into_writer *w, const struct load_spec *f, const struct sql_type *t)
{
    if (w->fixed) {
        return pad(w, 0, width_of(t));
    }
    if (f->escaped == LOAD_NO_CHAR) {
        return buf_append_slice(&w->row, SLICE_LIT("NULL"));
    }
    TRY(buf_append_u8(&w->row, (uint8_t)f->escaped));
    return buf_append_u8(&w->row, 'N');
}

static db_err put_field(struct into_writer *w, const struct load_spec *f, uint32_t column,
                        const struct value *v)
{
    const struct sql_type *t = &w->plan->result[column].type;
    const struct charset *cs;
    struct slice text;
    if (v->is_null) {
        return put_null(w, f, t);
    }
    TRY(text_of(w, column, v, &text, &cs));
    if (w->fixed) {
        size_t width = width_of(t);
        text.len = text.len < width ? text.len : width;
        TRY(buf_append_slice(&w->row, text));
        return pad(w, text.len, width);
    }
    bool enclosed = f->enclosed != LOAD_NO_CHAR && (!f->optionally_enclosed || !is_number(t));
    if (enclosed) {
        TRY(buf_append_u8(&w->row, (uint8_t)f->enclosed));
    }
    if (f->escaped != LOAD_NO_CHAR && (!is_number(t) || w->escape_numbers)) {
        TRY(put_escaped(w, f, text, cs, enclosed));
    } else {
        TRY(buf_append_slice(&w->row, text));
    }
    return enclosed ? buf_append_u8(&w->row, (uint8_t)f->enclosed) : ERR_OK;
}

static db_err put_row(struct into_writer *w, const struct chunk *chunk, uint32_t row)
{
    const struct load_spec *f = w->plan->into_file->format;
    struct value v;
    TRY(buf_append_slice(&w->row, f->line_start));
    for (uint32_t i = 0; i < w->plan->result_count; i++) {
        vector_get(&chunk->columns[i], row, &v);
        TRY(i == 0 || w->fixed ? ERR_OK : buf_append_slice(&w->row, f->field_term));
        TRY(put_field(w, f, i, &v));
    }
    return buf_append_slice(&w->row, w->line_term);
}

/* MYSQL: a second row is written behind the first; only a third is too many. NULL is a zero byte.
 */
static db_err dump_row(struct into_writer *w, const struct chunk *chunk, uint32_t row)
{
    if (w->rows > 1) {
        return my_error(&w->session->diag, ER_TOO_MANY_ROWS);
    }
    for (uint32_t i = 0; i < w->plan->result_count; i++) {
        const struct charset *cs;
        struct slice text;
        struct value v;
        vector_get(&chunk->columns[i], row, &v);
        if (v.is_null) {
            TRY(buf_append_u8(&w->row, 0));
            continue;
        }
        TRY(text_of(w, i, &v, &text, &cs));
        TRY(buf_append_slice(&w->row, text));
    }
    return ERR_OK;
}

db_err into_file_rows(struct into_writer *w, const struct chunk *chunk)
{
    for (uint32_t i = 0; i < chunk->count; i++) {
        uint32_t row = chunk_row(chunk, i);
        buf_reset(&w->row);
        TRY(w->plan->into_file->dump ? dump_row(w, chunk, row) : put_row(w, chunk, row));
        TRY(server_file_write(w->session, &w->file, buf_slice(&w->row)));
        arena_reset(&w->arena);
        w->rows++;
    }
    return ERR_OK;
}
