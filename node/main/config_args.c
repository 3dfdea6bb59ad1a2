/* Options from the command line (argp) and from a file (inih). */
#include <argp.h>
#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

#include "node/main/config.h"
#include "base/assert.h"

enum { KEY_BASE = 0x1000, NAME_MAX_LEN = 32 };

/* ---- file ---- */

struct file_reader {
    struct config *config;
    struct diag *diag;
    db_err err; /* of the first line that is wrong */
};

static int on_pair(void *arg, const char *section, const char *name, const char *value)
{
    struct file_reader *r = arg;
    if (r->err != ERR_OK) {
        return 1; /* inih goes on to the end; the first mistake counts */
    }
    enum config_id id;
    if (strcmp(section, "skeindb") != 0) {
        r->err = diag_set(r->diag, ERR_INVALID, "unknown section '[%s]'; only [skeindb] is known",
                          section);
    } else if (config_find(name, &id) != ERR_OK) {
        r->err = diag_set(r->diag, ERR_INVALID, "unknown option '%s'", name);
    } else {
        r->err = config_set(r->config, id, value, CONFIG_FROM_FILE, r->diag);
    }
    return r->err == ERR_OK;
}

db_err config_read_file(struct config *c, const char *path, struct diag *diag)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return diag_set(diag, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "cannot open %s: %s", path,
                        strerror(errno));
    }
    struct file_reader r = {.config = c, .diag = diag};
    int line = ini_parse_file(file, on_pair, &r);
    bool read_error = ferror(file) != 0;
    fclose(file);
    if (read_error) {
        return diag_set(diag, ERR_IO, "cannot read %s", path);
    }
    if (line < 0) {
        return diag_set(diag, ERR_NOMEM, "out of memory");
    }
    if (line > 0 && r.err == ERR_OK) {
        r.err = diag_set(diag, ERR_INVALID, "neither a section nor name = value");
    }
    return r.err == ERR_OK ? ERR_OK : diag_context(diag, r.err, "%s:%d", path, line);
}

/* ---- flags ---- */

struct arg_reader {
    struct config *config;
    struct diag *diag;
    db_err err;
};

static error_t on_arg(int key, char *arg, struct argp_state *state)
{
    struct arg_reader *r = state->input;
    if (key >= KEY_BASE && key < KEY_BASE + (int)CONFIG__COUNT) {
        const char *text = arg == NULL ? "on" : arg;
        enum config_id id = (enum config_id)(key - KEY_BASE);
        if (r->err == ERR_OK) {
            r->err = config_set(r->config, id, text, CONFIG_FROM_FLAG, r->diag);
        }
        if (arg != NULL && config_is_secret(id)) {
            memset(arg, 'x', strlen(arg)); /* any user of the machine may read the arguments */
        }
        return 0;
    }
    if (key == ARGP_KEY_ARG && r->err == ERR_OK) {
        r->err = diag_set(r->diag, ERR_INVALID, "unexpected argument '%s'", arg);
        return 0;
    }
    return key == ARGP_KEY_ARG ? 0 : ARGP_ERR_UNKNOWN;
}

db_err config_parse_args(struct config *c, int argc, char **argv, struct diag *diag)
{
    static char names[CONFIG__COUNT][NAME_MAX_LEN];
    static char helps[CONFIG__COUNT][160];
    static struct argp_option options[CONFIG__COUNT + 1];
    for (unsigned i = 0; i < CONFIG__COUNT; i++) {
        const struct config_row *row = config_row((enum config_id)i);
        ASSERT(strlen(row->name) < NAME_MAX_LEN);
        for (size_t k = 0; row->name[k] != '\0'; k++) {
            names[i][k] = row->name[k] == '_' ? '-' : row->name[k];
        }
        if (row->default_text[0] != '\0' && strcmp(row->default_text, "0") != 0) {
            snprintf(helps[i], sizeof(helps[i]), "%s (%s)", row->help, row->default_text);
        } else {
            snprintf(helps[i], sizeof(helps[i]), "%s", row->help);
        }
        options[i] = (struct argp_option){
            .name = names[i],
            .key = KEY_BASE + (int)i,
            .arg = row->is_switch ? "on|off" : row->arg,
            .flags = row->is_switch ? OPTION_ARG_OPTIONAL : 0,
            .doc = helps[i],
            .group = (int)i + 1, /* the registry's order, not the alphabet's */
        };
    }
    const struct argp argp = {
        .options = options,
        .parser = on_arg,
        .doc = "Runs a node in the foreground.\vAll options but --config may stand in the section "
               "[skeindb] of the configuration file; flags win. SIGTERM and SIGINT stop the node.",
    };
    struct arg_reader r = {.config = c, .diag = diag};
    if (argp_parse(&argp, argc, argv, 0, NULL, &r) != 0) {
        return diag_set(diag, ERR_INVALID, "the options cannot be read");
    }
    TRY(r.err);
    return c->config[0] == '\0' ? ERR_OK : config_read_file(c, c->config, diag);
}
