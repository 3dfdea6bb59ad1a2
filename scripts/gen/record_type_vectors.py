#!/usr/bin/env python3
"""Records what MySQL answers about conversions, for the tests of sql/types.

    record_type_vectors.py HOST PORT OUT_DIR        (needs pymysql)

Files are tab-separated; \\t \\n \\\\ are escaped, \\N is NULL. A value is kind and text: int, uint, double, decimal, str, date,
datetime, time.
decimal.txt    operation, a, b, result            (decimal arithmetic through expressions on DECIMAL columns)
double.txt     bits, text                         (DOUBLE and FLOAT to text)
cast.txt       kind, text, target, result, warnings (number:text, joined by |)
store.txt      strict 0/1, kind, text, column type, result, warnings; strict errors as the one warning, result \\N
interval.txt   datetime, interval text, unit, result of +, result of -
format.txt     datetime, format, result;  str_to_date.txt  text, format, result
types.txt      definition, COLUMN_TYPE, DATA_TYPE, wire type, length, decimals, collation id, flags
diff.txt       unit, a, b, TIMESTAMPDIFF;  week.txt  date, mode, WEEK, YEARWEEK, TO_DAYS, WEEKDAY
"""
import os
import random
import struct
import sys

import pymysql

INTS = ["0", "1", "-1", "12", "127", "128", "-128", "-129", "255", "256", "32768", "-32769", "65536", "8388607", "8388608", "16777216",
        "2147483647", "2147483648", "-2147483649", "4294967295", "4294967296", "9223372036854775807",
        "-9223372036854775808", "70", "69", "99", "1901", "2155", "2156", "1900", "20240131", "20241331", "240131",
        "20240131123456", "101", "100", "8385959", "8390000", "1234567", "236060", "-10000", "99999", "123456789"]
UINTS = ["9223372036854775808", "18446744073709551615"]
DOUBLES = ["0e0", "1e0", "-1e0", "0.5e0", "1.5e0", "2.5e0", "-2.5e0", "0.05e0", "1.005e0", "99.995e0", "1e15", "1e16", "1e-5", "123456.789e0",
           "1e20", "-1e20", "1e100", "1.7976931348623157e308", "0.1e0", "20240131e0", "20240131123456.5e0", "9.3e18", "1.9e19", "12345678.9e0"]
DECIMALS = ["0.0", "0.5", "-0.5", "1.5", "2.5", "-2.5", "1.005", "12.345", "99.995", "999.95", "1234567.891", "99999999999999999999",
            "-99999999999999999999.5", "9223372036854775807.4", "9223372036854775807.5", "18446744073709551615.4",
            "20240131.0", "20240131123456.789", "101112.75", "123456789012345678901234567890.123456789", "0.004", "-0.004", "1901.5"]
STRS = ["", " ", "0", "1", "-1", "12", " 12", "12 ", "12abc", "abc", "1.5", "1.5abc", "-2.5", "1e3", "1e400", "-1e400", "1e-400", ".5", "5.", "+7", "--7",
        "0x1F", "99999999999999999999", "-99999999999999999999", "9223372036854775808", "18446744073709551615", "18446744073709551616",
        "127", "128", "255", "256", "99.995", "999.95", "1.005", "1.000000", "1.50 ", "1,5", "inf", "nan", "1e3x", "1.5.5",
        "2024-01-31", "2024-01-31 12:34:56", "2024-01-31 12:34:56.789", "2024-01-31 12:34:56.123456789", "24-1-2", "70-01-01",
        "20240131", "20240131123456", "240131", "2024/01/31", "2024-02-30", "2024-00-10", "0000-00-00", "0000-00-00 00:00:00",
        "2024-13-01", "2024-01-31 25:00:00", "2024-01-31abc", "2024-01-31 12:34:56abc", "2024-01-31T12:34:56", "10000-01-01",
        "9999-12-31 23:59:59.9", "2024-01-31 12:34:56+02:00", "1969-12-31 23:59:59", "1970-01-01 00:00:00", "1970-01-01 00:00:01",
        "2038-01-19 03:14:07", "2038-01-19 03:14:08", "12:34:56", "12:34", "-12:34:56.789", "1 10:00", "-34 22:59:59", "34 23:00:00",
        "838:59:59", "838:59:59.9", "839:00:00", "-839:00:00", "12:60:00", "12:34:60", "123456", "1234", "12:34:56.9999999", "12:34:56abc", "1:2:3",
        "99", "69", "70", "1901", "2155", "2156", "1900", "00", "0000", "2024x", "a", "b", "A", "a,b", "b,a,a", "c", "a,c", "x", "héllo wörld", "日本語", "abc  ",
        "aaaaaaaaaaaaaaaaaaaaaaaaa", "2024-01-31 12", "2024--01-31", "2024.01.31", " 2024-01-31", "3", "4", "1 2"]
DATES = ["2024-01-31", "0001-01-01", "9999-12-31"]
DATETIMES = ["2024-01-31 12:34:56", "2024-01-31 12:34:56.789000", "1999-12-31 23:59:59.999999", "2040-01-01 00:00:00"]
TIMES = ["12:34:56", "-12:34:56.789000", "838:59:59", "00:00:00.500000", "100:00:00"]
CASTS = ["signed", "unsigned", "double", "float", "decimal(10,2)", "decimal(5,1)", "decimal(65,30)", "char", "char(3)", "binary", "binary(3)",
         "date", "datetime", "datetime(3)", "time", "time(2)", "year"]
COLUMNS = ["tinyint", "tinyint unsigned", "smallint", "mediumint unsigned", "int", "int unsigned", "bigint", "bigint unsigned", "decimal(5,2)",
           "decimal(10,0)", "decimal(5,2) unsigned", "decimal(65,30)", "float", "double", "float(7,2)", "double(8,3)", "double unsigned", "bit(1)", "bit(8)", "bit(64)",
           "date", "datetime", "datetime(3)", "timestamp", "timestamp(2)", "time", "time(3)", "year", "char(5)", "varchar(5)", "varchar(40)",
           "binary(4)", "varbinary(4)", "tinytext", "blob", "enum('a','b','c d')", "set('a','b','c')", "varchar(5) character set latin1"]


def esc(v):
    if v is None:
        return "\\N"
    if isinstance(v, (bytes, bytearray)):
        v = v.decode("utf8", "surrogateescape")
    return str(v).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\0", "\\0")


def values():
    for kind, items in (("int", INTS), ("uint", UINTS), ("double", DOUBLES), ("decimal", DECIMALS), ("str", STRS), ("date", DATES),
                        ("datetime", DATETIMES), ("time", TIMES)):
        for text in items:
            yield kind, text


def literal(kind, text):
    if kind == "str":
        return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
    if kind == "date":
        return "DATE'%s'" % text
    if kind == "datetime":
        return "TIMESTAMP'%s'" % text
    if kind == "time":
        return "TIME'%s'" % text
    return text


def warnings_of(k):
    k.execute("show warnings")
    return "|".join("%d:%s" % (int(w[1]), esc(w[2])) for w in k.fetchall())


def raw(k, sql):
    """The text of the first column, untouched by the driver's converters."""
    k.execute(sql)
    row = k.fetchone()
    return None if row is None else row[0]


def record_casts(k, out):
    for kind, text in values():
        for target in CASTS:
            try:
                r = raw(k, "select cast(%s as %s)" % (literal(kind, text), target))
                out.write("\t".join([kind, esc(text), target, esc(r), warnings_of(k)]) + "\n")
            except pymysql.err.MySQLError as e:
                out.write("\t".join([kind, esc(text), target, "\\N", "%d:%s" % (e.args[0], esc(e.args[1]))]) + "\n")


def record_stores(k, out):
    for col in COLUMNS:
        for strict in (0, 1):
            k.execute("set sql_mode = '%s'" % ("STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE" if strict else ""))
            k.execute("drop table if exists s")
            k.execute("create table s(c %s null)" % col)
            shown = "c+0" if col.startswith("bit") else "c"
            for kind, text in values():
                k.execute("truncate table s")
                try:
                    k.execute("insert into s values (%s)" % literal(kind, text))
                    w = warnings_of(k)
                    r = raw(k, "select %s from s" % shown)
                except pymysql.err.MySQLError as e:
                    w, r = "%d:%s" % (e.args[0], esc(e.args[1])), None
                out.write("\t".join([str(strict), kind, esc(text), col, esc(r), w]) + "\n")
    k.execute("set sql_mode = default")


def record_decimals(k, out):
    rng = random.Random(3)

    def number():
        digits = rng.choice([1, 2, 5, 9, 10, 18, 20, 30, 40, 60])
        s = "".join(rng.choice("0123456789") for _ in range(digits))
        scale = rng.randrange(0, min(30, digits) + 1)
        s = s[:digits - scale].lstrip("0") or "0"
        frac = "".join(rng.choice("0123456789") for _ in range(scale))
        return rng.choice(["", "-"]) + s + ("." + frac if frac else "")

    for _ in range(600):
        a, b = number(), number()
        for op in "+-*/%":
            try:
                r = raw(k, "select %s %s %s" % (a, op, b))
            except pymysql.err.MySQLError:
                continue
            out.write("\t".join([op, a, b, esc(r)]) + "\n")
        for n in (0, 2, -2, 5):
            out.write("\t".join(["round", a, str(n), esc(raw(k, "select round(%s, %d)" % (a, n)))]) + "\n")
            out.write("\t".join(["truncate", a, str(n), esc(raw(k, "select truncate(%s, %d)" % (a, n)))]) + "\n")
        out.write("\t".join(["cmp", a, b, esc(raw(k, "select (%s > %s) - (%s < %s)" % (a, b, a, b)))]) + "\n")
        out.write("\t".join(["double", a, "", esc(raw(k, "select %s + 0e0" % a))]) + "\n")


def record_doubles(k, out):
    rng = random.Random(4)
    k.execute("drop table if exists d")
    k.execute("create table d(d double, f float)")
    seen = []
    for _ in range(1500):
        r = rng.random()
        if r < 0.3:
            v = struct.unpack("<d", struct.pack("<Q", rng.getrandbits(64)))[0]
        elif r < 0.6:
            v = rng.uniform(-1, 1) * 10 ** rng.randrange(-25, 25)
        elif r < 0.8:
            v = round(rng.uniform(-1e6, 1e6), rng.randrange(6))
        else:
            v = float(rng.getrandbits(rng.randrange(1, 64))) / 2 ** rng.randrange(20)
        if v != v or v in (float("inf"), float("-inf")):
            continue
        seen.append(v)
    for v in seen:
        d = repr(v)
        f = d if 1e-37 < abs(v) < 3e38 else "0"
        k.execute("truncate table d")
        k.execute("insert into d values (%se0, %se0)" % (d, f) if "e" not in d else "insert into d values (%s, %s)" % (d, f if "e" in f else f + "e0"))
        k.execute("select d, f from d")
        row = k.fetchone()
        out.write("\t".join(["double", struct.pack(">d", v).hex(), esc(row[0])]) + "\n")
        out.write("\t".join(["float", struct.pack(">f", float(f)).hex(), esc(row[1])]) + "\n")


UNITS = ["YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND", "MICROSECOND", "YEAR_MONTH", "DAY_HOUR", "DAY_MINUTE", "DAY_SECOND",
         "HOUR_MINUTE", "HOUR_SECOND", "MINUTE_SECOND", "DAY_MICROSECOND", "HOUR_MICROSECOND", "MINUTE_MICROSECOND", "SECOND_MICROSECOND"]


def record_temporal(k, base):
    rng = random.Random(5)
    stamps = ["2024-01-31 12:34:56.789000", "2023-12-31 23:59:59.999999", "2024-02-29 00:00:00.000000", "0001-01-01 00:00:00.000000",
              "9999-12-31 23:59:59.000000", "1970-01-01 00:00:01.000000", "2000-03-01 06:07:08.000009", "1999-05-10 11:00:00.000000"]
    for _ in range(30):
        stamps.append("%04d-%02d-%02d %02d:%02d:%02d.%06d" % (rng.randrange(1, 9999), rng.randrange(1, 13), rng.randrange(1, 29), rng.randrange(24),
                                                              rng.randrange(60), rng.randrange(60), rng.randrange(1000000)))
    texts = ["1", "-1", "13", "100", "1000000", "1.5", "-2.75", "1:2", "1 2", "1:30:45", "1 2:3:4", "-1 10:20:30.5", "1.000001", "abc", "", "3-4", "12.3456789", "0", "99999999999"]
    with open(os.path.join(base, "interval.txt"), "w") as f, open(os.path.join(base, "extract.txt"), "w") as g:
        for i, s in enumerate(stamps[:14]):
            for u in UNITS:
                for t in texts:
                    # both sides in one type: DATETIME(6)
                    k.execute("select cast(timestamp'%s' as datetime(6)) + interval '%s' %s, cast(timestamp'%s' as datetime(6)) - interval '%s' %s" % (s, t, u, s, t, u))
                    a, b = k.fetchone()
                    f.write("\t".join([s, t, u, esc(a), esc(b)]) + "\n")
        for s in stamps:
            for u in UNITS:
                g.write("\t".join([s, u, esc(raw(k, "select extract(%s from timestamp'%s')" % (u, s)))]) + "\n")
    with open(os.path.join(base, "diff.txt"), "w") as f:
        for _ in range(300):
            a, b = rng.choice(stamps), rng.choice(stamps)
            u = rng.choice(UNITS[:9])
            f.write("\t".join([u, a, b, esc(raw(k, "select timestampdiff(%s, timestamp'%s', timestamp'%s')" % (u, a, b)))]) + "\n")
    with open(os.path.join(base, "week.txt"), "w") as f:
        for _ in range(250):
            d = "%04d-%02d-%02d" % (rng.choice([1, 1970, 1999, 2000, 2008, 2015, 2020, 2021, 2024, 2026, 9998]),
                                    rng.choice([1, 1, 12, 12, 2, 6]), rng.choice([1, 2, 3, 4, 5, 6, 7, 15, 26, 27, 28]))
            for mode in range(8):
                k.execute("select week('%s', %d), yearweek('%s', %d), to_days('%s'), weekday('%s'), dayofweek('%s'), from_days(to_days('%s'))"
                          % (d, mode, d, mode, d, d, d, d))
                f.write("\t".join([d, str(mode)] + [esc(x) for x in k.fetchone()]) + "\n")
    with open(os.path.join(base, "format.txt"), "w") as f:
        for s in stamps:
            for fmt in ["%Y-%m-%d %H:%i:%s.%f", "%W %M %e %D %a %b %c %d", "%y %j %U %u %V %v %X %x %w", "%h %I %k %l %p %r %T %S", "100%% %q %", "%"]:
                f.write("\t".join([s, fmt, esc(raw(k, "select date_format(timestamp'%s', '%s')" % (s, fmt)))]) + "\n")
    with open(os.path.join(base, "str_to_date.txt"), "w") as f:
        for t, fmt in [("2024-01-31", "%Y-%m-%d"), ("31.1.2024", "%d.%c.%Y"), ("31 Jan 24", "%d %b %y"), ("January 5 2024", "%M %e %Y"), ("12:34:56", "%H:%i:%s"),
                       ("12:34:56 PM", "%r"), ("01:02:03 AM", "%h:%i:%s %p"), ("2024-01-31 12:34:56.123", "%Y-%m-%d %H:%i:%s.%f"), ("2024 31", "%Y %j"),
                       ("2024 060", "%Y %j"), ("2024-01-31x", "%Y-%m-%d"), ("2024-13-31", "%Y-%m-%d"), ("abc", "%Y"), ("2024 5 Monday", "%X %V %W"),
                       ("2024 5 1", "%x %v %w"), ("2024 5 Mon", "%Y %u %a"), ("2024 5 Mon", "%Y %U %a"), ("1st Feb 2024", "%D %b %Y"), ("20240131123456", "%Y%m%d%H%i%s"),
                       ("2024-01", "%Y-%m"), ("  2024-01-31", "%Y-%m-%d"), ("2024-01-31", "%Y-%m-%d %H:%i"), ("13:00 PM", "%h:%i %p"), ("foo 7 bar", "%@ %d %@"), ("2024-02-30", "%Y-%m-%d")]:
            k.execute("set sql_mode=''")
            f.write("\t".join([t, fmt, esc(raw(k, "select str_to_date('%s', '%s')" % (t, fmt)))]) + "\n")
        k.execute("set sql_mode=default")


TYPES = ["tinyint", "tinyint unsigned", "tinyint(1)", "smallint", "smallint unsigned", "mediumint", "mediumint unsigned", "int", "int unsigned", "int(5) unsigned zerofill",
         "bigint", "bigint unsigned", "decimal(10,0)", "decimal(10,2)", "decimal(10,2) unsigned", "decimal(65,30)", "float", "float unsigned", "float(7,2)", "double", "double(9,4)",
         "bit(1)", "bit(64)", "date", "time", "time(3)", "datetime", "datetime(6)", "timestamp", "timestamp(3)", "year", "char(10)", "varchar(20)", "varchar(20) collate utf8mb4_bin",
         "char(10) character set latin1", "binary(5)", "varbinary(10)", "tinytext", "text", "mediumtext", "longtext", "tinyblob", "blob", "mediumblob", "longblob", "text character set latin1",
         "enum('a','bcd','it''s')", "set('a','b','c')", "json", "geometry", "point", "vector(3)"]


def record_types(k, out):
    """definition, COLUMN_TYPE, DATA_TYPE, wire type, length, decimals, collation id, flags"""
    for t in TYPES:
        k.execute("drop table if exists ty")
        k.execute("create table ty(c %s null)" % t)
        k.execute("select column_type, data_type from information_schema.columns where table_schema = database() and table_name = 'ty'")
        text, data = k.fetchone()
        k.execute("select c from ty")
        f = k._result.fields[0]
        out.write("\t".join([t, esc(text), esc(data), str(f.type_code), str(f.length), str(f.scale), str(f.charsetnr), str(f.flags)]) + "\n")


def main():
    conn = pymysql.connect(host=sys.argv[1], port=int(sys.argv[2]), user="root", charset="utf8mb4", autocommit=True, conv={})
    k = conn.cursor()
    real = k.execute

    def patient(sql, *a):
        return real(sql, *a)

    k.execute = patient
    base = sys.argv[3]
    schema = "skein_record_%d" % os.getpid()
    k.execute("drop database if exists " + schema)
    k.execute("create database " + schema)
    k.execute("use " + schema)
    k.execute("set time_zone = '+00:00'")
    k.execute("set timestamp = 1706700000")
    only = sys.argv[4:] or ["cast", "store", "decimal", "double", "temporal", "types"]
    for name, fn in (("cast", record_casts), ("store", record_stores), ("decimal", record_decimals), ("double", record_doubles), ("types", record_types)):
        if name in only:
            with open(os.path.join(base, name + ".txt"), "w", encoding="utf8", errors="surrogateescape") as f:
                fn(k, f)
    if "temporal" in only:
        record_temporal(k, base)
    k.execute("drop database " + schema)


if __name__ == "__main__":
    main()
