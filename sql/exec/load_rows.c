/* Lines of a file become rows of a batch; a full batch is numbered and written like the rows of an
 * INSERT, and its memory used again: the file's size does not matter.
 *
 * A row begins with the columns' constant defaults. Fields are stored into it, then SET is
 * evaluated on it from left to right, then what is still missing (computed defaults, generated
 * columns) is filled in. A line with too few fields leaves the rest of its columns empty rather
 * than default, as MySQL does. */
#include "sql/exec/load_rows.h"

#include "base/fiber.h"
#include "sql/diag/my_error.h"
#include "sql/exec/load_xml.h"

enum { BATCH_ROWS = 1024, BATCH_BYTES = 1024 * 1024 };

struct loader {
    struct op_insert *insert;
    struct exec_ctx *ctx;
    const struct load_spec *spec;
    const struct plan_node *node; /* PLAN_LOAD */
    const struct table_def *table;
    struct load_reader reader;
    struct load_xml xml;
    struct arena *statement; /* ctx->arena at other times */
    struct arena batch;
    struct expr_state **sets;
    struct chunk row; /* one row, by ordinal: what SET reads; made when there is a SET */
    struct value *rows;
    uint32_t count; /* rows of the batch */
    uint32_t batch_rows;
};

static struct value *row_at(struct loader *l, uint32_t i)
{
    return &l->rows[(size_t)i * l->table->column_count];
}

/* A condition of the row at hand: an error when the statement is strict. */
static db_err condition(struct loader *l, enum my_errno number, const char *text)
{
    struct exec_ctx *ctx = l->ctx;
    if (ctx->eval.cast->strict && !ctx->ignore) {
        return diag_set_sql(ctx->diag, (uint16_t)number, my_error_sqlstate(number), "%s", text);
    }
    exec__warn_text(ctx, CAST_WARNING, (uint16_t)number, text);
    return ERR_OK;
}

static db_err too_few(struct loader *l)
{
    char text[80];
    snprintf(text, sizeof(text), "Row %llu doesn't contain data for all columns",
             (unsigned long long)l->insert->rows.number);
    return condition(l, ER_WARN_TOO_FEW_RECORDS, text);
}

static db_err too_many(struct loader *l)
{
    char text[120];
    snprintf(text, sizeof(text),
             "Row %llu was truncated; it contained more data than there were input columns",
             (unsigned long long)l->insert->rows.number);
    return condition(l, ER_WARN_TOO_MANY_RECORDS, text);
}

/* ---- one row ---- */

static void begin_row(struct loader *l, struct value *row)
{
    insert_rows_begin(&l->insert->rows);
    for (uint32_t i = 0; i < l->table->column_count; i++) {
        const struct column_def *c = &l->table->columns[i];
        if (c->default_kind == DEFAULT_CONST) {
            row[i] = c->default_value;
        } else {
            value_set_null(&row[i], &c->type);
        }
    }
}

/* MYSQL: NULL for a TIMESTAMP that must not be NULL is the current time, for an AUTO_INCREMENT
 * column the next number, for others a warning and the type's empty value. */
static db_err store_null(struct loader *l, uint32_t column, struct value *row)
{
    const struct column_def *c = &l->table->columns[column];
    char text[400];
    value_set_null(&row[column], &c->type);
    if ((c->type.flags & TYPE_F_NOT_NULL) == 0 || c->auto_increment) {
        return ERR_OK;
    }
    if (c->type.id == TYPE_TIMESTAMP) {
        return row_assign_now(l->ctx, l->table, column, l->insert->rows.number, row);
    }
    snprintf(text, sizeof(text),
             "Column set to default value; NULL supplied to NOT NULL column '%.*s' at row %llu",
             SLICE_FMT(c->name), (unsigned long long)l->insert->rows.number);
    TRY(condition(l, ER_WARN_NULL_TO_NOTNULL, text));
    return exec__implicit_default(l->ctx, c, &row[column]);
}

/* The line has ended before this column. `fixed`: NULL cannot be written in such a file. */
static db_err store_missing(struct loader *l, const struct load_item *it, bool fixed,
                            struct value *row)
{
    if (it->kind == LOAD_TO_VARIABLE) {
        struct value null = value_null();
        return l->ctx->vars->user_set(l->ctx, it->var, &null);
    }
    TRY(too_few(l));
    const struct column_def *c = &l->table->columns[it->column];
    if (it->kind == LOAD_TO_NOTHING || c->auto_increment) {
        return ERR_OK;
    }
    if (c->type.id == TYPE_TIMESTAMP && (c->type.flags & TYPE_F_NOT_NULL) != 0) {
        return row_assign_now(l->ctx, l->table, it->column, l->insert->rows.number, row);
    }
    bool null = row[it->column].is_null && (c->type.flags & TYPE_F_NOT_NULL) == 0;
    return null && !fixed ? ERR_OK : exec__implicit_default(l->ctx, c, &row[it->column]);
}

/* MYSQL: a byte that no character of UTF-8 can begin with is an error whatever the statement says.
 */
static db_err check_lead(struct loader *l, struct slice text)
{
    const struct charset *cs = l->spec->charset;
    size_t at = cs->ops->valid_prefix(cs, text);
    uint8_t c = text.ptr[at];
    if (l->spec->multibyte || cs->maxlen == 1 || (c >= 0xc2 && c <= 0xf4)) {
        return ERR_OK;
    }
    return my_error(l->ctx->diag, ER_INVALID_CHARACTER_STRING, cs->name,
                    arena_strdup(l->ctx->arena, slice_of(text.ptr, at)));
}

static db_err store_text(struct loader *l, const struct load_item *it, struct slice text,
                         struct value *row)
{
    struct value v = value_str(text, l->spec->text.collation);
    struct sql_type type = l->spec->text;
    if (!charset_valid(l->spec->charset, text)) {
        TRY(check_lead(l, text));
        type.collation = COLL_BINARY; /* storing them tells which bytes are wrong */
        v = value_str(text, COLL_BINARY);
    }
    if (it->kind == LOAD_TO_VARIABLE) {
        return l->ctx->vars->user_set(l->ctx, it->var, &v);
    }
    if (it->kind == LOAD_TO_NOTHING) {
        return ERR_OK;
    }
    TRY(row_assign(l->ctx, l->table, it->column, &type, &v, l->insert->rows.number, row));
    return row_own(l->ctx, &row[it->column]);
}

static db_err store_field(struct loader *l, const struct load_item *it, const struct load_field *f,
                          struct value *row)
{
    if (!f->is_null) {
        return store_text(l, it, f->text, row);
    }
    if (it->kind == LOAD_TO_VARIABLE) {
        struct value null = value_null();
        return l->ctx->vars->user_set(l->ctx, it->var, &null);
    }
    return it->kind == LOAD_TO_NOTHING ? ERR_OK : store_null(l, it->column, row);
}

/* *ret_found false: the file has ended. */
static db_err read_delimited(struct loader *l, struct value *row, bool *ret_found)
{
    struct load_field f;
    bool found = true;
    *ret_found = true;
    for (uint32_t i = 0; i < l->spec->item_count; i++) {
        if (found) {
            TRY(load_read_field(&l->reader, &f, &found));
            if (!found && i == 0) {
                *ret_found = false;
                return ERR_OK;
            }
        }
        if (i == 0) {
            begin_row(l, row);
        }
        TRY(found ? store_field(l, &l->spec->items[i], &f, row)
                  : store_missing(l, &l->spec->items[i], false, row));
    }
    return ERR_OK;
}

static db_err read_fixed(struct loader *l, struct value *row, bool *ret_found)
{
    struct slice line;
    TRY(load_read_fixed(&l->reader, &line, ret_found));
    if (!*ret_found) {
        return ERR_OK;
    }
    begin_row(l, row);
    for (uint32_t i = 0; i < l->spec->item_count; i++) {
        const struct load_item *it = &l->spec->items[i];
        if (line.len == 0) {
            TRY(store_missing(l, it, true, row));
            continue;
        }
        size_t width = it->width < line.len ? it->width : line.len;
        TRY(store_text(l, it, slice_of(line.ptr, width), row));
        line = slice_from(line, width);
    }
    return line.len == 0 ? ERR_OK : too_many(l);
}

/* MYSQL: what the row does not have is NULL, not the column's default. */
static db_err read_xml(struct loader *l, struct value *row, bool *ret_found)
{
    TRY(load_xml_next(&l->xml, ret_found));
    if (!*ret_found) {
        return ERR_OK;
    }
    begin_row(l, row);
    for (uint32_t i = 0; i < l->spec->item_count; i++) {
        const struct load_item *it = &l->spec->items[i];
        struct load_field f = {.is_null = true};
        struct slice name =
            it->kind == LOAD_TO_VARIABLE ? it->var : l->table->columns[it->column].name;
        f.is_null = !load_xml_value(&l->xml, name, &f.text);
        TRY(store_field(l, it, &f, row));
    }
    return ERR_OK;
}

static db_err read_fields(struct loader *l, struct value *row, bool *ret_found)
{
    if (l->spec->xml) {
        return read_xml(l, row, ret_found);
    }
    return l->spec->fixed ? read_fixed(l, row, ret_found) : read_delimited(l, row, ret_found);
}

/* What the expressions make may live as long as the statement: their state is made on the way. */
static db_err eval_set(struct loader *l, uint32_t i, struct value *ret)
{
    const struct plan_assign *a = &l->node->u.load.sets[i];
    struct vector *v;
    if (a->expr->kind == BEXPR_DEFAULT) {
        return exec__missing_default(l->ctx, &l->table->columns[a->column], true, NULL, ret);
    }
    l->ctx->arena = l->statement;
    db_err err = expr_eval(l->ctx, l->sets[i], &l->row, &v);
    l->ctx->arena = &l->batch;
    if (err == ERR_OK) {
        vector_get(v, 0, ret);
    }
    return err;
}

static db_err apply_set(struct loader *l, struct value *row)
{
    struct exec_ctx *ctx = l->ctx;
    if (l->node->u.load.set_count == 0) {
        return ERR_OK;
    }
    for (uint32_t i = 0; i < l->table->column_count; i++) {
        vector_reset(&l->row.columns[i]);
        TRY(vector_set(&l->row.columns[i], 0, &row[i]));
    }
    for (uint32_t i = 0; i < l->node->u.load.set_count; i++) {
        const struct plan_assign *a = &l->node->u.load.sets[i];
        struct value v;
        TRY(eval_set(l, i, &v));
        TRY(row_assign(ctx, l->table, a->column, &a->expr->type, &v, l->insert->rows.number, row));
        TRY(row_own(ctx, &row[a->column]));
        vector_reset(&l->row.columns[a->column]);
        TRY(vector_set(&l->row.columns[a->column], 0, &row[a->column]));
    }
    return ERR_OK;
}

/* ---- batches ---- */

static db_err flush(struct loader *l)
{
    if (l->count != 0) {
        TRY(exec__insert_write(l->insert, l->ctx, l->rows, l->count));
    }
    l->count = 0;
    arena_reset(l->ctx->eval.arena);
    arena_reset(&l->batch);
    return ERR_OK;
}

static db_err read_row(struct loader *l, bool *ret_end)
{
    struct value *row = row_at(l, l->count);
    bool found;
    TRY(read_fields(l, row, &found));
    if (!found) {
        *ret_end = true;
        return ERR_OK;
    }
    TRY(apply_set(l, row));
    TRY(insert_rows_complete(&l->insert->rows, l->ctx, row, true));
    for (uint32_t i = 0; i < l->table->column_count; i++) {
        TRY(row_own(l->ctx, &row[i])); /* what a default has made lies with the expressions */
    }
    if (l->insert->rows.skip) {
        l->insert->rows.number--; /* MYSQL: messages do not count it */
    } else {
        l->count++;
    }
    if (l->spec->xml) {
        return ERR_OK;
    }
    TRY(load_next_line(&l->reader, ret_end));
    if (!l->reader.cut || *ret_end) {
        return ERR_OK; /* MYSQL: of the last line, when nothing ends it, nobody hears */
    }
    TRY(flush(l)); /* conditions come in the order of the rows */
    return too_many(l);
}

/* What the rows before meet when they are written comes before what this one has met. */
static db_err fail_in_order(struct loader *l, db_err err)
{
    struct diag *diag = l->ctx->diag;
    struct diag mine = *diag;
    if (err != ERR_SQL || l->count == 0) {
        return err;
    }
    diag_reset(diag);
    db_err earlier = flush(l);
    if (earlier == ERR_OK) {
        *diag = mine;
    }
    return earlier == ERR_OK ? err : earlier;
}

static db_err skip_lines(struct loader *l, bool *ret_end)
{
    struct load_field f;
    struct slice line;
    bool found = true;
    for (uint64_t i = 0; i < l->spec->ignore_lines && !*ret_end; i++) {
        if (l->spec->xml) {
            TRY(load_xml_next(&l->xml, &found));
            *ret_end = !found;
            continue;
        }
        if (l->spec->line_term.len != 0) {
            TRY(load_next_line(&l->reader, ret_end));
            continue;
        }
        for (uint32_t k = 0; k < l->spec->item_count && found && !l->spec->fixed; k++) {
            TRY(load_read_field(&l->reader, &f, &found));
        }
        if (l->spec->fixed) {
            TRY(load_read_fixed(&l->reader, &line, &found));
        }
        TRY(load_next_line(&l->reader, ret_end));
        *ret_end = *ret_end || !found;
    }
    return ERR_OK;
}

static db_err run(struct loader *l)
{
    bool end = false;
    TRY(skip_lines(l, &end));
    while (!end) {
        db_err err = read_row(l, &end);
        if (err != ERR_OK) {
            return fail_in_order(l, err);
        }
        if (l->count >= l->batch_rows || l->batch.used > BATCH_BYTES ||
            l->ctx->eval.arena->used > BATCH_BYTES) {
            TRY(flush(l));
        }
        TRY(fiber_checkpoint());
    }
    return flush(l);
}

static db_err prepare(struct loader *l)
{
    struct exec_ctx *ctx = l->ctx;
    const struct table_def *t = l->table;
    uint32_t n = l->node->u.load.set_count;
    /* A row that is looked up before it is written gains nothing by waiting, but for its number. */
    bool looks = ctx->ignore || l->insert->op.node->u.insert.replace;
    l->batch_rows = looks && t->auto_increment < 0 ? 1 : BATCH_ROWS;
    l->rows = ARENA_ARRAY(ctx->arena, struct value, (size_t)l->batch_rows * t->column_count);
    if (l->rows == NULL) {
        return ERR_LIMIT;
    }
    if (n == 0) {
        return ERR_OK;
    }
    const struct sql_type **types = arena_alloc(ctx->arena, t->column_count * sizeof(*types));
    l->sets = ARENA_ARRAY(ctx->arena, struct expr_state *, n);
    if (types == NULL || l->sets == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < t->column_count; i++) {
        types[i] = &t->columns[i].type;
    }
    TRY(chunk_init_rows(&l->row, types, t->column_count, 1, ctx->arena));
    l->row.count = 1;
    for (uint32_t i = 0; i < t->column_count; i++) {
        l->row.columns[i].arena = &l->batch;
    }
    for (uint32_t i = 0; i < n; i++) {
        TRY(expr_prepare(ctx, l->node->u.load.sets[i].expr, &l->sets[i]));
    }
    return ERR_OK;
}

db_err exec__load_rows(struct op_insert *s, struct exec_ctx *ctx)
{
    const struct plan_node *node = s->op.node->children[0];
    struct loader l = {.insert = s,
                       .ctx = ctx,
                       .spec = node->u.load.spec,
                       .node = node,
                       .table = s->table,
                       .statement = ctx->arena};
    TRY(prepare(&l));
    TRY(load_reader_init(&l.reader, l.spec, ctx->load));
    load_xml_init(&l.xml, &l.reader);
    arena_init(&l.batch, NULL, ctx->mem, 0);
    ctx->arena = &l.batch;
    ctx->kept = s->rows.kept = l.statement;
    s->rows.rules.values = &l.batch;
    db_err err = run(&l);
    ctx->arena = l.statement;
    ctx->kept = NULL;
    arena_fini(&l.batch);
    load_xml_fini(&l.xml);
    load_reader_fini(&l.reader);
    return err;
}
