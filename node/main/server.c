/* The life of the process.
 *
 * The main thread sets up what belongs to the whole process (signals, descriptors), starts the
 * loops and a fiber that starts the parts, waits for a stop and stops them; then it waits in poll
 * for signals and for that fiber's end. Signals are blocked in all threads and read from a
 * descriptor: no code of ours ever runs in a signal handler. The first SIGTERM or SIGINT asks for a
 * stop; a second one ends the process at once, which loses nothing that was acknowledged. A signal
 * during the start stops the node as soon as it has started. The main thread also looks whether all
 * loops turn. */
#include "node/main/server.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/faults.h"
#include "base/log.h"
#include "node/main/listen.h"
#include "node/main/server_int.h"

enum { LOOK_MS = 3000 };

/* ---- the fiber ---- */

static void stop_parts(struct server *s, unsigned count)
{
    while (count-- > 0) {
        if (g_server_parts[count].stop != NULL) {
            LOG_DEBUG("server.part.stop", F_STR("part", g_server_parts[count].name));
            g_server_parts[count].stop(s);
        }
    }
}

static db_err start_parts(struct server *s, struct diag *diag)
{
    for (unsigned i = 0; i < g_server_part_count; i++) {
        uint64_t begin = clock_mono_ns();
        db_err err = g_server_parts[i].start(s, diag);
        LOG_DEBUG("server.part.start", F_STR("part", g_server_parts[i].name),
                  F_U64("us", (clock_mono_ns() - begin) / NS_PER_US));
        if (err != ERR_OK) {
            if (diag->text[0] == '\0') {
                err = diag_set(diag, err, "%s: %s", g_server_parts[i].name, err_text(err));
            }
            stop_parts(s, i);
            return err;
        }
    }
    return ERR_OK;
}

static void announce(struct server *s)
{
    char mysql[CONFIG_HOST_MAX + 16], rpc[CONFIG_HOST_MAX + 16], admin[CONFIG_HOST_MAX + 16];
    listen_format(&s->mysql, mysql, sizeof(mysql));
    listen_format(&s->rpc, rpc, sizeof(rpc));
    listen_format(&s->admin_address, admin, sizeof(admin));
    LOG_INFO("server.ready", F_U64("start_ms", (clock_mono_ns() - s->start_ns) / NS_PER_MS),
             F_STR("mysql", mysql), F_STR("admin", admin));
    printf("ready mysql=%s rpc=%s admin=%s\n", mysql, rpc, admin);
    fflush(stdout);
}

static void wait_for_stop(struct server *s)
{
    pthread_mutex_lock(&s->mutex);
    bool wanted = s->stop_wanted;
    if (!wanted) {
        wait_init(&s->stop);
        s->waiting = true;
    }
    pthread_mutex_unlock(&s->mutex);
    if (!wanted) {
        wait_block_uncancelable(&s->stop);
    }
}

void server_ask_to_stop(struct server *s)
{
    pthread_mutex_lock(&s->mutex);
    s->stop_wanted = true;
    bool waiting = s->waiting;
    s->waiting = false;
    atomic_store(&s->start_stop, true);
    pthread_mutex_unlock(&s->mutex);
    if (waiting) {
        wait_signal(&s->stop, 0);
    }
}

static void server_fiber(void *arg)
{
    struct server *s = arg;
    struct diag diag = {0};
    db_err err = start_parts(s, &diag);
    if (err == ERR_CANCELED && atomic_load(&s->start_stop)) {
        LOG_INFO("server.stopped", F_STR("reason", diag.text));
    } else if (err != ERR_OK) {
        LOG_ERROR("server.start.failed", F_STR("reason", diag.text), F_ERR(err));
        s->exit_status = 1;
    } else {
        admin_set_state(s->admin, ADMIN_READY);
        atomic_store(&s->serving, true);
        if (atomic_load(&s->leaving)) {
            operate_close(s, true);
        }
        announce(s);
        wait_for_stop(s);
        LOG_INFO("server.stop");
        uint64_t begin = clock_mono_ns();
        atomic_store(&s->serving, false);
        operate_close(s, true);
        stop_parts(s, g_server_part_count);
        LOG_INFO("server.stopped", F_U64("stop_ms", (clock_mono_ns() - begin) / NS_PER_MS));
    }
    const uint64_t one = 1;
    ssize_t n = write(s->done_fd, &one, sizeof(one));
    ASSERT(n == sizeof(one));
}

/* ---- the main thread ---- */

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
            LOG_WARN("server.file_limit", F_U64("limit", limit.rlim_cur));
        }
    }
}

/* Blocks the signals for all threads to come. */
static db_err open_signals(struct diag *diag, int *ret_fd)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    signal(SIGPIPE, SIG_IGN);
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0) {
        return diag_set(diag, ERR_IO, "cannot block signals");
    }
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) {
        return diag_set(diag, ERR_IO, "cannot read signals: %s", strerror(errno));
    }
    *ret_fd = fd;
    return ERR_OK;
}

/* ---- do the loops turn? ----
 *
 * A loop that stands still serves nothing of what it owns: connections of clients and other nodes,
 * fibers, groups. The other loops go on, so the process lives on in the eyes of the others and they
 * take nothing over: a part of the cluster is gone until somebody ends the process. So it does that
 * itself. The main thread asks each loop for a sign of life whenever it looks; what counts is how
 * often it has looked in vain, not the time: a process that was stopped, or a machine that stood
 * still, is no reason. Starting and stopping may hold up a loop for long. */

struct pulse {
    struct loop_task task;
    _Atomic bool felt;
    unsigned missed;
};

static void on_pulse(struct loop_task *task)
{
    atomic_store(&CONTAINER_OF(task, struct pulse, task)->felt, true);
}

/* NULL without memory: then nobody looks. */
static struct pulse *new_pulses(const struct server *s)
{
    unsigned count = loop_group_count(s->loops);
    struct pulse *pulses = mem_calloc(count, sizeof(*pulses));
    for (unsigned i = 0; pulses != NULL && i < count; i++) {
        pulses[i].task.fn = on_pulse;
        atomic_init(&pulses[i].felt, true);
    }
    return pulses;
}

static void feel_pulses(struct server *s, struct pulse *pulses)
{
    uint64_t limit_ms = s->config->stuck_after * 1000;
    for (unsigned i = 0; i < loop_group_count(s->loops); i++) {
        struct pulse *p = &pulses[i];
        if (atomic_exchange(&p->felt, false)) {
            p->missed = 0;
            loop_post(loop_group_get(s->loops, i), &p->task);
        } else if (!atomic_load(&s->serving)) {
            p->missed = 0;
        } else if ((uint64_t)++p->missed * LOOK_MS >= limit_ms) {
            LOG_ERROR("server.loop.stuck", F_U64("loop", i),
                      F_U64("seconds", p->missed * LOOK_MS / 1000));
            abort(); /* what was acknowledged is safe in the log; a core shows where it stands */
        }
    }
}

/* Returns when the fiber has ended. */
static void watch(struct server *s, struct pulse *pulses, int signal_fd)
{
    struct pollfd fds[] = {{.fd = signal_fd, .events = POLLIN},
                           {.fd = s->done_fd, .events = POLLIN}};
    bool asked = false;
    for (;;) {
        int ready = poll(fds, ARRAY_COUNT(fds), LOOK_MS);
        if (ready == 0) {
            memory_purge();
            if (pulses != NULL && s->config->stuck_after != 0) {
                feel_pulses(s, pulses);
            }
            continue;
        }
        if (ready < 0) {
            if (errno == EINTR) {
                continue;
            }
            LOG_ERROR("server.poll", F_STR("reason", strerror(errno)));
            _exit(1);
        }
        if ((fds[1].revents & POLLIN) != 0) {
            return;
        }
        struct signalfd_siginfo info;
        if (read(signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info) ||
            info.ssi_signo == SIGHUP) {
            continue;
        }
        LOG_INFO("server.signal", F_U64("signal", info.ssi_signo));
        if (asked) {
            _exit(1);
        }
        asked = true;
        server_ask_to_stop(s);
    }
}

static db_err prepare(struct server *s, struct diag *diag)
{
    TRY(faults_arm_from_env(diag));
    TRY(listen_resolve("mysql", &s->mysql, diag));
    TRY(listen_resolve("rpc", &s->rpc, diag));
    TRY(listen_resolve("admin", &s->admin_address, diag));
    s->memory = memory_divide(s->config->memory);
    s->done_fd = eventfd(0, EFD_CLOEXEC);
    if (s->done_fd < 0) {
        return diag_set(diag, ERR_IO, "cannot make an eventfd: %s", strerror(errno));
    }
    struct loop_group_opts loops = {.count = (unsigned)s->config->loops};
    db_err err = loop_group_start(&loops, &s->loops);
    if (err != ERR_OK) {
        return diag_set(diag, err, "cannot start the event loops: %s", err_text(err));
    }
    LOG_INFO("server.start", F_STR("version", SKEIN_VERSION), F_STR("data", s->config->data),
             F_U64("memory", s->memory.limit), F_U64("loops", loop_group_count(s->loops)));
    return ERR_OK;
}

int server_run(const struct config *config)
{
    static const enum log_format formats[] = {LOG_FORMAT_TEXT, LOG_FORMAT_JSON};
    static const enum log_level levels[] = {LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN,
                                            LOG_LEVEL_ERROR};
    static struct server server; /* threads of the libraries may look at it to the very end */
    struct server *s = &server;
    struct diag diag = {0};
    int signal_fd = -1;
    struct pulse *pulses = NULL;
    *s = (struct server){.config = config,
                         .mysql = config->mysql,
                         .rpc = config->rpc,
                         .admin_address = config->admin,
                         .done_fd = -1,
                         .start_ns = clock_mono_ns()};
    pthread_mutex_init(&s->mutex, NULL);
    log_configure(levels[config->log_level], formats[config->log_format]);
    raise_file_limit();
    db_err err = open_signals(&diag, &signal_fd);
    if (err == ERR_OK) {
        err = prepare(s, &diag);
    }
    if (err == ERR_OK) {
        err = fiber_spawn(loop_group_get(s->loops, 0), server_fiber, s);
    }
    if (err != ERR_OK) {
        LOG_ERROR("server.start.failed",
                  F_STR("reason", diag.text[0] != '\0' ? diag.text : err_text(err)), F_ERR(err));
        s->exit_status = 1;
    } else {
        pulses = new_pulses(s);
        watch(s, pulses, signal_fd);
    }
    loop_group_stop(s->loops);
    mem_free(pulses); /* no loop has one of them any more */
    return s->exit_status;
}
