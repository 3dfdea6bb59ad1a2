/* The machine's file system behind base/disk.h. */
#include "base/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"

/* One call moves at most this much: the kernel's own bound is just below 2 GiB. */
enum { TRANSFER_MAX = 1 << 30 };

struct real_file {
    struct disk_file base;
    int fd;
};

static db_err from_errno(int e)
{
    switch (e) {
    case ENOSPC:
    case EDQUOT: return ERR_DISK_FULL;
    case ENOENT: return ERR_NOT_FOUND;
    case EEXIST:
    case ENOTEMPTY: return ERR_EXISTS;
    case EMFILE: /* as with memory: others hold what it takes, and give it back */
    case ENFILE:
    case ENOMEM: return ERR_NOMEM;
    case EINVAL:
    case EISDIR:
    case ENOTDIR:
    case ENAMETOOLONG:
    case EFBIG: return ERR_INVALID;
    default: return ERR_IO;
    }
}

static int fd_of(struct disk_file *file)
{
    return CONTAINER_OF(file, struct real_file, base)->fd;
}

/* Repeats a call that a signal has interrupted. */
#define RETRY_EINTR(result, call)                                                                  \
    do {                                                                                           \
        (result) = (call);                                                                         \
    } while ((result) < 0 && errno == EINTR)

static int open_flags(unsigned flags)
{
    int oflag = O_CLOEXEC | ((flags & DISK_WRITE) != 0 ? O_RDWR : O_RDONLY);
    oflag |= (flags & DISK_CREATE) != 0 ? O_CREAT : 0;
    oflag |= (flags & DISK_EXCLUSIVE) != 0 ? O_EXCL : 0;
    oflag |= (flags & DISK_TRUNCATE) != 0 ? O_TRUNC : 0;
    oflag |= (flags & DISK_DIRECT) != 0 ? O_DIRECT : 0;
    return oflag;
}

static db_err real_open(struct disk *disk, const char *path, unsigned flags,
                        struct disk_file **ret_file)
{
    struct real_file *f = mem_alloc(sizeof(*f));
    if (f == NULL) {
        return ERR_NOMEM;
    }
    RETRY_EINTR(f->fd, open(path, open_flags(flags), 0640));
    if (f->fd < 0) {
        db_err err = from_errno(errno);
        mem_free(f);
        return err;
    }
    f->base.disk = disk;
    *ret_file = &f->base;
    return ERR_OK;
}

static void real_close(struct disk_file *file)
{
    /* Not repeated on EINTR: on Linux the descriptor is gone in any case. */
    close(fd_of(file));
    mem_free(CONTAINER_OF(file, struct real_file, base));
}

static db_err real_pread(struct disk_file *file, void *out, size_t len, uint64_t offset,
                         size_t *ret_len)
{
    size_t done = 0;
    while (done < len) {
        size_t part = len - done < TRANSFER_MAX ? len - done : TRANSFER_MAX;
        ssize_t n;
        RETRY_EINTR(n, pread(fd_of(file), (char *)out + done, part, (off_t)(offset + done)));
        if (n < 0) {
            return from_errno(errno);
        }
        if (n == 0) {
            break;
        }
        done += (size_t)n;
    }
    *ret_len = done;
    return ERR_OK;
}

/* Takes n written bytes off the front of the vector. */
static void advance(struct iovec **iov, int *count, size_t n)
{
    while (*count > 0 && n >= (*iov)->iov_len) {
        n -= (*iov)->iov_len;
        (*iov)++;
        (*count)--;
    }
    if (*count > 0) {
        (*iov)->iov_base = (char *)(*iov)->iov_base + n;
        (*iov)->iov_len -= n;
    }
}

static db_err real_pwritev(struct disk_file *file, const struct slice *parts, size_t count,
                           uint64_t offset)
{
    struct iovec vector[DISK_IOV_MAX];
    for (size_t i = 0; i < count; i++) {
        vector[i].iov_base = (void *)(uintptr_t)parts[i].ptr;
        vector[i].iov_len = parts[i].len;
    }
    struct iovec *iov = vector;
    int left = (int)count;
    advance(&iov, &left, 0);
    while (left > 0) {
        ssize_t n;
        RETRY_EINTR(n, pwritev(fd_of(file), iov, left, (off_t)offset));
        if (n <= 0) {
            return n < 0 ? from_errno(errno) : ERR_IO;
        }
        offset += (uint64_t)n;
        advance(&iov, &left, (size_t)n);
    }
    return ERR_OK;
}

static db_err real_sync(struct disk_file *file)
{
    int rc;
    RETRY_EINTR(rc, fdatasync(fd_of(file)));
    return rc == 0 ? ERR_OK : from_errno(errno);
}

static db_err real_allocate(struct disk_file *file, uint64_t offset, uint64_t len)
{
    int rc;
    RETRY_EINTR(rc, fallocate(fd_of(file), 0, (off_t)offset, (off_t)len));
    if (rc != 0 && errno == EOPNOTSUPP) {
        /* The library's emulation writes a byte per block. */
        do {
            rc = posix_fallocate(fd_of(file), (off_t)offset, (off_t)len);
        } while (rc == EINTR);
        return rc == 0 ? ERR_OK : from_errno(rc);
    }
    return rc == 0 ? ERR_OK : from_errno(errno);
}

static db_err real_truncate(struct disk_file *file, uint64_t size)
{
    int rc;
    RETRY_EINTR(rc, ftruncate(fd_of(file), (off_t)size));
    return rc == 0 ? ERR_OK : from_errno(errno);
}

static db_err real_size(struct disk_file *file, uint64_t *ret_size)
{
    struct stat st;
    if (fstat(fd_of(file), &st) != 0) {
        return from_errno(errno);
    }
    *ret_size = (uint64_t)st.st_size;
    return ERR_OK;
}

static db_err real_rename(struct disk *disk UNUSED, const char *from, const char *to)
{
    return rename(from, to) == 0 ? ERR_OK : from_errno(errno);
}

static db_err real_unlink(struct disk *disk UNUSED, const char *path)
{
    return unlink(path) == 0 ? ERR_OK : from_errno(errno);
}

static db_err real_mkdir(struct disk *disk UNUSED, const char *path)
{
    return mkdir(path, 0750) == 0 ? ERR_OK : from_errno(errno);
}

static db_err real_rmdir(struct disk *disk UNUSED, const char *path)
{
    return rmdir(path) == 0 ? ERR_OK : from_errno(errno);
}

static db_err real_sync_dir(struct disk *disk UNUSED, const char *path)
{
    int fd;
    RETRY_EINTR(fd, open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd < 0) {
        return from_errno(errno);
    }
    int rc;
    RETRY_EINTR(rc, fsync(fd));
    db_err err = rc == 0 ? ERR_OK : from_errno(errno);
    close(fd);
    return err;
}

static db_err real_list(struct disk *disk UNUSED, const char *path, disk_list_fn fn, void *ctx)
{
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return from_errno(errno);
    }
    db_err err = ERR_OK;
    while (err == ERR_OK) {
        errno = 0;
        struct dirent *entry = readdir(dir);
        if (entry == NULL) {
            err = errno != 0 ? from_errno(errno) : ERR_OK;
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            err = fn(ctx, entry->d_name);
        }
    }
    closedir(dir);
    return err;
}

static db_err real_space(struct disk *disk UNUSED, const char *path, uint64_t *ret_free,
                         uint64_t *ret_total)
{
    struct statvfs st;
    int rc;
    RETRY_EINTR(rc, statvfs(path, &st));
    if (rc != 0) {
        return from_errno(errno);
    }
    *ret_free = (uint64_t)st.f_bavail * st.f_frsize;
    *ret_total = (uint64_t)st.f_blocks * st.f_frsize;
    return ERR_OK;
}

static const struct disk_ops g_real_ops = {
    .name = "real",
    .open = real_open,
    .close = real_close,
    .pread = real_pread,
    .pwritev = real_pwritev,
    .sync = real_sync,
    .allocate = real_allocate,
    .truncate = real_truncate,
    .size = real_size,
    .rename = real_rename,
    .unlink = real_unlink,
    .mkdir = real_mkdir,
    .rmdir = real_rmdir,
    .sync_dir = real_sync_dir,
    .list = real_list,
    .space = real_space,
};

static struct disk g_real_disk = {&g_real_ops};

struct disk *disk_real(void)
{
    return &g_real_disk;
}
