/* Constants of the client/server protocol, as the public protocol documentation names them. */
#ifndef SKEIN_WIRE_NET_PROTOCOL_H
#define SKEIN_WIRE_NET_PROTOCOL_H

#include <stdint.h>

#define CAP_LONG_PASSWORD      (1u << 0)
#define CAP_FOUND_ROWS         (1u << 1)
#define CAP_LONG_FLAG          (1u << 2)
#define CAP_CONNECT_WITH_DB    (1u << 3)
#define CAP_NO_SCHEMA          (1u << 4)
#define CAP_COMPRESS           (1u << 5)
#define CAP_ODBC               (1u << 6)
#define CAP_LOCAL_FILES        (1u << 7)
#define CAP_IGNORE_SPACE       (1u << 8)
#define CAP_PROTOCOL_41        (1u << 9)
#define CAP_INTERACTIVE        (1u << 10)
#define CAP_SSL                (1u << 11)
#define CAP_IGNORE_SIGPIPE     (1u << 12)
#define CAP_TRANSACTIONS       (1u << 13)
#define CAP_RESERVED           (1u << 14)
#define CAP_SECURE_CONNECTION  (1u << 15)
#define CAP_MULTI_STATEMENTS   (1u << 16)
#define CAP_MULTI_RESULTS      (1u << 17)
#define CAP_PS_MULTI_RESULTS   (1u << 18)
#define CAP_PLUGIN_AUTH        (1u << 19)
#define CAP_CONNECT_ATTRS      (1u << 20)
#define CAP_PLUGIN_AUTH_LENENC (1u << 21)
#define CAP_EXPIRED_PASSWORDS  (1u << 22)
#define CAP_SESSION_TRACK      (1u << 23)
#define CAP_DEPRECATE_EOF      (1u << 24)
#define CAP_OPTIONAL_METADATA  (1u << 25)
#define CAP_ZSTD_COMPRESSION   (1u << 26)
#define CAP_QUERY_ATTRIBUTES   (1u << 27)
#define CAP_MULTI_FACTOR       (1u << 28)
#define CAP_EXTENSION          (1u << 29)
#define CAP_SSL_VERIFY         (1u << 30)
#define CAP_REMEMBER_OPTIONS   (1u << 31)

#define STATUS_MORE_RESULTS  0x0008u
#define STATUS_CURSOR_EXISTS 0x0040u
#define STATUS_STATE_CHANGED 0x4000u

enum {
    PACKET_HEADER_SIZE = 4,
    LOCAL_FILE_HEADER = 0xfb,      /* the server asks for a file */
    PACKET_PAYLOAD_MAX = 0xffffff, /* of one frame: a frame that full is followed by another */
    NONCE_SIZE = 20,
};

enum wire_type {
    TYPE_DECIMAL = 0,
    TYPE_TINY = 1,
    TYPE_SHORT = 2,
    TYPE_LONG = 3,
    TYPE_FLOAT = 4,
    TYPE_DOUBLE = 5,
    TYPE_NULL = 6,
    TYPE_TIMESTAMP = 7,
    TYPE_LONGLONG = 8,
    TYPE_INT24 = 9,
    TYPE_DATE = 10,
    TYPE_TIME = 11,
    TYPE_DATETIME = 12,
    TYPE_YEAR = 13,
    TYPE_NEWDATE = 14,
    TYPE_VARCHAR = 15,
    TYPE_BIT = 16,
    TYPE_TIMESTAMP2 = 17,
    TYPE_DATETIME2 = 18,
    TYPE_TIME2 = 19,
    TYPE_VECTOR = 242,
    TYPE_INVALID = 243,
    TYPE_BOOL = 244,
    TYPE_JSON = 245,
    TYPE_NEWDECIMAL = 246,
    TYPE_ENUM = 247,
    TYPE_SET = 248,
    TYPE_TINY_BLOB = 249,
    TYPE_MEDIUM_BLOB = 250,
    TYPE_LONG_BLOB = 251,
    TYPE_BLOB = 252,
    TYPE_VAR_STRING = 253,
    TYPE_STRING = 254,
    TYPE_GEOMETRY = 255,
};

#endif
