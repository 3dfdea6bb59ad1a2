/* Encoding of frames, first frames and error blocks: little-endian, fixed places, lengths checked.
 * What comes from the other side is never trusted: a decoder either gives a sound value or
 * ERR_CORRUPT. */
#include "rpc/conn/frame.h"

#include <string.h>

#include "base/assert.h"

static const uint8_t g_magic[8] = {'S', 'K', 'E', 'I', 'N', 'R', 'P', 'C'};

enum {
    HELLO_FIXED = 8 + 2 + 1 + 1 + 16 + 8 + 8 + 8 + 2,
    WELCOME_FIXED = 8 + 2 + 16 + 8 + 8,
    ERROR_FIXED = 4 + 2 + 6 + 4 + 8 + 2,
};

void rpc_frame_encode(const struct rpc_frame_head *head, uint8_t out[RPC_FRAME_HEAD])
{
    rpc_put_u32(out, head->size);
    out[4] = head->type;
    out[5] = head->flags;
    rpc_put_u16(out + 6, head->method);
    rpc_put_u64(out + 8, head->id);
    rpc_put_u32(out + 16, head->arg);
    rpc_put_u32(out + 20, head->header_size);
}

db_err rpc_frame_decode(const uint8_t in[RPC_FRAME_HEAD], size_t size_max,
                        struct rpc_frame_head *ret_head)
{
    struct rpc_frame_head h = {
        .size = rpc_get_u32(in),
        .type = in[4],
        .flags = in[5],
        .method = rpc_get_u16(in + 6),
        .id = rpc_get_u64(in + 8),
        .arg = rpc_get_u32(in + 16),
        .header_size = rpc_get_u32(in + 20),
    };
    bool sound = h.type >= RPC_FRAME_HELLO && h.type <= RPC_FRAME_STREAM_DONE &&
                 (h.flags & ~RPC_FLAGS_KNOWN) == 0 && h.size >= RPC_FRAME_HEAD &&
                 h.header_size <= h.size - RPC_FRAME_HEAD;
    if (h.size > size_max) {
        *ret_head = h;
        return ERR_LIMIT;
    }
    if (!sound) {
        return ERR_CORRUPT;
    }
    *ret_head = h;
    return ERR_OK;
}

size_t rpc_error_encode(db_err err, const struct diag *diag, uint8_t out[RPC_ERROR_BLOCK_MAX])
{
    static const struct diag none;
    if (diag == NULL || diag->err == ERR_OK) {
        diag = &none;
    }
    size_t len = strnlen(diag->text, RPC_ERROR_BLOCK_MAX - ERROR_FIXED);
    rpc_put_u32(out, rpc_err_number(err));
    rpc_put_u16(out + 4, diag->number);
    memcpy(out + 6, diag->sqlstate, 6);
    rpc_put_u32(out + 12, diag->position);
    rpc_put_u64(out + 16, diag->data);
    rpc_put_u16(out + 24, (uint16_t)len);
    memcpy(out + ERROR_FIXED, diag->text, len);
    return ERROR_FIXED + len;
}

db_err rpc_error_decode(struct slice in, struct diag *diag, db_err *ret_err, struct slice *ret_rest)
{
    if (in.len < ERROR_FIXED) {
        return ERR_CORRUPT;
    }
    size_t len = rpc_get_u16(in.ptr + 24);
    if (len > in.len - ERROR_FIXED || len > DIAG_TEXT_SIZE - 1) {
        return ERR_CORRUPT;
    }
    db_err err = rpc_err_of(rpc_get_u32(in.ptr));
    if (diag != NULL && err != ERR_OK) {
        diag_reset(diag);
        diag->err = err;
        diag->number = rpc_get_u16(in.ptr + 4);
        memcpy(diag->sqlstate, in.ptr + 6, 6);
        diag->sqlstate[5] = '\0';
        diag->position = rpc_get_u32(in.ptr + 12);
        diag->data = rpc_get_u64(in.ptr + 16);
        memcpy(diag->text, in.ptr + ERROR_FIXED, len);
        diag->text[len] = '\0';
    }
    *ret_err = err;
    *ret_rest = slice_from(in, ERROR_FIXED + len);
    return ERR_OK;
}

db_err rpc_hello_encode(const struct rpc_hello *hello, struct buf *out)
{
    uint8_t b[HELLO_FIXED];
    ASSERT(hello->token.len <= UINT16_MAX);
    memcpy(b, g_magic, 8);
    rpc_put_u16(b + 8, hello->version);
    b[10] = hello->kind;
    b[11] = hello->class;
    memcpy(b + 12, hello->cluster, 16);
    rpc_put_u64(b + 28, hello->node);
    rpc_put_u64(b + 36, hello->boot_id);
    rpc_put_u64(b + 44, hello->to_node);
    rpc_put_u16(b + 52, (uint16_t)hello->token.len);
    TRY(buf_append(out, b, sizeof(b)));
    return buf_append_slice(out, hello->token);
}

/* A later version may put more behind what we know. */
db_err rpc_hello_decode(struct slice in, struct rpc_hello *ret_hello)
{
    const uint8_t *b = in.ptr;
    if (in.len < HELLO_FIXED || memcmp(b, g_magic, 8) != 0) {
        return ERR_CORRUPT;
    }
    size_t token = rpc_get_u16(b + 52);
    if (token > in.len - HELLO_FIXED || b[10] > RPC_PEER_CTL || b[11] >= RPC_CLASS__COUNT) {
        return ERR_CORRUPT;
    }
    ret_hello->version = rpc_get_u16(b + 8);
    ret_hello->kind = b[10];
    ret_hello->class = b[11];
    memcpy(ret_hello->cluster, b + 12, 16);
    ret_hello->node = rpc_get_u64(b + 28);
    ret_hello->boot_id = rpc_get_u64(b + 36);
    ret_hello->to_node = rpc_get_u64(b + 44);
    ret_hello->token = slice_of(b + HELLO_FIXED, token);
    return ERR_OK;
}

db_err rpc_welcome_encode(const struct rpc_welcome *welcome, struct buf *out)
{
    uint8_t b[WELCOME_FIXED];
    memcpy(b, g_magic, 8);
    rpc_put_u16(b + 8, welcome->version);
    memcpy(b + 10, welcome->cluster, 16);
    rpc_put_u64(b + 26, welcome->node);
    rpc_put_u64(b + 34, welcome->boot_id);
    TRY(buf_append(out, b, sizeof(b)));
    return buf_append_slice(out, welcome->error);
}

db_err rpc_welcome_decode(struct slice in, struct rpc_welcome *ret_welcome)
{
    const uint8_t *b = in.ptr;
    if (in.len < WELCOME_FIXED || memcmp(b, g_magic, 8) != 0) {
        return ERR_CORRUPT;
    }
    ret_welcome->version = rpc_get_u16(b + 8);
    memcpy(ret_welcome->cluster, b + 10, 16);
    ret_welcome->node = rpc_get_u64(b + 26);
    ret_welcome->boot_id = rpc_get_u64(b + 34);
    ret_welcome->error = slice_from(in, WELCOME_FIXED);
    return ERR_OK;
}
