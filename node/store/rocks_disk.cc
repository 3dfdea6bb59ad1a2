// The file system below RocksDB: what a flush does on a full disk.
//
// RocksDB answers a flush that meets a full disk by refusing all writes until it has found space by
// itself, at which it looks every five seconds. But what has been committed by the Raft log has to
// become visible, space or not, and memtables have room for it. So a flush meets no full disk here:
// its thread waits until there is space, and RocksDB sees a slow disk. Writes go on until the
// memtables that are allowed are full.
//
// A file of rows is not begun unless `keep` bytes are free: what stops half-way holds space that
// others need. A write that meets the end all the same is made again, from where it began. Also
// writes of the list of files wait, for a flush ends with one. Compactions do not: what they have
// written is worth less than the space, and RocksDB gives it back when they fail.
#include "node/store/rocks_shim.h"

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <time.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>

struct rocksdb_options_t {
    rocksdb::Options rep;
};
struct rocksdb_env_t {
    rocksdb::Env *rep;
    bool is_default;
};

struct rocks_disk {
    rocks_disk_tell tell;
    void *state;
    uint64_t keep;
    std::atomic<bool> stopping{false};
    rocksdb_env_t *env = nullptr;
};

namespace {

using rocksdb::FileOptions;
using rocksdb::FileSystem;
using rocksdb::FSWritableFile;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

// This thread writes the files of a flush. RocksDB runs all jobs of an atomic flush on one thread.
thread_local bool flushing;

constexpr long LOOK_NS = 20 * 1000 * 1000;

void pause()
{
    struct timespec t = {0, LOOK_NS};
    (void)nanosleep(&t, nullptr);
}

class File : public rocksdb::FSWritableFileOwnerWrapper {
  public:
    File(std::unique_ptr<FSWritableFile> &&t, rocks_disk *disk)
        : rocksdb::FSWritableFileOwnerWrapper(std::move(t)), disk_(disk)
    {
    }

    IOStatus Append(const Slice &data, const IOOptions &o, IODebugContext *d) override
    {
        return again(data, o, d, off_ == size_ ? target()->Append(data, o, d) : at(data, o, d));
    }
    IOStatus Append(const Slice &data, const IOOptions &o,
                    const rocksdb::DataVerificationInfo &info, IODebugContext *d) override
    {
        return again(data, o, d,
                     off_ == size_ ? target()->Append(data, o, info, d) : at(data, o, d));
    }

  private:
    IOStatus at(const Slice &data, const IOOptions &o, IODebugContext *d)
    {
        return target()->PositionedAppend(data, size_, o, d);
    }

    // A write that fails may have written a part and moved the position of the file: from then on
    // it is not gone by.
    IOStatus again(const Slice &data, const IOOptions &o, IODebugContext *d, IOStatus s)
    {
        if (s.IsNoSpace()) {
            off_ = UINT64_MAX;
            disk_->tell(disk_->state, true);
            while (s.IsNoSpace() && !disk_->stopping.load()) {
                pause();
                s = at(data, o, d);
            }
            disk_->tell(disk_->state, false);
        }
        if (s.ok()) {
            size_ += data.size();
            off_ = off_ == UINT64_MAX ? off_ : size_;
        }
        return s;
    }

    rocks_disk *disk_;
    uint64_t size_ = 0;
    uint64_t off_ = 0; // of the file's position; UINT64_MAX: not known
};

bool ends(const std::string &name, const char *with)
{
    std::string w(with);
    return name.size() >= w.size() && name.compare(name.size() - w.size(), w.size(), w) == 0;
}

class Disk : public rocksdb::FileSystemWrapper {
  public:
    Disk(const std::shared_ptr<FileSystem> &below, rocks_disk *disk)
        : rocksdb::FileSystemWrapper(below), disk_(disk)
    {
    }

    const char *Name() const override
    {
        return "skein";
    }

    IOStatus NewWritableFile(const std::string &name, const FileOptions &options,
                             std::unique_ptr<FSWritableFile> *result, IODebugContext *d) override
    {
        size_t slash = name.rfind('/');
        bool list = name.compare(slash == std::string::npos ? 0 : slash + 1, 9, "MANIFEST-") == 0;
        bool rows = flushing && ends(name, ".sst");
        if (!list && !rows) {
            return target()->NewWritableFile(name, options, result, d);
        }
        if (rows) {
            await_space(name.substr(0, slash == std::string::npos ? 0 : slash), options, d);
        }
        IOStatus s = target()->NewWritableFile(name, options, result, d);
        if (s.ok()) {
            result->reset(new File(std::move(*result), disk_));
        }
        return s;
    }

  private:
    bool space(const std::string &dir, const FileOptions &options, IODebugContext *d)
    {
        uint64_t free = 0;
        return !target()->GetFreeSpace(dir, options.io_options, &free, d).ok() ||
               free >= disk_->keep;
    }

    void await_space(const std::string &dir, const FileOptions &options, IODebugContext *d)
    {
        if (space(dir, options, d)) {
            return;
        }
        disk_->tell(disk_->state, true);
        while (!disk_->stopping.load() && !space(dir, options, d)) {
            pause();
        }
        disk_->tell(disk_->state, false);
    }

    rocks_disk *disk_;
};

class Listener : public rocksdb::EventListener {
  public:
    void OnFlushBegin(rocksdb::DB *, const rocksdb::FlushJobInfo &) override
    {
        flushing = true;
    }
    void OnFlushCompleted(rocksdb::DB *, const rocksdb::FlushJobInfo &) override
    {
        flushing = false;
    }
    void OnCompactionBegin(rocksdb::DB *, const rocksdb::CompactionJobInfo &) override
    {
        flushing = false;
    }
};

} // namespace

rocks_disk *rocks_disk_new(uint64_t keep_free, rocks_disk_tell tell, void *state)
{
    rocks_disk *disk = new rocks_disk;
    disk->tell = tell;
    disk->state = state;
    disk->keep = keep_free;
    disk->env = new rocksdb_env_t;
    disk->env->rep =
        rocksdb::NewCompositeEnv(std::make_shared<Disk>(FileSystem::Default(), disk)).release();
    disk->env->is_default = false;
    return disk;
}

void rocks_disk_use(rocks_disk *disk, rocksdb_options_t *options)
{
    options->rep.env = disk->env->rep;
    options->rep.listeners.push_back(std::make_shared<Listener>());
}

void rocks_disk_stop(rocks_disk *disk)
{
    disk->stopping.store(true);
}

void rocks_disk_free(rocks_disk *disk)
{
    if (disk != nullptr) {
        rocksdb_env_destroy(disk->env);
        delete disk;
    }
}
