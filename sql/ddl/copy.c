/* ALTER TABLE by copy: every row is read under the old definition, made a row of the new one, and
 * written with its index entries under the new table id.
 *
 * Rows are inserted as INSERT does it, so unique keys are checked against rows of this batch and of
 * those that were committed before it. Values that do not fit the changed type are what they are
 * for INSERT ... SELECT under the session's sql_mode. */
#include "sql/catalog/table_format.h"
#include "sql/ddl/alter_int.h"
#include "sql/exec/row_rules.h"
#include "sql/exec/row_writer.h"
#include "sql/storage/storage.h"

struct copier {
    struct alter *a;
    const struct table_def *def;
    struct row_scan scan;
    struct row_order order;
    struct bulk_write bulk;
    struct exec_ctx exec;
    struct cast_ctx cast;
    struct row_writer writer;
    struct arena row_arena; /* values of the current row */
    int32_t *source;        /* by new ordinal: the old one, -1: a new column */
    struct row_rules rules;
    bool *pending; /* by new ordinal: a new column whose default is an expression */
    struct value *row;
    uint64_t number;      /* rows so far */
    uint64_t numbers_max; /* highest AUTO_INCREMENT value */
    uint64_t row_id_max;
    uint64_t auto_next;
};

static void on_warning(void *arg, enum cast_level level, uint16_t number, const char *text)
{
    struct copier *c = arg;
    struct diag d;
    diag_reset(&d);
    diag_set_sql(&d, number, my_error_sqlstate((enum my_errno)number), "%s", text);
    diag_area_add(c->a->ctx->warnings, ddl__level(level), &d);
}

static bool is_strict(const struct copier *c)
{
    return (c->a->ctx->bind->sql_mode & SQL_MODE_STRICT) != 0;
}

static bool is_key_part(const struct table_def *t, const struct column_def *c)
{
    for (uint32_t i = 0; i < t->index_count; i++) {
        for (uint32_t k = 0; k < t->indexes[i].part_count; k++) {
            if (&t->columns[t->indexes[i].parts[k].column] == c) {
                return true;
            }
        }
    }
    return false;
}

enum { SHORT_BYTES_MAX = 255 };

/* MYSQL: in place all the same: another collation where no key is of the column, and longer text
 * whose length takes as many bytes. */
static bool loses_null_only(const struct copier *c, const struct column_def *to,
                            const struct sql_type *from)
{
    struct sql_type was = *from;
    was.flags |= TYPE_F_NOT_NULL;
    if (ddl__recollates_in_place(from, &to->type) && !is_key_part(c->def, to)) {
        was.collation = to->type.collation;
    }
    bool grows = from->id == TYPE_VARCHAR || from->id == TYPE_VARBINARY;
    return ddl__same_stored_form(&was, &to->type, false) &&
           (!grows || (type_max_bytes(&was) > SHORT_BYTES_MAX) ==
                          (type_max_bytes(&to->type) > SHORT_BYTES_MAX));
}

/* MYSQL: NULL in a column that becomes NOT NULL: 1138, or 1265 like any loss when the type changes
 * too or the table is copied for another reason; the implicit default when the mode is loose. */
static db_err null_lost(struct copier *c, const struct column_def *to,
                        const struct column_def *from, struct value *ret)
{
    const char *name = ddl__text(c->a->ctx, to->name);
    if (is_strict(c) && !c->a->tells_copy && loses_null_only(c, to, &from->type)) {
        return my_error(c->a->ctx->diag, ER_INVALID_USE_OF_NULL);
    }
    if (is_strict(c)) {
        return my_error(c->a->ctx->diag, WARN_DATA_TRUNCATED, name, (long)c->number);
    }
    diag_area_warn(c->a->ctx->warnings, WARN_DATA_TRUNCATED, name, (long)c->number);
    exec__null_default(to, ret);
    return ERR_OK;
}

/* MYSQL: text of one form is cut, which is a loss like others; else it is too long. */
static bool is_cut(const struct sql_type *from, const struct sql_type *to)
{
    return from->id == to->id && from->collation == to->collation && type_is_string(to) &&
           !type_is_blob(to) &&
           (type_max_bytes(from) > SHORT_BYTES_MAX) == (type_max_bytes(to) > SHORT_BYTES_MAX);
}

/* MYSQL: where it copies the table, dates are stored anew, under the mode of now. */
static bool is_looked_at(const struct copier *c, const struct sql_type *t)
{
    return c->a->tells_copy && type_has_date(t);
}

static db_err convert(struct copier *c, const struct column_def *to, const struct column_def *from,
                      const struct value *v, struct value *ret)
{
    bool not_null = (to->type.flags & TYPE_F_NOT_NULL) != 0;
    if (v->is_null) {
        value_set_null(ret, &to->type);
        bool numbered = to->auto_increment && !from->auto_increment;
        return not_null && !numbered ? null_lost(c, to, from, ret) : ERR_OK;
    }
    if (ddl__same_stored_form(&from->type, &to->type, false) && !is_looked_at(c, &to->type)) {
        *ret = *v;
        value_tag(ret, &to->type);
        return ERR_OK;
    }
    struct store_target target = {.column = ddl__text(c->a->ctx, to->name),
                                  .row = c->number,
                                  .table = "#sql-temporary",
                                  .as_text = true};
    c->cast.row = c->number;
    struct value read = *v;
    if (type_reads_padded(&from->type, c->a->ctx->bind->sql_mode)) {
        TRY(charset_pad(collation_by_id(from->type.collation)->cs, v->str, from->type.length,
                        c->cast.arena, &read.str));
    }
    db_err err = type_store(&c->cast, &to->type, &target, &from->type, &read, ret);
    if (err == ERR_SQL && c->a->ctx->diag != NULL && c->a->ctx->diag->number == ER_DATA_TOO_LONG &&
        is_cut(&from->type, &to->type)) {
        return my_error(c->a->ctx->diag, WARN_DATA_TRUNCATED, target.column, (long)c->number);
    }
    return err;
}

static db_err next_number(struct copier *c, bool row_id, uint64_t *ret)
{
    uint8_t key[16];
    struct slice name = sequence_key(c->def, row_id, key);
    uint64_t floor =
        row_id || c->def->auto_increment_start == 0 ? 0 : c->def->auto_increment_start - 1;
    if (!row_id && c->numbers_max > floor) {
        floor = c->numbers_max; /* more than each row before it has */
    }
    const struct ddl_ctx *ctx = c->a->ctx;
    return storage_sequence_next(ctx->storage, name, floor, 1, row_id ? 1 : ctx->auto_inc_step,
                                 row_id ? 1 : ctx->auto_inc_offset, ctx->diag, ret);
}

/* MYSQL: of a column that is added in place the first number is not that of the offset but the one
 * after it, or after the AUTO_INCREMENT of the statement, as far as the step goes. */
static void skip_first_numbers(struct copier *c)
{
    uint64_t step = c->a->ctx->auto_inc_step;
    uint64_t offset = c->a->ctx->auto_inc_offset;
    uint64_t start = c->def->auto_increment_start == 0 ? 1 : c->def->auto_increment_start;
    int32_t column = c->def->auto_increment;
    if (column < 0 || c->source[column] >= 0 || c->a->tells_copy || (step <= 1 && offset <= 1)) {
        return;
    }
    uint64_t apart = start > offset ? start - offset : offset - start;
    c->numbers_max = (apart / step + 1) * step + offset - 1;
}

/* MYSQL: a column that becomes AUTO_INCREMENT is numbered where it has NULL or 0, as rows that are
 * inserted are. */
static bool wants_number(const struct copier *c, uint32_t i)
{
    const struct value *v = &c->row[i];
    if (c->source[i] < 0) {
        return true;
    }
    bool zero = !v->is_null && v->phys == PHYS_INT && v->u == 0 &&
                (c->a->ctx->bind->sql_mode & SQL_MODE_NO_AUTO_VALUE_ON_ZERO) == 0;
    return !c->a->old->columns[c->source[i]].auto_increment && (v->is_null || zero);
}

/* MYSQL: what is done in place computes nothing anew that is stored. */
static bool keeps_computed(const struct copier *c, uint32_t i)
{
    const struct column_def *to = &c->def->columns[i];
    const struct column_def *from = &c->a->old->columns[c->source[i]];
    return !c->a->tells_copy && to->generated == GENERATED_STORED &&
           from->generated == GENERATED_STORED &&
           slice_eq(from->generated_expr, to->generated_expr);
}

static db_err fill_column(struct copier *c, uint32_t i)
{
    const struct column_def *to = &c->def->columns[i];
    struct value *v = &c->row[i];
    uint64_t n;
    if (c->source[i] >= 0 && (to->generated == GENERATED_NO || keeps_computed(c, i))) {
        const struct column_def *from = &c->a->old->columns[c->source[i]];
        TRY(convert(c, to, from, &c->scan.values[c->source[i]], v));
    } else if (to->hidden || to->auto_increment || to->generated != GENERATED_NO) {
        value_set_null(v, &to->type);
    } else {
        *v = c->a->draft.columns[i]->def.absent;
    }
    bool row_id = column_is_row_id(to);
    bool wants = row_id ? c->source[i] < 0 : to->auto_increment && wants_number(c, i);
    if (wants) {
        bool takes_null = (to->type.flags & TYPE_F_NOT_NULL) == 0;
        TRY(next_number(c, row_id, &n));
        if (!v->is_null || !takes_null) {
            value_tag(v, &to->type);
            v->u = n;
        }
    }
    if (to->auto_increment && !v->is_null && v->phys == PHYS_INT && (v->is_unsigned || v->i > 0) &&
        v->u > c->numbers_max) {
        c->numbers_max = v->u;
    }
    if (row_id && v->u > c->row_id_max) {
        c->row_id_max = v->u;
    }
    return ERR_OK;
}

static size_t row_size(const struct copier *c)
{
    size_t size = 64;
    for (uint32_t i = 0; i < c->def->column_count; i++) {
        size += c->row[i].phys == PHYS_STR && !c->row[i].is_null ? c->row[i].str.len + 8 : 8;
    }
    return size * (c->def->index_count + 1) / 2;
}

static db_err derive(struct copier *c)
{
    bool pass;
    if (c->rules.rules == NULL) {
        return ERR_OK;
    }
    TRY(row_rules_default(&c->rules, &c->exec, c->pending, c->number, c->row));
    return c->a->tells_copy ? row_rules_apply(&c->rules, &c->exec, c->number, c->row, &pass)
                            : row_rules_read(&c->rules, &c->exec, false, c->row);
}

/* MYSQL: what is done in place looks at no check, and computes of VIRTUAL columns only those of
 * which there are indexes, as who reads them: one that cannot be computed is in nobody's way. */
static db_err leave_in_place(struct copier *c, struct table_rules *rules)
{
    uint32_t kept = rules->generated_count;
    bool *needed = ARENA_ARRAY(c->a->ctx->arena, bool, c->def->column_count);
    if (needed == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = rules->generated_count; i-- > 0;) { /* each reads only those before it */
        struct rule_column g = rules->generated[i];
        bool stays = c->source[g.column] >= 0 && keeps_computed(c, g.column);
        needed[g.column] = needed[g.column] || is_key_part(c->def, &c->def->columns[g.column]);
        if (needed[g.column] && !stays) {
            bexpr_note_columns(g.expr, needed);
            rules->generated[--kept] = g;
        }
    }
    rules->generated += kept;
    rules->generated_count -= kept;
    rules->check_count = 0;
    return ERR_OK;
}

static db_err init_rules(struct copier *c)
{
    struct ddl_ctx *ctx = c->a->ctx;
    struct table_rules *rules;
    TRY(bind_table_rules(ctx->arena, ctx->bind, c->def, RULES_ALL_DEFAULTS, ctx->diag, &rules));
    c->pending = ARENA_ARRAY(ctx->arena, bool, c->def->column_count);
    if (c->pending == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < c->def->column_count; i++) {
        c->pending[i] = c->source[i] < 0 && c->def->columns[i].default_kind == DEFAULT_EXPR;
    }
    TRY(rules == NULL || c->a->tells_copy ? ERR_OK : leave_in_place(c, rules));
    TRY(row_rules_init(&c->rules, &c->exec, c->def, rules));
    c->rules.values = &c->row_arena;
    return ERR_OK;
}

static db_err copy_row(struct copier *c)
{
    arena_reset(&c->row_arena);
    c->number++;
    for (uint32_t i = 0; i < c->def->column_count; i++) {
        TRY(fill_column(c, i));
    }
    TRY(derive(c));
    TRY(ddl__bulk_begin(c->a->ctx, &c->bulk));
    c->exec.txn = c->bulk.txn;
    TRY(row_insert(&c->writer, c->row));
    c->bulk.rows++;
    c->bulk.bytes += row_size(c);
    return ddl__bulk_full(&c->bulk) ? ddl__bulk_commit(c->a->ctx, &c->bulk) : ERR_OK;
}

/* Rows in another order are numbered anew. */
static void forget_row_ids(struct copier *c)
{
    for (uint32_t i = 0; i < c->def->column_count; i++) {
        if (column_is_row_id(&c->def->columns[i])) {
            c->source[i] = -1;
        }
    }
}

static db_err copy_all(struct copier *c)
{
    bool row;
    TRY(ddl__order_rows(c->a, c->def, &c->exec, &c->scan, &c->order));
    if (c->order.key_count != 0) {
        forget_row_ids(c);
    }
    for (;;) {
        TRY(c->order.key_count != 0 ? ddl__order_next(&c->order, &c->exec, c->scan.values, &row)
                                    : ddl__scan_next(c->a->ctx, &c->scan, &row));
        if (!row) {
            return ddl__bulk_commit(c->a->ctx, &c->bulk);
        }
        TRY(copy_row(c));
    }
}

/* Is the old table's AUTO_INCREMENT column still there? */
static bool keeps_number(const struct copier *c)
{
    for (uint32_t i = 0; i < c->def->column_count; i++) {
        if (c->source[i] >= 0 && c->source[i] == c->a->old->auto_increment) {
            return true;
        }
    }
    return false;
}

/* Numbers go on where the old table's would have. */
static db_err carry_sequences(struct copier *c)
{
    struct ddl_ctx *ctx = c->a->ctx;
    uint8_t key[16];
    uint64_t next = 0;
    if (c->def->auto_increment >= 0) {
        uint64_t highest = c->numbers_max;
        bool had = keeps_number(c);
        if (had &&
            storage_sequence_peek(ctx->storage, sequence_key(c->a->old, false, key), NULL, &next) ==
                ERR_OK &&
            next > 1 && next - 1 > highest) {
            highest = next - 1;
        }
        if (highest != 0) {
            TRY(storage_sequence_raise(ctx->storage, sequence_key(c->def, false, key), highest,
                                       ctx->diag));
        }
    }
    return c->row_id_max == 0
               ? ERR_OK
               : storage_sequence_raise(ctx->storage, sequence_key(c->def, true, key),
                                        c->row_id_max, ctx->diag);
}

static db_err map_columns(struct copier *c)
{
    uint32_t n = c->def->column_count;
    int32_t *source = ARENA_ARRAY(c->a->ctx->arena, int32_t, n);
    c->row = ARENA_ARRAY(c->a->ctx->arena, struct value, n);
    if (source == NULL || c->row == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n; i++) {
        source[i] = i < c->a->draft.column_count ? c->a->draft.columns[i]->source : -1;
        for (uint32_t k = 0; column_is_row_id(&c->def->columns[i]) && k < c->a->old->column_count;
             k++) {
            source[i] = column_is_row_id(&c->a->old->columns[k]) ? (int32_t)k : source[i];
        }
    }
    c->source = source;
    return ERR_OK;
}

db_err ddl__copy_rows(struct alter *a, const struct table_def *def)
{
    struct copier c = {.a = a, .def = def};
    TRY(map_columns(&c));
    skip_first_numbers(&c);
    arena_init(&c.row_arena, NULL, NULL, 0);
    cast_ctx_init(&c.cast, &c.row_arena, a->ctx->diag);
    c.cast.sql_mode = a->ctx->bind->sql_mode;
    c.cast.strict = is_strict(&c);
    c.cast.collation = a->ctx->bind->connection_collation;
    if (a->ctx->bind->tz != NULL) {
        c.cast.tz = a->ctx->bind->tz;
    }
    c.cast.warn = on_warning;
    c.cast.warn_arg = &c;
    c.exec = (struct exec_ctx){.storage = a->ctx->storage,
                               .arena = a->ctx->arena,
                               .diag = a->ctx->diag,
                               .mem = a->ctx->mem,
                               .temp_dir = a->ctx->temp_dir,
                               .spill_budget = a->ctx->spill_budget,
                               .sql_mode = a->ctx->bind->sql_mode};
    c.exec.eval = (struct eval_ctx){
        .arena = &c.row_arena, .statement = a->ctx->arena, .cast = &c.cast, .diag = a->ctx->diag};
    row_writer_init(&c.writer, &c.exec, def, NULL);
    db_err err = init_rules(&c);
    if (err == ERR_OK) {
        err = ddl__scan_open(a->ctx, a->old->format->layout, a->old->format->row_prefix, &c.scan);
    }
    if (err == ERR_OK) {
        err = copy_all(&c);
        ddl__order_fini(&c.order);
        ddl__scan_close(&c.scan);
    }
    if (err == ERR_OK) {
        err = carry_sequences(&c);
    }
    ddl__bulk_fini(&c.bulk);
    row_writer_fini(&c.writer);
    arena_fini(&c.row_arena);
    a->copied = c.number;
    return err;
}
