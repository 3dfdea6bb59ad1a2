/* Temporary files without a name: gone with their descriptor, so that nothing is left after a
 * crash. From a fiber; everything parks (blocking pool). */
#ifndef SKEIN_BASE_TEMP_FILE_H
#define SKEIN_BASE_TEMP_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "base/err.h"

struct temp_file {
    int fd; /* -1: not made */
    const char *dir;
    uint64_t size; /* as far as it was written */
};

static inline void temp_file_init(struct temp_file *f)
{
    *f = (struct temp_file){.fd = -1};
}
/* Makes the file if there is none yet. `dir` outlives it. ERR_IO, ERR_DISK_FULL. */
MUST_USE db_err temp_file_make(struct temp_file *f, const char *dir, struct diag *diag);
/* All of the bytes. ERR_IO, ERR_DISK_FULL. */
MUST_USE db_err temp_file_write(struct temp_file *f, const uint8_t *bytes, size_t len,
                                uint64_t offset, struct diag *diag);
/* All of the bytes: they must be there. ERR_IO. */
MUST_USE db_err temp_file_read(struct temp_file *f, uint8_t *bytes, size_t len, uint64_t offset,
                               struct diag *diag);
/* Also one that was not made. Giving the blocks of a large file back takes the file system long:
 * that is done on the pool, too. */
void temp_file_close(struct temp_file *f);

#endif
