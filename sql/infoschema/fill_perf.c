/* performance_schema's tables whose rows the session makes. */
#include "sql/infoschema/fill.h"

struct row_sink {
    struct infoschema_row_sink base;
    struct is_rows *r;
};

static db_err add_row(struct infoschema_row_sink *base, const struct infoschema_cell *cells,
                      uint32_t count)
{
    struct is_rows *r = CONTAINER_OF(base, struct row_sink, base)->r;
    for (uint32_t i = 0; i < count; i++) {
        const struct infoschema_cell *c = &cells[i];
        switch (c->kind) {
        case CELL_NULL: is__null(r); break;
        case CELL_TEXT: is__text(r, c->text); break;
        case CELL_UINT: is__uint(r, c->u); break;
        case CELL_TIME: is__time(r, c->u); break;
        case CELL_DOUBLE: is__double(r, c->d); break;
        }
    }
    return is__end(r);
}

db_err is__fill_perf(struct is_rows *r)
{
    struct row_sink sink = {{add_row}, r};
    return r->ops->perf == NULL ? ERR_OK : r->ops->perf(r->session, r->table->name, &sink.base);
}
