/* One byte at a time, with a stack of bytes that were read too far: a separator may be several
 * bytes long, and what begins like one may turn out to be text.
 *
 * A field that begins with the enclosing character ends only where that character is followed by a
 * separator or the end; doubled, it stands for itself. An escape takes the next byte as it is, but
 * for n t r b 0 Z; when escape and enclosure are the same character it is only doubled. A field
 * whose enclosure never ends keeps its first character. */
#include "sql/exec/load_reader.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/fiber.h"
#include "sql/charset/charset.h"

#define FIELD_MAX ((size_t)1 << 30)

enum { END_OF_INPUT = LOAD_END };

static int first_of(struct slice s)
{
    return s.len == 0 ? LOAD_NO_CHAR : s.ptr[0];
}

/* Bytes that scan_field has to look at. MYSQL: in UTF-16 and UTF-32 any byte begins a character,
 * and separators are single bytes all the same: they are seen only where a character would begin.
 */
static void mark_special(struct load_reader *r)
{
    const struct load_spec *s = r->spec;
    const int bytes[] = {s->escaped, s->enclosed, first_of(s->field_term), first_of(s->line_term)};
    for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
        if (bytes[i] >= 0) {
            r->special[bytes[i]] = true;
        }
    }
    r->lead_min = !s->multibyte ? 0x100 : s->charset->minlen > 1 ? 0 : 0x80;
    for (int i = r->lead_min; i < 0x100; i++) {
        r->special[i] = true;
    }
}

db_err load_reader_init(struct load_reader *r, const struct load_spec *spec,
                        const struct load_input *input)
{
    enum { SPARE = 16 }; /* longer than what load_skip is asked for */
    *r = (struct load_reader){.spec = spec, .input = input, .at_start = spec->line_start.len != 0};
    buf_init(&r->field, FIELD_MAX);
    mark_special(r);
    r->back = mem_alloc(spec->field_term.len + spec->line_start.len + spec->line_term.len + SPARE);
    return r->back == NULL ? ERR_NOMEM : ERR_OK;
}

void load_reader_fini(struct load_reader *r)
{
    buf_fini(&r->field);
    mem_free(r->back);
    r->back = NULL;
}

static int refill(struct load_reader *r)
{
    struct slice piece;
    if (r->eof || r->err != ERR_OK) {
        return END_OF_INPUT;
    }
    r->err = fiber_checkpoint();
    if (r->err == ERR_OK) {
        r->err = r->input->next(r->input->arg, &piece);
    }
    if (r->err != ERR_OK || piece.len == 0) {
        r->eof = true;
        return END_OF_INPUT;
    }
    r->pos = piece.ptr;
    r->end = piece.ptr + piece.len;
    return *r->pos++;
}

static int get(struct load_reader *r)
{
    if (UNLIKELY(r->back_count != 0)) {
        return r->back[--r->back_count];
    }
    return LIKELY(r->pos < r->end) ? *r->pos++ : refill(r);
}

static void unget(struct load_reader *r, int c)
{
    if (c != END_OF_INPUT) {
        r->back[r->back_count++] = (uint8_t)c;
    }
}

static void put(struct load_reader *r, int c)
{
    if (r->err == ERR_OK) {
        r->err = buf_append_u8(&r->field, (uint8_t)c);
    }
}

/* Its first byte has been read: is the rest there? If not, it is as if it had not been looked at.
 */
static bool is_term(struct load_reader *r, struct slice term)
{
    for (size_t i = 1; i < term.len; i++) {
        int c = get(r);
        if (c != term.ptr[i]) {
            unget(r, c);
            while (i-- > 1) {
                unget(r, term.ptr[i]);
            }
            return false;
        }
    }
    return true;
}

static bool find_line_start(struct load_reader *r)
{
    int first = first_of(r->spec->line_start);
    for (;;) {
        int c = get(r);
        if (c == END_OF_INPUT) {
            return false;
        }
        if (c == first && is_term(r, r->spec->line_start)) {
            return true;
        }
    }
}

static int unescape(int c, bool *ret_null)
{
    switch (c) {
    case 'n': return '\n';
    case 't': return '\t';
    case 'r': return '\r';
    case 'b': return '\b';
    case '0': return 0;
    case 'Z': return 26;
    case 'N': *ret_null = true; return c;
    default: return c;
    }
}

/* The rest of a character whose first byte has been read, if it is one: its bytes are no
 * separators. */
static void put_character(struct load_reader *r, int lead)
{
    const struct charset *cs = r->spec->charset;
    uint8_t bytes[8];
    unsigned n = 1;
    uint32_t cp;
    bytes[0] = (uint8_t)lead;
    while (charset_decode(cs, bytes, bytes + n, &cp) != n && n < cs->maxlen) {
        int c = get(r);
        if (c == END_OF_INPUT) {
            break;
        }
        bytes[n++] = (uint8_t)c;
    }
    if (charset_decode(cs, bytes, bytes + n, &cp) != n) {
        while (n > 1) {
            unget(r, bytes[--n]);
        }
    }
    for (unsigned i = 0; i < n; i++) {
        put(r, bytes[i]);
    }
}

static void put_plain(struct load_reader *r, int c)
{
    if (UNLIKELY(c >= r->lead_min)) {
        put_character(r, c);
    } else {
        put(r, c);
    }
}

enum stop { STOP_FIELD, STOP_LINE, STOP_INPUT };

/* After the enclosing character: doubled, the end of the field, or text after all. */
static bool enclosed_ends(struct load_reader *r, int enclosing, enum stop *ret_stop)
{
    const struct load_spec *s = r->spec;
    int c = get(r);
    if (c == enclosing) {
        put(r, c);
        return false;
    }
    if (c == END_OF_INPUT) {
        *ret_stop = STOP_LINE;
        return true;
    }
    if (c == first_of(s->line_term) && is_term(r, s->line_term)) {
        *ret_stop = STOP_LINE;
        return true;
    }
    if (c == first_of(s->field_term) && is_term(r, s->field_term)) {
        *ret_stop = STOP_FIELD;
        return true;
    }
    unget(r, c);
    put(r, enclosing);
    return false;
}

/* The bytes up to the next one that may mean something. */
static void put_run(struct load_reader *r)
{
    const uint8_t *p = r->pos;
    if (r->back_count != 0 || r->err != ERR_OK) {
        return;
    }
    while (p < r->end && !r->special[*p]) {
        p++;
    }
    r->err = buf_append(&r->field, r->pos, (size_t)(p - r->pos));
    r->pos = p;
}

/* Fills r->field. enclosing: what the field began with, or LOAD_NO_CHAR. *ret_closed: the enclosure
 * has ended. */
static enum stop scan_field(struct load_reader *r, int enclosing, bool *ret_null, bool *ret_closed)
{
    const struct load_spec *s = r->spec;
    int line_first = first_of(s->line_term);
    int field_first = first_of(s->field_term);
    enum stop stop = STOP_FIELD;
    for (;;) {
        put_run(r);
        int c = get(r);
        if (c == END_OF_INPUT) {
            return STOP_INPUT;
        }
        if (c == s->escaped) {
            int next = get(r);
            if (next == END_OF_INPUT) {
                put(r, c);
                return STOP_INPUT;
            }
            if (s->escaped != s->enclosed || next == s->escaped) {
                put(r, unescape(next, ret_null));
                continue;
            }
            unget(r, next);
        }
        if (enclosing != LOAD_NO_CHAR) {
            if (c != enclosing) {
                put_plain(r, c);
            } else if (enclosed_ends(r, enclosing, &stop)) {
                *ret_closed = true;
                return stop;
            }
            continue;
        }
        if (c == line_first && is_term(r, s->line_term)) {
            return STOP_LINE;
        }
        if (c == field_first && is_term(r, s->field_term)) {
            return STOP_FIELD;
        }
        put_plain(r, c);
    }
}

static bool begin(struct load_reader *r)
{
    if (r->end_of_line) {
        return false;
    }
    if (r->at_start) {
        r->at_start = false;
        if (!find_line_start(r)) {
            r->end_of_line = true;
            return false;
        }
    }
    buf_reset(&r->field);
    return true;
}

db_err load_read_field(struct load_reader *r, struct load_field *ret_field, bool *ret_found)
{
    const struct load_spec *s = r->spec;
    *ret_found = false;
    if (!begin(r)) {
        return r->err;
    }
    int c = get(r);
    if (c == END_OF_INPUT) {
        r->end_of_line = true;
        return r->err;
    }
    bool enclosed = c == s->enclosed;
    bool null = false;
    bool closed = false;
    if (enclosed) {
        put(r, c);
    } else {
        unget(r, c);
    }
    enum stop stop = scan_field(r, enclosed ? c : LOAD_NO_CHAR, &null, &closed);
    r->end_of_line = stop != STOP_FIELD;
    TRY(r->err);
    struct slice text = slice_from(buf_slice(&r->field), closed ? 1 : 0);
    *ret_field = (struct load_field){.text = text, .enclosed = closed};
    ret_field->is_null = (null && text.len == 1) || (!closed && s->enclosed != LOAD_NO_CHAR &&
                                                     slice_eq(text, SLICE_LIT("NULL")));
    *ret_found = true;
    return ERR_OK;
}

db_err load_read_fixed(struct load_reader *r, struct slice *ret_line, bool *ret_found)
{
    const struct load_spec *s = r->spec;
    int line_first = first_of(s->line_term);
    bool null = false;
    *ret_found = false;
    if (!begin(r) || (s->fixed_size == 0 && s->line_term.len == 0)) {
        return r->err; /* lines of nothing that end with nothing would never end */
    }
    while (r->field.len < s->fixed_size && r->err == ERR_OK) {
        int c = get(r);
        if (c == s->escaped && c != END_OF_INPUT) {
            int next = get(r);
            put(r, next == END_OF_INPUT ? c : unescape(next, &null));
            c = next == END_OF_INPUT ? next : c;
        } else if (c != END_OF_INPUT && c == line_first && is_term(r, s->line_term)) {
            r->end_of_line = true;
            break;
        } else if (c != END_OF_INPUT) {
            put(r, c);
        }
        if (c == END_OF_INPUT) {
            r->end_of_line = true;
            TRY(r->err);
            if (r->field.len == 0) {
                return ERR_OK;
            }
            break;
        }
    }
    TRY(r->err);
    *ret_line = buf_slice(&r->field);
    *ret_found = true;
    return ERR_OK;
}

db_err load_next_line(struct load_reader *r, bool *ret_end)
{
    const struct load_spec *s = r->spec;
    int line_first = first_of(s->line_term);
    bool ended = r->end_of_line;
    r->cut = false;
    r->end_of_line = false;
    r->at_start = s->line_start.len != 0;
    *ret_end = false;
    if (ended) {
        *ret_end = r->eof && r->back_count == 0;
        return r->err;
    }
    while (s->line_term.len != 0) {
        int c = get(r);
        if (c == END_OF_INPUT) {
            *ret_end = true;
            return r->err;
        }
        if (c == s->escaped) {
            (void)get(r);
        } else if (c == line_first && is_term(r, s->line_term)) {
            return r->err;
        }
        r->cut = true;
    }
    return r->err;
}

int load_get(struct load_reader *r)
{
    return get(r);
}

bool load_skip(struct load_reader *r, struct slice text)
{
    return is_term(r, text);
}
