/* INTERSECT and EXCEPT, DISTINCT and ALL: of the first child with all the others.
 *
 * The others go into a table, each row once with its number of occurrences, and the left rows, of
 * the first child, ask (when there is none, the others are not read at all):
 *
 *     INTERSECT ALL   a left row uses up one occurrence and passes
 *     EXCEPT ALL      a left row that uses up an occurrence goes, others pass
 *     INTERSECT       the first left row of a kind that all the others have passes
 *     EXCEPT          a left row that is not in the table passes, and is put there
 *
 * INTERSECT counts rounds instead of occurrences: the second child's rows make the table, in round
 * 1, and those of the third go on to round 2 that have come to round 1. INTERSECT ALL has two
 * children.
 *
 * Of ALL the first left row stands for all that are equal to it and pass, where equal strings may
 * differ (collations): it is kept, too, whether it passes itself or not.
 *
 * When memory is short, the table and the rows to come go to a temporary file, divided by their
 * hash, and each part is handled by itself; rows that stand for others go before those, with no
 * occurrences. NULLs are equal here. */
#include "base/fiber.h"
#include "sql/diag/my_error.h"
#include "sql/exec/exec_int.h"
#include "sql/exec/row_table.h"
#include "sql/exec/spill.h"

enum { PART_ROWS = 256, TABLE_SIDE = 0, ASKING_SIDE = 1 };
/* In the mark of a spilled row: it was in the table, in the round that the rest of the mark says;
 * else it comes to that round. */
#define ROUND_REACHED (UINT32_C(1) << 31)

struct op_setop {
    struct op op;
    struct arena inputs[2]; /* of the chunks of the first child, and of another */
    bool by_rounds;
    struct packed_format format;
    struct row_table table;           /* row.mark: occurrences that are left, or the last round */
    struct row_table firsts;          /* left rows that stand for their equals */
    const struct packed_row **passed; /* those of a chunk's rows; NULL: each for itself */
    struct chunk shown;               /* made of them */
    struct vector **vectors;
    struct arena scratch;
    struct spill_parts parts;
    struct spill_part *part;
    struct spill_reader reader;
    struct chunk again;
    struct chunk chunk; /* result */
    uint64_t *hashes;
    uint16_t *sel;
    bool opened, built, left_ended, ended;
    bool reruns; /* it was run again: children stay open */
};

/* May rows that are equal differ? */
static bool equals_differ(const struct packed_format *f)
{
    for (uint32_t i = 0; i < f->column_count; i++) {
        const struct packed_column *c = &f->columns[i];
        if (c->collation != NULL && c->type->id != TYPE_JSON &&
            !collation_is_bytewise(c->collation)) {
            return true;
        }
    }
    return false;
}

/* What ALL shows for equal rows that differ. Both tables share the budget. */
static db_err init_firsts(struct op_setop *s, struct exec_ctx *ctx)
{
    const struct plan_node *n = s->op.node;
    s->table.budget /= 2;
    s->firsts.budget /= 2;
    s->passed = ARENA_ARRAY(ctx->arena, const struct packed_row *, CHUNK_ROWS);
    return s->passed == NULL ? ERR_LIMIT
                             : chunk_init(&s->shown, n->types, n->column_count, ctx->arena);
}

static db_err setop_open(struct op *op, struct exec_ctx *ctx)
{
    struct op_setop *s = (struct op_setop *)op;
    const struct plan_node *n = op->node;
    arena_init(&s->inputs[0], NULL, ctx->mem, 0);
    arena_init(&s->inputs[1], NULL, ctx->mem, 0);
    arena_init(&s->scratch, NULL, ctx->mem, 0);
    spill_parts_init(&s->parts);
    row_table_init(&s->table, &s->format, n->column_count, ctx->mem, spill_budget(ctx));
    row_table_init(&s->firsts, &s->format, n->column_count, ctx->mem, spill_budget(ctx));
    s->opened = true;
    s->by_rounds = n->u.setop.op == SETOP_INTERSECT && n->u.setop.distinct;
    ASSERT(n->child_count == 2 || n->u.setop.op == SETOP_EXCEPT || s->by_rounds);
    TRY(packed_format_init(&s->format, n->types, n->column_count, ctx->arena));
    s->vectors = ARENA_ARRAY(ctx->arena, struct vector *, n->column_count + 1);
    s->hashes = arena_alloc(ctx->arena, CHUNK_ROWS * sizeof(*s->hashes));
    s->sel = arena_alloc(ctx->arena, CHUNK_ROWS * sizeof(*s->sel));
    if (s->vectors == NULL || s->hashes == NULL || s->sel == NULL) {
        return ERR_LIMIT;
    }
    if (!n->u.setop.distinct && equals_differ(&s->format)) {
        TRY(init_firsts(s, ctx));
    }
    return exec__start_child(op, ctx, 0);
}

/* The child's chunk, its strings in an arena of its own; its columns have the result's types by
 * now.
 */
static db_err take(struct op_setop *s, struct exec_ctx *ctx, uint32_t child, struct chunk **ret)
{
    struct arena *own = &s->inputs[child != 0];
    arena_reset(own);
    struct saved_arenas saved = exec__enter_arena(ctx, own);
    db_err err = op_child_next(&s->op, ctx, child, ret);
    exec__leave_arena(ctx, saved);
    return err;
}

/* ---- the file ---- */

static db_err begin_spill(struct op_setop *s, struct exec_ctx *ctx)
{
    uint32_t depth = s->part == NULL ? 0 : s->part->depth + 1;
    if (!spill_possible(ctx) || depth > SPILL_DEPTH_MAX || s->table.count + s->firsts.count == 0) {
        return ERR_LIMIT;
    }
    spill_parts_start(&s->parts, depth);
    for (struct row_node *n = s->table.first; n != NULL; n = n->newer) {
        n->row.mark |= s->by_rounds ? ROUND_REACHED : 0;
        TRY(spill_parts_write(&s->parts, ctx, TABLE_SIDE, &n->row));
    }
    for (struct row_node *n = s->firsts.first; n != NULL; n = n->newer) {
        TRY(spill_parts_write(&s->parts, ctx, ASKING_SIDE, &n->row));
    }
    row_table_clear(&s->table);
    row_table_clear(&s->firsts);
    return ERR_OK;
}

static db_err spill_row(struct op_setop *s, struct exec_ctx *ctx, uint32_t row, uint64_t hash,
                        unsigned side, uint32_t mark)
{
    size_t size = packed_size(&s->format, s->vectors, row);
    struct packed_row *p = arena_alloc(&s->scratch, size);
    if (p == NULL) {
        return ERR_LIMIT;
    }
    packed_write(&s->format, s->vectors, row, size, p);
    p->hash = hash;
    p->mark = mark;
    db_err err = spill_parts_write(&s->parts, ctx, side, p);
    arena_reset(&s->scratch);
    return err;
}

static db_err end_level(struct op_setop *s, struct exec_ctx *ctx)
{
    if (s->parts.active) {
        TRY(spill_parts_finish(&s->parts, ctx, TABLE_SIDE));
        TRY(spill_parts_finish(&s->parts, ctx, ASKING_SIDE));
        spill_parts_seal(&s->parts);
    }
    return ERR_OK;
}

/* ---- the table ---- */

static void add_occurrences(struct packed_row *row, uint32_t n)
{
    row->mark = n > UINT32_MAX - row->mark ? UINT32_MAX : row->mark + n;
}

static void use_columns(struct op_setop *s, const struct chunk *in)
{
    uint32_t width = s->op.node->column_count;
    for (uint32_t i = 0; i < width; i++) {
        s->vectors[i] = &in->columns[i];
    }
    packed_hash(&s->format, width, s->vectors, in->sel, in->count, s->hashes);
}

/* mark: how often it occurs, or its round. ERR_LIMIT: there is no room for it. */
static db_err put_row(struct op_setop *s, uint32_t row, uint64_t hash, uint32_t mark)
{
    struct row_node *n = row_table_find(&s->table, hash, s->vectors, row);
    if (s->by_rounds) {
        bool begins = mark == 1 || (mark & ROUND_REACHED) != 0;
        if (n != NULL && n->row.mark + 1 == mark) {
            n->row.mark = mark;
        }
        if (n != NULL || !begins) {
            return ERR_OK;
        }
        mark &= ~ROUND_REACHED;
    } else if (n != NULL) {
        add_occurrences(&n->row, mark);
        return ERR_OK;
    }
    TRY(row_table_insert(&s->table, hash, s->vectors, row, &n));
    n->row.mark = mark;
    return ERR_OK;
}

/* packed: the same rows as they were spilled, with their marks; NULL: all have this one. */
static db_err put_rows(struct op_setop *s, struct exec_ctx *ctx, const struct chunk *in,
                       const struct packed_row *const *packed, uint32_t mark)
{
    use_columns(s, in);
    for (uint32_t i = 0; i < in->count; i++) {
        uint32_t row = chunk_row(in, i);
        if (!s->parts.active) {
            db_err err = put_row(s, row, s->hashes[i], packed == NULL ? mark : packed[i]->mark);
            if (err == ERR_OK) {
                continue;
            }
            TRY(err == ERR_LIMIT ? begin_spill(s, ctx) : err);
        }
        TRY(packed == NULL ? spill_row(s, ctx, row, s->hashes[i], TABLE_SIDE, mark)
                           : spill_parts_write(&s->parts, ctx, TABLE_SIDE, packed[i]));
    }
    return ERR_OK;
}

static db_err put_child(struct op_setop *s, struct exec_ctx *ctx, uint32_t child)
{
    TRY(exec__start_child(&s->op, ctx, child));
    for (;;) {
        struct chunk *in;
        TRY(take(s, ctx, child, &in));
        if (in == NULL) {
            if (!s->reruns) {
                exec__end_child(&s->op, ctx, child);
            }
            return ERR_OK;
        }
        TRY(put_rows(s, ctx, in, NULL, s->by_rounds ? child : 1));
    }
}

/* MYSQL: each of the others is read, also when none of their rows can matter any more. */
static db_err build(struct op_setop *s, struct exec_ctx *ctx)
{
    for (uint32_t i = 1; i < s->op.node->child_count; i++) {
        TRY(put_child(s, ctx, i));
    }
    s->built = true;
    return ERR_OK;
}

/* ---- asking ---- */

/* The row that stands for one of the left side. ERR_LIMIT: it would be this one, and there is no
 * room. */
static db_err first_of(struct op_setop *s, uint32_t row, uint64_t hash,
                       const struct packed_row **ret_first)
{
    struct row_node *n = row_table_find(&s->firsts, hash, s->vectors, row);
    if (n == NULL) {
        TRY(row_table_insert(&s->firsts, hash, s->vectors, row, &n));
    }
    *ret_first = &n->row;
    return ERR_OK;
}

/* Does a row of EXCEPT pass? As `ask`. */
static db_err ask_except(struct op_setop *s, uint32_t row, uint64_t hash, bool *ret_pass)
{
    struct row_node *n = row_table_find(&s->table, hash, s->vectors, row);
    if (n == NULL) {
        TRY(row_table_insert(&s->table, hash, s->vectors, row, &n));
        n->row.mark = 1;
        *ret_pass = true;
        return ERR_OK;
    }
    *ret_pass = false;
    return ERR_OK;
}

/* Does the row pass, and for ALL, which one is shown for it? ERR_LIMIT: it would have to be put
 * into a table, which is full. */
static db_err ask(struct op_setop *s, uint32_t row, uint64_t hash, bool *ret_pass,
                  const struct packed_row **ret_first)
{
    const struct plan_node *p = s->op.node;
    bool intersect = p->u.setop.op == SETOP_INTERSECT;
    if (p->u.setop.distinct && !intersect) {
        return ask_except(s, row, hash, ret_pass);
    }
    struct row_node *n = row_table_find(&s->table, hash, s->vectors, row);
    bool there = n != NULL && (s->by_rounds ? n->row.mark == p->child_count - 1 : n->row.mark != 0);
    if (s->passed != NULL && (there || !intersect)) {
        TRY(first_of(s, row, hash, ret_first));
    }
    if (there) {
        n->row.mark = p->u.setop.distinct ? 0 : n->row.mark - 1;
    }
    *ret_pass = there == intersect;
    return ERR_OK;
}

/* The first rows that a chunk shows so far outlive the table: until the next chunk is taken. */
static db_err keep_passed(struct op_setop *s, uint32_t count)
{
    for (uint32_t i = 0; s->passed != NULL && i < count; i++) {
        struct packed_row *p = arena_alloc(&s->inputs[0], s->passed[i]->size);
        if (p == NULL) {
            return ERR_LIMIT;
        }
        memcpy(p, s->passed[i], s->passed[i]->size);
        s->passed[i] = p;
    }
    return ERR_OK;
}

/* `kept` rows of the chunk pass. */
static void show(struct op_setop *s, const struct chunk *in, uint32_t kept, struct chunk **ret)
{
    *ret = kept == 0 ? NULL : s->passed == NULL ? &s->chunk : &s->shown;
    if (s->passed == NULL) {
        s->chunk = *in;
        s->chunk.sel = s->sel;
        s->chunk.count = kept;
        return;
    }
    chunk_reset(&s->shown);
    for (uint32_t c = 0; c < s->shown.column_count; c++) {
        packed_read(&s->format, s->passed, kept, c, &s->shown.columns[c], 0);
    }
    s->shown.count = kept;
}

/* packed: the same rows as they were spilled (no occurrence: it only stands for others); NULL: they
 * come from the left side. */
static db_err ask_rows(struct op_setop *s, struct exec_ctx *ctx, struct chunk *in,
                       const struct packed_row *const *packed, struct chunk **ret)
{
    uint32_t kept = 0;
    use_columns(s, in);
    for (uint32_t i = 0; i < in->count; i++) {
        uint32_t row = chunk_row(in, i);
        if (!s->parts.active) {
            bool pass = false;
            const struct packed_row *first = NULL;
            db_err err = packed != NULL && packed[i]->mark == 0
                             ? first_of(s, row, s->hashes[i], &first)
                             : ask(s, row, s->hashes[i], &pass, &first);
            if (err == ERR_OK) {
                s->sel[kept] = (uint16_t)row;
                if (s->passed != NULL) {
                    s->passed[kept] = first;
                }
                kept += pass;
                continue;
            }
            TRY(err == ERR_LIMIT ? keep_passed(s, kept) : err);
            TRY(begin_spill(s, ctx));
        }
        TRY(packed == NULL ? spill_row(s, ctx, row, s->hashes[i], ASKING_SIDE, 1)
                           : spill_parts_write(&s->parts, ctx, ASKING_SIDE, packed[i]));
    }
    show(s, in, kept, ret);
    return ERR_OK;
}

/* ---- parts ---- */

static db_err read_again(struct op_setop *s, struct exec_ctx *ctx, struct spill_reader *reader,
                         const struct packed_row **rows)
{
    uint32_t n;
    if (s->again.columns == NULL) {
        TRY(chunk_init_rows(&s->again, s->op.node->types, s->op.node->column_count, PART_ROWS,
                            ctx->arena));
    }
    TRY(spill_read_rows(reader, ctx, rows, PART_ROWS, &n));
    chunk_reset(&s->again);
    for (uint32_t c = 0; c < s->again.column_count; c++) {
        packed_read(&s->format, rows, n, c, &s->again.columns[c], 0);
    }
    s->again.count = n;
    return ERR_OK;
}

static db_err load_table(struct op_setop *s, struct exec_ctx *ctx)
{
    const struct packed_row *rows[PART_ROWS];
    struct spill_reader reader;
    db_err err;
    row_table_clear(&s->table);
    row_table_clear(&s->firsts);
    spill_reader_init(&reader, &s->part->runs[TABLE_SIDE]);
    do {
        err = read_again(s, ctx, &reader, rows);
        if (err == ERR_OK) {
            err = put_rows(s, ctx, &s->again, rows, 0);
        }
    } while (err == ERR_OK && s->again.count != 0);
    spill_reader_fini(&reader);
    return err;
}

static db_err next_part(struct op_setop *s, struct exec_ctx *ctx)
{
    TRY(end_level(s, ctx));
    spill_reader_fini(&s->reader);
    spill_part_free(s->part);
    s->part = spill_parts_take(&s->parts);
    s->ended = s->part == NULL;
    if (s->ended) {
        return ERR_OK;
    }
    TRY(load_table(s, ctx));
    spill_reader_init(&s->reader, &s->part->runs[ASKING_SIDE]);
    return ERR_OK;
}

static db_err next_of_parts(struct op_setop *s, struct exec_ctx *ctx, struct chunk **ret)
{
    const struct packed_row *rows[PART_ROWS];
    while (!s->ended && *ret == NULL) {
        if (s->part == NULL) {
            TRY(next_part(s, ctx));
            continue;
        }
        arena_reset(&s->inputs[0]);
        TRY(read_again(s, ctx, &s->reader, rows));
        if (s->again.count == 0) {
            TRY(next_part(s, ctx));
            continue;
        }
        TRY(ask_rows(s, ctx, &s->again, rows, ret));
    }
    return ERR_OK;
}

/* The left side's next chunk with rows; NULL: it has ended. */
static db_err take_left(struct op_setop *s, struct exec_ctx *ctx, struct chunk **ret)
{
    do {
        TRY(take(s, ctx, 0, ret));
    } while (*ret != NULL && (*ret)->count == 0);
    s->left_ended = *ret == NULL;
    return ERR_OK;
}

static db_err setop_next(struct op *op, struct exec_ctx *ctx, struct chunk **ret)
{
    struct op_setop *s = (struct op_setop *)op;
    *ret = NULL;
    while (!s->left_ended) {
        struct chunk *in;
        TRY(take_left(s, ctx, &in));
        if (in == NULL) {
            break;
        }
        if (!s->built) {
            TRY(build(s, ctx));
        }
        TRY(ask_rows(s, ctx, in, NULL, ret));
        if (*ret != NULL) {
            return ERR_OK;
        }
    }
    return next_of_parts(s, ctx, ret);
}

static void drop_parts(struct op_setop *s)
{
    spill_reader_fini(&s->reader);
    spill_part_free(s->part);
    s->part = NULL;
    spill_parts_fini(&s->parts);
}

static db_err setop_rescan(struct op *op, struct exec_ctx *ctx)
{
    struct op_setop *s = (struct op_setop *)op;
    drop_parts(s);
    spill_parts_init(&s->parts);
    row_table_clear(&s->table);
    row_table_clear(&s->firsts);
    s->built = s->left_ended = s->ended = false;
    s->reruns = true;
    return exec__start_child(op, ctx, 0);
}

static void setop_close(struct op *op, struct exec_ctx *ctx)
{
    (void)ctx;
    struct op_setop *s = (struct op_setop *)op;
    if (s->opened) {
        drop_parts(s);
        row_table_fini(&s->table);
        row_table_fini(&s->firsts);
        arena_fini(&s->inputs[0]);
        arena_fini(&s->inputs[1]);
        arena_fini(&s->scratch);
        s->opened = false;
    }
}

static const struct op_ops g_setop = {"set operation", setop_open, setop_next, setop_rescan,
                                      setop_close};
const struct op_kind op_setop_kind = {sizeof(struct op_setop), &g_setop};
