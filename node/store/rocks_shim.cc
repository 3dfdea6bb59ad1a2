// Adapters from C callbacks to RocksDB's virtual classes; see rocks_shim.h.
//
// The C API hands a factory over as a rocksdb_compactionfilterfactory_t, which is a class derived
// from CompactionFilterFactory; all it does with one is to put it into a shared_ptr of the base
// class. So any factory may be passed in its place. Its handles of databases and families are
// structs of one pointer; its options are a struct of RocksDB's.
#include "node/store/rocks_shim.h"

#include <endian.h>
#include <rocksdb/compaction_filter.h>
#include <rocksdb/comparator.h>
#include <rocksdb/db.h>
#include <rocksdb/listener.h>
#include <rocksdb/memtablerep.h>
#include <rocksdb/metadata.h>
#include <rocksdb/options.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/table_properties.h>
#include <rocksdb/write_batch.h>

#include <cstring>
#include <memory>
#include <string>

#include "node/store/key_order.h"

struct rocksdb_t {
    rocksdb::DB *rep;
};
struct rocksdb_column_family_handle_t {
    rocksdb::ColumnFamilyHandle *rep;
};
struct rocksdb_options_t {
    rocksdb::Options rep;
};
struct rocksdb_writebatch_t {
    rocksdb::WriteBatch rep;
};

namespace {

using rocksdb::CompactionFilter;
using rocksdb::CompactionFilterFactory;
using rocksdb::Slice;

class Filter : public CompactionFilter {
  public:
    Filter(const rocks_filter_ops *ops, void *filter) : ops_(ops), filter_(filter) {}
    Filter(const Filter &) = delete;
    Filter &operator=(const Filter &) = delete;
    ~Filter() override { ops_->close(filter_); }

    Decision FilterV2(int, const Slice &key, ValueType type, const Slice &value, std::string *,
                      std::string *skip_until) const override {
        if (type != ValueType::kValue || key.size() > ROCKS_UNTIL_MAX) {
            return Decision::kKeep;
        }
        skip_until->resize(key.size());
        size_t until_len = 0;
        rocks_verdict v = ops_->one(filter_, reinterpret_cast<const uint8_t *>(key.data()),
                                    key.size(), reinterpret_cast<const uint8_t *>(value.data()),
                                    value.size(), reinterpret_cast<uint8_t *>(&(*skip_until)[0]),
                                    &until_len);
        if (v == ROCKS_SKIP_UNTIL) {
            skip_until->resize(until_len);
            return Decision::kRemoveAndSkipUntil;
        }
        return v == ROCKS_REMOVE ? Decision::kRemove : Decision::kKeep;
    }

    const char *Name() const override { return ops_->name; }

  private:
    const rocks_filter_ops *ops_;
    void *filter_;
};

class Factory : public CompactionFilterFactory {
  public:
    Factory(const rocks_filter_ops *ops, void *state) : ops_(ops), state_(state) {}

    bool ShouldFilterTableFileCreation(rocksdb::TableFileCreationReason reason) const override {
        return reason == rocksdb::TableFileCreationReason::kCompaction ||
               reason == rocksdb::TableFileCreationReason::kFlush;
    }

    std::unique_ptr<CompactionFilter>
    CreateCompactionFilter(const CompactionFilter::Context &context) override {
        void *filter =
            ops_->open(state_, context.reason == rocksdb::TableFileCreationReason::kFlush);
        if (filter == nullptr) {
            return nullptr;
        }
        return std::unique_ptr<CompactionFilter>(new Filter(ops_, filter));
    }

    const char *Name() const override { return ops_->name; }

  private:
    const rocks_filter_ops *ops_;
    void *state_;
};

class DataOrder : public rocksdb::Comparator {
  public:
    const char *Name() const override {
        return "skein.data.1"; // stored in the database: never change it
    }

    int Compare(const Slice &a, const Slice &b) const override {
        return data_key_order(a.data(), a.size(), b.data(), b.size());
    }

    bool Equal(const Slice &a, const Slice &b) const override { return a == b; }

    // Keys of index blocks stay whole: one that is cut short has no timestamp at its end.
    void FindShortestSeparator(std::string *, const Slice &) const override {}
    void FindShortSuccessor(std::string *) const override {}
};

// What a memtable compares: the length of the rest as a varint, the key, and 8 bytes of the sequence
// number and a type (a format that RocksDB promises to keep), newest first of one key. Its own
// comparator does the same by three more calls and two counters, and RocksDB's skip list asks for it
// some hundred times per statement (Debian's build checks with assertions what it has found).
template <int (*order)(const void *, size_t, const void *, size_t)>
class MemtableOrder : public rocksdb::MemTableRep::KeyComparator {
  public:
    int operator()(const char *a, const char *b) const override {
        return compare(internal_key(a), internal_key(b));
    }
    int operator()(const char *a, const Slice &b) const override {
        return compare(internal_key(a), b);
    }

  private:
    static constexpr size_t FOOTER = 8;

    static Slice internal_key(const char *p) {
        uint32_t len = static_cast<uint8_t>(*p++);
        if (__builtin_expect(len > 0x7f, 0)) {
            len &= 0x7f;
            for (int shift = 7;; shift += 7) {
                uint32_t more = static_cast<uint8_t>(*p++);
                len |= (more & 0x7f) << shift;
                if (more <= 0x7f) {
                    break;
                }
            }
        }
        return Slice(p, len);
    }

    static uint64_t sequence(const Slice &key) {
        uint64_t footer;
        memcpy(&footer, key.data() + key.size() - FOOTER, FOOTER);
        return le64toh(footer) >> 8;
    }

    static int compare(const Slice &a, const Slice &b) {
        int c = order(a.data(), a.size() - FOOTER, b.data(), b.size() - FOOTER);
        if (c != 0) {
            return c;
        }
        uint64_t x = sequence(a), y = sequence(b);
        return x > y ? -1 : x < y;
    }
};

// RocksDB's skip list over such an order, of which there is one for all.
class OrderedSkipList : public rocksdb::SkipListFactory {
  public:
    explicit OrderedSkipList(const rocksdb::MemTableRep::KeyComparator &order) : order_(order) {}

    using MemTableRepFactory::CreateMemTableRep;
    rocksdb::MemTableRep *CreateMemTableRep(const rocksdb::MemTableRep::KeyComparator &,
                                            rocksdb::Allocator *allocator,
                                            const rocksdb::SliceTransform *transform,
                                            rocksdb::Logger *logger) override {
        return SkipListFactory::CreateMemTableRep(order_, allocator, transform, logger);
    }

  private:
    const rocksdb::MemTableRep::KeyComparator &order_;
};

template <int (*order)(const void *, size_t, const void *, size_t)>
void set_memtable(rocksdb_options_t *options) {
    static const auto *const compare = new MemtableOrder<order>; // outlives every database
    options->rep.memtable_factory = std::make_shared<OrderedSkipList>(*compare);
}

class Memtables : public rocksdb::EventListener {
  public:
    Memtables(const char *family, rocks_memtable_tell tell, void *state)
        : family_(family), tell_(tell), state_(state) {}

    void OnMemTableSealed(const rocksdb::MemTableInfo &info) override {
        pass_on(info.cf_name, ROCKS_MEMTABLE_SEALED);
    }
    void OnFlushBegin(rocksdb::DB *, const rocksdb::FlushJobInfo &info) override {
        pass_on(info.cf_name, ROCKS_FLUSH_BEGUN);
    }
    void OnFlushCompleted(rocksdb::DB *, const rocksdb::FlushJobInfo &info) override {
        pass_on(info.cf_name, ROCKS_FLUSH_ENDED);
    }

  private:
    void pass_on(const std::string &family, rocks_memtable_event event) const {
        if (family == family_) {
            tell_(state_, event);
        }
    }

    const std::string family_;
    const rocks_memtable_tell tell_;
    void *const state_;
};

class Overwritten : public rocksdb::SliceTransform {
  public:
    Overwritten(uint8_t first, size_t len) : first_(first), len_(len) {}

    const char *Name() const override { return "skein.overwritten"; }
    Slice Transform(const Slice &key) const override { return key; }
    bool InDomain(const Slice &key) const override {
        return key.size() == len_ && static_cast<uint8_t>(key[0]) == first_;
    }

  private:
    uint8_t first_;
    size_t len_;
};

void compact_file(rocksdb::DB *db, rocksdb::ColumnFamilyHandle *cf,
                  const rocksdb::SstFileMetaData &file) {
    rocksdb::CompactRangeOptions options;
    options.exclusive_manual_compaction = false;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
    Slice first(file.smallestkey), last(file.largestkey);
    rocksdb::Status ignored = db->CompactRange(options, cf, &first, &last);
    ignored.PermitUncheckedError(); // whoever asks counts again
}

class Keys : public rocksdb::WriteBatch::Handler {
  public:
    Keys(uint32_t cf, void (*fn)(void *, const uint8_t *, size_t), void *arg)
        : cf_(cf), fn_(fn), arg_(arg) {}

    rocksdb::Status PutCF(uint32_t cf, const Slice &key, const Slice &) override {
        return tell(cf, key);
    }
    rocksdb::Status DeleteCF(uint32_t cf, const Slice &key) override { return tell(cf, key); }
    rocksdb::Status SingleDeleteCF(uint32_t cf, const Slice &key) override {
        return tell(cf, key);
    }
    rocksdb::Status DeleteRangeCF(uint32_t cf, const Slice &first, const Slice &end) override {
        tell(cf, first).PermitUncheckedError();
        return tell(cf, end);
    }

  private:
    rocksdb::Status tell(uint32_t cf, const Slice &key) {
        if (cf == cf_) {
            fn_(arg_, reinterpret_cast<const uint8_t *>(key.data()), key.size());
        }
        return rocksdb::Status::OK();
    }

    uint32_t cf_;
    void (*fn_)(void *, const uint8_t *, size_t);
    void *arg_;
};

class Append : public rocksdb::WriteBatch::Handler {
  public:
    using Status = rocksdb::Status;

    Append(rocksdb::WriteBatch *to, rocksdb_column_family_handle_t *const *families, size_t count)
        : to_(to), families_(families), count_(count) {}

    Status PutCF(uint32_t cf, const Slice &key, const Slice &value) override {
        return to_->Put(family(cf), key, value);
    }
    Status DeleteCF(uint32_t cf, const Slice &key) override {
        return to_->Delete(family(cf), key);
    }
    Status SingleDeleteCF(uint32_t cf, const Slice &key) override {
        return to_->SingleDelete(family(cf), key);
    }
    Status DeleteRangeCF(uint32_t cf, const Slice &first, const Slice &end) override {
        return to_->DeleteRange(family(cf), first, end);
    }

  private:
    rocksdb::ColumnFamilyHandle *family(uint32_t cf) const {
        size_t i = 0;
        while (i + 1 < count_ && families_[i]->rep->GetID() != cf) {
            i++;
        }
        return families_[i]->rep;
    }

    rocksdb::WriteBatch *to_;
    rocksdb_column_family_handle_t *const *families_;
    size_t count_;
};

} // namespace

void rocks_shim_batch_append(rocksdb_writebatch_t *to, rocksdb_writebatch_t *from,
                             rocksdb_column_family_handle_t *const *families, size_t count) {
    Append append(&to->rep, families, count);
    rocksdb::Status ignored = from->rep.Iterate(&append);
    ignored.PermitUncheckedError(); // there is no bound that it could meet
}

void rocks_shim_batch_keys(rocksdb_writebatch_t *batch, rocksdb_column_family_handle_t *cf,
                           void (*fn)(void *arg, const uint8_t *key, size_t len), void *arg) {
    Keys keys(cf->rep->GetID(), fn, arg);
    rocksdb::Status ignored = batch->rep.Iterate(&keys);
    ignored.PermitUncheckedError(); // it holds nothing else
}

uint64_t rocks_shim_range_deletions(rocksdb_t *db, rocksdb_column_family_handle_t *cf,
                                    bool compact) {
    rocksdb::TablePropertiesCollection properties;
    rocksdb::ColumnFamilyMetaData family;
    uint64_t count = 0;
    if (!db->rep->GetPropertiesOfAllTables(cf->rep, &properties).ok()) {
        return 1; // not known: as if there were
    }
    db->rep->GetColumnFamilyMetaData(cf->rep, &family);
    for (const auto &level : family.levels) {
        for (const auto &file : level.files) {
            auto found = properties.find(file.db_path + file.name);
            if (found != properties.end() && found->second->num_range_deletions == 0) {
                continue;
            }
            count++;
            if (compact) {
                compact_file(db->rep, cf->rep, file);
            }
        }
    }
    return count;
}

void rocks_shim_watch_memtables(rocksdb_options_t *options, const char *family,
                                rocks_memtable_tell tell, void *state) {
    options->rep.listeners.push_back(std::make_shared<Memtables>(family, tell, state));
}

void rocks_shim_cache_flushed(rocksdb_options_t *options) {
    using Table = rocksdb::BlockBasedTableOptions;
    Table *table = options->rep.table_factory->GetOptions<Table>();
    if (table != nullptr) {
        table->prepopulate_block_cache = Table::PrepopulateBlockCache::kFlushOnly;
    }
}

void rocks_shim_set_data_order(rocksdb_options_t *options) {
    static const DataOrder *const order = new DataOrder; // outlives every database
    options->rep.comparator = order;
    set_memtable<data_key_order>(options);
}

void rocks_shim_set_plain_order(rocksdb_options_t *options) {
    set_memtable<plain_key_order>(options);
}

void rocks_shim_set_overwritten(rocksdb_options_t *options, uint8_t first, size_t len) {
    options->rep.memtable_insert_with_hint_prefix_extractor =
        std::make_shared<Overwritten>(first, len);
}

void rocks_shim_set_filter(rocksdb_options_t *options, const rocks_filter_ops *ops, void *state) {
    CompactionFilterFactory *factory = new Factory(ops, state);
    rocksdb_options_set_compaction_filter_factory(
        options, reinterpret_cast<rocksdb_compactionfilterfactory_t *>(factory));
}
