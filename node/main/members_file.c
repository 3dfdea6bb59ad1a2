#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/rand.h"
#include "base/scope.h"
#include "node/main/membership_int.h"

/* <data>/members: a line `id address` for each other member. A hint, replaced as a whole by rename;
 * one that is damaged is the same as none. */

enum { PATH_MAX_LEN = 1024 };

db_err members_file_read(const char *data_dir, struct node_info *out, unsigned max,
                         struct diag *diag, unsigned *ret_count)
{
    char path[PATH_MAX_LEN];
    char line[NODE_ADDRESS_MAX + 64];
    unsigned n = 0;
    snprintf(path, sizeof(path), "%s/members", data_dir);
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        *ret_count = 0;
        return errno == ENOENT
                   ? ERR_OK
                   : diag_set(diag, ERR_IO, "cannot read %s: %s", path, strerror(errno));
    }
    while (n < max && fgets(line, sizeof(line), f) != NULL) {
        uint64_t id;
        char address[NODE_ADDRESS_MAX];
        if (sscanf(line, "%" SCNu64 " %127s", &id, address) == 2 && id != 0) {
            out[n] = (struct node_info){.id = id};
            snprintf(out[n].rpc, sizeof(out[n].rpc), "%s", address);
            n++;
        }
    }
    fclose(f);
    *ret_count = n;
    return ERR_OK;
}

db_err members_file_write(const char *data_dir, const struct node_info *nodes, unsigned count)
{
    char path[PATH_MAX_LEN];
    char fresh[PATH_MAX_LEN];
    snprintf(path, sizeof(path), "%s/members", data_dir);
    snprintf(fresh, sizeof(fresh), "%s/members.new", data_dir);
    FILE *f = fopen(fresh, "we");
    if (f == NULL) {
        return ERR_IO;
    }
    bool ok = true;
    for (unsigned i = 0; i < count && ok; i++) {
        ok = fprintf(f, "%" PRIu64 " %s\n", nodes[i].id, nodes[i].rpc) > 0;
    }
    ok = fflush(f) == 0 && ok;
    ok = fsync(fileno(f)) == 0 && ok;
    ok = fclose(f) == 0 && ok;
    return ok && rename(fresh, path) == 0 ? ERR_OK : ERR_IO;
}

/* ---- the join token ---- */

static db_err make_token(const char *path, struct diag *diag, char ret_token[TOKEN_SIZE])
{
    uint8_t bytes[16];
    TRY(rand_secure(bytes, sizeof(bytes)));
    for (unsigned i = 0; i < sizeof(bytes); i++) {
        snprintf(ret_token + 2 * i, 3, "%02x", bytes[i]);
    }
    SCOPE_FD(fd) = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    size_t n = 2 * sizeof(bytes);
    if (fd < 0 || write(fd, ret_token, n) != (ssize_t)n || fsync(fd) != 0) {
        return diag_set(diag, errno == ENOSPC ? ERR_DISK_FULL : ERR_IO, "cannot write %s: %s", path,
                        strerror(errno));
    }
    return ERR_OK;
}

db_err token_file(const char *data_dir, bool make, struct diag *diag, char ret_token[TOKEN_SIZE])
{
    char path[PATH_MAX_LEN];
    snprintf(path, sizeof(path), "%s/join-token", data_dir);
    SCOPE_FD(fd) = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        ret_token[0] = '\0';
        return make ? make_token(path, diag, ret_token) : ERR_OK;
    }
    ssize_t n = read(fd, ret_token, TOKEN_SIZE - 1);
    if (n < 0) {
        return diag_set(diag, ERR_IO, "cannot read %s: %s", path, strerror(errno));
    }
    ret_token[n] = '\0';
    ret_token[strcspn(ret_token, "\r\n")] = '\0';
    return ERR_OK;
}
