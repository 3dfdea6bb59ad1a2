#include "base/disk.h"

#include <string.h>

#include "base/assert.h"

db_err disk_open(struct disk *disk, const char *path, unsigned flags, struct disk_file **ret_file)
{
    ASSERT((flags & (DISK_READ | DISK_WRITE)) != 0);
    ASSERT((flags & DISK_WRITE) != 0 ||
           (flags & (DISK_CREATE | DISK_TRUNCATE | DISK_EXCLUSIVE)) == 0);
    TRY(disk->ops->open(disk, path, flags, ret_file));
    ASSERT((*ret_file)->disk == disk);
    return ERR_OK;
}

void disk_close(struct disk_file *file)
{
    if (file != NULL) {
        file->disk->ops->close(file);
    }
}

db_err disk_pread(struct disk_file *file, void *out, size_t len, uint64_t offset, size_t *ret_len)
{
    TRY(file->disk->ops->pread(file, out, len, offset, ret_len));
    ASSERT(*ret_len <= len);
    return ERR_OK;
}

db_err disk_pread_full(struct disk_file *file, void *out, size_t len, uint64_t offset)
{
    size_t got;
    TRY(disk_pread(file, out, len, offset, &got));
    return got == len ? ERR_OK : ERR_CORRUPT;
}

db_err disk_pwrite(struct disk_file *file, const void *data, size_t len, uint64_t offset)
{
    const struct slice part = slice_of(data, len);
    return disk_pwritev(file, &part, 1, offset);
}

db_err disk_pwritev(struct disk_file *file, const struct slice *parts, size_t count,
                    uint64_t offset)
{
    ASSERT(count <= DISK_IOV_MAX);
    return file->disk->ops->pwritev(file, parts, count, offset);
}

db_err disk_sync(struct disk_file *file)
{
    return file->disk->ops->sync(file);
}

db_err disk_allocate(struct disk_file *file, uint64_t offset, uint64_t len)
{
    return len == 0 ? ERR_OK : file->disk->ops->allocate(file, offset, len);
}

db_err disk_truncate(struct disk_file *file, uint64_t size)
{
    return file->disk->ops->truncate(file, size);
}

db_err disk_size(struct disk_file *file, uint64_t *ret_size)
{
    return file->disk->ops->size(file, ret_size);
}

db_err disk_rename(struct disk *disk, const char *from, const char *to)
{
    return disk->ops->rename(disk, from, to);
}

db_err disk_unlink(struct disk *disk, const char *path)
{
    return disk->ops->unlink(disk, path);
}

db_err disk_mkdir(struct disk *disk, const char *path)
{
    return disk->ops->mkdir(disk, path);
}

db_err disk_rmdir(struct disk *disk, const char *path)
{
    return disk->ops->rmdir(disk, path);
}

db_err disk_sync_dir(struct disk *disk, const char *path)
{
    return disk->ops->sync_dir(disk, path);
}

db_err disk_list(struct disk *disk, const char *path, disk_list_fn fn, void *ctx)
{
    return disk->ops->list(disk, path, fn, ctx);
}

db_err disk_space(struct disk *disk, const char *path, uint64_t *ret_free, uint64_t *ret_total)
{
    return disk->ops->space(disk, path, ret_free, ret_total);
}
