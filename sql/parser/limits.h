/* The parser's limits. */
#ifndef SKEIN_SQL_PARSER_LIMITS_H
#define SKEIN_SQL_PARSER_LIMITS_H

enum {
    /* Depth of an expression tree, of a join tree and of nested blocks: whoever walks a tree
     * recurses this far on a stack that grows to 16 MiB (my_stack_reserve). MySQL's own bound is
     * its thread stack, which is full after 700 to 16,000 levels; both say 1436. */
    PARSER_DEPTH_MAX = 4000,
    /* Queries within queries; MySQL allows as many (1473). */
    PARSER_QUERY_DEPTH_MAX = 62,
    /* Entries of Bison's stacks (about 26 bytes each, from the arena): open parentheses and the
       like. */
    PARSER_STACK_MAX = 64000,
    /* Open parentheses that the rule for lifting literals follows; within deeper ones nothing is
       lifted. */
    PARSER_LIFT_NEST_MAX = 32,
    /* Literals lifted out of one statement; the rest stay. */
    PARSER_LIFT_MAX = 1024,
};

#endif
