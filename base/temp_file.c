#include "base/temp_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fiber.h"

enum { PATH_SIZE = 1024, CLOSED_INLINE_MAX = 256 * 1024 };

/* What is wrong, where, and, of a full disk, what to do. */
static db_err refuse(const char *dir, int error, struct diag *diag)
{
    if (error == ENOSPC || error == EDQUOT || error == EFBIG) {
        return diag_set(diag, ERR_DISK_FULL,
                        "no room for temporary files in %s (%s); make room there, or give the "
                        "server another directory (temp_dir)",
                        dir, strerror(error));
    }
    return diag_set(diag, ERR_IO, "temporary file in %s: %s", dir,
                    error < 0 ? "unexpected end" : strerror(error));
}

struct make_job {
    const char *dir;
    int fd;
    int error;
};

static void make_file(void *arg)
{
    struct make_job *j = arg;
    char path[PATH_SIZE];
    j->fd = open(j->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (j->fd >= 0) {
        return;
    }
    /* A file system without nameless files: make one with a name and take the name away. */
    if (snprintf(path, sizeof(path), "%s/spill-XXXXXX", j->dir) >= (int)sizeof(path)) {
        j->error = ENAMETOOLONG;
        return;
    }
    j->fd = mkostemp(path, O_CLOEXEC);
    j->error = j->fd < 0 ? errno : 0;
    if (j->fd >= 0) {
        unlink(path);
    }
}

db_err temp_file_make(struct temp_file *f, const char *dir, struct diag *diag)
{
    struct make_job job = {.dir = dir, .fd = -1};
    if (f->fd >= 0) {
        return ERR_OK;
    }
    blocking_run(make_file, &job);
    if (job.fd < 0) {
        return refuse(dir, job.error, diag);
    }
    *f = (struct temp_file){.fd = job.fd, .dir = dir};
    return ERR_OK;
}

struct io_job {
    int fd;
    const uint8_t *from; /* NULL: a read */
    uint8_t *to;
    size_t len;
    uint64_t offset;
    int error; /* errno; -1: the file ends too early */
};

static void do_io(void *arg)
{
    struct io_job *j = arg;
    size_t done = 0;
    while (done < j->len) {
        off_t at = (off_t)(j->offset + done);
        ssize_t n = j->from != NULL ? pwrite(j->fd, j->from + done, j->len - done, at)
                                    : pread(j->fd, j->to + done, j->len - done, at);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            j->error = n < 0 ? errno : -1;
            return;
        }
        done += (size_t)n;
    }
}

static db_err run_io(const struct temp_file *f, struct io_job *job, struct diag *diag)
{
    blocking_run(do_io, job);
    return job->error == 0 ? ERR_OK : refuse(f->dir, job->error, diag);
}

db_err temp_file_write(struct temp_file *f, const uint8_t *bytes, size_t len, uint64_t offset,
                       struct diag *diag)
{
    struct io_job job = {.fd = f->fd, .from = bytes, .len = len, .offset = offset};
    f->size = f->size > offset + len ? f->size : offset + len;
    return run_io(f, &job, diag);
}

db_err temp_file_read(struct temp_file *f, uint8_t *bytes, size_t len, uint64_t offset,
                      struct diag *diag)
{
    struct io_job job = {.fd = f->fd, .to = bytes, .len = len, .offset = offset};
    return run_io(f, &job, diag);
}

static void close_file(void *arg)
{
    close(*(int *)arg);
}

void temp_file_close(struct temp_file *f)
{
    int fd = f->fd;
    f->fd = -1;
    if (fd >= 0 && f->size > CLOSED_INLINE_MAX) {
        blocking_run(close_file, &fd);
    } else if (fd >= 0) {
        close(fd);
    }
}
