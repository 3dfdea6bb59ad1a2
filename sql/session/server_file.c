#include "sql/session/server_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fiber.h"
#include "sql/charset/charset.h"
#include "sql/session/session_int.h"

/* Numbers that MySQL's file layer gives; they have no symbols among the server's errors. */
enum { EE_CANTCREATEFILE = 1, EE_STAT = 13, EE_FILENOTFOUND = 29 };

static db_err os_error(struct sql_session *s, uint16_t number, const char *what, const char *path,
                       int error)
{
    return diag_set_sql(&s->diag, number, "HY000", "%s '%s'%s (OS errno %d - %s)", what, path,
                        number == EE_FILENOTFOUND ? " not found" : "", error, strerror(error));
}

static const char *full_path(struct sql_session *s, struct slice name)
{
    const char *dir = s->engine->opts.data_dir == NULL ? "." : s->engine->opts.data_dir;
    struct arena *a = &s->stmt_arena;
    if (name.len != 0 && name.ptr[0] == '/') {
        return arena_strdup(a, name);
    }
    size_t end = strlen(dir);
    const char *slash = end != 0 && dir[end - 1] == '/' ? "" : "/";
    if (memchr(name.ptr == NULL ? (const uint8_t *)"" : name.ptr, '/', name.len) != NULL) {
        struct slice rest = name;
        while (rest.len >= 2 && rest.ptr[0] == '.' && rest.ptr[1] == '/') {
            rest = slice_from(rest, 2);
        }
        return arena_printf(a, "%s%s%.*s", dir, slash, SLICE_FMT(rest));
    }
    return arena_printf(a, "%s%s%.*s/%.*s", dir, slash, SLICE_FMT(s->schema), SLICE_FMT(name));
}

/* The parser has made UTF-8 of it; as bytes it is what the client has sent. */
db_err server_file_name(struct sql_session *s, struct slice text, struct slice *ret_name)
{
    const struct charset *to = charset_by_name(vars__get(s, VAR_character_set_filesystem)->s);
    const struct charset *client = collation_by_id(s->vars.charset_client)->cs;
    const struct charset *utf8 = collation_by_id(COLL_UTF8MB4_BIN)->cs;
    size_t lossy = 0;
    to = to == NULL || to->default_collation == COLL_BINARY ? client : to;
    *ret_name = text;
    if (to == utf8 || to->default_collation == COLL_BINARY) {
        return ERR_OK;
    }
    TRY(charset_convert_arena(utf8, text, to, &s->stmt_arena, ret_name, &lossy));
    if (lossy != 0) {
        char shown[CAST_BYTES_TEXT_MAX];
        struct diag d;
        cast_bytes_start(text, shown);
        diag_reset(&d);
        diag_set_sql(&d, ER_INVALID_CHARACTER_STRING,
                     my_error_sqlstate(ER_INVALID_CHARACTER_STRING),
                     "Cannot convert string '%s' from %s to %s", shown, client->name, to->name);
        diag_area_add(&s->conditions, DIAG_WARNING, &d);
    }
    return ERR_OK;
}

struct file_job {
    const char *path;
    const char *allowed; /* the folder that it must be in; "" any */
    int fd;
    uint8_t *block;
    size_t size;
    ssize_t done;
    int error;
    bool secure, regular, create;
};

/* Whether the file, or the folder that it is to be made in, is below the allowed one, links
 * followed. */
static bool is_allowed(const struct file_job *j)
{
    char dir[PATH_MAX];
    char real[PATH_MAX];
    char path[PATH_MAX];
    if (j->allowed[0] == '\0') {
        return true;
    }
    if (realpath(j->allowed, dir) == NULL || strlen(j->path) >= sizeof(path)) {
        return false;
    }
    snprintf(path, sizeof(path), "%s", j->path);
    if (realpath(path, real) == NULL) {
        char *slash = strrchr(path, '/');
        if (slash == NULL) {
            return false;
        }
        *(slash == path ? slash + 1 : slash) = '\0';
        if (realpath(path, real) == NULL) {
            return false;
        }
    }
    size_t n = strlen(dir);
    return strncmp(real, dir, n) == 0 && (real[n] == '/' || real[n] == '\0' || n == 1);
}

static void open_job(void *arg)
{
    struct file_job *j = arg;
    struct stat st;
    j->secure = is_allowed(j);
    if (!j->secure) {
        return;
    }
    if (j->create) {
        j->fd = open(j->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
        j->error = errno;
        return;
    }
    if (stat(j->path, &st) != 0) {
        j->error = errno;
        return;
    }
    j->regular = S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode);
    if (j->regular) {
        j->fd = open(j->path, O_RDONLY | O_CLOEXEC);
        j->error = j->fd < 0 ? errno : 0;
    }
}

static db_err run_open(struct sql_session *s, struct slice name, bool create, struct file_job *j,
                       struct server_file *ret)
{
    const char *allowed = s->engine->opts.secure_file_priv;
    *ret = (struct server_file){.fd = -1};
    ret->path = full_path(s, name);
    ret->block = arena_alloc(&s->stmt_arena, SERVER_FILE_BLOCK);
    if (ret->path == NULL || ret->block == NULL) {
        return ERR_LIMIT;
    }
    *j = (struct file_job){.path = ret->path, .allowed = allowed, .fd = -1, .create = create};
    if (allowed != NULL) {
        blocking_run(open_job, j);
    }
    if (!j->secure) {
        return my_error(&s->diag, ER_OPTION_PREVENTS_STATEMENT, "--secure-file-priv");
    }
    ret->fd = j->fd;
    return ERR_OK;
}

db_err server_file_open(struct sql_session *s, struct slice name, struct server_file *ret_file)
{
    struct file_job j;
    TRY(run_open(s, name, false, &j, ret_file));
    if (j.fd >= 0) {
        return ERR_OK;
    }
    if (j.regular) {
        return os_error(s, EE_FILENOTFOUND, "File", j.path, j.error);
    }
    if (j.error != 0) {
        return os_error(s, EE_STAT, "Can't get stat of", j.path, j.error);
    }
    return my_error(&s->diag, ER_TEXTFILE_NOT_READABLE, j.path);
}

db_err server_file_create(struct sql_session *s, struct slice name, struct server_file *ret_file)
{
    struct file_job j;
    if (name.len == 0) {
        return my_error(&s->diag, ER_FILE_EXISTS_ERROR, "");
    }
    TRY(run_open(s, name, true, &j, ret_file));
    if (j.fd >= 0) {
        return ERR_OK;
    }
    if (j.error == EEXIST) {
        return my_error(&s->diag, ER_FILE_EXISTS_ERROR, arena_strdup(&s->stmt_arena, name));
    }
    return os_error(s, EE_CANTCREATEFILE, "Can't create/write to file", j.path, j.error);
}

db_err server_file_load(struct sql_session *s, struct slice name, struct arena *arena,
                        struct slice *ret_text, bool *ret_null)
{
    struct server_file f;
    struct file_job j;
    struct slice piece;
    struct buf all;
    *ret_null = true;
    if (!priv_has(&s->priv.subject, PRIV_FILE, 0)) {
        return ERR_OK;
    }
    if (run_open(s, name, false, &j, &f) != ERR_OK) {
        bool limit = f.path == NULL || f.block == NULL;
        diag_reset(&s->diag);
        return limit ? ERR_LIMIT : ERR_OK;
    }
    if (j.fd < 0) {
        return j.error != 0 ? ERR_OK : my_error(&s->diag, ER_TEXTFILE_NOT_READABLE, j.path);
    }
    buf_init(&all, s->vars.max_allowed_packet);
    db_err err;
    do {
        err = server_file_read(s, &f, &piece);
        err = err == ERR_OK ? buf_append_slice(&all, piece) : err;
    } while (err == ERR_OK && piece.len != 0);
    server_file_close(&f);
    if (err == ERR_LIMIT) {
        diag_area_warn(&s->conditions, ER_WARN_ALLOWED_PACKET_OVERFLOWED, "load_file",
                       (long)s->vars.max_allowed_packet);
        err = ERR_OK;
    } else if (err == ERR_OK) {
        err = arena_copy(arena, buf_slice(&all), ret_text);
        *ret_null = err != ERR_OK;
    }
    buf_fini(&all);
    return err;
}

static void read_job(void *arg)
{
    struct file_job *j = arg;
    do {
        j->done = read(j->fd, j->block, j->size);
        j->error = errno;
    } while (j->done < 0 && j->error == EINTR);
}

static void write_job(void *arg)
{
    struct file_job *j = arg;
    size_t at = 0;
    while (at < j->size) {
        ssize_t n = write(j->fd, j->block + at, j->size - at);
        if (n < 0 && errno != EINTR) {
            j->done = -1;
            j->error = errno;
            return;
        }
        at += n < 0 ? 0 : (size_t)n;
    }
}

db_err server_file_read(struct sql_session *s, struct server_file *f, struct slice *ret_piece)
{
    struct file_job j = {.fd = f->fd, .block = f->block, .size = SERVER_FILE_BLOCK};
    blocking_run(read_job, &j);
    if (j.done < 0) {
        return my_error(&s->diag, ER_ERROR_ON_READ, f->path, j.error, strerror(j.error));
    }
    *ret_piece = slice_of(f->block, (size_t)j.done);
    return ERR_OK;
}

db_err server_file_finish(struct sql_session *s, struct server_file *f)
{
    struct file_job j = {.fd = f->fd, .block = f->block, .size = f->used};
    if (f->used != 0) {
        blocking_run(write_job, &j);
    }
    f->used = 0;
    return j.done < 0 ? my_error(&s->diag, ER_ERROR_ON_WRITE, f->path, j.error, strerror(j.error))
                      : ERR_OK;
}

db_err server_file_write(struct sql_session *s, struct server_file *f, struct slice data)
{
    while (data.len != 0) {
        size_t room = SERVER_FILE_BLOCK - f->used;
        size_t n = data.len < room ? data.len : room;
        memcpy(f->block + f->used, data.ptr, n);
        f->used += n;
        data = slice_from(data, n);
        if (f->used == SERVER_FILE_BLOCK) {
            TRY(server_file_finish(s, f));
        }
    }
    return ERR_OK;
}

void server_file_close(struct server_file *f)
{
    if (f->fd >= 0) {
        close(f->fd);
    }
    f->fd = -1;
}

static void unlink_job(void *arg)
{
    const struct server_file *f = arg;
    (void)unlink(f->path);
}

void server_file_discard(struct server_file *f)
{
    if (f->fd >= 0) {
        server_file_close(f);
        blocking_run(unlink_job, f);
    }
}
