/* Names, handles and faults of the simulated disk; the content of files is in disk_sim_content.c.
 *
 * A directory's entries are what the process sees. Each change of a name keeps what the name meant
 * before, until the directory is synced; a crash undoes the newest of them, in reverse, which is
 * what an ordered journal does. All nodes are on one list in the order of their making, so that a
 * crash tosses its dice in the same order in every run, and a file that comes back because its
 * unlink was undone has had its own share of the crash. */
#include "base/disk_sim.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/buf.h"
#include "base/disk_sim_int.h"

enum { LIST_TEXT_MAX = 64 * 1024 * 1024 };

struct sim_entry {
    struct list link;
    struct sim_node *node;
    char name[];
};

/* One or (rename) two names got new meanings. */
struct sim_name_change {
    struct list link;
    unsigned count;
    struct {
        struct sim_node *before; /* NULL: the name did not exist */
        char *name;
    } names[2];
};

struct sim_fault {
    uint64_t skip;
    uint64_t count;
    db_err err;
};

struct sim_disk {
    struct disk base;
    pthread_mutex_t lock; /* guards all below and every node */
    struct sim_node *root;
    struct list nodes;
    uint64_t space;
    uint64_t used;
    uint64_t generation; /* handles of an earlier one are stale */
    struct rand rand;
    struct sim_fault faults[DISK_SIM_OPS];
    struct disk_sim_stats stats;
};

struct sim_file {
    struct disk_file base;
    struct sim_node *node;
    uint64_t generation;
    bool writable;
    bool direct;
};

static struct sim_disk *disk_of(struct disk *disk)
{
    return CONTAINER_OF(disk, struct sim_disk, base);
}

/* --- nodes and names --- */

static struct sim_node *node_new(struct sim_disk *d, bool is_dir)
{
    struct sim_node *n = mem_calloc(1, sizeof(*n));
    if (n != NULL) {
        n->refs = 1;
        n->is_dir = is_dir;
        sim_content_init(&n->content);
        list_init(&n->entries);
        list_init(&n->renames);
        list_push_back(&d->nodes, &n->link);
    }
    return n;
}

static void node_unref(struct sim_disk *d, struct sim_node *n);

static void change_free(struct sim_disk *d, struct sim_name_change *change)
{
    for (unsigned i = 0; i < change->count; i++) {
        node_unref(d, change->names[i].before);
        mem_free(change->names[i].name);
    }
    mem_free(change);
}

static void forget_changes(struct sim_disk *d, struct sim_node *dir)
{
    struct list *n;
    while ((n = list_pop_front(&dir->renames)) != NULL) {
        change_free(d, CONTAINER_OF(n, struct sim_name_change, link));
    }
}

static void node_unref(struct sim_disk *d, struct sim_node *n)
{
    if (n == NULL || --n->refs > 0) {
        return;
    }
    forget_changes(d, n);
    struct list *e;
    while ((e = list_pop_front(&n->entries)) != NULL) {
        struct sim_entry *entry = CONTAINER_OF(e, struct sim_entry, link);
        node_unref(d, entry->node);
        mem_free(entry);
    }
    d->used -= n->content.size;
    sim_content_fini(&n->content);
    list_remove(&n->link);
    mem_free(n);
}

static struct sim_entry *find(struct sim_node *dir, const char *name)
{
    LIST_FOREACH (n, &dir->entries) {
        struct sim_entry *e = CONTAINER_OF(n, struct sim_entry, link);
        if (strcmp(e->name, name) == 0) {
            return e;
        }
    }
    return NULL;
}

/* Gives the name a meaning (NULL: none), without a word of it in the journal. Takes over the
 * caller's reference. */
static db_err set_name(struct sim_disk *d, struct sim_node *dir, const char *name,
                       struct sim_node *node)
{
    struct sim_entry *e = find(dir, name);
    if (e != NULL) {
        struct sim_node *before = e->node;
        if (node != NULL) {
            e->node = node;
        } else {
            list_remove(&e->link);
            mem_free(e);
        }
        node_unref(d, before);
        return ERR_OK;
    }
    if (node == NULL) {
        return ERR_OK;
    }
    size_t size = strlen(name) + 1;
    e = mem_alloc(sizeof(*e) + size);
    if (e == NULL) {
        return ERR_NOMEM;
    }
    memcpy(e->name, name, size);
    e->node = node;
    list_push_back(&dir->entries, &e->link);
    return ERR_OK;
}

/* Writes down what one or two names mean now. */
static db_err journal(struct sim_node *dir, const char *first, const char *second,
                      struct sim_name_change **ret_change)
{
    struct sim_name_change *change = mem_calloc(1, sizeof(*change));
    if (change == NULL) {
        return ERR_NOMEM;
    }
    list_init(&change->link);
    const char *names[2] = {first, second};
    for (unsigned i = 0; i < 2 && names[i] != NULL; i++) {
        change->names[i].name = mem_strdup(names[i]);
        if (change->names[i].name == NULL) {
            mem_free(change->names[0].name);
            mem_free(change);
            return ERR_NOMEM;
        }
        change->count++;
    }
    for (unsigned i = 0; i < change->count; i++) {
        struct sim_entry *e = find(dir, names[i]);
        if (e != NULL) {
            change->names[i].before = e->node;
            e->node->refs++;
        }
    }
    *ret_change = change;
    return ERR_OK;
}

/* Journals, then sets one name. Takes over the reference even when it fails. */
static db_err change_name(struct sim_disk *d, struct sim_node *dir, const char *name,
                          struct sim_node *node)
{
    struct sim_name_change *change = NULL;
    db_err err = journal(dir, name, NULL, &change);
    if (err == ERR_OK) {
        err = set_name(d, dir, name, node);
    }
    if (err != ERR_OK) {
        if (change != NULL) {
            change_free(d, change);
        }
        node_unref(d, node);
        return err;
    }
    list_push_back(&dir->renames, &change->link);
    return ERR_OK;
}

/* --- paths --- */

/* The directory that holds the path's last name, and that name ("" for the root) in `name`. */
static db_err walk(struct sim_disk *d, const char *path, struct sim_node **ret_dir,
                   char name[DISK_PATH_MAX])
{
    if (strlen(path) >= DISK_PATH_MAX) {
        return ERR_INVALID;
    }
    struct sim_node *dir = d->root;
    name[0] = '\0';
    while (*path != '\0') {
        size_t len = strcspn(path, "/");
        if (len != 0 && !(len == 1 && path[0] == '.')) {
            if (name[0] != '\0') {
                struct sim_entry *e = find(dir, name);
                if (e == NULL) {
                    return ERR_NOT_FOUND;
                }
                if (!e->node->is_dir) {
                    return ERR_INVALID;
                }
                dir = e->node;
            }
            memcpy(name, path, len);
            name[len] = '\0';
        }
        path += len + (path[len] == '/');
    }
    *ret_dir = dir;
    return ERR_OK;
}

static db_err find_path(struct sim_disk *d, const char *path, struct sim_node **ret_node)
{
    char name[DISK_PATH_MAX];
    struct sim_node *dir;
    TRY(walk(d, path, &dir, name));
    if (name[0] == '\0') {
        *ret_node = dir;
        return ERR_OK;
    }
    struct sim_entry *e = find(dir, name);
    if (e == NULL) {
        return ERR_NOT_FOUND;
    }
    *ret_node = e->node;
    return ERR_OK;
}

static db_err find_dir(struct sim_disk *d, const char *path, struct sim_node **ret_dir)
{
    struct sim_node *n;
    TRY(find_path(d, path, &n));
    if (!n->is_dir) {
        return ERR_INVALID;
    }
    *ret_dir = n;
    return ERR_OK;
}

/* --- files --- */

static db_err find_or_create(struct sim_disk *d, const char *path, unsigned flags,
                             struct sim_node **ret_node)
{
    char name[DISK_PATH_MAX];
    struct sim_node *dir;
    TRY(walk(d, path, &dir, name));
    struct sim_entry *e = find(dir, name);
    if (e != NULL) {
        if ((flags & DISK_EXCLUSIVE) != 0) {
            return ERR_EXISTS;
        }
        if (e->node->is_dir) {
            return ERR_INVALID;
        }
        *ret_node = e->node;
        return ERR_OK;
    }
    if ((flags & DISK_CREATE) == 0) {
        return ERR_NOT_FOUND;
    }
    if (name[0] == '\0') {
        return ERR_INVALID;
    }
    struct sim_node *n = node_new(d, false);
    if (n == NULL) {
        return ERR_NOMEM;
    }
    TRY(change_name(d, dir, name, n));
    *ret_node = n;
    return ERR_OK;
}

/* A change of size within the space that there is. */
static db_err resize(struct sim_disk *d, struct sim_node *n, uint64_t size)
{
    uint64_t before = n->content.size;
    if (size > before && d->space != 0 && d->used + (size - before) > d->space) {
        return ERR_DISK_FULL;
    }
    TRY(sim_content_resize(&n->content, size));
    d->used = d->used - before + size;
    return ERR_OK;
}

static db_err sim_open(struct disk *disk, const char *path, unsigned flags,
                       struct disk_file **ret_file)
{
    struct sim_disk *d = disk_of(disk);
    struct sim_file *f = mem_calloc(1, sizeof(*f));
    if (f == NULL) {
        return ERR_NOMEM;
    }
    struct sim_node *n = NULL;
    pthread_mutex_lock(&d->lock);
    db_err err = find_or_create(d, path, flags, &n);
    if (err == ERR_OK && (flags & DISK_TRUNCATE) != 0 && n->content.size != 0) {
        err = resize(d, n, 0);
    }
    if (err == ERR_OK) {
        n->refs++;
        f->base.disk = disk;
        f->node = n;
        f->generation = d->generation;
        f->writable = (flags & DISK_WRITE) != 0;
        f->direct = (flags & DISK_DIRECT) != 0;
        *ret_file = &f->base;
    }
    pthread_mutex_unlock(&d->lock);
    if (err != ERR_OK) {
        mem_free(f);
    }
    return err;
}

static void sim_close(struct disk_file *file)
{
    struct sim_file *f = CONTAINER_OF(file, struct sim_file, base);
    struct sim_disk *d = disk_of(file->disk);
    pthread_mutex_lock(&d->lock);
    node_unref(d, f->node);
    pthread_mutex_unlock(&d->lock);
    mem_free(f);
}

/* Locks the disk and gives the file's content; ERR_CLOSED, unlocked, for a handle from before a
 * crash. */
static db_err enter(struct disk_file *file, struct sim_disk **ret_disk, struct sim_node **ret_node)
{
    struct sim_file *f = CONTAINER_OF(file, struct sim_file, base);
    struct sim_disk *d = disk_of(file->disk);
    pthread_mutex_lock(&d->lock);
    if (f->generation != d->generation) {
        pthread_mutex_unlock(&d->lock);
        return ERR_CLOSED;
    }
    *ret_disk = d;
    *ret_node = f->node;
    return ERR_OK;
}

static db_err fault(struct sim_disk *d, enum disk_sim_op op)
{
    struct sim_fault *f = &d->faults[op];
    d->stats.calls[op]++;
    if (f->count == 0) {
        return ERR_OK;
    }
    if (f->skip > 0) {
        f->skip--;
        return ERR_OK;
    }
    f->count--;
    return f->err;
}

static db_err sim_pread(struct disk_file *file, void *out, size_t len, uint64_t offset,
                        size_t *ret_len)
{
    struct sim_disk *d;
    struct sim_node *n;
    TRY(enter(file, &d, &n));
    db_err err = fault(d, DISK_SIM_READ);
    if (err == ERR_OK) {
        *ret_len = sim_content_read(&n->content, out, len, offset);
        d->stats.bytes_read += *ret_len;
    }
    pthread_mutex_unlock(&d->lock);
    return err;
}

/* Writes the first `limit` bytes of the parts. */
static db_err write_parts(struct sim_disk *d, struct sim_node *n, const struct slice *parts,
                          size_t count, uint64_t offset, uint64_t limit)
{
    uint64_t end = offset + limit;
    if (end > n->content.size) {
        TRY(resize(d, n, end));
    }
    for (size_t i = 0; i < count && limit > 0; i++) {
        size_t len = parts[i].len < limit ? parts[i].len : (size_t)limit;
        TRY(sim_content_write(&n->content, parts[i].ptr, len, offset));
        offset += len;
        limit -= len;
        d->stats.bytes_written += len;
    }
    return ERR_OK;
}

static db_err sim_pwritev(struct disk_file *file, const struct slice *parts, size_t count,
                          uint64_t offset)
{
    if (!CONTAINER_OF(file, struct sim_file, base)->writable) {
        return ERR_INVALID;
    }
    bool direct = CONTAINER_OF(file, struct sim_file, base)->direct;
    bool whole = offset % DISK_BLOCK == 0;
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        whole =
            whole && parts[i].len % DISK_BLOCK == 0 && (uintptr_t)parts[i].ptr % DISK_BLOCK == 0;
        total += parts[i].len;
    }
    if (direct && !whole) {
        return ERR_INVALID;
    }
    struct sim_disk *d;
    struct sim_node *n;
    TRY(enter(file, &d, &n));
    db_err err = fault(d, DISK_SIM_WRITE);
    if (err == ERR_OK) {
        err = total == 0 ? ERR_OK : write_parts(d, n, parts, count, offset, total);
    } else {
        uint64_t some = rand_below(&d->rand, total / DISK_SIM_SECTOR + 1) * DISK_SIM_SECTOR;
        err = err_first(err, some == 0 ? ERR_OK : write_parts(d, n, parts, count, offset, some));
    }
    pthread_mutex_unlock(&d->lock);
    return err;
}

static db_err sim_sync(struct disk_file *file)
{
    struct sim_disk *d;
    struct sim_node *n;
    TRY(enter(file, &d, &n));
    db_err err = fault(d, DISK_SIM_SYNC);
    if (err == ERR_OK) {
        err = sim_content_sync(&n->content);
    } else {
        sim_content_crash(&n->content, &d->rand, false);
    }
    pthread_mutex_unlock(&d->lock);
    return err;
}

static db_err sim_allocate(struct disk_file *file, uint64_t offset, uint64_t len)
{
    struct sim_disk *d;
    struct sim_node *n;
    TRY(enter(file, &d, &n));
    db_err err = offset + len > n->content.size ? resize(d, n, offset + len) : ERR_OK;
    pthread_mutex_unlock(&d->lock);
    return err;
}

static db_err sim_truncate(struct disk_file *file, uint64_t size)
{
    struct sim_disk *d;
    struct sim_node *n;
    TRY(enter(file, &d, &n));
    db_err err = resize(d, n, size);
    pthread_mutex_unlock(&d->lock);
    return err;
}

static db_err sim_size(struct disk_file *file, uint64_t *ret_size)
{
    struct sim_disk *d;
    struct sim_node *n;
    TRY(enter(file, &d, &n));
    *ret_size = n->content.size;
    pthread_mutex_unlock(&d->lock);
    return ERR_OK;
}

/* --- names --- */

static db_err rename_locked(struct sim_disk *d, const char *from, const char *to)
{
    char name_from[DISK_PATH_MAX];
    char name_to[DISK_PATH_MAX];
    struct sim_node *dir_from;
    struct sim_node *dir_to;
    TRY(walk(d, from, &dir_from, name_from));
    TRY(walk(d, to, &dir_to, name_to));
    if (dir_from != dir_to) {
        return ERR_UNSUPPORTED;
    }
    struct sim_entry *e = find(dir_from, name_from);
    if (e == NULL) {
        return ERR_NOT_FOUND;
    }
    struct sim_entry *target = find(dir_from, name_to);
    if (target == e) {
        return ERR_OK;
    }
    if (target != NULL && target->node->is_dir != e->node->is_dir) {
        return ERR_INVALID;
    }
    if (target != NULL && !list_empty(&target->node->entries)) {
        return ERR_EXISTS;
    }
    struct sim_name_change *change;
    TRY(journal(dir_from, name_from, name_to, &change));
    e->node->refs++;
    db_err err = set_name(d, dir_from, name_to, e->node);
    if (err != ERR_OK) {
        e->node->refs--;
        change_free(d, change);
        return err;
    }
    err = set_name(d, dir_from, name_from, NULL);
    ASSERT(err == ERR_OK);
    list_push_back(&dir_from->renames, &change->link);
    return ERR_OK;
}

static db_err sim_rename(struct disk *disk, const char *from, const char *to)
{
    struct sim_disk *d = disk_of(disk);
    pthread_mutex_lock(&d->lock);
    db_err err = rename_locked(d, from, to);
    pthread_mutex_unlock(&d->lock);
    return err;
}

static db_err remove_locked(struct sim_disk *d, const char *path, bool is_dir)
{
    char name[DISK_PATH_MAX];
    struct sim_node *dir;
    TRY(walk(d, path, &dir, name));
    struct sim_entry *e = find(dir, name);
    if (e == NULL) {
        return ERR_NOT_FOUND;
    }
    if (e->node->is_dir != is_dir) {
        return ERR_INVALID;
    }
    if (!list_empty(&e->node->entries)) {
        return ERR_EXISTS;
    }
    return change_name(d, dir, name, NULL);
}

static db_err sim_unlink(struct disk *disk, const char *path)
{
    struct sim_disk *d = disk_of(disk);
    pthread_mutex_lock(&d->lock);
    db_err err = remove_locked(d, path, false);
    pthread_mutex_unlock(&d->lock);
    return err;
}

static db_err sim_rmdir(struct disk *disk, const char *path)
{
    struct sim_disk *d = disk_of(disk);
    pthread_mutex_lock(&d->lock);
    db_err err = remove_locked(d, path, true);
    pthread_mutex_unlock(&d->lock);
    return err;
}

static db_err mkdir_locked(struct sim_disk *d, const char *path)
{
    char name[DISK_PATH_MAX];
    struct sim_node *dir;
    TRY(walk(d, path, &dir, name));
    if (name[0] == '\0' || find(dir, name) != NULL) {
        return ERR_EXISTS;
    }
    struct sim_node *n = node_new(d, true);
    if (n == NULL) {
        return ERR_NOMEM;
    }
    return change_name(d, dir, name, n);
}

static db_err sim_mkdir(struct disk *disk, const char *path)
{
    struct sim_disk *d = disk_of(disk);
    pthread_mutex_lock(&d->lock);
    db_err err = mkdir_locked(d, path);
    pthread_mutex_unlock(&d->lock);
    return err;
}

static db_err sim_sync_dir(struct disk *disk, const char *path)
{
    struct sim_disk *d = disk_of(disk);
    struct sim_node *dir;
    pthread_mutex_lock(&d->lock);
    db_err err = find_dir(d, path, &dir);
    if (err == ERR_OK) {
        err = fault(d, DISK_SIM_SYNC);
    }
    if (err == ERR_OK) {
        forget_changes(d, dir);
    }
    pthread_mutex_unlock(&d->lock);
    return err;
}

static db_err copy_names(struct sim_disk *d, const char *path, struct buf *names)
{
    struct sim_node *dir;
    TRY(find_dir(d, path, &dir));
    LIST_FOREACH (n, &dir->entries) {
        const char *name = CONTAINER_OF(n, struct sim_entry, link)->name;
        TRY(buf_append(names, name, strlen(name) + 1));
    }
    return ERR_OK;
}

static db_err sim_list(struct disk *disk, const char *path, disk_list_fn fn, void *ctx)
{
    struct sim_disk *d = disk_of(disk);
    struct buf names;
    buf_init(&names, LIST_TEXT_MAX);
    pthread_mutex_lock(&d->lock);
    db_err err = copy_names(d, path, &names);
    pthread_mutex_unlock(&d->lock);
    for (size_t at = 0; at < names.len && err == ERR_OK;) {
        const char *name = (const char *)names.ptr + at;
        at += strlen(name) + 1;
        err = fn(ctx, name);
    }
    buf_fini(&names);
    return err;
}

static db_err sim_space(struct disk *disk, const char *path UNUSED, uint64_t *ret_free,
                        uint64_t *ret_total)
{
    struct sim_disk *d = disk_of(disk);
    pthread_mutex_lock(&d->lock);
    *ret_total = d->space != 0 ? d->space : UINT64_MAX / 2;
    *ret_free = *ret_total > d->used ? *ret_total - d->used : 0;
    pthread_mutex_unlock(&d->lock);
    return ERR_OK;
}

static const struct disk_ops g_sim_ops = {
    .name = "sim",
    .open = sim_open,
    .close = sim_close,
    .pread = sim_pread,
    .pwritev = sim_pwritev,
    .sync = sim_sync,
    .allocate = sim_allocate,
    .truncate = sim_truncate,
    .size = sim_size,
    .rename = sim_rename,
    .unlink = sim_unlink,
    .mkdir = sim_mkdir,
    .rmdir = sim_rmdir,
    .sync_dir = sim_sync_dir,
    .list = sim_list,
    .space = sim_space,
};

/* --- the test's side --- */

db_err disk_sim_new(uint64_t space, struct disk **ret_disk)
{
    struct sim_disk *d = mem_calloc(1, sizeof(*d));
    if (d == NULL) {
        return ERR_NOMEM;
    }
    d->base.ops = &g_sim_ops;
    list_init(&d->nodes);
    d->space = space;
    rand_seed(&d->rand, 1);
    d->root = node_new(d, true);
    if (d->root == NULL) {
        mem_free(d);
        return ERR_NOMEM;
    }
    pthread_mutex_init(&d->lock, NULL);
    *ret_disk = &d->base;
    return ERR_OK;
}

void disk_sim_free(struct disk *disk)
{
    if (disk != NULL) {
        struct sim_disk *d = disk_of(disk);
        node_unref(d, d->root);
        ASSERT(list_empty(&d->nodes));
        pthread_mutex_destroy(&d->lock);
        mem_free(d);
    }
}

static void undo(struct sim_disk *d, struct sim_node *dir, struct sim_name_change *change)
{
    for (unsigned i = 0; i < change->count; i++) {
        struct sim_node *before = change->names[i].before;
        if (before != NULL) {
            before->refs++;
        }
        db_err err = set_name(d, dir, change->names[i].name, before);
        ASSERT(err == ERR_OK);
    }
    change_free(d, change);
}

static void crash_names(struct sim_disk *d, struct sim_node *dir)
{
    uint64_t count = 0;
    LIST_FOREACH (n, &dir->renames) {
        count++;
    }
    uint64_t kept = rand_below(&d->rand, count + 1);
    for (; count > kept; count--) {
        struct list *last = dir->renames.prev;
        list_remove(last);
        undo(d, dir, CONTAINER_OF(last, struct sim_name_change, link));
    }
    forget_changes(d, dir);
}

void disk_sim_crash(struct disk *disk, uint64_t seed)
{
    struct sim_disk *d = disk_of(disk);
    pthread_mutex_lock(&d->lock);
    rand_seed(&d->rand, seed);
    d->generation++;
    LIST_FOREACH (n, &d->nodes) {
        struct sim_node *node = CONTAINER_OF(n, struct sim_node, link);
        uint64_t before = node->content.size;
        sim_content_crash(&node->content, &d->rand, true);
        d->used = d->used - before + node->content.size;
    }
    /* Undoing may free nodes, never the directory it is done in. */
    LIST_FOREACH (n, &d->nodes) {
        crash_names(d, CONTAINER_OF(n, struct sim_node, link));
    }
    pthread_mutex_unlock(&d->lock);
}

void disk_sim_kill_process(struct disk *disk)
{
    struct sim_disk *d = disk_of(disk);
    pthread_mutex_lock(&d->lock);
    d->generation++;
    pthread_mutex_unlock(&d->lock);
}

void disk_sim_set_space(struct disk *disk, uint64_t space)
{
    struct sim_disk *d = disk_of(disk);
    pthread_mutex_lock(&d->lock);
    d->space = space;
    pthread_mutex_unlock(&d->lock);
}

uint64_t disk_sim_used(struct disk *disk)
{
    struct sim_disk *d = disk_of(disk);
    pthread_mutex_lock(&d->lock);
    uint64_t used = d->used;
    pthread_mutex_unlock(&d->lock);
    return used;
}

void disk_sim_fail(struct disk *disk, enum disk_sim_op op, uint64_t skip, uint64_t count,
                   db_err err)
{
    struct sim_disk *d = disk_of(disk);
    ASSERT(op < DISK_SIM_OPS);
    pthread_mutex_lock(&d->lock);
    d->faults[op] = (struct sim_fault){skip, count, err};
    pthread_mutex_unlock(&d->lock);
}

db_err disk_sim_flip_bit(struct disk *disk, const char *path, uint64_t offset, unsigned bit)
{
    struct sim_disk *d = disk_of(disk);
    struct sim_node *n;
    pthread_mutex_lock(&d->lock);
    db_err err = find_path(d, path, &n);
    if (err == ERR_OK && (n->is_dir || offset >= n->content.size)) {
        err = ERR_INVALID;
    }
    if (err == ERR_OK) {
        sim_content_flip(&n->content, offset, bit);
    }
    pthread_mutex_unlock(&d->lock);
    return err;
}

void disk_sim_get_stats(struct disk *disk, struct disk_sim_stats *ret_stats)
{
    struct sim_disk *d = disk_of(disk);
    pthread_mutex_lock(&d->lock);
    *ret_stats = d->stats;
    pthread_mutex_unlock(&d->lock);
}
