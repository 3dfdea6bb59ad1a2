/* INFORMATION_SCHEMA: registers its tables with the catalog. */
#ifndef SKEIN_SQL_INFOSCHEMA_INFOSCHEMA_H
#define SKEIN_SQL_INFOSCHEMA_INFOSCHEMA_H

#include "sql/catalog/catalog.h"

/* Adds every table of tables.def. Once, after catalog_open. */
MUST_USE db_err infoschema_register(struct catalog *catalog);

#endif
