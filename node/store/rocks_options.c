/* RocksDB's options: how the node's share of memory is divided, and what measured well.
 *
 * Memory: half for the block cache, a quarter for memtables (over all families; a flush starts when
 * it is used up), the last quarter for index and filter blocks, which live outside the cache and
 * are bounded by the number of open files. The prefix of a data key is the key without its
 * timestamp, so that one filter entry serves all versions of a row and a filter in the memtable
 * spares its search. */
#include "node/store/rocks_int.h"

#include <unistd.h>

#include "base/alloc.h"

enum {
    MEMORY_DEFAULT = 256 << 20,
    MEMORY_MIN = 32 << 20,
    SST_SIZE = 32 << 20,
    BLOCK_SIZE = 16 << 10, /* a scan pays for each block it enters, in the cache too */
    LEVELS = 7,
    LOG_FILE_SIZE = 1 << 20,
    INFO_LOG_NONE = 6, /* above all levels */
    MANUAL_FILES_MAX = 1 << 20,
};

static char *prefix_of(void *state UNUSED, const char *key, size_t len, size_t *ret_len)
{
    *ret_len = len - DATA_TS_SIZE;
    return (char *)(uintptr_t)key;
}

static unsigned char prefix_in_domain(void *state UNUSED, const char *key UNUSED, size_t len)
{
    return len >= DATA_TS_SIZE;
}

static unsigned char prefix_in_range(void *state UNUSED, const char *key UNUSED, size_t len UNUSED)
{
    return 0;
}

static const char *prefix_name(void *state UNUSED)
{
    return "skein.key.1";
}

static void no_destroy(void *state UNUSED)
{
}

static void set_table(struct rocks_engine *r, rocksdb_options_t *o, bool data)
{
    rocksdb_block_based_table_options_t *t = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_size(t, BLOCK_SIZE);
    rocksdb_block_based_options_set_block_restart_interval(t, 4); /* shorter walks in a block */
    rocksdb_block_based_options_set_block_cache(t, r->cache);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(t, 0);
    rocksdb_block_based_options_set_format_version(t, 5);
    rocksdb_block_based_options_set_filter_policy(t, rocksdb_filterpolicy_create_bloom_full(10.0));
    rocksdb_block_based_options_set_whole_key_filtering(t, !data);
    if (!data) {
        /* The hash index serves exact gets only, and needs the built-in order. */
        rocksdb_block_based_options_set_data_block_index_type(
            t, rocksdb_block_based_table_data_block_index_type_binary_search_and_hash);
        rocksdb_block_based_options_set_data_block_hash_ratio(t, 0.75);
    }
    rocksdb_options_set_block_based_table_factory(o, t);
    rocks_shim_cache_flushed(o);
    rocksdb_block_based_options_destroy(t); /* the factory keeps a copy */
}

static void set_family(struct rocks_engine *r, rocksdb_options_t *o, bool data, size_t memtable)
{
    int compression[LEVELS];
    for (int i = 0; i < LEVELS; i++) {
        compression[i] = i < 2 ? rocksdb_no_compression : rocksdb_lz4_compression;
    }
    rocksdb_options_set_num_levels(o, LEVELS);
    rocksdb_options_set_compression_per_level(o, compression, LEVELS);
    if (data) {
        rocksdb_options_set_bottommost_compression(o, rocksdb_zstd_compression);
    }
    rocksdb_options_set_level_compaction_dynamic_level_bytes(o, 1);
    rocksdb_options_set_target_file_size_base(o, SST_SIZE);
    rocksdb_options_set_max_bytes_for_level_base(o, ROCKS_BASE_SIZE);
    rocksdb_options_set_level0_file_num_compaction_trigger(o, ROCKS_L0_FILES);
    rocksdb_options_set_write_buffer_size(o, memtable);
    rocksdb_options_set_max_write_buffer_number(o, 4);
    rocksdb_options_set_arena_block_size(o, 256 << 10);
    rocksdb_options_set_memtable_whole_key_filtering(o, !data);
    rocksdb_options_set_memtable_prefix_bloom_size_ratio(o, 0.02);
    set_table(r, o, data);
    if (data) {
        rocks_shim_set_data_order(o);
        rocksdb_options_set_prefix_extractor(
            o, rocksdb_slicetransform_create(NULL, no_destroy, prefix_of, prefix_in_domain,
                                             prefix_in_range, prefix_name));
        rocks_shim_set_filter(o, &rocks__gc_ops, r);
    } else {
        rocks_shim_set_plain_order(o);
    }
}

static db_err base_options(const struct engine_opts *opts, size_t memtables, struct diag *diag,
                           rocksdb_options_t **ret_options)
{
    rocksdb_options_t *plain = rocksdb_options_create();
    rocksdb_options_t *o = rocksdb_options_create();
    char *text = NULL;
    /* What is kept in memory is lost on purpose by a crash, and written by an explicit flush on a
     * clean close; the C API has this option in string form only. */
    rocksdb_get_options_from_string(plain, "avoid_flush_during_shutdown=true", o, &text);
    rocksdb_options_destroy(plain);
    if (text != NULL) {
        rocksdb_options_destroy(o);
        return rocks__err(text, diag);
    }
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    long jobs = opts->jobs_max != 0 ? (long)opts->jobs_max : cores / 2;
    rocksdb_options_set_create_if_missing(o, 1);
    rocksdb_options_set_create_missing_column_families(o, 1);
    rocksdb_options_set_atomic_flush(o, 1);
    rocksdb_options_set_db_write_buffer_size(o, memtables);
    rocksdb_options_set_max_background_jobs(o, (int)(jobs < 2 ? 2 : jobs > 16 ? 16 : jobs));
    /* All files stay open (index and filter: about 3% of the data). An iterator of the cached tier
     * that meets a file which is not open, behind one with a deleted range in level 0, makes this
     * version of RocksDB free that deletion's iterator twice. */
    rocksdb_options_set_max_open_files(o, -1);
    rocksdb_options_set_max_file_opening_threads(o, 4);
    rocksdb_options_set_bytes_per_sync(o, 1 << 20);
    rocksdb_options_set_stats_dump_period_sec(o, 0);
    rocksdb_options_set_stats_persist_period_sec(o, 0);
    /* No lines into RocksDB's own log file: its logger ends the process (an assertion that Debian's
     * build keeps) when it cannot write to a full disk. Errors come back by the calls. */
    rocksdb_options_set_info_log_level(o, INFO_LOG_NONE);
    rocksdb_options_set_max_log_file_size(o, LOG_FILE_SIZE);
    rocksdb_options_set_keep_log_file_num(o, 2);
    rocksdb_options_set_paranoid_checks(o, 1);
    if (opts->manual) {
        rocksdb_options_set_disable_auto_compactions(o, 1);
        rocksdb_options_set_level0_slowdown_writes_trigger(o, MANUAL_FILES_MAX);
        rocksdb_options_set_level0_stop_writes_trigger(o, MANUAL_FILES_MAX);
    }
    *ret_options = o;
    return ERR_OK;
}

static rocksdb_readoptions_t *read_options(int tier)
{
    rocksdb_readoptions_t *ro = rocksdb_readoptions_create();
    rocksdb_readoptions_set_read_tier(ro, tier);
    rocksdb_readoptions_set_background_purge_on_iterator_cleanup(ro, 1);
    return ro;
}

rocksdb_readoptions_t *rocks__iter_options(enum engine_tier tier, bool one_key, bool bulk)
{
    static const int tiers[2] = {[ENGINE_CACHED] = 1, [ENGINE_ANY] = 0};
    rocksdb_readoptions_t *ro = read_options(tiers[tier]);
    rocksdb_readoptions_set_prefix_same_as_start(ro, one_key);
    rocksdb_readoptions_set_total_order_seek(ro, !one_key);
    rocksdb_readoptions_set_fill_cache(ro, !bulk);
    rocksdb_readoptions_set_ignore_range_deletions(ro, tier == ENGINE_CACHED);
    return ro;
}

static void make_read_options(struct rocks_read_options *read)
{
    for (int tier = 0; tier < 2; tier++) {
        read->get[tier] = read_options(tier == ENGINE_CACHED ? 1 : 0);
        for (int one_key = 0; one_key < 2; one_key++) {
            for (int bulk = 0; bulk < 2; bulk++) {
                read->iter[tier][one_key][bulk] =
                    rocks__iter_options((enum engine_tier)tier, one_key != 0, bulk != 0);
            }
        }
    }
    read->persisted = read_options(2);
}

db_err rocks__options_make(struct rocks_engine *r, const struct engine_opts *opts)
{
    size_t memory = opts->memory_size != 0 ? opts->memory_size : MEMORY_DEFAULT;
    if (memory < MEMORY_MIN) {
        memory = MEMORY_MIN;
    }
    size_t memtables = memory / 4;
    /* Half a share each: a full memtable can be flushed while the next one fills. */
    size_t memtable = memtables / 2;
    if (opts->memtable_size_max != 0 && opts->memtable_size_max < memtable) {
        memtable = opts->memtable_size_max;
    }
    r->cache = rocksdb_cache_create_lru(memory / 2);
    r->disk = rocks_disk_new(opts->memtable_size_max, rocks__flush_told, r);
    for (size_t i = 0; i <= ENGINE_CF_COUNT; i++) {
        TRY(base_options(opts, memtables, NULL, &r->options[i]));
        set_family(r, r->options[i], i == 1 + ENGINE_DATA, memtable);
        rocks_disk_use(r->disk, r->options[i]);
    }
    rocks_shim_watch_memtables(r->options[0], ROCKS_DATA_FAMILY, rocks__sample_told, &r->sample);
    /* With every batch goes the applied index of its range. */
    rocks_shim_set_overwritten(r->options[1 + ENGINE_LOCAL], LOCAL_RANGE, LOCAL_RANGE_KEY_SIZE);
    make_read_options(&r->read);
    for (int i = 0; i < 2; i++) {
        r->write[i] = rocksdb_writeoptions_create();
        rocksdb_writeoptions_disable_WAL(r->write[i], 1);
        rocksdb_writeoptions_set_no_slowdown(r->write[i], i == 0);
    }
    r->compact_options = rocksdb_compactoptions_create();
    rocksdb_compactoptions_set_exclusive_manual_compaction(r->compact_options, 0);
    rocksdb_compactoptions_set_bottommost_level_compaction(r->compact_options, 2); /* force */
    return ERR_OK;
}

static void destroy_read(rocksdb_readoptions_t *ro)
{
    if (ro != NULL) {
        rocksdb_readoptions_destroy(ro);
    }
}

void rocks__options_free(struct rocks_engine *r)
{
    for (int tier = 0; tier < 2; tier++) {
        destroy_read(r->read.get[tier]);
        for (int i = 0; i < 4; i++) {
            destroy_read(r->read.iter[tier][i / 2][i % 2]);
        }
        if (r->write[tier] != NULL) {
            rocksdb_writeoptions_destroy(r->write[tier]);
        }
    }
    destroy_read(r->read.persisted);
    if (r->compact_options != NULL) {
        rocksdb_compactoptions_destroy(r->compact_options);
    }
    for (size_t i = 0; i <= ENGINE_CF_COUNT; i++) {
        if (r->options[i] != NULL) {
            rocksdb_options_destroy(r->options[i]);
        }
    }
    if (r->cache != NULL) {
        rocksdb_cache_destroy(r->cache);
    }
    rocks_disk_free(r->disk);
}
