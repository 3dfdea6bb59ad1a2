#include "sql/infoschema/infoschema.h"

db_err infoschema_register(struct catalog *catalog, const struct infoschema_ops *ops, struct infoschema **ret_infoschema)
{
    (void)catalog;
    (void)ops;
    *ret_infoschema = NULL;
    return ERR_OK;
}

void infoschema_free(struct infoschema *is)
{
    (void)is;
}
