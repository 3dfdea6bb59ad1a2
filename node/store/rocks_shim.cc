// Adapters from C callbacks to RocksDB's virtual classes; see rocks_shim.h.
//
// The C API hands a factory over as a rocksdb_compactionfilterfactory_t, which is a class derived
// from CompactionFilterFactory; all it does with one is to put it into a shared_ptr of the base
// class. So any factory may be passed in its place. Its handles of databases and families are
// structs of one pointer; its options are a struct of RocksDB's.
#include "node/store/rocks_shim.h"

#include <rocksdb/compaction_filter.h>
#include <rocksdb/db.h>
#include <rocksdb/metadata.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/table_properties.h>

#include <memory>
#include <string>

struct rocksdb_t {
    rocksdb::DB *rep;
};
struct rocksdb_column_family_handle_t {
    rocksdb::ColumnFamilyHandle *rep;
};
struct rocksdb_options_t {
    rocksdb::Options rep;
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

void compact_file(rocksdb::DB *db, rocksdb::ColumnFamilyHandle *cf,
                  const rocksdb::SstFileMetaData &file) {
    rocksdb::CompactRangeOptions options;
    options.exclusive_manual_compaction = false;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
    Slice first(file.smallestkey), last(file.largestkey);
    rocksdb::Status ignored = db->CompactRange(options, cf, &first, &last);
    ignored.PermitUncheckedError(); // whoever asks counts again
}

} // namespace

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

void rocks_shim_cache_flushed(rocksdb_options_t *options) {
    using Table = rocksdb::BlockBasedTableOptions;
    Table *table = options->rep.table_factory->GetOptions<Table>();
    if (table != nullptr) {
        table->prepopulate_block_cache = Table::PrepopulateBlockCache::kFlushOnly;
    }
}

void rocks_shim_set_filter(rocksdb_options_t *options, const rocks_filter_ops *ops, void *state) {
    CompactionFilterFactory *factory = new Factory(ops, state);
    rocksdb_options_set_compaction_filter_factory(
        options, reinterpret_cast<rocksdb_compactionfilterfactory_t *>(factory));
}
