/* Variables whose values are names of character sets, collations or locales: MYSQL: these may be
 * given by number as well, and are shown as they are usually written. */
#include "sql/charset/charset.h"
#include "sql/session/session_int.h"

enum names_kind { NAMES_NONE, NAMES_LOCALE, NAMES_CHARSET, NAMES_COLLATION };

static enum names_kind kind_of(enum sysvar_id id)
{
    switch ((int)id) {
    case VAR_lc_time_names:
    case VAR_lc_messages: return NAMES_LOCALE;
    case VAR_character_set_client:
    case VAR_character_set_connection:
    case VAR_character_set_results:
    case VAR_character_set_server:
    case VAR_character_set_database:
    case VAR_character_set_filesystem: return NAMES_CHARSET;
    case VAR_collation_connection:
    case VAR_collation_server:
    case VAR_collation_database:
    case VAR_default_collation_for_utf8mb4: return NAMES_COLLATION;
    default: return NAMES_NONE;
    }
}

/* A character set's number is that of any of its collations. */
static const char *name_of_number(enum names_kind kind, uint64_t number)
{
    if (kind == NAMES_LOCALE) {
        const struct date_locale *l = date_locale_by_number(number);
        return l == NULL ? NULL : l->name;
    }
    const struct collation *c = number > UINT16_MAX ? NULL : collation_by_id((uint16_t)number);
    return c == NULL ? NULL : kind == NAMES_CHARSET ? c->cs->name : c->name;
}

static const char *usual_name(enum names_kind kind, struct slice name)
{
    const struct date_locale *l;
    const struct charset *cs;
    const struct collation *c;
    switch ((int)kind) {
    case NAMES_LOCALE: l = date_locale_by_name(name); return l == NULL ? NULL : l->name;
    case NAMES_CHARSET: cs = charset_by_name(name); return cs == NULL ? NULL : cs->name;
    default: c = collation_by_name(name); return c == NULL ? NULL : c->name;
    }
}

static db_err unknown(struct sql_session *s, enum names_kind kind, const struct value *v)
{
    enum my_errno number = kind == NAMES_LOCALE    ? ER_UNKNOWN_LOCALE
                           : kind == NAMES_CHARSET ? ER_UNKNOWN_CHARACTER_SET
                                                   : ER_UNKNOWN_COLLATION;
    return my_error(&s->diag, number,
                    v->phys == PHYS_STR ? arena_strdup(&s->stmt_arena, v->str)
                                        : arena_printf(&s->stmt_arena, "%lld", (long long)v->i));
}

/* MYSQL: the locales whose messages are in another language; ours are all in English. */
static bool has_messages_of_its_own(const char *locale)
{
    static const char *const languages[] = {"cs", "da", "de", "el", "es", "et", "fr", "hu",
                                            "it", "ja", "ko", "nb", "nl", "no", "pl", "pt",
                                            "ro", "ru", "sk", "sr", "sv", "uk"};
    for (size_t i = 0; i < ARRAY_COUNT(languages); i++) {
        if (strncmp(locale, languages[i], 2) == 0) {
            return true;
        }
    }
    return false;
}

db_err vars__find_name(struct sql_session *s, enum sysvar_id id, struct value *io)
{
    enum names_kind kind = kind_of(id);
    if (kind == NAMES_NONE) {
        return ERR_OK;
    }
    if (io->is_null) {
        return id == VAR_character_set_results
                   ? ERR_OK
                   : my_error(&s->diag, ER_WRONG_VALUE_FOR_VAR, sysvar_defs[id].name, "NULL");
    }
    if (io->phys != PHYS_INT && io->phys != PHYS_STR) {
        return ERR_OK; /* not of the type */
    }
    const char *name =
        io->phys == PHYS_INT ? name_of_number(kind, io->u) : usual_name(kind, io->str);
    if (name == NULL) {
        return unknown(s, kind, io);
    }
    if (id == VAR_lc_messages && has_messages_of_its_own(name)) {
        return my_error(&s->diag, ER_NOT_SUPPORTED_YET,
                        "messages in a language other than English");
    }
    *io = value_str(slice_str(name), COLL_UTF8MB3_GENERAL_CI);
    return ERR_OK;
}

enum sysvar_id vars__of_number(enum sysvar_id id, const struct value *v)
{
    if (v == NULL || v->is_null || v->phys != PHYS_INT || collation_by_id((uint16_t)v->u) == NULL ||
        v->u > UINT16_MAX) {
        return id;
    }
    switch ((int)id) {
    case VAR_character_set_connection: return VAR_collation_connection;
    case VAR_character_set_server: return VAR_collation_server;
    case VAR_character_set_database: return VAR_collation_database;
    default: return id;
    }
}
