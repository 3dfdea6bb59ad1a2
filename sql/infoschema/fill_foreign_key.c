/* REFERENTIAL_CONSTRAINTS, INNODB_FOREIGN, INNODB_FOREIGN_COLS. */
#include "sql/infoschema/fill.h"

static const char *rule(uint8_t action)
{
    switch (action) {
    case FK_RESTRICT: return "RESTRICT";
    case FK_CASCADE: return "CASCADE";
    case FK_SET_NULL: return "SET NULL";
    case FK_SET_DEFAULT: return "SET DEFAULT";
    default: return "NO ACTION";
    }
}

static bool is_key_of(const struct table_def *t, const struct index_def *ix,
                      const struct foreign_key_def *f)
{
    if ((ix->kind != INDEX_PRIMARY && ix->kind != INDEX_UNIQUE) ||
        ix->part_count != f->column_count) {
        return false;
    }
    for (uint32_t i = 0; i < f->column_count; i++) {
        if (ix->parts[i].prefix_len != 0 ||
            !slice_eq_nocase(t->columns[ix->parts[i].column].name, f->ref_columns[i])) {
            return false;
        }
    }
    return true;
}

/* The unique key that a foreign key refers to; ptr NULL: none. */
static struct slice unique_name(const struct is_rows *r, const struct foreign_key_def *f)
{
    const struct table_def *t = snapshot_permanent(r->env.snapshot, f->ref_schema, f->ref_table);
    for (uint32_t i = 0; t != NULL && i < t->index_count; i++) {
        if ((i != 0 || t->has_primary) && is_key_of(t, &t->indexes[i], f)) {
            return t->indexes[i].name;
        }
    }
    return SLICE_EMPTY;
}

static db_err referential(struct is_rows *r, const struct schema_def *s, const struct table_def *t)
{
    (void)s;
    for (uint32_t i = 0; i < t->foreign_key_count; i++) {
        const struct foreign_key_def *f = &t->foreign_keys[i];
        is__str(r, "def");
        is__text(r, t->schema_name);
        is__text(r, f->name);
        is__str(r, "def");
        is__text(r, f->ref_schema);
        is__text(r, unique_name(r, f));
        is__str(r, f->match == 1 ? "PARTIAL" : f->match == 2 ? "FULL" : "NONE");
        is__str(r, rule(f->on_update));
        is__str(r, rule(f->on_delete));
        is__text(r, t->name);
        is__text(r, f->ref_table);
        TRY(is__end(r));
    }
    return ERR_OK;
}

db_err is__fill_referential_constraints(struct is_rows *r)
{
    return is__each_table(r, referential);
}

static db_err joined(struct is_rows *r, struct slice schema, struct slice name, struct slice *ret)
{
    const char *text = arena_printf(r->arena, "%.*s/%.*s", SLICE_FMT(schema), SLICE_FMT(name));
    *ret = text == NULL ? SLICE_EMPTY : slice_str(text);
    return text == NULL ? ERR_NOMEM : ERR_OK;
}

/* MYSQL: bits of the actions. */
static unsigned type_bits(const struct foreign_key_def *f)
{
    return (f->on_delete == FK_CASCADE ? 1u : 0u) | (f->on_delete == FK_SET_NULL ? 2u : 0u) |
           (f->on_update == FK_CASCADE ? 4u : 0u) | (f->on_update == FK_SET_NULL ? 8u : 0u) |
           (f->on_delete == FK_NO_ACTION ? 16u : 0u) | (f->on_update == FK_NO_ACTION ? 32u : 0u);
}

static db_err foreign(struct is_rows *r, const struct schema_def *s, const struct table_def *t)
{
    (void)s;
    for (uint32_t i = 0; i < t->foreign_key_count; i++) {
        const struct foreign_key_def *f = &t->foreign_keys[i];
        struct slice id;
        struct slice child;
        struct slice parent;
        TRY(joined(r, t->schema_name, f->name, &id));
        TRY(joined(r, t->schema_name, t->name, &child));
        TRY(joined(r, f->ref_schema, f->ref_table, &parent));
        is__text(r, id);
        is__text(r, child);
        is__text(r, parent);
        is__uint(r, f->column_count);
        is__uint(r, type_bits(f));
        TRY(is__end(r));
    }
    return ERR_OK;
}

db_err is__fill_innodb_foreign(struct is_rows *r)
{
    return is__each_table(r, foreign);
}

static db_err foreign_cols(struct is_rows *r, const struct schema_def *s, const struct table_def *t)
{
    (void)s;
    for (uint32_t i = 0; i < t->foreign_key_count; i++) {
        const struct foreign_key_def *f = &t->foreign_keys[i];
        for (uint32_t k = 0; k < f->column_count; k++) {
            struct slice id;
            TRY(joined(r, t->schema_name, f->name, &id));
            is__text(r, id);
            is__text(r, f->columns[k]);
            is__text(r, f->ref_columns[k]);
            is__uint(r, k + 1);
            TRY(is__end(r));
        }
    }
    return ERR_OK;
}

db_err is__fill_innodb_foreign_cols(struct is_rows *r)
{
    return is__each_table(r, foreign_cols);
}
