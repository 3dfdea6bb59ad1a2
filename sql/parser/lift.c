#include "sql/parser/lift.h"

#include "sql_grammar.h"

enum lift_frame_kind {
    FRAME_STATEMENT,
    FRAME_GROUP, /* plain parentheses: an operand or a condition */
    FRAME_LIST,  /* the elements of IN (..) */
    FRAME_ROW,   /* a row of VALUES */
    FRAME_QUERY, /* a subquery */
    FRAME_CALL,  /* a function's arguments, a type's length, a list of columns */
};

enum lift_verb { VERB_OTHER, VERB_SELECT, VERB_INSERT, VERB_UPDATE, VERB_DELETE };

void lift_init(struct lift *l)
{
    l->on = false;
    l->started = false;
    l->verb = VERB_OTHER;
    l->prev = 0;
    l->depth = 0;
    l->count = 0;
    l->list_depth = 0;
}

static void start(struct lift *l, int kind)
{
    l->started = true;
    switch (kind) {
    case KW_SELECT: l->verb = VERB_SELECT; break;
    case KW_INSERT:
    case KW_REPLACE: l->verb = VERB_INSERT; break;
    case KW_UPDATE: l->verb = VERB_UPDATE; break;
    case KW_DELETE: l->verb = VERB_DELETE; break;
    default: return;
    }
    l->on = true;
    l->frames[0] = (struct lift_frame){.kind = FRAME_STATEMENT, .allowed = true, .outer = true};
}

static bool is_comparison(int kind)
{
    return kind == '=' || kind == '<' || kind == '>' || kind == OP_LE || kind == OP_GE ||
           kind == OP_NE || kind == OP_NSEQ;
}

/* What a '(' opens, from the token before it and the one after it. */
static uint8_t frame_kind(const struct lift *l, int next)
{
    if (next == KW_SELECT || next == KW_WITH || next == KW_VALUES || next == KW_TABLE) {
        return FRAME_QUERY;
    }
    switch (l->prev) {
    case KW_IN: return FRAME_LIST;
    case KW_VALUES:
    case KW_VALUE: return l->verb == VERB_INSERT ? FRAME_ROW : FRAME_CALL;
    case ',': return l->frames[l->depth].rows ? FRAME_ROW : FRAME_CALL;
    case '(':
    case KW_WHERE:
    case KW_ON:
    case KW_AND:
    case KW_OR:
    case OP_ANDAND:
    case OP_OROR:
    case KW_NOT: return FRAME_GROUP;
    default: return FRAME_CALL;
    }
}

static void open(struct lift *l, int next)
{
    uint8_t kind = FRAME_CALL;
    bool outer = false;
    bool allowed = false;
    if (l->depth < PARSER_LIFT_NEST_MAX) {
        struct lift_frame *f = &l->frames[l->depth];
        outer = f->outer && f->allowed;
        kind = frame_kind(l, next);
        allowed = kind != FRAME_CALL && kind != FRAME_QUERY;
        if (l->prev == KW_AND) {
            f->between = false;
        }
    }
    l->depth++;
    if (l->depth <= PARSER_LIFT_NEST_MAX) {
        l->frames[l->depth] = (struct lift_frame){.kind = kind, .allowed = allowed, .outer = outer};
    }
}

static void close(struct lift *l)
{
    if (l->list_depth == l->depth + 1) {
        l->list_depth = 0;
    }
    if (l->depth > 0) {
        l->depth--;
    }
}

/* Words that begin a clause of the query or statement whose frame is on top. */
static void clause(struct lift *l, struct lift_frame *f, int kind)
{
    switch (kind) {
    case KW_SELECT:
        f->allowed = false;
        f->between = false;
        if (l->list_depth == 0) {
            l->list_depth = l->depth + 1;
        }
        break;
    case KW_FROM:
    case KW_WHERE:
    case KW_LIMIT:
    case KW_FOR:
    case KW_LOCK:
    case KW_SET:
    case KW_UPDATE:
        f->allowed = true;
        f->between = false;
        if (l->list_depth == l->depth + 1) {
            l->list_depth = 0;
        }
        break;
    case KW_GROUP:
    case KW_ORDER:
    case KW_HAVING:
    case KW_WINDOW:
    case KW_QUALIFY:
    case KW_INTO:
    case KW_UNION:
    case KW_EXCEPT:
    case KW_INTERSECT:
        /* The INTO of INSERT allows; the clauses after it say what else holds. */
        f->allowed = kind == KW_INTO && l->verb == VERB_INSERT && l->list_depth == 0;
        f->between = false;
        if (l->list_depth == l->depth + 1) {
            l->list_depth = 0;
        }
        break;
    case KW_VALUES:
    case KW_VALUE:
        if (l->verb == VERB_INSERT && f->kind == FRAME_STATEMENT) {
            f->allowed = true;
            f->rows = true;
        }
        break;
    case KW_ON: f->rows = false; break;
    default: break;
    }
}

/* Does `next` end an operand? */
static bool ends_operand(int next)
{
    switch (next) {
    case 0:
    case ')':
    case ',':
    case ';':
    case KW_AND:
    case OP_ANDAND:
    case KW_OR:
    case OP_OROR:
    case KW_WHERE:
    case KW_GROUP:
    case KW_ORDER:
    case KW_LIMIT:
    case KW_OFFSET:
    case KW_HAVING:
    case KW_FOR:
    case KW_LOCK:
    case KW_UNION:
    case KW_ON:
    case KW_JOIN:
    case KW_INNER:
    case KW_LEFT:
    case KW_RIGHT:
    case KW_CROSS: return true;
    default: return false;
    }
}

static bool is_literal(int kind)
{
    return kind == NUM || kind == DECIMAL_NUM || kind == FLOAT_NUM || kind == TEXT_STRING;
}

static bool lifts(const struct lift *l, const struct lift_frame *f, int kind, int next)
{
    if (!f->outer || !f->allowed || l->count >= PARSER_LIFT_MAX || l->list_depth != 0 ||
        !ends_operand(next)) {
        return false;
    }
    if (f->kind == FRAME_ROW || f->kind == FRAME_LIST) {
        return (l->prev == '(' || l->prev == ',') && (next == ')' || next == ',');
    }
    if (is_comparison(l->prev)) {
        return true;
    }
    if (l->prev == KW_LIMIT || l->prev == KW_OFFSET) {
        return kind == NUM;
    }
    return l->prev == KW_BETWEEN || (l->prev == KW_AND && f->between);
}

bool lift_token(struct lift *l, int kind, uint32_t size, int next)
{
    enum { NUMBER_MAX = 31 }; /* a point and 30 digits, which may all be behind it */
    if (!l->started) {
        start(l, kind);
    }
    if (!l->on) {
        return false;
    }
    bool lifted = false;
    if (kind == '(') {
        open(l, next);
    } else if (kind == ')') {
        close(l);
    } else if (l->depth <= PARSER_LIFT_NEST_MAX) {
        struct lift_frame *f = &l->frames[l->depth];
        if (is_literal(kind)) {
            bool fits = (kind != NUM && kind != DECIMAL_NUM) || size <= NUMBER_MAX;
            lifted = fits && lifts(l, f, kind, next);
            l->count += lifted;
        } else if (f->kind == FRAME_STATEMENT || f->kind == FRAME_QUERY) {
            clause(l, f, kind);
        }
        if (kind == KW_BETWEEN) {
            f->between = true;
        } else if (l->prev == KW_AND) {
            f->between = false;
        }
    }
    l->prev = kind;
    return lifted;
}
