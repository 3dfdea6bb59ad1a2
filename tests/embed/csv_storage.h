/* An example of a storage that an integrator brings: a file of `key,value` lines, in hexadecimal
 * and in any order, served read-only. With it the SQL library answers queries over data that no
 * other storage has.
 *
 * What it shows: a storage keeps ordered bytes and need not know SQL; every member of the vtable
 * that makes no sense for it answers with a clear error. */
#ifndef SKEIN_TESTS_EMBED_CSV_STORAGE_H
#define SKEIN_TESTS_EMBED_CSV_STORAGE_H

#include "sql/storage/storage.h"

/* Reads the whole file. Blocks. The caller owns the storage: storage_close. ERR_IO, ERR_CORRUPT
 * (the diag names the line), ERR_NOMEM. */
MUST_USE db_err csv_storage_open(const char *path, struct diag *diag, struct storage **ret_storage);
/* Writes all of another storage into such a file. From a fiber; parks. */
MUST_USE db_err csv_storage_export(struct storage *from, const char *path, struct diag *diag);

/* The storage over rows in memory (csv_file.c reads them). Takes the arena, which holds the keys
 * and values, and the array (mem_alloc), and sorts it. NULL: no memory, nothing was taken. */
struct storage *csv_storage_of(struct arena *arena, struct storage_kv *rows, size_t count);

#endif
