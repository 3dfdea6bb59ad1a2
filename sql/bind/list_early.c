/* What is computed of IN's list before a row is read.
 *
 * MYSQL: a list of constants that all compare with the left side in one way is computed when the
 * statement is prepared. So what is wrong with a member is said once, and when no row is read, too;
 * and as no error in CREATE TABLE ... SELECT, which becomes strict when it is executed. */
#include "sql/bind/bind_int.h"

/* As what MySQL's values of a type compare. */
enum kind { KIND_TEXT, KIND_INT, KIND_DECIMAL, KIND_DOUBLE };

static enum kind kind_of(const struct sql_type *t)
{
    if (!type_is_numeric(t)) {
        return KIND_TEXT;
    }
    switch (func_number_of(t)) {
    case NUM_INT: return KIND_INT;
    case NUM_DECIMAL: return KIND_DECIMAL;
    case NUM_DOUBLE: break;
    }
    return KIND_DOUBLE;
}

static enum kind kind_together(enum kind a, enum kind b)
{
    bool exact = (a == KIND_INT || a == KIND_DECIMAL) && (b == KIND_INT || b == KIND_DECIMAL);
    return a == b ? a : exact ? KIND_DECIMAL : KIND_DOUBLE;
}

static bool is_known(const struct bexpr *e)
{
    return !e->has_subquery && !e->has_agg && !e->has_window && bind__is_known_early(e);
}

bool bind__list_is_early(const struct binder *b, struct bexpr *const *args, uint32_t count)
{
    const struct sql_type *x = &args[0]->type;
    bool first = true;
    enum kind kind = KIND_TEXT;
    bool is = count > 2 && args[0]->kind != BEXPR_ROW && !b->scalar && !b->opts->defines_view;
    for (uint32_t i = 1; i < count && is; i++) {
        is = is_known(args[i]);
        if (args[i]->type.id != TYPE_NULL) {
            enum kind k = kind_together(kind_of(x), kind_of(&args[i]->type));
            is = is && (first || k == kind);
            kind = k;
            first = false;
        }
    }
    return is;
}

db_err bind__list_member_early(struct binder *b, struct bexpr **io)
{
    struct bexpr *e = *io;
    if (e->kind == BEXPR_CONST || e->kind == BEXPR_PARAM || !is_known(e)) {
        return ERR_OK;
    }
    const struct bexpr *from = e->kind == BEXPR_CAST ? e->args[0] : e;
    bool plain = e->kind == BEXPR_CAST && !e->u.cast.explicit_cast &&
                 (from->kind == BEXPR_CONST || from->kind == BEXPR_PARAM);
    if (plain) {
        return e->u.cast.early == NULL ? bind__early(b, e) : ERR_OK;
    }
    struct bexpr *cast = bind__new(b, BEXPR_CAST, &e->type, 1);
    if (cast == NULL) {
        return ERR_NOMEM;
    }
    cast->args[0] = e;
    cast->position = e->position;
    cast->coercibility = e->coercibility;
    cast->json_source = e->json_source;
    bind__inherit(cast);
    *io = cast;
    return bind__early(b, cast);
}

db_err bind__list_part_early(struct binder *b, struct bexpr *part)
{
    bool compares = part->kind == BEXPR_FUNC && part->arg_count == 2;
    return compares ? bind__list_member_early(b, &part->args[1]) : ERR_OK;
}
