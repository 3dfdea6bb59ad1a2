/* EXPLAIN: the plan as a tree of text, in MySQL's column for FORMAT=TREE. The other formats are not
 * built. */
#include "sql/opt/explain.h"
#include "sql/session/session_int.h"

static db_err send_text(struct statement *st, struct slice text)
{
    static const char *const name = "EXPLAIN";
    static const uint32_t length = 65535;
    struct text_result r;
    TRY(text_result_begin(st, &r, &name, &length, 1));
    TRY(text_result_row(&r, &text));
    return text_result_end(&r);
}

db_err query__explain(struct statement *st, const struct ast_explain *e)
{
    struct sql_session *s = st->session;
    struct plan *plan;
    struct buf text;
    bool tree = e->format.ptr == NULL || slice_eq_nocase(e->format, SLICE_LIT("tree"));
    if (e->for_connection || e->analyze || !tree || e->into_var.ptr != NULL) {
        return my_error(&s->diag, ER_NOT_SUPPORTED_YET,
                        e->analyze ? "EXPLAIN ANALYZE"
                        : !tree    ? "this EXPLAIN format"
                                   : "this form of EXPLAIN");
    }
    TRY(query__plan_explained(s, e->target, &plan));
    buf_init(&text, 1024 * 1024);
    bool fragments =
        s->vars.pushdown != EXEC_PUSHDOWN_OFF && storage_caps(s->engine->opts.storage).pushdown;
    db_err err = plan_explain(plan, fragments, &text);
    if (err == ERR_OK) {
        err = send_text(st, buf_slice(&text));
    }
    buf_fini(&text);
    plan_unref(plan);
    return err;
}
