/* Commands that have a name and a place, but no code yet: they say so. */
#include <stdio.h>

#include "node/ctl/ctl.h"

static int not_built(const char *name)
{
    fprintf(stderr, "skeindb %s: not built yet\n", name);
    return 2;
}

#define NOT_BUILT(function, name)                                                                  \
    int function(int argc, char **argv)                                                            \
    {                                                                                              \
        (void)argc;                                                                                \
        (void)argv;                                                                                \
        return not_built(name);                                                                    \
    }

NOT_BUILT(ctl_sql, "sql")
NOT_BUILT(ctl_backup, "backup")
NOT_BUILT(ctl_restore, "restore")
NOT_BUILT(ctl_debug, "debug")
