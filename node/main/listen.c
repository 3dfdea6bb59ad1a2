#include "node/main/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ADDRESS_TEXT_MAX = 64 };

static db_err find_address(const char *option, const struct config_address *a, int flags,
                           struct diag *diag, struct addrinfo **ret_info)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV | flags};
    char port[8];
    snprintf(port, sizeof(port), "%u", a->port);
    int rc = getaddrinfo(a->host, port, &hints, ret_info);
    if (rc != 0) {
        return diag_set(diag, ERR_INVALID, "option '%s': '%s' is no address: %s", option, a->host,
                        gai_strerror(rc));
    }
    return ERR_OK;
}

db_err listen_resolve(const char *option, struct config_address *inout_address, struct diag *diag)
{
    struct addrinfo *info;
    char host[ADDRESS_TEXT_MAX];
    TRY(find_address(option, inout_address, 0, diag, &info));
    int rc =
        getnameinfo(info->ai_addr, info->ai_addrlen, host, sizeof(host), NULL, 0, NI_NUMERICHOST);
    freeaddrinfo(info);
    if (rc != 0) {
        return diag_set(diag, ERR_INVALID, "option '%s': %s", option, gai_strerror(rc));
    }
    memcpy(inout_address->host, host, strlen(host) + 1);
    return ERR_OK;
}

bool listen_is_loopback(const struct config_address *address)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, address->host, &v4) == 1) {
        return ntohl(v4.s_addr) >> 24 == 127;
    }
    return inet_pton(AF_INET6, address->host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static db_err bind_socket(int fd, int backlog, const struct addrinfo *info, uint16_t *ret_port)
{
    const int on = 1;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } bound;
    socklen_t len = sizeof(bound);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(fd, info->ai_addr, info->ai_addrlen) != 0 ||
        (backlog > 0 && listen(fd, backlog) != 0) || getsockname(fd, &bound.any, &len) != 0) {
        return ERR_IO;
    }
    *ret_port = ntohs(bound.any.sa_family == AF_INET6 ? bound.v6.sin6_port : bound.v4.sin_port);
    return ERR_OK;
}

db_err listen_open(const char *option, int backlog, struct config_address *inout_address,
                   struct diag *diag, int *ret_fd)
{
    struct addrinfo *info;
    TRY(find_address(option, inout_address, AI_NUMERICHOST, diag, &info));
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    db_err err = fd < 0 ? ERR_IO : bind_socket(fd, backlog, info, &inout_address->port);
    int reason = errno;
    freeaddrinfo(info);
    if (err == ERR_OK) {
        *ret_fd = fd;
        return ERR_OK;
    }
    if (fd >= 0) {
        close(fd);
    }
    char text[CONFIG_HOST_MAX + 16];
    listen_format(inout_address, text, sizeof(text));
    return diag_set(diag, err, "option '%s': cannot listen on %s: %s", option, text,
                    strerror(reason));
}

void listen_format(const struct config_address *address, char *out, size_t out_size)
{
    bool v6 = strchr(address->host, ':') != NULL;
    snprintf(out, out_size, v6 ? "[%s]:%u" : "%s:%u", address->host, address->port);
}
