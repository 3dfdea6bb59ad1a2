/* LOAD DATA and LOAD XML: where the bytes come from. The rows are an INSERT's
 * (sql/exec/load_rows.c).
 *
 * A client sends its file only when it is asked, in packets that end with an empty one; whatever
 * happens, the rest has to be read before the answer. So the file is asked for when the first byte
 * is wanted, after all that can be said about the statement without it.
 *
 * A client's file cannot be asked for twice, but may be wanted so (rows that were kept aside meet a
 * duplicate that the statement is to pass over): what comes is kept, in a temporary file when it is
 * not small. */
#include "base/temp_file.h"
#include "sql/exec/load_reader.h"
#include "sql/session/server_file.h"
#include "sql/session/session_int.h"

enum { KEEP_BYTES = 1 << 20 };

struct kept_bytes {
    struct temp_file file;
    uint64_t in_file;
    struct buf tail;  /* what comes behind */
    struct buf block; /* reading */
    uint64_t at;      /* read so far */
};

struct load_source {
    struct statement *st;
    const struct ast_load_data *ast;
    struct server_file file;
    bool asked, ended;
    bool keeps, again;
    struct kept_bytes kept;
};

static db_err keep(struct load_source *f, struct slice piece)
{
    struct kept_bytes *k = &f->kept;
    struct sql_session *s = f->st->session;
    if (k->tail.len + piece.len > KEEP_BYTES && k->tail.len != 0) {
        TRY(temp_file_make(&k->file, s->engine->opts.temp_dir, &s->diag));
        TRY(temp_file_write(&k->file, k->tail.ptr, k->tail.len, k->in_file, &s->diag));
        k->in_file += k->tail.len;
        buf_reset(&k->tail);
    }
    return buf_append_slice(&k->tail, piece);
}

static db_err next_kept(struct load_source *f, struct slice *ret_piece)
{
    struct kept_bytes *k = &f->kept;
    if (k->at >= k->in_file) {
        bool end = k->at > k->in_file || k->tail.len == 0;
        k->at = k->in_file + 1;
        *ret_piece = end ? SLICE_EMPTY : buf_slice(&k->tail);
        return ERR_OK;
    }
    uint64_t left = k->in_file - k->at;
    size_t n = left < KEEP_BYTES ? (size_t)left : KEEP_BYTES;
    buf_reset(&k->block);
    TRY(buf_reserve(&k->block, n));
    TRY(temp_file_read(&k->file, k->block.ptr, n, k->at, &f->st->session->diag));
    k->at += n;
    *ret_piece = slice_of(k->block.ptr, n);
    return ERR_OK;
}

static void kept_init(struct kept_bytes *k)
{
    *k = (struct kept_bytes){.in_file = 0};
    temp_file_init(&k->file);
    buf_init(&k->tail, STORAGE_VALUE_SIZE_MAX);
    buf_init(&k->block, KEEP_BYTES);
}

static void kept_fini(struct kept_bytes *k)
{
    temp_file_close(&k->file);
    buf_fini(&k->tail);
    buf_fini(&k->block);
}

static db_err next_local(struct load_source *f, struct slice *ret_piece)
{
    struct sql_sink *sink = f->st->sink;
    f->asked = true;
    *ret_piece = SLICE_EMPTY;
    if (f->ended) {
        return ERR_OK;
    }
    db_err err = sink->ops->local_file(sink, f->ast->file, ret_piece);
    f->ended = (err != ERR_OK && err != ERR_CANCELED) || (err == ERR_OK && ret_piece->len == 0);
    return err;
}

static db_err next_piece(void *arg, struct slice *ret_piece)
{
    struct load_source *f = arg;
    struct sql_session *s = f->st->session;
    if (f->again && f->ast->local) {
        return next_kept(f, ret_piece);
    }
    if (f->ast->local) {
        TRY(next_local(f, ret_piece));
        return f->keeps ? keep(f, *ret_piece) : ERR_OK;
    }
    if (f->file.fd < 0) {
        struct slice name;
        TRY(server_file_name(s, f->ast->file, &name));
        TRY(server_file_open(s, name, &f->file));
    }
    return server_file_read(s, &f->file, ret_piece);
}

/* The statement has not run to its end if the storage met the duplicate before the commit: what the
 * client still sends belongs to what is read again. */
static db_err from_start(void *arg)
{
    struct load_source *f = arg;
    struct slice piece;
    while (f->keeps && f->asked && !f->ended) {
        TRY(next_local(f, &piece));
        TRY(keep(f, piece));
    }
    f->again = true;
    f->kept.at = 0;
    server_file_close(&f->file);
    return ERR_OK;
}

/* What the client still sends; the statement has failed. KILL QUERY has ended it, but not this. */
static db_err drain(struct load_source *f)
{
    struct slice piece;
    while (f->asked && !f->ended) {
        bool whole = atomic_load(&f->st->session->killed) == 2;
        if (!whole && fiber_self() != NULL) {
            fiber_clear_cancel();
        }
        db_err err = next_local(f, &piece);
        if (err != ERR_OK && (err != ERR_CANCELED || whole)) {
            return err;
        }
    }
    return ERR_OK;
}

static bool local_allowed(const struct statement *st)
{
    struct sql_session *s = st->session;
    struct sysvar_globals *g = engine__globals(s->engine);
    bool on = g->values[VAR_local_infile].i != 0;
    sysvar_globals_unref(g);
    return on && s->opts.local_files && st->sink->ops->local_file != NULL;
}

db_err load__run(struct statement *st, const struct ast_load_data *l)
{
    struct sql_session *s = st->session;
    struct load_source source = {.st = st, .ast = l, .file = {.fd = -1}};
    struct load_input input = {next_piece, &source, from_start};
    if (l->local && !local_allowed(st)) {
        return my_error(&s->diag, ER_CLIENT_LOCAL_FILES_DISABLED);
    }
    kept_init(&source.kept);
    source.keeps = l->local && l->duplicates != AST_LOAD_REPLACE && s->vars.autocommit;
    st->load = &input;
    db_err err = query__run(st, &l->stmt);
    st->load = NULL;
    server_file_close(&source.file);
    kept_fini(&source.kept);
    db_err drained = drain(&source);
    return drained != ERR_OK ? drained : err;
}
