/* Results on their way to the client: column definitions, cells, and small results made here. */
#include "sql/charset/charset.h"
#include "sql/session/session_int.h"
#include "sql/types/json.h"
#include "sql/types/temporal.h"

enum {
    FLAG_PRI_KEY = 2,
    FLAG_UNIQUE_KEY = 4,
    FLAG_MULTIPLE_KEY = 8,
    FLAG_AUTO_INCREMENT = 512,
    FLAG_TIMESTAMP = 1024,
    FLAG_NO_DEFAULT = 4096,
    FLAG_ON_UPDATE_NOW = 8192,
    FLAG_PART_KEY = 16384
};

/* The plan's tables come first: the schema's current state is shared by all loops, and asking it
 * for every column of every statement shows. */
static const struct table_def *table_of(struct sql_session *s, const struct lcolumn *c,
                                        const struct column_def *d, const struct plan *plan)
{
    for (uint32_t i = 0; plan != NULL && i < plan->table_count; i++) {
        const struct table_def *t = plan->tables[i];
        if (d >= t->columns && d < t->columns + t->column_count) {
            return t;
        }
    }
    const struct catalog_snapshot *snap = catalog_acquire(s->engine->catalog);
    const struct table_def *t = snapshot_table(snap, c->schema, c->org_table);
    catalog_release(snap);
    return t;
}

static uint16_t key_flags(const struct table_def *t, const struct column_def *c)
{
    uint16_t flags = 0;
    for (uint32_t i = 0; t != NULL && i < t->index_count; i++) {
        const struct index_def *ix = &t->indexes[i];
        for (uint32_t p = 0; p < ix->part_count; p++) {
            if (ix->parts[p].column != c->ordinal || (i == 0 && !t->has_primary)) {
                continue;
            }
            flags |= FLAG_PART_KEY;
            if (ix->kind == INDEX_PRIMARY) {
                flags |= FLAG_PRI_KEY;
            } else if (p == 0) {
                flags |= ix->kind == INDEX_UNIQUE && ix->part_count == 1 ? FLAG_UNIQUE_KEY
                                                                         : FLAG_MULTIPLE_KEY;
            }
        }
    }
    return flags;
}

static uint16_t column_flags(struct sql_session *s, const struct lcolumn *c,
                             const struct plan *plan)
{
    const struct column_def *d = c->def != NULL ? c->def : c->keyed;
    if (d == NULL) {
        return 0;
    }
    uint16_t flags = key_flags(table_of(s, c, d, plan), d);
    flags |= d->auto_increment ? FLAG_AUTO_INCREMENT : 0;
    flags |= d->default_kind == DEFAULT_NONE && (d->type.flags & TYPE_F_NOT_NULL) != 0 &&
                     !d->auto_increment
                 ? FLAG_NO_DEFAULT
                 : 0;
    if (d->on_update_now) {
        flags |= FLAG_ON_UPDATE_NOW | FLAG_TIMESTAMP;
    }
    return flags;
}

/* What a client is told. MYSQL: columns that the views of INFORMATION_SCHEMA have NULL for are
 * NULL, however they are described. */
static struct sql_type told_type(struct sql_session *s, const struct lcolumn *c,
                                 const struct plan *plan)
{
    struct sql_type t = c->announced != NULL ? *c->announced : c->type;
    bool empty = c->def != NULL && t.id == TYPE_VARBINARY && t.length == 0;
    const struct table_def *table = empty ? table_of(s, c, c->def, plan) : NULL;
    return table != NULL && table->kind == TABLE_VIRTUAL ? type_null() : t;
}

db_err result__columns(struct sql_session *s, const struct plan *plan, const struct lcolumn *cols,
                       uint32_t count, struct arena *arena, struct sql_column **ret)
{
    struct sql_column *out = ARENA_ARRAY(arena, struct sql_column, count + 1);
    const struct charset *utf8 = collation_by_id(COLL_UTF8MB4_BIN)->cs;
    const struct charset *results =
        s->vars.charset_results == 0 ? NULL : collation_by_id(s->vars.charset_results)->cs;
    if (results != NULL && (results == utf8 || results->ops == NULL)) {
        results = NULL;
    }
    if (out == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct lcolumn *c = &cols[i];
        struct wire_column w;
        struct slice name = c->name;
        if (results != NULL && !utf8_is_ascii(name)) {
            TRY(charset_convert_arena(utf8, name, results, arena, &name, NULL));
        }
        struct sql_type told = told_type(s, c, plan);
        type_wire_column(&told, s->vars.charset_results, &w);
        out[i] = (struct sql_column){
            .schema = c->schema,
            .table = c->table,
            .org_table = c->org_table,
            .name = name,
            .org_name = c->org_name,
            .charset_id = w.charset,
            .length = w.length,
            .type = w.type,
            .flags = (uint16_t)(w.flags | column_flags(s, c, plan)),
            .decimals = w.decimals,
            .zerofill_width = (c->type.flags & TYPE_F_ZEROFILL) != 0 ? (uint8_t)c->type.length : 0};
    }
    *ret = out;
    return ERR_OK;
}

/* ---- cells ---- */

uint32_t sql_rows_count(const struct sql_rows *rows)
{
    return rows->chunk->count;
}

/* Text of the type's charset in that of the results. */
static struct slice in_results(const struct sql_rows *r, const struct sql_type *t, struct slice s)
{
    uint16_t results = r->session->vars.charset_results;
    if (results == 0 || t->collation == COLL_BINARY || t->collation == 0) {
        return s;
    }
    const struct collation *from = collation_by_id(t->collation);
    const struct collation *to = collation_by_id(results);
    bool plain = from->cs->ascii_superset && to->cs->ascii_superset;
    if (from->cs == to->cs || (plain && utf8_is_ascii(s))) {
        return s;
    }
    struct slice converted;
    db_err err = charset_convert_arena(from->cs, s, to->cs, r->arena, &converted, NULL);
    if (err != ERR_OK && err != ERR_UNSUPPORTED && r->lost != NULL) {
        *r->lost = true;
    }
    return err == ERR_OK ? converted : s;
}

static void text_cell(const struct sql_rows *r, const struct vector *v, uint32_t row,
                      const struct sql_type *t, struct sql_cell *ret)
{
    const struct strv *view = &vec_strs(v)[row & v->index_mask];
    struct slice s = strv_slice(view);
    uint16_t results = r->session->vars.charset_results;
    ret->kind = SQL_CELL_TEXT;
    if (t->id == TYPE_JSON) {
        if (json_text(s, r->arena, &s) != ERR_OK) {
            s = SLICE_LIT("null");
            if (r->lost != NULL) {
                *r->lost = true;
            }
        }
        const struct collation *to = collation_by_id(results);
        if (results != 0 && strcmp(to->cs->name, "utf8mb4") != 0 &&
            !(to->cs->ascii_superset && utf8_is_ascii(s))) {
            const struct charset *utf8 = charset_by_name(SLICE_LIT("utf8mb4"));
            if (charset_convert_arena(utf8, s, to->cs, r->arena, &s, NULL) != ERR_OK &&
                r->lost != NULL) {
                *r->lost = true;
            }
        }
    }
    ret->v.text = type_is_string(t) ? in_results(r, t, s) : s;
}

static void time_cell(const struct sql_rows *r, const struct sql_type *t, int64_t packed,
                      struct sql_cell *ret)
{
    struct time_parts p;
    if (t->id == TYPE_TIMESTAMP) {
        packed = timestamp_to_local(r->session->vars.tz, packed);
    }
    ret->kind = t->id == TYPE_TIME   ? SQL_CELL_TIME
                : t->id == TYPE_DATE ? SQL_CELL_DATE
                                     : SQL_CELL_DATETIME;
    if (t->id == TYPE_TIME) {
        time_unpack(packed, &p);
    } else {
        datetime_unpack(packed, &p);
    }
    ret->v.time = (struct sql_time){.negative = p.neg,
                                    .decimals = t->decimals > 6 ? 0 : t->decimals,
                                    .year = (uint16_t)p.year,
                                    .month = (uint8_t)p.month,
                                    .day = (uint8_t)p.day,
                                    .hour = p.hour,
                                    .minute = (uint8_t)p.minute,
                                    .second = (uint8_t)p.second,
                                    .microsecond = p.micro};
}

static void int_cell(const struct sql_rows *r, const struct sql_type *t, int64_t i,
                     struct sql_cell *ret)
{
    if (t->id == TYPE_ENUM || t->id == TYPE_SET || t->id == TYPE_BIT) {
        struct cast_ctx c;
        struct slice text = SLICE_LIT("");
        struct value v = value_uint((uint64_t)i);
        value_tag(&v, t);
        cast_ctx_init(&c, r->arena, NULL);
        ret->kind = SQL_CELL_TEXT;
        db_err err = value_to_text(&c, t, &v, &text);
        if (err != ERR_OK && r->lost != NULL) {
            *r->lost = true;
        }
        bool names = t->id != TYPE_BIT;
        ret->v.text = err != ERR_OK ? SLICE_LIT("") : names ? in_results(r, t, text) : text;
        return;
    }
    ret->kind = type_is_unsigned(t) || t->id == TYPE_YEAR ? SQL_CELL_UINT : SQL_CELL_INT;
    ret->v.i64 = i;
}

void sql_rows_cell(const struct sql_rows *rows, uint32_t row, uint32_t column,
                   struct sql_cell *ret_cell)
{
    uint32_t at = chunk_row(rows->chunk, row);
    const struct vector *v = &rows->chunk->columns[column];
    const struct sql_type *t = &rows->columns[column].type;
    if (vec_is_null(v, at)) {
        ret_cell->kind = SQL_CELL_NULL;
        return;
    }
    ret_cell->decimals = t->decimals;
    switch (v->phys) {
    case PHYS_INT: int_cell(rows, t, vec_i64(v, at), ret_cell); return;
    case PHYS_DOUBLE:
        ret_cell->kind = t->id == TYPE_FLOAT ? SQL_CELL_FLOAT : SQL_CELL_DOUBLE;
        ret_cell->v.f64 = vec_double(v, at);
        return;
    case PHYS_DECIMAL: {
        char *text = arena_alloc(rows->arena, DECIMAL_TEXT_MAX);
        ret_cell->kind = SQL_CELL_TEXT;
        if (text == NULL && rows->lost != NULL) {
            *rows->lost = true;
        }
        ret_cell->v.text = SLICE_LIT("0");
        if (text != NULL) {
            unsigned len = decimal_to_text(vec_decimal(v, at), text);
            ret_cell->v.text = slice_of(text, number_zerofill(t, text, len));
        }
        return;
    }
    case PHYS_TIME: time_cell(rows, t, vec_i64(v, at), ret_cell); return;
    default: text_cell(rows, v, at, t, ret_cell); return;
    }
}

/* ---- results made here ---- */

db_err text_result_begin_typed(struct statement *st, struct text_result *r,
                               const char *const *names, const struct sql_type *types,
                               uint32_t count)
{
    struct sql_session *s = st->session;
    struct sql_column *columns;
    *r = (struct text_result){.st = st, .count = count};
    r->cols = ARENA_ARRAY(&s->stmt_arena, struct lcolumn, count);
    const struct sql_type **of = ARENA_ARRAY(&s->stmt_arena, const struct sql_type *, count);
    if (r->cols == NULL || of == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < count; i++) {
        r->cols[i] = (struct lcolumn){.id = i + 1, .name = slice_str(names[i]), .type = types[i]};
        r->cols[i].type.flags |= TYPE_F_EXPR; /* of no table */
        of[i] = &r->cols[i].type;
    }
    TRY(chunk_init(&r->chunk, of, count, &s->stmt_arena));
    TRY(result__columns(s, NULL, r->cols, count, &s->stmt_arena, &columns));
    return st->sink->ops->columns(st->sink, columns, count);
}

db_err text_result_begin(struct statement *st, struct text_result *r, const char *const *names,
                         const uint32_t *lengths, uint32_t count)
{
    struct sql_type *types = ARENA_ARRAY(&st->session->stmt_arena, struct sql_type, count);
    if (types == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < count; i++) {
        types[i] =
            type_char(TYPE_VARCHAR, lengths == NULL ? 256 : lengths[i], COLL_UTF8MB3_GENERAL_CI);
        types[i].flags |= TYPE_F_NOT_NULL;
    }
    return text_result_begin_typed(st, r, names, types, count);
}

static db_err flush(struct text_result *r)
{
    struct sql_session *s = r->st->session;
    if (r->chunk.count == 0) {
        return ERR_OK;
    }
    struct sql_rows rows = {.session = s,
                            .chunk = &r->chunk,
                            .columns = r->cols,
                            .column_count = r->count,
                            .arena = &s->stmt_arena};
    TRY(r->st->sink->ops->rows(r->st->sink, &rows));
    chunk_reset(&r->chunk);
    return ERR_OK;
}

/* A cell of a column of numbers comes as its text, too. */
static db_err set_cell(struct vector *v, const struct sql_type *type, uint32_t row,
                       struct slice cell)
{
    char text[64];
    if (cell.ptr == NULL) {
        vec_set_null(v, row);
        return ERR_OK;
    }
    if (type_is_string(type)) {
        return vec_set_str(v, row, cell);
    }
    size_t n = cell.len < sizeof(text) - 1 ? cell.len : sizeof(text) - 1;
    memcpy(text, cell.ptr, n);
    text[n] = '\0';
    struct value value;
    value_tag(&value, type);
    if (type_phys(type) == PHYS_DOUBLE) {
        value.d = strtod(text, NULL);
    } else {
        value.u = strtoull(text, NULL, 10);
    }
    return vector_set(v, row, &value);
}

db_err text_result_row(struct text_result *r, const struct slice *cells)
{
    if (r->chunk.count == CHUNK_ROWS) {
        TRY(flush(r));
    }
    for (uint32_t i = 0; i < r->count; i++) {
        TRY(set_cell(&r->chunk.columns[i], &r->cols[i].type, r->chunk.count, cells[i]));
    }
    r->chunk.count++;
    return ERR_OK;
}

db_err result__told(struct statement *st)
{
    struct sql_session *s = st->session;
    if (s->is_own_query) {
        return ERR_OK;
    }
    track_txn__use(s, TRACK_RESULT);
    return s->opts.ends_by_ok ? track__answer(st) : ERR_OK;
}

db_err text_result_end(struct text_result *r)
{
    TRY(flush(r));
    struct statement *st = r->st;
    st->session->row_count = -1;
    st->status.server_status = session__status(st->session);
    st->status.warnings = r->no_warnings ? 0 : sql_session_warning_count(st->session);
    TRY(result__told(st));
    return st->sink->ops->end(st->sink, &st->status, st->more);
}
