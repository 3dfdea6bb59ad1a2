/* CRC-32C (Castagnoli), as iSCSI and ext4 use it. By the CPU's instruction where there is one.
 *
 * crc32c(crc32c(0, a), b) is the checksum of a followed by b. Thread-safe. */
#ifndef SKEIN_BASE_CRC32C_H
#define SKEIN_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(uint32_t crc, const void *data, size_t size);
/* The same without special instructions; for tests. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t size);

#endif
