/* skeindb: one binary; the first argument says what it does. */
#include <stdio.h>
#include <string.h>

#include "node/ctl/ctl.h"
#include "node/main/config.h"
#include "node/main/server.h"

enum { EXIT_USAGE = 2 };

static int cmd_start(int argc, char **argv)
{
    struct config config;
    struct diag diag = {0};
    static char name[] = "skeindb start";
    argv[0] = name;
    db_err err = config_init(&config);
    if (err == ERR_OK) {
        err = config_parse_args(&config, argc, argv, &diag);
    }
    if (err == ERR_OK && config.join[0] != '\0' && config.storage != 0) {
        err = diag_set(&diag, ERR_INVALID, "--join needs --storage disk");
    }
    if (err != ERR_OK) {
        fprintf(stderr, "skeindb start: %s\n", diag.text[0] != '\0' ? diag.text : err_text(err));
        config_fini(&config);
        return EXIT_USAGE;
    }
    int status = server_run(&config);
    config_fini(&config);
    return status;
}

static int cmd_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    printf("skeindb %s (MySQL %s)\n", SKEIN_VERSION, SKEIN_MYSQL_VERSION);
    return 0;
}

static int cmd_help(int argc, char **argv);

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the command's name */
    const char *help;
} g_commands[] = {
#define COMMAND(name, run, help) {name, run, help},
#include "node/main/commands.def"
#undef COMMAND
};

static int cmd_help(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    printf("Usage: skeindb COMMAND [OPTION...]\n\n");
    for (size_t i = 0; i < ARRAY_COUNT(g_commands); i++) {
        printf("  %-14s %s\n", g_commands[i].name, g_commands[i].help);
    }
    printf("\n`skeindb start --help` lists the options of a node.\n");
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        (void)cmd_help(argc, argv);
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        name = "version";
    } else if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        name = "help";
    }
    for (size_t i = 0; i < ARRAY_COUNT(g_commands); i++) {
        if (strcmp(g_commands[i].name, name) == 0) {
            return g_commands[i].run(argc - 1, argv + 1);
        }
    }
    fprintf(stderr, "skeindb: no such command: %s; `skeindb help` lists them\n", argv[1]);
    return EXIT_USAGE;
}
