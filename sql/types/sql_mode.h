/* Bits of sql_mode, with MySQL's numbers. */
#ifndef SKEIN_SQL_TYPES_SQL_MODE_H
#define SKEIN_SQL_TYPES_SQL_MODE_H

#define SQL_MODE_REAL_AS_FLOAT              (1ull << 0)
#define SQL_MODE_PIPES_AS_CONCAT            (1ull << 1)
#define SQL_MODE_ANSI_QUOTES                (1ull << 2)
#define SQL_MODE_IGNORE_SPACE               (1ull << 3)
#define SQL_MODE_ONLY_FULL_GROUP_BY         (1ull << 5)
#define SQL_MODE_NO_UNSIGNED_SUBTRACTION    (1ull << 6)
#define SQL_MODE_NO_DIR_IN_CREATE           (1ull << 7)
#define SQL_MODE_ANSI                       (1ull << 18)
#define SQL_MODE_NO_AUTO_VALUE_ON_ZERO      (1ull << 19)
#define SQL_MODE_NO_BACKSLASH_ESCAPES       (1ull << 20)
#define SQL_MODE_STRICT_TRANS_TABLES        (1ull << 21)
#define SQL_MODE_STRICT_ALL_TABLES          (1ull << 22)
#define SQL_MODE_NO_ZERO_IN_DATE            (1ull << 23)
#define SQL_MODE_NO_ZERO_DATE               (1ull << 24)
#define SQL_MODE_ALLOW_INVALID_DATES        (1ull << 25)
#define SQL_MODE_ERROR_FOR_DIVISION_BY_ZERO (1ull << 26)
#define SQL_MODE_TRADITIONAL                (1ull << 27)
#define SQL_MODE_HIGH_NOT_PRECEDENCE        (1ull << 29)
#define SQL_MODE_NO_ENGINE_SUBSTITUTION     (1ull << 30)
#define SQL_MODE_PAD_CHAR_TO_FULL_LENGTH    (1ull << 31)
#define SQL_MODE_TIME_TRUNCATE_FRACTIONAL   (1ull << 32)
#define SQL_MODE_STRICT                     (SQL_MODE_STRICT_TRANS_TABLES | SQL_MODE_STRICT_ALL_TABLES)

#endif
