/* The settings of `skeindb start`: flags, then a configuration file, then defaults. The registry is
 * config.def. Not thread-safe; read-only once parsed. */
#ifndef SKEIN_NODE_MAIN_CONFIG_H
#define SKEIN_NODE_MAIN_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/diag.h"
#include "base/err.h"

enum { CONFIG_HOST_MAX = 256 };

struct config_address {
    char host[CONFIG_HOST_MAX]; /* without brackets */
    uint16_t port;
};

typedef char *config_TEXT; /* never NULL; owned by the config */
typedef char *config_PATH;
typedef struct config_address config_ADDRESS;
typedef uint64_t config_SIZE;
typedef uint64_t config_COUNT;
typedef uint64_t config_SECONDS;
typedef bool config_SWITCH;
typedef unsigned config_CHOICE;

enum config_id {
#define OPTION(id, type, def, min, max, flags, arg, help) CONFIG_##id,
#include "node/main/config.def"
#undef OPTION
    CONFIG__COUNT
};

enum config_source { CONFIG_FROM_DEFAULT, CONFIG_FROM_FILE, CONFIG_FROM_FLAG };

struct config {
#define OPTION(id, type, def, min, max, flags, arg, help) config_##type id;
#include "node/main/config.def"
#undef OPTION
    enum config_source source[CONFIG__COUNT];
};

/* All defaults. ERR_NOMEM. config_fini is fine after a failure too. */
MUST_USE db_err config_init(struct config *c);
void config_fini(struct config *c);

/* Sets an option from text unless a better source has set it. diag names the option and what is
 * wrong. ERR_INVALID, ERR_NOMEM. */
MUST_USE db_err config_set(struct config *c, enum config_id id, const char *text,
                           enum config_source source, struct diag *diag);
/* Not to be shown, in a log or by ps. */
bool config_is_secret(enum config_id id);
/* By flag or key name, '-' and '_' alike. ERR_NOT_FOUND. */
MUST_USE db_err config_find(const char *name, enum config_id *ret_id);
/* Reads a file's [skeindb] section. An unknown section or key is an error; diag begins with
 * "file:line: ". ERR_NOT_FOUND (no such file), ERR_INVALID, ERR_IO, ERR_NOMEM. */
MUST_USE db_err config_read_file(struct config *c, const char *path, struct diag *diag);
/* Parses the flags of `skeindb start` (argv[0] is the command's name) and reads the file that they
 * name. --help, --usage, --version end the process. */
MUST_USE db_err config_parse_args(struct config *c, int argc, char **argv, struct diag *diag);

/* What the rows say, for help texts. */
struct config_row {
    const char *name; /* as in config.def, with '_' */
    const char *default_text;
    const char *arg; /* NULL: none */
    const char *help;
    bool is_switch;
};
const struct config_row *config_row(enum config_id id);

/* HOST:PORT, [HOST]:PORT, HOST (the port stays), PORT (the host stays), and localhost or * as host.
 * ERR_INVALID. */
MUST_USE db_err config_parse_address(const char *text, struct config_address *inout_address);
/* A number with K, M, G or T (powers of 1,024, with or without a B behind). ERR_INVALID. */
MUST_USE db_err config_parse_size(const char *text, uint64_t *ret_size);

#endif
