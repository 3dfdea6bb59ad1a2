/* What belongs to the server and not to a schema. */
#include "sql/charset/charset.h"
#include "sql/infoschema/fill.h"

/* ---- ENGINES: there is one; other names are taken as its aliases or refused (sql/ddl) ---- */

struct engine_row {
    const char *name, *support, *comment;
    bool works;
};
static const struct engine_row engine_rows[] = {
    {"MEMORY", "YES", "Alias of InnoDB: stored and transactional", true},
    {"InnoDB", "DEFAULT", "Supports transactions, row-level locking, and foreign keys", true},
    {"MyISAM", "YES", "Alias of InnoDB: stored and transactional", true},
    {"CSV", "NO", "CSV storage engine", false},
    {"ARCHIVE", "NO", "Archive storage engine", false},
    {"BLACKHOLE", "NO", "/dev/null storage engine (anything you write to it disappears)", false},
    {"FEDERATED", "NO", "Federated MySQL storage engine", false},
    {"MRG_MYISAM", "NO", "Collection of identical MyISAM tables", false},
    {"ndbcluster", "NO", "Clustered, fault-tolerant tables", false},
};

db_err is__fill_engines(struct is_rows *r)
{
    for (size_t i = 0; i < ARRAY_COUNT(engine_rows); i++) {
        const struct engine_row *e = &engine_rows[i];
        is__str(r, e->name);
        is__str(r, e->support);
        is__str(r, e->comment);
        is__str(r, e->works ? "YES" : NULL);
        is__str(r, e->works ? "NO" : NULL); /* XA */
        is__str(r, e->works ? "YES" : NULL);
        TRY(is__end(r));
    }
    return ERR_OK;
}

/* ---- charsets ---- */

/* MYSQL: SHOW tells what the session has set, the tables do not. */
static const struct collation *shown_default(const struct is_rows *r, const struct charset *cs)
{
    uint16_t id = r->env.utf8mb4_collation;
    const struct collation *c = id == 0 ? NULL : collation_by_id(id);
    return c != NULL && c->cs == cs ? c : charset_default_collation(cs);
}

db_err is__fill_character_sets(struct is_rows *r)
{
    const struct charset *cs;
    for (size_t i = 0; (cs = charset_at(i)) != NULL; i++) {
        is__str(r, cs->name);
        is__str(r, shown_default(r, cs)->name);
        is__str(r, cs->description);
        is__uint(r, cs->maxlen);
        TRY(is__end(r));
    }
    return ERR_OK;
}

db_err is__fill_collations(struct is_rows *r)
{
    const struct collation *c;
    for (size_t i = 0; (c = collation_at(i)) != NULL; i++) {
        is__str(r, c->name);
        is__str(r, c->cs->name);
        is__uint(r, c->id);
        is__str(r, c == shown_default(r, c->cs) ? "Yes" : "");
        is__str(r, c->is_compiled ? "Yes" : "");
        is__uint(r, c->sortlen);
        is__str(r, c->pad == COLLATION_NO_PAD ? "NO PAD" : "PAD SPACE");
        TRY(is__end(r));
    }
    return ERR_OK;
}

db_err is__fill_collation_applicability(struct is_rows *r)
{
    const struct collation *c;
    for (size_t i = 0; (c = collation_at(i)) != NULL; i++) {
        is__str(r, c->name);
        is__str(r, c->cs->name);
        TRY(is__end(r));
    }
    return ERR_OK;
}

/* ---- KEYWORDS ---- */

struct keyword_row {
    const char *word;
    bool reserved;
};
static const struct keyword_row keyword_rows[] = {
#define IS_RESERVED_RESERVED        true
#define IS_RESERVED_PLAIN           false
#define IS_RESERVED_LABEL           false
#define IS_RESERVED_LABEL_ROLE      false
#define IS_RESERVED_ROLE            false
#define IS_RESERVED_VAR             false
#define KEYWORD(word, class, token) {#word, IS_RESERVED_##class},
#define FUNCTION_WORD(word, token)
#include "sql/parser/keywords.def"
#undef KEYWORD
#undef FUNCTION_WORD
};

db_err is__fill_keywords(struct is_rows *r)
{
    for (size_t i = 0; i < ARRAY_COUNT(keyword_rows); i++) {
        is__str(r, keyword_rows[i].word);
        is__uint(r, keyword_rows[i].reserved ? 1 : 0);
        TRY(is__end(r));
    }
    return ERR_OK;
}

/* ---- PROCESSLIST ---- */

struct process_sink {
    struct infoschema_process_sink base;
    struct is_rows *r;
};

static db_err add_process(struct infoschema_process_sink *base, const struct infoschema_process *p)
{
    struct is_rows *r = CONTAINER_OF(base, struct process_sink, base)->r;
    is__uint(r, p->id);
    is__text(r, p->user);
    is__text(r, p->host);
    is__text(r, p->schema);
    is__text(r, p->command);
    is__uint(r, p->seconds);
    is__text(r, p->state);
    is__text(r, p->info);
    if (r->at < r->table->column_count) { /* performance_schema's has one more */
        is__str(r, "PRIMARY");
    }
    return is__end(r);
}

db_err is__fill_processlist(struct is_rows *r)
{
    struct process_sink sink = {{add_process}, r};
    bool deprecated = !slice_eq_nocase(r->table->schema_name, SLICE_LIT("performance_schema"));
    return r->ops->processes == NULL ? ERR_OK
                                     : r->ops->processes(r->session, deprecated, &sink.base);
}

/* ---- performance_schema: variables and status ---- */

struct name_sink {
    struct infoschema_name_sink base;
    struct is_rows *r;
};

static db_err add_name(struct infoschema_name_sink *base, struct slice name, struct slice value)
{
    struct is_rows *r = CONTAINER_OF(base, struct name_sink, base)->r;
    is__text(r, name);
    is__text(r, value);
    return is__end(r);
}

static db_err fill_variables(struct is_rows *r, bool global)
{
    struct name_sink sink = {{add_name}, r};
    return r->ops->variables == NULL ? ERR_OK : r->ops->variables(r->session, global, &sink.base);
}

static db_err fill_status(struct is_rows *r, bool global)
{
    struct name_sink sink = {{add_name}, r};
    return r->ops->status == NULL ? ERR_OK : r->ops->status(r->session, global, &sink.base);
}

db_err is__fill_global_variables(struct is_rows *r)
{
    return fill_variables(r, true);
}

db_err is__fill_session_variables(struct is_rows *r)
{
    return fill_variables(r, false);
}

db_err is__fill_persisted_variables(struct is_rows *r)
{
    struct name_sink sink = {{add_name}, r};
    return r->ops->persisted == NULL ? ERR_OK : r->ops->persisted(r->session, &sink.base);
}

db_err is__fill_global_status(struct is_rows *r)
{
    return fill_status(r, true);
}

db_err is__fill_session_status(struct is_rows *r)
{
    return fill_status(r, false);
}

/* ---- PLUGINS ---- */

struct plugin_row {
    const char *name, *type, *description;
};
static const struct plugin_row plugin_rows[] = {
    {"caching_sha2_password", "AUTHENTICATION", "Caching sha2 authentication"},
    {"mysql_native_password", "AUTHENTICATION", "Native MySQL authentication"},
    {"InnoDB", "STORAGE ENGINE", "Supports transactions, row-level locking, and foreign keys"},
};

db_err is__fill_plugins(struct is_rows *r)
{
    for (size_t i = 0; i < ARRAY_COUNT(plugin_rows); i++) {
        const struct plugin_row *p = &plugin_rows[i];
        is__str(r, p->name);
        is__str(r, "1.0");
        is__str(r, "ACTIVE");
        is__str(r, p->type);
        is__str(r, "1.0");
        is__nulls(r, 2);
        is__null(r);
        is__str(r, p->description);
        is__str(r, "GPL");
        is__str(r, "FORCE");
        TRY(is__end(r));
    }
    return ERR_OK;
}
