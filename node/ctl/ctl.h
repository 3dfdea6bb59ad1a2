/* The operator's sub-commands of the one binary. Each parses its own arguments (argv[0] is the
 * command's name) and returns the process's exit status: 0, 1 when the node refuses or cannot be
 * reached, 2 for wrong usage or what is not built yet. They block. */
#ifndef SKEIN_NODE_CTL_CTL_H
#define SKEIN_NODE_CTL_CTL_H

#define CTL_ADMIN_DEFAULT "127.0.0.1:7380"
enum { CTL_REPLY_MAX = 64 << 20, CTL_STATUS_OK = 200 };

/* One request; the answer goes to stdout, a refusal to stderr. The exit status. */
int ctl_ask(const char *command, const char *address, const char *method, const char *target);

/* What --admin says, if it is the first argument. *ret_next: the argument behind it. */
const char *ctl_admin_address(int argc, char **argv, int *ret_next);

int ctl_range(int argc, char **argv);
int ctl_sql(int argc, char **argv);
int ctl_node(int argc, char **argv);
int ctl_backup(int argc, char **argv);
int ctl_restore(int argc, char **argv);
int ctl_debug(int argc, char **argv);

#endif
