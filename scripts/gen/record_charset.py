#!/usr/bin/env python3
"""Records what only MySQL knows about its older character sets, for sql/charset/data/.

    record_charset.py HOST PORT DATA_DIR        (needs pymysql; makes and drops the schema skein_record)

Writes  unicode_case.txt  code point, upper and lower case of the 0900 collations, of all others, and the
                          general_ci weight ('-' where it is the code point itself)
        single_byte.txt   for each one-byte charset: bytes -> Unicode, upper, lower; for each collation of it with one
                          weight per byte: the 256 weights
        registry: collations.def and charsets.def go one level up (beside registry.c)
The files are committed; a build only reads them (charset_tables.py).
"""
import os
import sys

import pymysql

HEAD = "# Recorded from MySQL %s by scripts/gen/record_charset.py\n"


def first(hexed):
    return ord(bytes.fromhex(hexed).decode("utf8")[0])


def code_points(k):
    k.execute("create table cps(n int primary key)")
    k.execute("set cte_max_recursion_depth = 2000000")
    k.execute("insert into cps with recursive r as (select 0 as n union all select n + 1 from r"
              " where n < 131071) select n from r")
    k.execute("create table bytes(n int primary key, s varbinary(1))")
    k.execute("insert into bytes select n, unhex(lpad(hex(n), 2, '0')) from cps where n < 256")


def unicode_case(k):
    """A trailing letter gives UPPER and LOWER room: they never write more bytes than they read."""
    rows = {}
    for lo in range(0, 0x20000, 0x4000):
        src = ("(select n, convert(char(n using utf32) using utf8mb4) s from cps where n >= %d and n < %d"
               " and not (n between 0xd800 and 0xdfff)) q" % (lo, lo + 0x4000))
        k.execute("select n, hex(upper(concat(s, 'a') collate utf8mb4_0900_ai_ci)),"
                  " hex(lower(concat(s, 'a') collate utf8mb4_0900_ai_ci)),"
                  " hex(upper(concat(s, 'a') collate utf8mb4_general_ci)),"
                  " hex(lower(concat(s, 'a') collate utf8mb4_general_ci)),"
                  " hex(weight_string(s collate utf8mb4_general_ci)) from " + src)
        for n, *rest in k.fetchall():
            vals = [first(h) for h in rest[:4]] + [int(rest[4], 16)]
            if n > 0xffff:
                assert vals[4] == 0xfffd
                vals[4] = n
            if any(v != n for v in vals):
                rows[n] = vals
    return rows


def single_byte(k, out):
    k.execute("select character_set_name from information_schema.character_sets where maxlen = 1"
              " and character_set_name <> 'binary' order by 1")
    for (cs,) in k.fetchall():
        k.execute("select collation_name, id from information_schema.collations where character_set_name = %s"
                  " order by id", cs)
        colls = k.fetchall()
        k.execute("select hex(convert(convert(s using %s) using utf32)), hex(upper(convert(s using %s))),"
                  " hex(lower(convert(s using %s))) from bytes order by n" % (cs, cs, cs))
        rows = k.fetchall()
        out.write("charset %s\n" % cs)
        out.write("unicode " + " ".join("%X" % int(r[0] or "FFFD", 16) for r in rows) + "\n")
        out.write("upper " + " ".join(r[1] or "%02X" % i for i, r in enumerate(rows)) + "\n")
        out.write("lower " + " ".join(r[2] or "%02X" % i for i, r in enumerate(rows)) + "\n")
        for name, ident in colls:
            k.execute("select hex(weight_string(convert(s using %s) collate %s)) from bytes order by n" % (cs, name))
            w = [r[0] for r in k.fetchall()]
            if any(x is None or len(x) != 2 for x in w):
                if cs == "ascii":
                    w = [x if x else "%02X" % i for i, x in enumerate(w)]
                else:
                    continue
            out.write("collation %s %d %s\n" % (name, ident, " ".join(w)))


def registry(k, base, head):
    with open(os.path.join(base, "collations.def"), "w") as f:
        f.write("/* Every collation of MySQL, in order of id:\n"
                " * COLLATION(id, name, charset, is_default, is_compiled, sortlen, pad).\n"
                " * %s To add one: record it, then give it an implementation in implemented.def. */\n" % head[2:].strip())
        k.execute("select id, collation_name, character_set_name, is_default, is_compiled, sortlen, pad_attribute"
                  " from information_schema.collations order by id")
        for i, n, c, d, comp, s, p in k.fetchall():
            f.write("COLLATION(%d, %s, %s, %d, %d, %d, %s)\n" % (
                i, n, c, d == "Yes", comp == "Yes", s, "COLLATION_NO_PAD" if p == "NO PAD" else "COLLATION_PAD_SPACE"))
    with open(os.path.join(base, "charsets.def"), "w") as f:
        f.write("/* Every character set of MySQL in order of name:\n"
                " * CHARSET(name, default collation's id, minlen, maxlen, description).\n"
                " * %s */\n" % head[2:].strip())
        k.execute("select c.character_set_name, l.id, c.maxlen, c.description from information_schema.character_sets c"
                  " join information_schema.collations l on l.collation_name = c.default_collate_name order by 1")
        wide = {"ucs2": 2, "utf16": 2, "utf16le": 2, "utf32": 4}
        for n, i, m, d in k.fetchall():
            f.write('CHARSET(%s, %d, %d, %d, "%s")\n' % (n, i, wide.get(n, 1), m, d))


def main():
    host, port, data = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    conn = pymysql.connect(host=host, port=port, user="root", charset="utf8mb4", autocommit=True)
    k = conn.cursor()
    k.execute("select version()")
    head = HEAD % k.fetchone()[0]
    k.execute("drop database if exists skein_record")
    k.execute("create database skein_record")
    k.execute("use skein_record")
    try:
        code_points(k)
        with open(os.path.join(data, "unicode_case.txt"), "w") as f:
            f.write(head + "# cp upper900 lower900 upper lower general_ci_weight\n")
            for n, vals in sorted(unicode_case(k).items()):
                f.write("%X %s\n" % (n, " ".join("-" if v == n else "%X" % v for v in vals)))
        with open(os.path.join(data, "single_byte.txt"), "w") as f:
            f.write(head)
            single_byte(k, f)
        registry(k, os.path.join(data, ".."), head)
    finally:
        k.execute("drop database skein_record")


if __name__ == "__main__":
    main()
