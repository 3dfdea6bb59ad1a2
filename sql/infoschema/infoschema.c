#include "sql/infoschema/infoschema.h"

db_err infoschema_register(struct catalog *catalog)
{
    (void)catalog;
    return ERR_OK;
}
