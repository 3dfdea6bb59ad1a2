/* Many new keys at once: what lies between two existing keys need not be looked for.
 *
 * One seek in total order finds the next existing key; all asked keys before it have no version. A
 * load into an empty part of the key space costs one seek; where existing keys lie between the new
 * ones point reads, which filters answer, are cheaper: the walk ends when it does not pay. It never
 * leaves the block cache: what is not there is left to the point reads as well; nor the stretch
 * from the first key to the last, behind which a table may have been deleted. */
#include "node/mvcc/mvcc.h"

enum { TRIES = 4, GAIN_MIN = 8 }; /* keys settled by a seek, on average, after the first seeks */

db_err mvcc_absent(struct engine *e, const struct slice *keys, size_t count, size_t *ret_count)
{
    struct engine_iter_opts opts = {.tier = ENGINE_CACHED};
    struct engine_iter *it = NULL;
    struct buf at, first, end;
    size_t settled = 0;
    db_err err = ERR_OK;
    if (count == 0) {
        *ret_count = 0;
        return ERR_OK;
    }
    buf_init(&at, SIZE_MAX);
    buf_init(&first, SIZE_MAX);
    buf_init(&end, SIZE_MAX);
    TRY_GOTO(data_key_set(&first, keys[0], TS_MAX), out);
    TRY_GOTO(data_key_set(&end, keys[count - 1], 0), out); /* nothing has been committed at 0 */
    opts.lower = buf_slice(&first);
    opts.upper = buf_slice(&end);
    TRY_GOTO(engine_iter_open(e, ENGINE_DATA, &opts, &it), out);
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
    buf_fini(&end);
    buf_fini(&first);
    buf_fini(&at);
    if (err != ERR_OK && err != ERR_WOULD_BLOCK) {
        return err;
    }
    *ret_count = settled;
    return ERR_OK;
}
