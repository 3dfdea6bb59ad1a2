#include "wire/auth/handshake.h"

#include "base/rand.h"
#include "wire/net/net.h"
#include "wire/net/reader.h"

enum { SHORT_SIZE = 32, RESERVED_SIZE = 23 };

uint32_t handshake_server_caps(bool tls)
{
    uint32_t caps = CAP_LONG_PASSWORD | CAP_FOUND_ROWS | CAP_LONG_FLAG | CAP_CONNECT_WITH_DB |
                    CAP_NO_SCHEMA | CAP_COMPRESS | CAP_ODBC | CAP_LOCAL_FILES | CAP_IGNORE_SPACE |
                    CAP_PROTOCOL_41 | CAP_INTERACTIVE | CAP_IGNORE_SIGPIPE | CAP_TRANSACTIONS |
                    CAP_RESERVED | CAP_SECURE_CONNECTION | CAP_MULTI_STATEMENTS |
                    CAP_MULTI_RESULTS | CAP_PS_MULTI_RESULTS | CAP_PLUGIN_AUTH | CAP_CONNECT_ATTRS |
                    CAP_PLUGIN_AUTH_LENENC | CAP_EXPIRED_PASSWORDS | CAP_SESSION_TRACK |
                    CAP_DEPRECATE_EOF | CAP_OPTIONAL_METADATA | CAP_ZSTD_COMPRESSION |
                    CAP_QUERY_ATTRIBUTES | CAP_REMEMBER_OPTIONS;
    return tls ? caps | CAP_SSL | CAP_SSL_VERIFY : caps;
}

db_err handshake_make_nonce(uint8_t ret_nonce[NONCE_SIZE + 1])
{
    uint8_t bytes[NONCE_SIZE];
    TRY(rand_secure(bytes, sizeof(bytes)));
    for (int i = 0; i < NONCE_SIZE; i++) {
        uint8_t b = bytes[i] & 0x7f;
        ret_nonce[i] = b == 0 || b == '$' ? (uint8_t)(b + 1) : b;
    }
    ret_nonce[NONCE_SIZE] = 0;
    return ERR_OK;
}

db_err handshake_put_greeting(struct conn *c, const char *version)
{
    enum { FIRST_PART = 8, STATUS_AUTOCOMMIT = 2, RESERVED = 10 };
    struct packet_out *o = &c->out;
    uint32_t caps = handshake_server_caps(c->loop->net->tls != NULL);
    TRY(handshake_make_nonce(c->nonce));
    TRY(conn_begin(c));
    TRY(put_u8(o, 10));
    TRY(put_cstr(o, slice_str(version)));
    TRY(put_uint(o, c->id, 4));
    TRY(put_bytes(o, slice_of(c->nonce, FIRST_PART)));
    TRY(put_u8(o, 0));
    TRY(put_uint(o, caps & 0xffff, 2));
    TRY(put_u8(o, CHARSET_DEFAULT));
    TRY(put_uint(o, STATUS_AUTOCOMMIT, 2));
    TRY(put_uint(o, caps >> 16, 2));
    TRY(put_u8(o, NONCE_SIZE + 1));
    TRY(put_zeros(o, RESERVED));
    TRY(put_bytes(o, slice_of(c->nonce + FIRST_PART, NONCE_SIZE + 1 - FIRST_PART)));
    TRY(put_cstr(o, SLICE_LIT("caching_sha2_password")));
    return packet_out_finish(o);
}

enum login_kind handshake_parse(struct slice packet, uint32_t server_caps,
                                struct login_packet *ret_login)
{
    struct reader r = reader_of(packet);
    struct login_packet l = {0};
    if (packet.len < 2) {
        return LOGIN_BAD;
    }
    if (((packet.ptr[0] | (uint32_t)packet.ptr[1] << 8) & CAP_PROTOCOL_41) == 0) {
        enum { OLD_HEAD = 5 };
        (void)read_bytes(&r, OLD_HEAD);
        (void)read_cstr(&r);
        (void)read_cstr(&r);
        return r.bad ? LOGIN_BAD_OLD : LOGIN_OLD;
    }
    l.caps = read_u32(&r);
    l.max_packet = read_u32(&r);
    l.charset = read_u8(&r);
    (void)read_bytes(&r, RESERVED_SIZE);
    if (r.bad) {
        return LOGIN_BAD;
    }
    uint32_t caps = l.caps & server_caps;
    if (packet.len == SHORT_SIZE && (caps & CAP_SSL) != 0) {
        *ret_login = l;
        return LOGIN_TLS;
    }
    l.user = read_cstr(&r);
    if ((caps & CAP_PLUGIN_AUTH_LENENC) != 0) {
        l.response = read_lenenc_bytes(&r);
    } else if ((caps & CAP_SECURE_CONNECTION) != 0) {
        l.response = read_bytes(&r, read_u8(&r));
    } else {
        l.response = read_cstr(&r);
    }
    if ((caps & CAP_CONNECT_WITH_DB) != 0) {
        l.schema = read_cstr(&r);
    }
    if (r.bad) {
        return LOGIN_BAD;
    }
    /* What follows may be cut short by old clients: taken as far as it goes. */
    if ((caps & CAP_PLUGIN_AUTH) != 0 && reader_left(&r) > 0) {
        const uint8_t *zero = memchr(r.pos, 0, reader_left(&r));
        l.plugin = zero == NULL ? read_rest(&r) : read_cstr(&r);
    }
    if ((caps & CAP_CONNECT_ATTRS) != 0 && reader_left(&r) > 0) {
        l.attributes = read_lenenc_bytes(&r);
    }
    if ((caps & CAP_ZSTD_COMPRESSION) != 0 && reader_left(&r) > 0) {
        l.zstd_level = read_u8(&r);
    }
    *ret_login = l;
    return r.bad ? LOGIN_BAD : LOGIN_OK;
}

bool handshake_parse_change_user(struct slice packet, uint32_t caps, uint16_t *ret_charset,
                                 struct login_packet *ret_login)
{
    struct reader r = reader_of(packet);
    struct login_packet l = {.caps = caps};
    uint16_t charset = CHARSET_DEFAULT;
    l.user = read_cstr(&r);
    l.response = read_bytes(&r, read_u8(&r));
    l.schema = read_cstr(&r);
    if (r.bad) {
        return false;
    }
    if (reader_left(&r) >= 2) {
        charset = read_u16(&r);
    }
    if ((caps & CAP_PLUGIN_AUTH) != 0 && reader_left(&r) > 0) {
        l.plugin = read_cstr(&r);
    }
    if ((caps & CAP_CONNECT_ATTRS) != 0 && reader_left(&r) > 0) {
        l.attributes = read_lenenc_bytes(&r);
    }
    if (r.bad) {
        return false;
    }
    *ret_charset = charset;
    *ret_login = l;
    return true;
}
