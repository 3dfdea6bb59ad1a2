/* @@end_markers_in_json: behind each object and list that has a name stands the name. The text is
 * one that explain_json.c has made. */
#include "sql/opt/explain_int.h"

struct open_part {
    struct open_part *around;
    struct slice name; /* empty: an element of a list, or the whole */
};

/* The string that begins at `at`, without its quotes. */
static struct slice string_at(struct slice text, size_t at)
{
    size_t end = at + 1;
    while (end < text.len && text.ptr[end] != '"') {
        end += text.ptr[end] == '\\' ? 2 : 1;
    }
    end = end < text.len ? end : text.len;
    return slice_of(text.ptr + at + 1, end - at - 1);
}

db_err explain__mark_ends(struct slice text, struct arena *arena, struct buf *out)
{
    struct open_part *open = NULL;
    struct open_part *spare = NULL;
    struct slice last = SLICE_EMPTY; /* the last string: the name of what follows a colon */
    struct slice name = SLICE_EMPTY;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        TRY(buf_append_u8(out, c));
        if (c == '"') {
            last = string_at(text, i);
            TRY(buf_append_slice(out, last));
            TRY(buf_append_u8(out, '"'));
            i += last.len + 1;
        } else if (c == ':') {
            name = last;
        } else if (c == ',') {
            name = SLICE_EMPTY;
        } else if (c == '{' || c == '[') {
            struct open_part *p = spare != NULL ? spare : ARENA_NEW(arena, struct open_part);
            if (p == NULL) {
                return ERR_NOMEM;
            }
            spare = spare != NULL ? spare->around : NULL;
            *p = (struct open_part){open, name};
            open = p;
            name = SLICE_EMPTY;
        } else if ((c == '}' || c == ']') && open != NULL) {
            struct open_part *p = open;
            if (p->name.len != 0) {
                TRY(buf_printf(out, " /* %.*s */", SLICE_FMT(p->name)));
            }
            open = p->around;
            p->around = spare;
            spare = p;
        }
    }
    return ERR_OK;
}
