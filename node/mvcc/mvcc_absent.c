/* Many new keys at once: what lies between two existing keys need not be looked for.
 *
 * One seek in total order finds the next existing key; all asked keys before it have no version. A
 * load into an empty part of the key space costs one seek; where existing keys lie between the new
 * ones point reads, which filters answer, are cheaper: the walk ends when it does not pay. It never
 * leaves the block cache: what is not there is left to the point reads as well. */
#include "node/mvcc/mvcc.h"

enum { TRIES = 4, GAIN_MIN = 8 }; /* keys settled by a seek, on average, after the first seeks */

db_err mvcc_absent(struct engine *e, const struct slice *keys, size_t count, size_t *ret_count)
{
    struct engine_iter_opts opts = {.tier = ENGINE_CACHED};
    struct engine_iter *it;
    struct buf at;
    size_t settled = 0;
    TRY(engine_iter_open(e, ENGINE_DATA, &opts, &it));
    buf_init(&at, SIZE_MAX);
    db_err err = ERR_OK;
    for (size_t seeks = 0; settled < count; seeks++) {
        if (seeks >= TRIES && settled < seeks * GAIN_MIN) {
            break;
        }
        TRY_GOTO(data_key_set(&at, keys[settled], TS_MAX), out);
        TRY_GOTO(engine_iter_seek(it, buf_slice(&at)), out);
        struct slice next = it->valid ? data_key_user(it->key) : SLICE_EMPTY;
        size_t before = settled;
        while (settled < count && (!it->valid || slice_cmp(keys[settled], next) < 0)) {
            settled++;
        }
        if (settled == before) { /* it has a version */
            break;
        }
    }
out:
    engine_iter_close(it);
    buf_fini(&at);
    if (err != ERR_OK && err != ERR_WOULD_BLOCK) {
        return err;
    }
    *ret_count = settled;
    return ERR_OK;
}
