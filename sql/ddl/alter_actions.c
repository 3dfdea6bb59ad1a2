/* What ALTER TABLE's actions do to the draft.
 *
 * MYSQL: names of what is dropped or changed are those of the table as it was, whatever the order
 * of the actions; places (FIRST, AFTER) and new keys see the table as it will be. So the actions
 * run in phases: options, drops, changes, additions, keys. */
#include "sql/ddl/alter_int.h"
#include "sql/ddl/fk_int.h"

static struct draft_column *old_column(struct alter *a, struct slice name)
{
    for (uint32_t i = 0; i < a->draft.column_count; i++) {
        struct draft_column *c = a->draft.columns[i];
        if (c->source >= 0 && !c->def.hidden &&
            slice_eq_nocase(a->old->columns[c->source].name, name)) {
            return c;
        }
    }
    return NULL;
}

static struct draft_index *old_index(struct alter *a, struct slice name)
{
    for (uint32_t i = 0; i < a->draft.index_count; i++) {
        struct draft_index *ix = a->draft.indexes[i];
        if (ix->source >= 0 && slice_eq_nocase(a->old->indexes[ix->source].name, name)) {
            return ix;
        }
    }
    return NULL;
}

static db_err unknown_column(struct alter *a, struct slice name)
{
    return my_error(a->ctx->diag, ER_BAD_FIELD_ERROR, ddl__text(a->ctx, name),
                    ddl__text(a->ctx, a->old->name));
}

static db_err cannot_drop(struct alter *a, struct slice name)
{
    return my_error(a->ctx->diag, ER_CANT_DROP_FIELD_OR_KEY, ddl__text(a->ctx, name));
}

static db_err no_such_key(struct alter *a, struct slice name)
{
    return my_error(a->ctx->diag, ER_KEY_DOES_NOT_EXITS, ddl__text(a->ctx, name),
                    ddl__text(a->ctx, a->old->name));
}

/* ---- drops ---- */

static void remove_index(struct draft *d, uint32_t at)
{
    memmove(d->indexes + at, d->indexes + at + 1, (d->index_count - at - 1) * sizeof(*d->indexes));
    d->index_count--;
}

/* MYSQL: a key loses the parts of a dropped column, and goes with its last one. */
static void drop_parts(struct draft *d, const struct draft_column *c)
{
    for (uint32_t i = 0; i < d->index_count;) {
        struct draft_index *ix = d->indexes[i];
        uint32_t kept = 0;
        for (uint32_t p = 0; p < ix->part_count; p++) {
            if (ix->parts[p].column != c) {
                ix->parts[kept++] = ix->parts[p];
            }
        }
        ix->part_count = kept;
        if (kept == 0) {
            remove_index(d, i);
        } else {
            i++;
        }
    }
}

static bool adds_column(const struct alter *a, struct slice name)
{
    for (uint32_t i = 0; i < a->actions->count; i++) {
        const struct ast_alter_action *x = a->actions->items[i];
        bool add = x->kind == AST_ALTER_ADD_COLUMN || x->kind == AST_ALTER_ADD_ELEMENTS;
        if (add && x->columns.count == 0 && x->column != NULL &&
            slice_eq_nocase(x->column->name, name)) {
            return true;
        }
        for (uint32_t k = 0; add && k < x->columns.count; k++) {
            if (slice_eq_nocase(x->columns.items[k]->name, name)) {
                return true;
            }
        }
    }
    return false;
}

/* MYSQL: a new column with the name of one that is dropped takes its place in the keys, which have
 * of it as many bytes as they had. */
static void stand_in(struct draft *d, struct draft_column *c)
{
    const struct sql_type *t = &c->def.type;
    for (uint32_t i = 0; i < d->index_count; i++) {
        for (uint32_t k = 0; k < d->indexes[i]->part_count; k++) {
            struct draft_part *p = &d->indexes[i]->parts[k];
            if (p->column == NULL || !p->column->dropped ||
                !slice_eq_nocase(p->column->def.name, c->def.name)) {
                continue;
            }
            const struct sql_type *was = &p->column->def.type;
            bool text = type_is_string(was) || type_is_string(t);
            if (p->prefix == 0 && (text || ddl__row_bytes(was) != ddl__row_bytes(t))) {
                p->prefix =
                    type_is_string(was) ? (uint32_t)was->length : (uint32_t)ddl__row_bytes(was);
            }
            p->column = c;
        }
    }
}

static db_err drop_column(struct alter *a, struct slice name)
{
    struct draft *d = &a->draft;
    struct draft_column *c = old_column(a, name);
    const struct draft_column *hidden = ddl__find_column(d, name);
    if (c == NULL && hidden != NULL && hidden->def.hidden) {
        return my_error(a->ctx->diag, ER_CANNOT_DROP_COLUMN_FUNCTIONAL_INDEX,
                        ddl__text(a->ctx, name));
    }
    if (c == NULL) {
        return cannot_drop(a, name);
    }
    uint32_t at = ddl__column_at(d, c);
    c->dropped = adds_column(a, name);
    if (!c->dropped) {
        drop_parts(d, c);
    }
    memmove(d->columns + at, d->columns + at + 1, (d->column_count - at - 1) * sizeof(*d->columns));
    d->column_count--;
    return ERR_OK;
}

static db_err drop_index(struct alter *a, struct slice name)
{
    struct draft *d = &a->draft;
    const struct draft_index *ix = old_index(a, name);
    for (uint32_t i = 0; ix != NULL && i < d->index_count; i++) {
        if (d->indexes[i] == ix) {
            remove_index(d, i);
            return ERR_OK;
        }
    }
    return cannot_drop(a, name);
}

/* Primary and unique keys, foreign keys and checks. */
static db_err drop_constraint(struct alter *a, struct slice name)
{
    const struct draft_index *ix = old_index(a, name);
    const struct draft_check *check = ddl__find_check(&a->draft, name);
    bool key = ix != NULL && (ix->def.kind == INDEX_PRIMARY || ix->def.kind == INDEX_UNIQUE);
    bool foreign = ddl__has_fk(&a->draft, name);
    if ((check != NULL) + key + foreign > 1) {
        return my_error(a->ctx->diag, ER_MULTIPLE_CONSTRAINTS_WITH_SAME_NAME,
                        ddl__text(a->ctx, name));
    }
    if (key) {
        return drop_index(a, name);
    }
    if (foreign) {
        (void)ddl__drop_fk(&a->draft, name);
        return ERR_OK;
    }
    if (check == NULL) {
        return my_error(a->ctx->diag, ER_CONSTRAINT_NOT_FOUND, ddl__text(a->ctx, name));
    }
    ddl__drop_check(&a->draft, check);
    return ERR_OK;
}

static db_err run_drop(struct alter *a, const struct ast_alter_action *x)
{
    const struct draft_check *check;
    switch ((int)x->kind) {
    case AST_ALTER_DROP_COLUMN: return drop_column(a, x->name);
    case AST_ALTER_DROP_INDEX: return drop_index(a, x->name);
    case AST_ALTER_DROP_PRIMARY: return drop_index(a, SLICE_LIT("PRIMARY"));
    case AST_ALTER_DROP_FOREIGN:
        return ddl__drop_fk(&a->draft, x->name) ? ERR_OK : cannot_drop(a, x->name);
    case AST_ALTER_DROP_CONSTRAINT: return drop_constraint(a, x->name);
    case AST_ALTER_DROP_CHECK:
        check = ddl__find_check(&a->draft, x->name);
        if (check == NULL) {
            return my_error(a->ctx->diag, ER_CHECK_CONSTRAINT_NOT_FOUND,
                            ddl__text(a->ctx, x->name));
        }
        ddl__drop_check(&a->draft, check);
        return ERR_OK;
    default: return ERR_OK;
    }
}

/* ---- places ---- */

static db_err place_of(struct alter *a, const struct ast_alter_action *x, uint32_t *ret_at)
{
    struct draft *d = &a->draft;
    if (x->place == AST_PLACE_FIRST) { /* MYSQL: behind an invisible key that was made */
        bool made = d->column_count != 0 && d->columns[0]->source == 0 &&
                    table_has_generated_primary(a->old);
        *ret_at = made ? 1 : 0;
        return ERR_OK;
    }
    if (x->place == AST_PLACE_AFTER) {
        const struct draft_column *after = ddl__find_column(d, x->after);
        if (after == NULL) {
            return unknown_column(a, x->after);
        }
        *ret_at = ddl__column_at(d, after) + 1;
        return ERR_OK;
    }
    *ret_at = d->column_count;
    return ERR_OK;
}

static db_err move_column(struct alter *a, struct draft_column *c, const struct ast_alter_action *x)
{
    struct draft *d = &a->draft;
    uint32_t from = ddl__column_at(d, c);
    uint32_t to;
    if (x->place == AST_PLACE_UNSET) {
        return ERR_OK;
    }
    TRY(place_of(a, x, &to));
    to -= to > from ? 1 : 0;
    memmove(d->columns + from, d->columns + from + 1,
            (d->column_count - from - 1) * sizeof(*d->columns));
    memmove(d->columns + to + 1, d->columns + to, (d->column_count - 1 - to) * sizeof(*d->columns));
    d->columns[to] = c;
    return ERR_OK;
}

/* ---- changes ---- */

static db_err add_checks(struct alter *a, const struct ast_check_list *checks,
                         struct draft_column *column)
{
    for (uint32_t i = 0; i < checks->count; i++) {
        TRY(ddl__add_check(&a->draft, checks->items[i], column));
    }
    return ERR_OK;
}

static db_err enforce_check(struct alter *a, const struct ast_alter_action *x)
{
    struct draft_check *c = ddl__find_check(&a->draft, x->name);
    if (c == NULL) {
        return my_error(a->ctx->diag, ER_CHECK_CONSTRAINT_NOT_FOUND, ddl__text(a->ctx, x->name));
    }
    c->enforce = x->yes && !c->def.enforced;
    c->def.enforced = x->yes;
    return ERR_OK;
}

static db_err change_column(struct alter *a, struct slice name, const struct ast_alter_action *x)
{
    struct draft_column *old = old_column(a, name);
    struct draft_column *made;
    if (old == NULL || old->redefined) {
        return unknown_column(a, name);
    }
    TRY(ddl__column(&a->draft, x->column, &made));
    made->redefined = true;
    made->source = old->source;
    made->def.id = old->def.id;
    made->def.has_absent = old->def.has_absent;
    made->def.absent = old->def.absent;
    *old = *made; /* keys point at it */
    TRY(add_checks(a, &x->column->checks, old));
    TRY(move_column(a, old, x));
    if (x->column->primary || x->column->unique || x->column->serial_default) {
        TRY(ddl__column_key(&a->draft, x->column->name, x->column->primary));
    }
    if (x->column->references != NULL) {
        TRY(ddl__add_fk(&a->draft, SLICE_EMPTY, SLICE_EMPTY, &x->column->name, 1,
                        x->column->references));
    }
    return ERR_OK;
}

static db_err set_default(struct alter *a, const struct ast_alter_action *x)
{
    struct draft_column *c = old_column(a, x->name);
    bool drop = x->kind == AST_ALTER_DROP_DEFAULT;
    if (c == NULL || c->redefaulted) {
        return unknown_column(a, x->name);
    }
    c->redefaulted = true;
    if (c->def.generated != GENERATED_NO) {
        return my_error(a->ctx->diag, ER_WRONG_USAGE, "DEFAULT", "generated column");
    }
    /* MYSQL: not even NULL, and no expression, though both are a default of a new column */
    if (!drop && (type_is_blob(&c->def.type) || c->def.type.id == TYPE_JSON)) {
        return my_error(a->ctx->diag, ER_BLOB_CANT_HAVE_DEFAULT, ddl__text(a->ctx, x->name));
    }
    TRY(ddl__set_default(&a->draft, c, drop ? AST_DEFAULT_NONE : x->default_kind, x->expr));
    bool not_null = (c->def.type.flags & TYPE_F_NOT_NULL) != 0;
    return not_null && c->def.default_kind == DEFAULT_NULL
               ? my_error(a->ctx->diag, ER_INVALID_DEFAULT, ddl__text(a->ctx, x->name))
               : ERR_OK;
}

static db_err rename_column(struct alter *a, const struct ast_alter_action *x)
{
    struct draft_column *c = old_column(a, x->name);
    if (c == NULL || c->renamed) {
        return unknown_column(a, x->name);
    }
    TRY(ddl__check_column_name(a->ctx, x->new_name));
    c->renamed = true;
    c->def.name = x->new_name;
    c->def.histogram = NULL; /* MYSQL: it is kept by name */
    return ERR_OK;
}

static db_err change_index(struct alter *a, const struct ast_alter_action *x)
{
    struct draft_index *ix = old_index(a, x->name);
    if (ix == NULL) {
        return no_such_key(a, x->name);
    }
    if (x->kind == AST_ALTER_INDEX_VISIBLE) {
        ix->def.invisible = !x->yes;
        return ix->def.invisible && ix->def.kind == INDEX_PRIMARY
                   ? my_error(a->ctx->diag, ER_PK_INDEX_CANT_BE_INVISIBLE)
                   : ERR_OK;
    }
    if (ix->def.kind == INDEX_PRIMARY || slice_eq_nocase(x->new_name, SLICE_LIT("PRIMARY"))) {
        return my_error(a->ctx->diag, ER_WRONG_NAME_FOR_INDEX, ddl__text(a->ctx, x->new_name));
    }
    ix->def.name = x->new_name;
    return ERR_OK;
}

static db_err run_change(struct alter *a, const struct ast_alter_action *x)
{
    struct draft_column *c;
    switch ((int)x->kind) {
    case AST_ALTER_CHANGE_COLUMN: return change_column(a, x->name, x);
    case AST_ALTER_MODIFY_COLUMN: return change_column(a, x->column->name, x);
    case AST_ALTER_RENAME_COLUMN: return rename_column(a, x);
    case AST_ALTER_SET_DEFAULT:
    case AST_ALTER_DROP_DEFAULT: return set_default(a, x);
    case AST_ALTER_COLUMN_VISIBLE:
        c = old_column(a, x->name);
        if (c == NULL) {
            return unknown_column(a, x->name);
        }
        c->def.invisible = !x->yes;
        return ERR_OK;
    case AST_ALTER_RENAME_INDEX:
    case AST_ALTER_INDEX_VISIBLE: return change_index(a, x);
    case AST_ALTER_CHECK_ENFORCED: return enforce_check(a, x);
    default: return ERR_OK;
    }
}

/* ---- additions ---- */

static db_err add_column(struct alter *a, const struct ast_column_def *ast,
                         const struct ast_alter_action *x)
{
    struct draft_column *c;
    uint32_t at;
    TRY(ddl__column(&a->draft, ast, &c));
    TRY(place_of(a, x, &at));
    TRY(ddl__add_column(&a->draft, c, at));
    stand_in(&a->draft, c);
    if (ast->primary) {
        TRY(ddl__column_key(&a->draft, ast->name, true));
    }
    if (ast->unique || ast->serial_default || ast->type->kind == AST_TYPE_SERIAL) {
        TRY(ddl__column_key(&a->draft, ast->name, false));
    }
    if (ast->references != NULL) {
        TRY(ddl__add_fk(&a->draft, SLICE_EMPTY, SLICE_EMPTY, &ast->name, 1, ast->references));
    }
    return add_checks(a, &ast->checks, c);
}

static db_err run_add(struct alter *a, const struct ast_alter_action *x)
{
    if (x->kind == AST_ALTER_ADD_CHECK) {
        return ddl__add_check(&a->draft, x->check, NULL);
    }
    if (x->kind != AST_ALTER_ADD_COLUMN && x->kind != AST_ALTER_ADD_ELEMENTS) {
        return ERR_OK;
    }
    if (x->column != NULL && x->columns.count == 0) {
        TRY(add_column(a, x->column, x));
    }
    for (uint32_t i = 0; i < x->columns.count; i++) {
        TRY(add_column(a, x->columns.items[i], x));
    }
    for (uint32_t i = 0; i < x->indexes.count; i++) {
        TRY(ddl__index(&a->draft, x->indexes.items[i]));
    }
    return add_checks(a, &x->checks, NULL);
}

static db_err run_add_index(struct alter *a, const struct ast_alter_action *x)
{
    return x->kind == AST_ALTER_ADD_INDEX ? ddl__index(&a->draft, x->index) : ERR_OK;
}

/* ---- options and the rest ---- */

static bool converts(const struct sql_type *t)
{
    return (type_is_string(t) || t->id == TYPE_ENUM || t->id == TYPE_SET) &&
           t->collation != COLL_BINARY;
}

/* Members are kept in the column's charset. */
static db_err convert_members(struct alter *a, struct sql_type *io, const struct charset *from,
                              const struct charset *to)
{
    struct type_names *names = ARENA_NEW(a->ctx->arena, struct type_names);
    struct slice *list = ARENA_ARRAY(a->ctx->arena, struct slice, io->names->count);
    if (names == NULL || list == NULL) {
        return ERR_NOMEM;
    }
    *names = *io->names;
    names->names = list;
    for (uint32_t i = 0; i < names->count; i++) {
        TRY(charset_convert_arena(from, io->names->names[i], to, a->ctx->arena, &list[i], NULL));
    }
    io->names = names;
    return ERR_OK;
}

/* MYSQL: TEXT becomes the next longer type where characters may take more bytes than they did. */
static db_err convert_column(struct alter *a, struct column_def *c, uint16_t collation)
{
    struct sql_type *t = &c->type;
    const struct charset *from = collation_by_id(t->collation)->cs;
    const struct charset *to = collation_by_id(collation)->cs;
    bool text = t->id >= TYPE_TINYTEXT && t->id <= TYPE_LONGTEXT;
    t->collation = collation;
    if (from == to || to->default_collation == COLL_BINARY) {
        c->default_value.collation =
            c->default_kind == DEFAULT_CONST ? collation : c->default_value.collation;
        return ERR_OK;
    }
    if (text && t->id != TYPE_LONGTEXT && to->maxlen > from->maxlen) {
        struct sql_type longer = type_blob((enum type_id)(t->id + 1), collation);
        longer.flags = t->flags;
        *t = longer;
    }
    if (t->id == TYPE_VARCHAR && t->length > VARCHAR_BYTES_MAX / to->maxlen) {
        return my_error(a->ctx->diag, ER_TOO_BIG_FIELDLENGTH, ddl__text(a->ctx, c->name),
                        (unsigned long)(VARCHAR_BYTES_MAX / to->maxlen));
    }
    if (t->names != NULL) {
        TRY(convert_members(a, t, from, to));
    }
    struct value *v = &c->default_value;
    if (c->default_kind == DEFAULT_CONST && !v->is_null && v->phys == PHYS_STR) {
        v->collation = collation;
        return charset_convert_arena(from, v->str, to, a->ctx->arena, &v->str, NULL);
    }
    return ERR_OK;
}

static db_err convert_charset(struct alter *a, const struct ast_alter_action *x)
{
    struct draft *d = &a->draft;
    const struct schema_def *s = snapshot_schema(a->ctx->bind->snapshot, d->def.schema_name);
    TRY(ddl__collation(a->ctx, x->charset, x->collation,
                       s == NULL ? d->def.collation : s->collation, &d->def.collation));
    for (uint32_t i = 0; i < d->column_count; i++) {
        struct column_def *c = &d->columns[i]->def;
        if (converts(&c->type)) {
            TRY(convert_column(a, c, d->def.collation));
        }
    }
    return ERR_OK;
}

static const char *refused(enum ast_alter_kind kind)
{
    switch ((int)kind) {
    case AST_ALTER_DISCARD_TABLESPACE:
    case AST_ALTER_IMPORT_TABLESPACE: return "DISCARD and IMPORT TABLESPACE";
    case AST_ALTER_SECONDARY_LOAD:
    case AST_ALTER_SECONDARY_UNLOAD: return "SECONDARY_LOAD";
    default: return kind >= AST_ALTER_UPGRADE_PARTITIONING ? "partitions" : NULL;
    }
}

static db_err run_options(struct alter *a, const struct ast_alter_action *x)
{
    const char *feature = refused(x->kind);
    if (feature != NULL) {
        return ddl__unsupported(a->ctx, feature);
    }
    switch ((int)x->kind) {
    case AST_ALTER_OPTIONS:
        for (uint32_t i = 0; i < x->options.count; i++) {
            a->set_number = a->set_number || x->options.items[i]->kind == AST_TOPT_AUTO_INCREMENT;
        }
        return ddl__options(&a->draft, &x->options);
    case AST_ALTER_CONVERT_CHARSET: return convert_charset(a, x);
    case AST_ALTER_FORCE: a->force = true; return ERR_OK;
    case AST_ALTER_ORDER_BY: a->order_by = &x->order_by; return ERR_OK;
    case AST_ALTER_RENAME_TABLE:
        TRY(ddl__schema_of(a->ctx, &x->table, &a->new_schema));
        a->new_name = x->table.name;
        a->draft.new_schema = a->new_schema;
        a->draft.new_name = a->new_name;
        TRY(ddl__writable_schema(a->ctx, a->new_schema));
        return ddl__check_table_name(a->ctx, a->new_name);
    default: return ERR_OK;
    }
}

static db_err check_names(struct alter *a)
{
    const struct draft *d = &a->draft;
    for (uint32_t i = 0; i < d->column_count; i++) {
        if (ddl__find_column(d, d->columns[i]->def.name) != d->columns[i]) {
            return my_error(a->ctx->diag, ER_DUP_FIELDNAME,
                            ddl__text(a->ctx, d->columns[i]->def.name));
        }
    }
    return d->column_count == 0 ? my_error(a->ctx->diag, ER_CANT_REMOVE_ALL_FIELDS) : ERR_OK;
}

db_err ddl__apply_actions(struct alter *a, const struct ast_alter_action_list *actions)
{
    static db_err (*const phases[])(struct alter *, const struct ast_alter_action *) = {
        run_options, run_drop, run_change, run_add, run_add_index,
    };
    a->actions = actions;
    a->only_rename = actions->count == 0 ||
                     (actions->count == 1 && actions->items[0]->kind == AST_ALTER_RENAME_TABLE);
    for (size_t p = 0; p < ARRAY_COUNT(phases); p++) {
        for (uint32_t i = 0; i < actions->count; i++) {
            TRY(phases[p](a, actions->items[i]));
        }
    }
    if (!a->only_rename) {
        ddl__promote_timestamp(&a->draft);
        TRY(ddl__zero_timestamps(&a->draft));
    }
    TRY(check_names(a));
    TRY(ddl__checks_allowed(&a->draft));
    TRY(ddl__check_indexes(&a->draft));
    TRY(ddl__check_generated_key(a));
    return ddl__check_columns(&a->draft);
}
