/* Files of the machine that statements name: LOAD DATA INFILE, SELECT ... INTO OUTFILE,
 * LOAD_FILE(). All of them lie where secure_file_priv allows. Blocking calls run on the blocking
 * pool, so all functions may park. */
#ifndef SKEIN_SQL_SESSION_SERVER_FILE_H
#define SKEIN_SQL_SESSION_SERVER_FILE_H

#include "base/arena.h"
#include "base/diag.h"
#include "base/err.h"
#include "base/slice.h"

struct sql_session;

enum { SERVER_FILE_BLOCK = 256 * 1024 };

struct server_file {
    int fd; /* -1: not open */
    const char *path;
    uint8_t *block; /* SERVER_FILE_BLOCK bytes */
    size_t used;    /* writing: bytes of the block */
};

/* A file's name as LOAD DATA and INTO OUTFILE have it, in @@character_set_filesystem: in the
 * statement's arena, or borrowed. */
MUST_USE db_err server_file_name(struct sql_session *s, struct slice text, struct slice *ret_name);
/* Opens a file to read. A name without a folder lies in that of the current database, a relative
 * one in the data directory. Memory in the statement's arena. Errors: ERR_SQL 1290, 13, 29, 1085.
 */
MUST_USE db_err server_file_open(struct sql_session *s, struct slice name,
                                 struct server_file *ret_file);
/* The next block; empty at the end. ERR_SQL 1024. */
MUST_USE db_err server_file_read(struct sql_session *s, struct server_file *f,
                                 struct slice *ret_piece);
/* LOAD_FILE(): the whole content, in the arena; *ret_null when there is no such file, it may not be
 * read or is longer than max_allowed_packet (a warning says so). ERR_SQL 1085. */
MUST_USE db_err server_file_load(struct sql_session *s, struct slice name, struct arena *arena,
                                 struct slice *ret_text, bool *ret_null);
/* Makes a new file. ERR_SQL 1290, 1086 (there is one), 1. */
MUST_USE db_err server_file_create(struct sql_session *s, struct slice name,
                                   struct server_file *ret_file);
/* ERR_SQL 1026. */
MUST_USE db_err server_file_write(struct sql_session *s, struct server_file *f, struct slice data);
/* Writes what is left. */
MUST_USE db_err server_file_finish(struct sql_session *s, struct server_file *f);
/* Closes; also one that is not open. */
void server_file_close(struct server_file *f);
/* Closes and deletes: the statement that made it has failed. */
void server_file_discard(struct server_file *f);

#endif
