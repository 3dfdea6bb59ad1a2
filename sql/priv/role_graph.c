/* Roles as a graph. What is written, up to its blanks, is MySQL's. */
#include "sql/priv/role_graph.h"

static db_err put_escaped(struct buf *out, struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        switch (s.ptr[i]) {
        case '<': TRY(buf_printf(out, "&lt;")); break;
        case '>': TRY(buf_printf(out, "&gt;")); break;
        case '&': TRY(buf_printf(out, "&amp;")); break;
        case '"': TRY(buf_printf(out, "&quot;")); break;
        case '\'': TRY(buf_printf(out, "&apos;")); break;
        default: TRY(buf_append_slice(out, slice_of(s.ptr + i, 1))); break;
        }
    }
    return ERR_OK;
}

static db_err put_node(struct buf *out, uint32_t number, const struct acl_user *u)
{
    TRY(buf_printf(out, "    <node id=\"n%u\">\n      <data key=\"key1\">`", number));
    TRY(put_escaped(out, u->user));
    TRY(buf_printf(out, "`@`"));
    TRY(put_escaped(out, u->host));
    return buf_printf(out, "`</data>\n    </node>\n");
}

/* The place of a role's account; acl->count: it is gone. */
static uint32_t number_of(const struct acl *acl, const struct acl_name *role)
{
    const struct acl_user *u = acl_find(acl, role->user, role->host);
    uint32_t i = 0;
    while (i < acl->count && acl->users[i] != u) {
        i++;
    }
    return i;
}

static db_err put_edges(struct buf *out, const struct acl *acl)
{
    uint32_t edges = 0;
    for (uint32_t i = 0; i < acl->count; i++) {
        const struct acl_user *u = acl->users[i];
        for (uint32_t k = 0; k < u->role_count; k++) {
            uint32_t to = number_of(acl, &u->roles[k].name);
            if (to == acl->count) {
                continue;
            }
            TRY(buf_printf(out,
                           "    <edge id=\"e%u\" source=\"n%u\" target=\"n%u\">\n"
                           "      <data key=\"key0\">%d</data>\n    </edge>\n",
                           edges++, i, to, u->roles[k].admin));
        }
    }
    return ERR_OK;
}

db_err role_graph_put(struct buf *out, const struct acl *acl)
{
    static const char schema[] = "http://graphml.graphdrawing.org/xmlns";
    TRY(buf_printf(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"));
    if (acl == NULL) {
        return buf_printf(out, "<graphml />");
    }
    TRY(buf_printf(
        out,
        "\n<graphml xmlns=\"%s\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
        "xsi:schemaLocation=\"%s %s/1.0/graphml.xsd\">\n",
        schema, schema, schema));
    TRY(buf_printf(out,
                   "  <key id=\"key0\" for=\"edge\" attr.name=\"color\" attr.type=\"int\" />\n"
                   "  <key id=\"key1\" for=\"node\" attr.name=\"name\" attr.type=\"string\" />\n"
                   "  <graph id=\"G\" edgedefault=\"directed\" parse.nodeids=\"canonical\" "
                   "parse.edgeids=\"canonical\" parse.order=\"nodesfirst\">\n"));
    for (uint32_t i = 0; i < acl->count; i++) {
        TRY(put_node(out, i, acl->users[i]));
    }
    TRY(put_edges(out, acl));
    return buf_printf(out, "  </graph>\n</graphml>\n");
}
