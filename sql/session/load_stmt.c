/* LOAD DATA: where the bytes come from. The rows are an INSERT's (sql/exec/load_rows.c).
 *
 * A client sends its file only when it is asked, in packets that end with an empty one; whatever
 * happens, the rest has to be read before the answer. So the file is asked for when the first byte
 * is wanted, after all that can be said about the statement without it. */
#include "sql/exec/load_reader.h"
#include "sql/session/server_file.h"
#include "sql/session/session_int.h"

struct load_source {
    struct statement *st;
    const struct ast_load_data *ast;
    struct server_file file;
    bool asked, ended;
};

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
    if (f->ast->local) {
        return next_local(f, ret_piece);
    }
    if (f->file.fd < 0) {
        TRY(server_file_open(s, f->ast->file, &f->file));
    }
    return server_file_read(s, &f->file, ret_piece);
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
    struct load_input input = {next_piece, &source};
    if (l->xml) {
        return my_error(&s->diag, ER_NOT_SUPPORTED_YET, "LOAD XML");
    }
    if (l->local && !local_allowed(st)) {
        return my_error(&s->diag, ER_CLIENT_LOCAL_FILES_DISABLED);
    }
    st->load = &input;
    db_err err = query__run(st, &l->stmt);
    st->load = NULL;
    server_file_close(&source.file);
    db_err drained = drain(&source);
    return drained != ERR_OK ? drained : err;
}
