/* LOAD XML. A field is an attribute of the row's element, <row a="1">; an element in it, <a>1</a>;
 * or <field name="a">1</field>, which is how mysqldump --xml writes it. All three may be mixed.
 *
 * MYSQL: a field stays in force until an element begins that is less deep than it, so that what
 * stands beside and above the rows is seen by all rows behind it, and of fields of one name the
 * newest counts. Text is that between a start tag and the next '<', without the blanks before it;
 * an empty value is none. Only &lt; &gt; &amp; &quot; and &apos; stand for something else. Names
 * are compared byte by byte. The file's bytes are not checked to be well-formed XML: what cannot be
 * understood is passed over. */
#include "sql/exec/load_xml.h"

#include "base/alloc.h"
#include "base/scope.h"

#define VALUE_MAX ((size_t)1 << 30)
enum { NAME_MAX_BYTES = 4096, FIELDS_MAX = 16384 };

void load_xml_init(struct load_xml *x, struct load_reader *reader)
{
    *x = (struct load_xml){.reader = reader};
    buf_init(&x->tag, NAME_MAX_BYTES);
    buf_init(&x->attribute, NAME_MAX_BYTES);
}

void load_xml_fini(struct load_xml *x)
{
    for (uint32_t i = 0; i < x->made; i++) {
        buf_fini(&x->fields[i].name);
        buf_fini(&x->fields[i].value);
    }
    mem_free(x->fields);
    buf_fini(&x->tag);
    buf_fini(&x->attribute);
    x->fields = NULL;
    x->made = x->count = 0;
}

/* ---- fields ---- */

/* Those deeper than an element that begins now; their buffers are kept for others. */
static void drop_below(struct load_xml *x, uint32_t depth)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < x->count; i++) {
        if (x->fields[i].depth <= depth) {
            struct load_xml_field f = x->fields[i];
            x->fields[i] = x->fields[kept];
            x->fields[kept++] = f;
        }
    }
    x->count = kept;
}

/* A field that is not in force yet. */
static db_err new_field(struct load_xml *x, uint32_t depth, struct slice name,
                        struct load_xml_field **ret)
{
    if (x->count == FIELDS_MAX) {
        return ERR_LIMIT;
    }
    if (x->count == x->room) {
        uint32_t room = x->room == 0 ? 16 : x->room * 2;
        struct load_xml_field *grown = mem_realloc(x->fields, room * sizeof(*grown));
        if (grown == NULL) {
            return ERR_NOMEM;
        }
        x->fields = grown;
        x->room = room;
    }
    struct load_xml_field *f = &x->fields[x->count];
    if (x->count == x->made) {
        buf_init(&f->name, NAME_MAX_BYTES);
        buf_init(&f->value, VALUE_MAX);
        x->made++;
    }
    buf_reset(&f->name);
    buf_reset(&f->value);
    f->depth = depth;
    TRY(buf_append_slice(&f->name, name));
    *ret = f;
    return ERR_OK;
}

/* In force, if it has a value, instead of the one that was there: a file of any size has few. */
static void keep_field(struct load_xml *x)
{
    struct load_xml_field *f = &x->fields[x->count];
    if (f->value.len == 0) {
        return;
    }
    for (uint32_t i = 0; i < x->count; i++) {
        struct load_xml_field old = x->fields[i];
        if (old.depth == f->depth && slice_eq(buf_slice(&old.name), buf_slice(&f->name))) {
            memmove(&x->fields[i], &x->fields[i + 1], (x->count - i) * sizeof(old));
            x->fields[x->count] = old;
            return;
        }
    }
    x->count++;
}

bool load_xml_value(const struct load_xml *x, struct slice name, struct slice *ret_text)
{
    for (uint32_t i = x->count; i-- > 0;) {
        if (slice_eq(buf_slice(&x->fields[i].name), name)) {
            *ret_text = buf_slice(&x->fields[i].value);
            return true;
        }
    }
    return false;
}

/* ---- characters ---- */

static bool is_blank(int c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static int skip_blanks(struct load_xml *x, int c)
{
    while (is_blank(c)) {
        c = load_get(x->reader);
    }
    return c;
}

/* '&' has been read. */
static int entity(struct load_xml *x)
{
    static const struct {
        struct slice text;
        char c;
    } known[] = {{SLICE_LIT("&lt;"), '<'},
                 {SLICE_LIT("&gt;"), '>'},
                 {SLICE_LIT("&amp;"), '&'},
                 {SLICE_LIT("&quot;"), '"'},
                 {SLICE_LIT("&apos;"), '\''}};
    for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
        if (load_skip(x->reader, known[i].text)) {
            return known[i].c;
        }
    }
    return '&';
}

/* What a name is made of up to a blank, '/', '>' or, of an attribute, '='. Gives what ended it. */
static db_err read_name(struct load_xml *x, int c, bool attribute, struct buf *out, int *ret_c)
{
    buf_reset(out);
    while (c != LOAD_END && !is_blank(c) && c != '>' && c != '/' && !(attribute && c == '=')) {
        TRY(buf_append_u8(out, (uint8_t)c));
        c = load_get(x->reader);
    }
    *ret_c = c;
    return x->reader->err;
}

static db_err read_cdata(struct load_xml *x, struct buf *out)
{
    for (int c = load_get(x->reader); c != LOAD_END; c = load_get(x->reader)) {
        if (c == ']' && load_skip(x->reader, SLICE_LIT("]]>"))) {
            break;
        }
        TRY(buf_append_u8(out, (uint8_t)c));
    }
    return x->reader->err;
}

/* ---- tags ---- */

/* Up to `end`, whose last character is '>'. */
static db_err skip_past(struct load_xml *x, struct slice end)
{
    for (int c = load_get(x->reader); c != LOAD_END; c = load_get(x->reader)) {
        if (c == end.ptr[0] && load_skip(x->reader, end)) {
            break;
        }
    }
    return x->reader->err;
}

/* <!-- -->, <!DOCTYPE>, <![CDATA[ ]]> between elements; '<!' has been read. */
static db_err skip_declaration(struct load_xml *x)
{
    int c = load_get(x->reader);
    if (c == '-' && load_skip(x->reader, SLICE_LIT("--"))) {
        return skip_past(x, SLICE_LIT("-->"));
    }
    if (c == '[' && load_skip(x->reader, SLICE_LIT("[CDATA["))) {
        return skip_past(x, SLICE_LIT("]]>"));
    }
    return c == '>' ? ERR_OK : skip_past(x, SLICE_LIT(">"));
}

/* Its '=' has been read. */
static db_err read_attribute_value(struct load_xml *x, struct buf *out, int *ret_c)
{
    int c = skip_blanks(x, load_get(x->reader));
    int quote = c == '"' || c == '\'' ? c : 0;
    c = quote != 0 ? load_get(x->reader) : c;
    while (c != LOAD_END && (quote != 0 ? c != quote : !is_blank(c) && c != '>')) {
        TRY(buf_append_u8(out, (uint8_t)(c == '&' ? entity(x) : c)));
        c = load_get(x->reader);
    }
    *ret_c = quote != 0 ? load_get(x->reader) : c;
    return x->reader->err;
}

static db_err attribute(struct load_xml *x, int *c)
{
    TRY(read_name(x, *c, true, &x->attribute, c));
    *c = skip_blanks(x, *c);
    if (*c != '=') {
        return x->reader->err;
    }
    if (slice_eq(buf_slice(&x->tag), SLICE_LIT("field")) &&
        slice_eq(buf_slice(&x->attribute), SLICE_LIT("name"))) {
        buf_reset(&x->tag);
        return read_attribute_value(x, &x->tag, c);
    }
    struct load_xml_field *f;
    TRY(new_field(x, x->depth + 1, buf_slice(&x->attribute), &f));
    TRY(read_attribute_value(x, &f->value, c));
    keep_field(x);
    return ERR_OK;
}

/* The text behind a start tag. */
static db_err text(struct load_xml *x)
{
    struct load_xml_field *f;
    TRY(new_field(x, x->depth, buf_slice(&x->tag), &f));
    int c = skip_blanks(x, load_get(x->reader));
    for (; c != LOAD_END; c = load_get(x->reader)) {
        if (c == '<') {
            if (!load_skip(x->reader, SLICE_LIT("<![CDATA["))) {
                x->at_tag = true;
                break;
            }
            TRY(read_cdata(x, &f->value));
        } else {
            TRY(buf_append_u8(&f->value, (uint8_t)(c == '&' ? entity(x) : c)));
        }
    }
    keep_field(x);
    return x->reader->err;
}

/* A start tag, and the text behind it. *ret_row: it was a row, and empty. */
static db_err start_tag(struct load_xml *x, int c, bool *ret_row)
{
    bool empty = false;
    TRY(read_name(x, c, false, &x->tag, &c));
    bool row = x->tag.len != 0 && slice_eq(buf_slice(&x->tag), x->reader->spec->row_tag);
    x->depth++;
    drop_below(x, x->depth);
    for (c = skip_blanks(x, c); c != '>' && c != LOAD_END; c = skip_blanks(x, c)) {
        if (c == '/') {
            empty = true;
            c = load_get(x->reader);
        } else {
            TRY(attribute(x, &c));
        }
    }
    TRY(x->reader->err);
    if (empty) {
        x->depth--;
        *ret_row = row;
        return ERR_OK;
    }
    *ret_row = false;
    return text(x);
}

static db_err end_tag(struct load_xml *x, bool *ret_row)
{
    int c;
    TRY(read_name(x, load_get(x->reader), false, &x->tag, &c));
    while (c != '>' && c != LOAD_END) {
        c = load_get(x->reader);
    }
    x->depth -= x->depth != 0 ? 1 : 0;
    *ret_row =
        c == '>' && x->tag.len != 0 && slice_eq(buf_slice(&x->tag), x->reader->spec->row_tag);
    return x->reader->err;
}

db_err load_xml_next(struct load_xml *x, bool *ret_found)
{
    bool row = false;
    while (!row) {
        int c = 0;
        while (!x->at_tag && c != '<' && c != LOAD_END) {
            c = load_get(x->reader);
        }
        x->at_tag = false;
        c = c == LOAD_END ? c : load_get(x->reader);
        if (c == LOAD_END) {
            break;
        }
        if (c == '!') {
            TRY(skip_declaration(x));
        } else if (c == '?') {
            TRY(skip_past(x, SLICE_LIT("?>")));
        } else {
            TRY(c == '/' ? end_tag(x, &row) : start_tag(x, c, &row));
        }
    }
    TRY(x->reader->err);
    *ret_found = row;
    return ERR_OK;
}
