/* Lookup join: the keys of a chunk of left rows are looked up in an index of the right table.
 *
 * Equal keys are looked up once. Full keys of a unique index go to the storage as one multi-get;
 * other keys are prefixes, and each is a short scan. What is found is decoded, filtered, packed,
 * and listed by key; pairing and conditions are join_run's. */
#include <stdlib.h>

#include "base/fiber.h"
#include "sql/codec/table_keys.h"
#include "sql/diag/my_error.h"
#include "sql/exec/join_run.h"
#include "sql/exec/keys.h"

struct found_key {
    struct slice key; /* empty: nothing can be found */
    struct row_node *first, *last;
};

struct left_key {
    struct slice key;
    uint32_t i; /* logical row of the left chunk */
};

struct op_lookup_join {
    struct op op;
    const struct scan_spec *spec;
    uint32_t key_count;
    bool unique;
    struct expr_state **keys;
    const struct sql_type **key_types;
    struct expr_state **filters;
    const struct sql_type **types; /* of the right columns */
    struct packed_format format;
    struct row_table rows; /* found for the current left chunk */
    struct chunk right;    /* being decoded */
    struct vector **vectors;
    struct row_source source;
    struct join_run run;
    struct arena left_arena, batch;
    struct left_key *left_keys;
    struct found_key *found;
    uint32_t found_count;
    uint32_t *key_of; /* by logical row: which of found; UINT32_MAX: none */
    uint16_t *sel;
    bool opened, ended;
};

static struct row_node *first_found(void *arg, uint32_t i, uint32_t row)
{
    (void)row;
    struct op_lookup_join *s = arg;
    uint32_t k = s->key_of[i];
    return k == UINT32_MAX ? NULL : s->found[k].first;
}

static struct row_node *next_found(void *arg, struct row_node *n, uint32_t i, uint32_t row)
{
    (void)arg;
    (void)i;
    (void)row;
    return n->next;
}

/* ---- opening ---- */

static db_err prepare_arrays(struct op_lookup_join *s, struct exec_ctx *ctx)
{
    uint32_t width = s->spec->column_count;
    s->types = ARENA_ARRAY(ctx->arena, const struct sql_type *, width + 1);
    s->vectors = ARENA_ARRAY(ctx->arena, struct vector *, width + 1);
    s->key_types = ARENA_ARRAY(ctx->arena, const struct sql_type *, s->key_count + 1);
    s->left_keys = arena_alloc(ctx->arena, CHUNK_ROWS * sizeof(*s->left_keys));
    s->found = arena_alloc(ctx->arena, CHUNK_ROWS * sizeof(*s->found));
    s->key_of = arena_alloc(ctx->arena, CHUNK_ROWS * sizeof(*s->key_of));
    s->sel = arena_alloc(ctx->arena, CHUNK_ROWS * sizeof(*s->sel));
    if (s->types == NULL || s->vectors == NULL || s->key_types == NULL || s->left_keys == NULL ||
        s->found == NULL || s->key_of == NULL || s->sel == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < width; i++) {
        s->types[i] = &s->spec->table->columns[s->spec->columns[i]].type;
    }
    for (uint32_t i = 0; i < s->key_count; i++) {
        s->key_types[i] = &s->spec->ranges[0].eq[i]->type;
    }
    return ERR_OK;
}

static db_err lookup_open(struct op *op, struct exec_ctx *ctx)
{
    struct op_lookup_join *s = (struct op_lookup_join *)op;
    s->spec = &op->node->u.join.lookup;
    const struct scan_spec *spec = s->spec;
    s->key_count = spec->ranges[0].eq_count;
    s->unique = spec->index->kind != INDEX_PLAIN && s->key_count == spec->index->part_count;
    arena_init(&s->left_arena, NULL, ctx->mem, 0);
    arena_init(&s->batch, NULL, ctx->mem, 0);
    row_table_init(&s->rows, &s->format, 0, ctx->mem, SIZE_MAX);
    s->opened = true;
    TRY(prepare_arrays(s, ctx));
    TRY(packed_format_init(&s->format, s->types, spec->column_count, ctx->arena));
    TRY(chunk_init(&s->right, s->types, spec->column_count, ctx->arena));
    for (uint32_t i = 0; i < spec->column_count; i++) {
        s->vectors[i] = &s->right.columns[i];
    }
    TRY(exec__source_init(ctx, spec, &s->right, &s->source));
    TRY(exec__prepare_list(ctx, spec->ranges[0].eq, s->key_count, &s->keys));
    TRY(exec__prepare_conditions(ctx, spec->filters, spec->filter_count, &s->filters));
    TRY(join_run_init(&s->run, ctx, op->node, s->types, spec->column_count, &s->format, 0, NULL));
    s->run.cursor = (struct join_cursor){first_found, next_found, s};
    return op_open(op->children[0], ctx);
}

/* ---- keys ---- */

static int by_key(const void *a, const void *b)
{
    const struct left_key *x = a;
    const struct left_key *y = b;
    int c = slice_cmp(x->key, y->key);
    return c != 0 ? c : (x->i > y->i) - (x->i < y->i);
}

static db_err make_keys(struct op_lookup_join *s, struct exec_ctx *ctx, const struct chunk *left,
                        uint32_t *ret_count)
{
    struct vector *vectors[CATALOG_INDEX_PARTS_MAX];
    struct value values[CATALOG_INDEX_PARTS_MAX];
    uint32_t n = 0;
    for (uint32_t k = 0; k < s->key_count; k++) {
        TRY(expr_eval(ctx, s->keys[k], left, &vectors[k]));
    }
    for (uint32_t i = 0; i < left->count; i++) {
        bool empty;
        for (uint32_t k = 0; k < s->key_count; k++) {
            vector_get(vectors[k], chunk_row(left, i), &values[k]);
        }
        s->key_of[i] = UINT32_MAX;
        TRY(exec__key_of_values(ctx, s->spec, s->key_types, values, s->key_count, &s->batch,
                                &s->left_keys[n].key, &empty));
        s->left_keys[n].i = i;
        n += !empty;
    }
    *ret_count = n;
    return ERR_OK;
}

static void unique_keys(struct op_lookup_join *s, uint32_t n)
{
    qsort(s->left_keys, n, sizeof(*s->left_keys), by_key);
    s->found_count = 0;
    for (uint32_t k = 0; k < n; k++) {
        const struct left_key *l = &s->left_keys[k];
        if (s->found_count == 0 || !slice_eq(s->found[s->found_count - 1].key, l->key)) {
            s->found[s->found_count++] = (struct found_key){.key = l->key};
        }
        s->key_of[l->i] = s->found_count - 1;
    }
}

/* ---- what is found ---- */

/* Filters the decoded rows and lists them; owners[row] is the key each belongs to. */
static db_err keep_rows(struct op_lookup_join *s, struct exec_ctx *ctx, const uint32_t *owners)
{
    uint32_t n = s->right.count;
    const uint16_t *sel = NULL;
    TRY(exec__source_compute(ctx, &s->source, &s->right));
    if (n != 0 && s->spec->filter_count != 0) {
        TRY(expr_filter(ctx, s->filters, s->spec->filter_count, &s->right, s->sel, &n));
        sel = s->sel;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel == NULL ? i : sel[i];
        struct found_key *f = &s->found[owners[row]];
        TRY(row_table_append(&s->rows, 0, s->vectors, row));
        if (f->first == NULL) {
            f->first = s->rows.last;
        } else {
            f->last->next = s->rows.last;
        }
        f->last = s->rows.last;
    }
    chunk_reset(&s->right);
    return ERR_OK;
}

static db_err get(struct op_lookup_join *s, struct exec_ctx *ctx, const struct slice *keys,
                  uint32_t n, bool *found, struct slice *values)
{
    return storage_multi_get(ctx->txn, keys, n, exec__read_mode(ctx, s->spec),
                             exec__wait_mode(s->spec), &s->batch, ctx->diag, found, values);
}

struct fetch {
    struct slice *keys, *values;
    uint32_t *owners;
    bool *found;
};

static db_err make_fetch(struct op_lookup_join *s, struct fetch *f)
{
    f->keys = ARENA_ARRAY(&s->batch, struct slice, CHUNK_ROWS);
    f->values = ARENA_ARRAY(&s->batch, struct slice, CHUNK_ROWS);
    f->owners = ARENA_ARRAY(&s->batch, uint32_t, CHUNK_ROWS);
    f->found = ARENA_ARRAY(&s->batch, bool, CHUNK_ROWS);
    return f->keys == NULL || f->values == NULL || f->owners == NULL || f->found == NULL ? ERR_LIMIT
                                                                                         : ERR_OK;
}

/* Row keys with their owners become decoded rows. */
static db_err fetch_rows(struct op_lookup_join *s, struct exec_ctx *ctx, struct fetch *f,
                         uint32_t n)
{
    if (n == 0) {
        return ERR_OK;
    }
    TRY(get(s, ctx, f->keys, n, f->found, f->values));
    chunk_reset(&s->right);
    for (uint32_t i = 0; i < n; i++) {
        if (f->found[i]) {
            TRY(exec__source_row(&s->source, f->values[i], s->right.count));
            f->owners[s->right.count++] = f->owners[i];
        }
    }
    return keep_rows(s, ctx, f->owners);
}

static bool is_clustered(const struct op_lookup_join *s)
{
    return s->spec->index == &s->spec->table->indexes[0];
}

/* Index entries with their owners: decoded when the index covers, else their rows are fetched. */
static db_err take_entries(struct op_lookup_join *s, struct exec_ctx *ctx, struct fetch *f,
                           const struct slice *keys, const struct slice *values, uint32_t n)
{
    if (s->spec->covering) {
        chunk_reset(&s->right);
        for (uint32_t i = 0; i < n; i++) {
            TRY(exec__source_entry(ctx, &s->source, keys[i], values[i], i));
        }
        s->right.count = n;
        return keep_rows(s, ctx, f->owners);
    }
    for (uint32_t i = 0; i < n; i++) {
        TRY(exec__entry_row_key(&s->source, keys[i], values[i], &s->batch, &f->keys[i]));
    }
    return fetch_rows(s, ctx, f, n);
}

static db_err look_up_unique(struct op_lookup_join *s, struct exec_ctx *ctx)
{
    struct fetch f;
    uint32_t n = 0;
    TRY(make_fetch(s, &f));
    for (uint32_t k = 0; k < s->found_count; k++) {
        f.keys[k] = s->found[k].key;
        f.owners[k] = k;
    }
    if (is_clustered(s)) {
        return fetch_rows(s, ctx, &f, s->found_count);
    }
    if (s->found_count == 0) {
        return ERR_OK;
    }
    TRY(get(s, ctx, f.keys, s->found_count, f.found, f.values));
    for (uint32_t k = 0; k < s->found_count; k++) {
        if (f.found[k]) {
            f.keys[n] = f.keys[k];
            f.values[n] = f.values[k];
            f.owners[n++] = k;
        }
    }
    return take_entries(s, ctx, &f, f.keys, f.values, n);
}

static db_err take_batch(struct op_lookup_join *s, struct exec_ctx *ctx, struct fetch *f,
                         const struct storage_kv *kv, uint32_t n, uint32_t owner)
{
    for (uint32_t i = 0; i < n; i++) {
        f->owners[i] = owner;
        f->keys[i] = kv[i].key;
        f->values[i] = kv[i].value;
    }
    if (!is_clustered(s)) {
        return take_entries(s, ctx, f, f->keys, f->values, n);
    }
    chunk_reset(&s->right);
    for (uint32_t i = 0; i < n; i++) {
        TRY(exec__source_row(&s->source, kv[i].value, i));
    }
    s->right.count = n;
    return keep_rows(s, ctx, f->owners);
}

static db_err drain(struct op_lookup_join *s, struct exec_ctx *ctx, struct storage_scan *scan,
                    struct fetch *f, uint32_t owner)
{
    for (;;) {
        const struct storage_kv *kv;
        size_t n;
        TRY(storage_scan_next(scan, ctx->diag, &kv, &n));
        if (n == 0) {
            return ERR_OK;
        }
        ASSERT(n <= CHUNK_ROWS);
        TRY(take_batch(s, ctx, f, kv, (uint32_t)n, owner));
        TRY(fiber_checkpoint());
    }
}

static db_err scan_prefix(struct op_lookup_join *s, struct exec_ctx *ctx, struct fetch *f,
                          uint32_t owner)
{
    struct slice prefix = s->found[owner].key;
    struct storage_scan *scan;
    struct buf end;
    buf_init(&end, STORAGE_KEY_SIZE_MAX);
    db_err err = buf_append_slice(&end, prefix);
    if (err == ERR_OK) {
        key_prefix_end(&end);
        struct storage_scan_opts opts = {.start = prefix,
                                         .end = buf_slice(&end),
                                         .mode = exec__read_mode(ctx, s->spec),
                                         .wait = exec__wait_mode(s->spec)};
        err = storage_scan_open(ctx->txn, &opts, ctx->diag, &scan);
    }
    buf_fini(&end);
    TRY(err);
    err = drain(s, ctx, scan, f, owner);
    storage_scan_close(scan);
    return err;
}

static db_err look_up_prefixes(struct op_lookup_join *s, struct exec_ctx *ctx)
{
    struct fetch f;
    TRY(make_fetch(s, &f));
    for (uint32_t k = 0; k < s->found_count; k++) {
        TRY(scan_prefix(s, ctx, &f, k));
    }
    return ERR_OK;
}

static db_err look_up(struct op_lookup_join *s, struct exec_ctx *ctx, const struct chunk *left)
{
    ctx->examined_rows += left->count; /* at least one entry for each is looked at */
    uint32_t n;
    row_table_clear(&s->rows);
    TRY(make_keys(s, ctx, left, &n));
    unique_keys(s, n);
    return s->unique ? look_up_unique(s, ctx) : look_up_prefixes(s, ctx);
}

static db_err find_nothing(struct op_lookup_join *s, const struct chunk *left)
{
    row_table_clear(&s->rows);
    for (uint32_t i = 0; i < left->count; i++) {
        s->key_of[i] = UINT32_MAX;
    }
    return ERR_OK;
}

/* ---- results ---- */

static db_err next_left(struct op_lookup_join *s, struct exec_ctx *ctx)
{
    struct chunk *left = NULL;
    arena_reset(&s->left_arena);
    arena_reset(&s->batch);
    struct saved_arenas saved = exec__enter_arena(ctx, &s->left_arena);
    db_err err = op_child_next(&s->op, ctx, 0, &left);
    bool never = false;
    if (err == ERR_OK && left != NULL) {
        err = join_run_ask(&s->run, ctx, &never);
    }
    if (err == ERR_OK && left != NULL) {
        err = never ? find_nothing(s, left) : look_up(s, ctx, left);
    }
    exec__leave_arena(ctx, saved);
    TRY(err);
    s->ended = left == NULL;
    if (left != NULL) {
        join_run_left(&s->run, left);
    }
    return ERR_OK;
}

static db_err lookup_next(struct op *op, struct exec_ctx *ctx, struct chunk **ret)
{
    struct op_lookup_join *s = (struct op_lookup_join *)op;
    *ret = NULL;
    while (*ret == NULL && !s->ended) {
        if (join_run_idle(&s->run)) {
            TRY(next_left(s, ctx));
        }
        TRY(join_run_next(&s->run, ctx, ret));
    }
    return ERR_OK;
}

static db_err lookup_rescan(struct op *op, struct exec_ctx *ctx)
{
    struct op_lookup_join *s = (struct op_lookup_join *)op;
    s->ended = false;
    s->run.left = NULL;
    s->run.n = 0;
    return op_rescan(op->children[0], ctx);
}

static void lookup_close(struct op *op, struct exec_ctx *ctx)
{
    (void)ctx;
    struct op_lookup_join *s = (struct op_lookup_join *)op;
    join_run_fini(&s->run);
    if (s->opened) {
        row_table_fini(&s->rows);
        arena_fini(&s->left_arena);
        arena_fini(&s->batch);
        s->opened = false;
    }
}

static const struct op_ops g_lookup_join = {"lookup join", lookup_open, lookup_next, lookup_rescan,
                                            lookup_close};
const struct op_kind op_lookup_join_kind = {sizeof(struct op_lookup_join), &g_lookup_join};
