#include "node/ctl/http.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/scope.h"

enum { TIMEOUT_S = 600, ANSWER_MAX = 64 << 20, PIECE = 16 * 1024 };

static db_err connect_to(const char *address, struct diag *diag, int *ret_fd)
{
    char host[256];
    const char *colon = strrchr(address, ':');
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    const struct timeval patience = {.tv_sec = TIMEOUT_S};
    struct addrinfo *info;
    if (colon == NULL || (size_t)(colon - address) >= sizeof(host)) {
        return diag_set(diag, ERR_INVALID, "'%s' is not HOST:PORT", address);
    }
    bool brackets = address[0] == '[' && colon[-1] == ']';
    snprintf(host, sizeof(host), "%.*s", (int)(colon - address) - (brackets ? 2 : 0),
             address + (brackets ? 1 : 0));
    int rc = getaddrinfo(host, colon + 1, &hints, &info);
    if (rc != 0) {
        return diag_set(diag, ERR_INVALID, "%s: %s", address, gai_strerror(rc));
    }
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 &&
              setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0 &&
              connect(fd, info->ai_addr, info->ai_addrlen) == 0;
    int reason = errno;
    freeaddrinfo(info);
    if (!ok) {
        if (fd >= 0) {
            close(fd);
        }
        return diag_set(diag, ERR_IO, "cannot reach a node's admin port at %s: %s", address,
                        strerror(reason));
    }
    *ret_fd = fd;
    return ERR_OK;
}

static db_err read_all(int fd, struct buf *answer, struct diag *diag)
{
    for (;;) {
        TRY(buf_reserve(answer, PIECE));
        ssize_t n = recv(fd, answer->ptr + answer->len, PIECE, 0);
        if (n == 0) {
            return ERR_OK;
        }
        if (n < 0 && errno != EINTR) {
            return diag_set(diag, ERR_IO, "no answer: %s", strerror(errno));
        }
        answer->len += n > 0 ? (size_t)n : 0;
    }
}

db_err http_request(const char *address, const char *method, const char *target, struct diag *diag,
                    struct buf *out, unsigned *ret_status)
{
    SCOPE_FD(fd) = -1;
    SCOPE_BUF(request, PIECE);
    SCOPE_BUF(answer, ANSWER_MAX);
    TRY(connect_to(address, diag, &fd));
    TRY(buf_printf(&request, "%s %s HTTP/1.0\r\nHost: %s\r\nContent-Length: 0\r\n\r\n", method,
                   target, address));
    if (send(fd, request.ptr, request.len, MSG_NOSIGNAL) != (ssize_t)request.len) {
        return diag_set(diag, ERR_IO, "%s: %s", address, strerror(errno));
    }
    TRY(read_all(fd, &answer, diag));
    TRY(buf_append_u8(&answer, '\0'));
    const char *text = (const char *)answer.ptr;
    const char *body = strstr(text, "\r\n\r\n");
    unsigned status;
    if (body == NULL || sscanf(text, "HTTP/1.%*1u %3u", &status) != 1) {
        return diag_set(diag, ERR_INVALID, "%s: this is no admin port", address);
    }
    body += 4;
    TRY(buf_append(out, body, answer.len - 1 - (size_t)(body - text)));
    *ret_status = status;
    return ERR_OK;
}
