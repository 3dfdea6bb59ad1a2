/* Which literals are lifted out of a statement's text: one rule for digest_compute() and for the
 * parser, fed with the same tokens, so that both number the same literals alike.
 *
 * A literal is lifted when all of these hold:
 *   - the statement begins with SELECT, INSERT, REPLACE, UPDATE or DELETE;
 *   - it is a plain number, or a string without prefix: no introducer, N'', X'', no sign before it;
 *   - it is a whole operand: what stands before it is a comparison, BETWEEN or its AND, LIMIT,
 * OFFSET or the assignment of an UPDATE, or it is an element of an IN list or of a row of VALUES;
 * and what follows ends an operand;
 *   - it is not within a SELECT list, GROUP BY, ORDER BY, HAVING, WINDOW, a function's arguments or
 * INTO;
 *   - it is within PARSER_LIFT_NEST_MAX parentheses, and is not number PARSER_LIFT_MAX or later.
 * Everything else stays in the digest. The rule errs towards staying: a literal that stays only
 * costs a cache entry. */
#ifndef SKEIN_SQL_PARSER_LIFT_H
#define SKEIN_SQL_PARSER_LIFT_H

#include <stdbool.h>
#include <stdint.h>

#include "sql/parser/limits.h"

/* One open parenthesis, or the statement itself. */
struct lift_frame {
    uint8_t kind; /* enum lift_frame_kind */
    bool allowed; /* the clause allows lifting */
    bool outer;   /* the frames around allow lifting */
    bool between; /* BETWEEN was read, what follows its AND was not */
    bool rows;    /* rows of VALUES may follow a ',' */
};

struct lift {
    bool on; /* false: this statement is not one of those */
    bool started;
    uint8_t verb; /* enum lift_verb: what the statement begins with */
    int prev;     /* the token before */
    uint32_t depth;
    uint32_t count;      /* lifted so far */
    uint32_t list_depth; /* depth + 1 of the query whose SELECT list is open, 0: none */
    struct lift_frame frames[PARSER_LIFT_NEST_MAX + 1];
};

void lift_init(struct lift *l);
/* Takes the next token and the kind of the one after it. True: the token is a literal and is
 * lifted, as number l->count - 1. `size`: bytes of its text; numbers longer than the type of lifted
 * ones holds stay where they are. */
bool lift_token(struct lift *l, int kind, uint32_t size, int next_kind);

#endif
