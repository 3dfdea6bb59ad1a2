/* The HTTP server: one thread of libmicrohttpd serves all connections.
 *
 * A request arrives in calls of on_request: the first makes a struct request, further ones bring
 * its body, the last one runs the handler. A handler that parks runs in a fiber instead while the
 * connection is suspended; the fiber resumes it and on_request is called once more to send the
 * reply. The storage is borrowed for the time of a handler, so that a stop can wait until nobody
 * uses it. Handlers build the whole reply in memory, up to ADMIN_REPLY_MAX. */
#include "node/admin/admin.h"

#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/fiber.h"
#include "base/scope.h"
#include "node/admin/admin_int.h"

enum { PARKS = 1, ATTACHED = 2 };

struct route {
    const char *method;
    const char *path;
    unsigned flags;
    void (*handler)(struct request *r);
    const char *help;
};

static const struct route g_routes[] = {
#define ROUTE(method, path, flags, handler, help) {#method, path, flags, admin__##handler, help},
#include "node/admin/routes.def"
#undef ROUTE
};

/* ---- replies ---- */

void request_fail(struct request *r, unsigned status, const char *fmt, ...)
{
    char text[DIAG_TEXT_SIZE + 64];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    r->status = status;
    r->content_type = "text/plain; charset=utf-8";
    buf_reset(&r->reply);
    if (buf_printf(&r->reply, "%s\n", text) != ERR_OK) {
        buf_reset(&r->reply); /* no memory: the status alone must do */
    }
}

db_err json_string(struct buf *b, const char *text)
{
    TRY(buf_append_u8(b, '"'));
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            TRY(buf_append_u8(b, '\\'));
        }
        if (c < 0x20) {
            TRY(buf_printf(b, "\\u%04x", c));
        } else {
            TRY(buf_append_u8(b, c));
        }
    }
    return buf_append_u8(b, '"');
}

db_err json_hex(struct buf *b, struct slice bytes)
{
    static const char digits[] = "0123456789abcdef";
    TRY(buf_append_u8(b, '"'));
    for (size_t i = 0; i < bytes.len; i++) {
        const uint8_t pair[2] = {(uint8_t)digits[bytes.ptr[i] >> 4],
                                 (uint8_t)digits[bytes.ptr[i] & 15]};
        TRY(buf_append(b, pair, 2));
    }
    return buf_append_u8(b, '"');
}

static enum MHD_Result send_reply(struct request *r)
{
    size_t size = r->reply.len;
    struct MHD_Response *response;
    if (size == 0) {
        static char empty[1];
        response = MHD_create_response_from_buffer(0, empty, MHD_RESPMEM_PERSISTENT);
    } else {
        response = MHD_create_response_from_buffer_with_free_callback(size, r->reply.ptr, mem_free);
        if (response != NULL) {
            buf_init(&r->reply, ADMIN_REPLY_MAX); /* the response owns the bytes */
        }
    }
    if (response == NULL) {
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, r->content_type);
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    enum MHD_Result result = MHD_queue_response(r->connection, r->status, response);
    MHD_destroy_response(response);
    return result;
}

/* ---- the storage, borrowed ---- */

bool admin__borrow(struct admin *a, struct range_store **ret_ranges, struct raft_log **ret_log)
{
    SCOPE_LOCK(&a->mutex);
    if (a->ranges == NULL) {
        return false;
    }
    a->users++;
    *ret_ranges = a->ranges;
    *ret_log = a->log;
    return true;
}

void admin__return(struct admin *a)
{
    SCOPE_LOCK(&a->mutex);
    ASSERT(a->users > 0);
    a->users--;
}

static void pause_a_moment(void)
{
    enum { PAUSE_MS = 1 };
    if (fiber_self() != NULL) {
        if (fiber_sleep(PAUSE_MS * NS_PER_MS) != ERR_OK) {
            fiber_yield(); /* canceled or late: the wait must go on all the same */
        }
    } else {
        usleep(PAUSE_MS * 1000);
    }
}

/* ---- dispatch ---- */

static void run_handler(struct request *r)
{
    struct admin *a = r->admin;
    bool attached = false;
    if ((r->route->flags & ATTACHED) != 0) {
        attached = admin__borrow(a, &r->ranges, &r->log);
        if (!attached) {
            request_fail(r, MHD_HTTP_SERVICE_UNAVAILABLE, "the storage is not open");
            return;
        }
    }
    r->route->handler(r);
    if (attached) {
        admin__return(a);
    }
}

static void handler_fiber(void *arg)
{
    struct request *r = arg;
    struct admin *a = r->admin;
    run_handler(r);
    r->done = true;
    MHD_resume_connection(r->connection); /* r may be gone from here on */
    SCOPE_LOCK(&a->mutex);
    a->fibers--;
}

static void start_fiber(struct request *r)
{
    struct admin *a = r->admin;
    pthread_mutex_lock(&a->mutex);
    a->fibers++;
    pthread_mutex_unlock(&a->mutex);
    MHD_suspend_connection(r->connection);
    if (fiber_spawn(loop_group_get(a->opts.loops, 0), handler_fiber, r) == ERR_OK) {
        return;
    }
    request_fail(r, MHD_HTTP_SERVICE_UNAVAILABLE, "too busy");
    r->done = true;
    MHD_resume_connection(r->connection);
    SCOPE_LOCK(&a->mutex);
    a->fibers--;
}

static const struct route *find_route(struct request *r, const char *method, const char *url)
{
    bool known = false;
    if (strcmp(method, MHD_HTTP_METHOD_HEAD) == 0) {
        method = MHD_HTTP_METHOD_GET;
    }
    for (size_t i = 0; i < ARRAY_COUNT(g_routes); i++) {
        if (strcmp(g_routes[i].path, url) == 0) {
            known = true;
            if (strcmp(g_routes[i].method, method) == 0) {
                return &g_routes[i];
            }
        }
    }
    if (known) {
        request_fail(r, MHD_HTTP_METHOD_NOT_ALLOWED, "this page has no %.16s", method);
    } else {
        request_fail(r, MHD_HTTP_NOT_FOUND, "no such page; / lists them");
    }
    return NULL;
}

static enum MHD_Result finish(struct request *r, const char *method, const char *url)
{
    if (r->done) {
        return send_reply(r);
    }
    if (r->too_large) {
        request_fail(r, MHD_HTTP_CONTENT_TOO_LARGE, "a body of %d bytes at most", ADMIN_BODY_MAX);
        return send_reply(r);
    }
    r->route = find_route(r, method, url);
    if (r->route == NULL) {
        return send_reply(r);
    }
    /* A page of some other site that a browser on this machine shows must not act here. */
    const char *origin =
        MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ORIGIN);
    if (origin != NULL && strcmp(r->route->method, "GET") != 0) {
        request_fail(r, MHD_HTTP_FORBIDDEN, "not from a browser");
        return send_reply(r);
    }
    const char *key = MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, "key");
    if (key != NULL && strlen(key) >= sizeof(r->query)) {
        request_fail(r, MHD_HTTP_BAD_REQUEST, "the key is too long");
        return send_reply(r);
    }
    snprintf(r->query, sizeof(r->query), "%s", key == NULL ? "" : key);
    if ((r->route->flags & PARKS) != 0) {
        start_fiber(r);
        return MHD_YES;
    }
    run_handler(r);
    return send_reply(r);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **request)
{
    (void)version;
    struct request *r = *request;
    if (r == NULL) {
        r = mem_calloc(1, sizeof(*r));
        if (r == NULL) {
            return MHD_NO;
        }
        r->admin = arg;
        r->connection = connection;
        r->status = MHD_HTTP_OK;
        r->content_type = "text/plain; charset=utf-8";
        buf_init(&r->body, ADMIN_BODY_MAX);
        buf_init(&r->reply, ADMIN_REPLY_MAX);
        *request = r;
        return MHD_YES;
    }
    if (*upload_size != 0) {
        if (!r->too_large && buf_append(&r->body, upload, *upload_size) != ERR_OK) {
            r->too_large = true;
        }
        *upload_size = 0;
        return MHD_YES;
    }
    return finish(r, method, url);
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **request,
                         enum MHD_RequestTerminationCode why)
{
    (void)arg;
    (void)connection;
    (void)why;
    struct request *r = *request;
    if (r != NULL) {
        buf_fini(&r->body);
        buf_fini(&r->reply);
        mem_free(r);
        *request = NULL;
    }
}

/* What libmicrohttpd has to say is about clients that misbehave: nothing for an operator. */
static void on_library_log(void *arg, const char *fmt, va_list args)
{
    (void)arg;
    (void)fmt;
    (void)args;
}

/* ---- pages without a file of their own ---- */

void admin__index(struct request *r)
{
    for (size_t i = 0; i < ARRAY_COUNT(g_routes); i++) {
        const struct route *route = &g_routes[i];
        if (buf_printf(&r->reply, "%-5s %-14s %s\n", route->method, route->path, route->help) !=
            ERR_OK) {
            request_fail(r, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
            return;
        }
    }
}

void admin__livez(struct request *r)
{
    request_fail(r, MHD_HTTP_OK, "ok");
}

void admin__readyz(struct request *r)
{
    static const char *const words[] = {"starting", "ready", "draining"};
    int state = atomic_load(&r->admin->state);
    request_fail(r, state == ADMIN_READY ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, "%s",
                 words[state]);
}

/* ---- life ---- */

db_err admin_start(const struct admin_opts *opts, struct diag *diag, struct admin **ret_admin)
{
    struct admin *a = mem_calloc(1, sizeof(*a));
    if (a == NULL) {
        return diag_set(diag, ERR_NOMEM, "out of memory");
    }
    a->opts = *opts;
    a->start_us = clock_wall_us();
    pthread_mutex_init(&a->mutex, NULL);
    a->daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME |
            MHD_USE_ERROR_LOG,
        0, NULL, NULL, on_request, a, MHD_OPTION_EXTERNAL_LOGGER, on_library_log, NULL,
        MHD_OPTION_LISTEN_SOCKET, opts->listen_fd, MHD_OPTION_NOTIFY_COMPLETED, on_completed, a,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)ADMIN_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)ADMIN_IDLE_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)ADMIN_CONNECTION_MEMORY, MHD_OPTION_END);
    if (a->daemon == NULL) {
        pthread_mutex_destroy(&a->mutex);
        mem_free(a);
        return diag_set(diag, ERR_IO, "the admin HTTP server does not start");
    }
    *ret_admin = a;
    return ERR_OK;
}

void admin_set_state(struct admin *a, enum admin_state state)
{
    atomic_store(&a->state, (int)state);
}

db_err admin_attach(struct admin *a, struct range_store *ranges, struct raft_log *log)
{
    ASSERT(ranges != NULL);
    TRY(admin__register_metrics(a));
    SCOPE_LOCK(&a->mutex);
    ASSERT(a->ranges == NULL);
    a->ranges = ranges;
    a->log = log;
    return ERR_OK;
}

static bool in_use(struct admin *a)
{
    SCOPE_LOCK(&a->mutex);
    return a->users != 0 || a->fibers != 0;
}

void admin_detach(struct admin *a)
{
    pthread_mutex_lock(&a->mutex);
    a->ranges = NULL;
    a->log = NULL;
    pthread_mutex_unlock(&a->mutex);
    while (in_use(a)) {
        pause_a_moment();
    }
    admin__unregister_metrics(a);
}

void admin_stop(struct admin *a)
{
    if (a == NULL) {
        return;
    }
    /* No new requests while the last fibers end: a suspended connection would outlive the daemon.
     */
    int fd = MHD_quiesce_daemon(a->daemon);
    admin_detach(a);
    MHD_stop_daemon(a->daemon);
    if (fd != MHD_INVALID_SOCKET) {
        close(fd);
    }
    pthread_mutex_destroy(&a->mutex);
    mem_free(a);
}
