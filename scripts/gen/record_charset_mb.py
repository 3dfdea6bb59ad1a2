#!/usr/bin/env python3
"""Records MySQL's Asian character sets, for sql/charset/data/multi_byte.txt.

    record_charset_mb.py HOST PORT DATA_DIR        (needs pymysql; makes and drops the schema skein_record_mb)

Per character set, in lines of words:
    charset NAME
    unicode CODE CP CP ...   code points of CODE and of the codes after it; CODE is the bytes in hex, +N: N more, each
                             one higher than the one before
    back CP CODE             what a code point becomes where that is not the inverse of the above
    upper CODE CODE          case pairs beyond ASCII's (lower CODE CODE alike)
    weight CODE W W ...      weights of CODE and of the codes after it, where the default collation's weight is not the
                             code itself
Only codes that are well formed are named: lead and trail bytes stand in sql/charset/multi_byte.c too.
"""
import os
import sys

import pymysql


def rng(*pairs):
    return [b for lo, hi in pairs for b in range(lo, hi + 1)]


def two(lead, trail):
    return [bytes((a, b)) for a in lead for b in trail]


A1_FE = rng((0xA1, 0xFE))
SJIS = [bytes((b,)) for b in rng((0xA1, 0xDF))] + two(rng((0x81, 0x9F), (0xE0, 0xFC)), rng((0x40, 0x7E), (0x80, 0xFC)))
UJIS = two([0x8E], rng((0xA0, 0xDF))) + two(A1_FE, A1_FE) + [b"\x8f" + c for c in two(A1_FE, A1_FE)]
GB4 = [bytes((0x81 + n // 12600, 0x30 + n // 1260 % 10, 0x81 + n // 10 % 126, 0x30 + n % 10)) for n in range(39420)]
CODES = {
    "big5": two(rng((0xA1, 0xF9)), rng((0x40, 0x7E), (0xA1, 0xFE))),
    "gbk": two(rng((0x81, 0xFE)), rng((0x40, 0x7E), (0x80, 0xFE))),
    "gb2312": two(rng((0xA1, 0xF7)), A1_FE),
    "euckr": two(rng((0x81, 0xFE)), rng((0x41, 0x5A), (0x61, 0x7A), (0x81, 0xFE))),
    "sjis": SJIS, "cp932": SJIS, "ujis": UJIS, "eucjpms": UJIS,
    "gb18030": two(rng((0x81, 0xFE)), rng((0x40, 0x7E), (0x80, 0xFE))) + GB4,
}
DEFAULT = {"big5": "big5_chinese_ci", "gbk": "gbk_chinese_ci", "gb2312": "gb2312_chinese_ci", "euckr": "euckr_korean_ci",
           "sjis": "sjis_japanese_ci", "cp932": "cp932_japanese_ci", "ujis": "ujis_japanese_ci",
           "eucjpms": "eucjpms_japanese_ci", "gb18030": "gb18030_chinese_ci"}


def runs(f, word, items, codes):
    """items: {code: hex}; writes runs of neighbours in codes."""
    line, last, width = None, 0, 0
    for c in codes:
        if c not in items:
            line = line and f.write(" ".join(line) + "\n") and None
            continue
        if line is None:
            line = [word, c.hex().upper()]
        v = int(items[c], 16)
        if len(line) > 2 and v == last + 1 and len(items[c]) == width:
            if line[-1][0] == "+":
                line[-1] = "+%d" % (int(line[-1][1:]) + 1)
            else:
                line.append("+1")
        else:
            line.append(items[c])
        last, width = v, len(items[c])
        if len(line) > 97:
            f.write(" ".join(line) + "\n")
            line = None
    if line:
        f.write(" ".join(line) + "\n")


def record(k, f, cs, codes):
    singles = [bytes((b,)) for b in range(0x80)]
    k.execute("truncate codes")
    rows = singles + codes
    for i in range(0, len(rows), 5000):
        k.execute("insert into codes values " + ",".join("(%d,0x%s)" % (i + j, c.hex())
                                                           for j, c in enumerate(rows[i:i + 5000])))
    k.execute("select n, hex(convert(convert(s using %s) using utf32)), hex(upper(convert(s using %s))),"
              " hex(lower(convert(s using %s))), hex(weight_string(convert(s using %s) collate %s)) from codes order by n"
              % (cs, cs, cs, cs, DEFAULT[cs]))
    uni, upper, lower, weight = {}, {}, {}, {}
    for n, u, up, low, w in k.fetchall():
        c = rows[n]
        cp = int(u, 16) if u else 0x3F
        if cp != 0x3F and len(c) + (c[0] >= 0x80) > 1:
            uni[c] = cp
        elif len(c) == 1 and c[0] < 0x80 and cp != c[0]:
            sys.exit("%s: %s is %X" % (cs, c.hex(), cp))
        if len(c) > 1:
            if up and up != c.hex().upper():
                upper[c] = up
            if low and low != c.hex().upper():
                lower[c] = low
        if w and w != c.hex().upper():
            weight[c] = w
    f.write("charset %s\n" % cs)
    runs(f, "unicode", {c: "%X" % u for c, u in uni.items()}, codes)
    inverse = {}
    for c, u in uni.items():
        inverse.setdefault(u, c)
    k.execute("select n, hex(convert(convert(s using utf32) using %s)) from cps" % cs)
    for n, h in k.fetchall():
        c = bytes.fromhex(h)
        if c == b"?":
            c = None
        if c != inverse.get(n) and n >= 0x80:
            f.write("back %X %s\n" % (n, c.hex().upper() if c else "-"))
        elif n < 0x80 and n != 0x3F and c != bytes((n,)):
            f.write("back %X %s\n" % (n, c.hex().upper() if c else "-"))
    for word, pairs in (("upper", upper), ("lower", lower)):
        for c in codes:
            if c in pairs:
                f.write("%s %s %s\n" % (word, c.hex().upper(), pairs[c]))
    runs(f, "weight", weight, singles + codes)


def main():
    conn = pymysql.connect(host=sys.argv[1], port=int(sys.argv[2]), user="root", charset="utf8mb4", autocommit=True)
    k = conn.cursor()
    k.execute("drop database if exists skein_record_mb")
    k.execute("create database skein_record_mb")
    k.execute("use skein_record_mb")
    k.execute("set cte_max_recursion_depth = 2000000")
    k.execute("create table codes(n int primary key, s varbinary(4))")
    k.execute("create table cps(n int primary key, s varbinary(4))")
    k.execute("insert into cps with recursive r as (select 0 as n union all select n + 1 from r where n < 65535)"
              " select n, unhex(lpad(hex(n), 8, '0')) from r where n not between 0xd800 and 0xdfff")
    k.execute("select version()")
    try:
        with open(os.path.join(sys.argv[3], "multi_byte.txt"), "w") as f:
            f.write("# Recorded from MySQL %s by scripts/gen/record_charset_mb.py\n" % k.fetchone()[0])
            for cs, codes in CODES.items():
                record(k, f, cs, codes)
                print(cs, flush=True)
    finally:
        k.execute("drop database skein_record_mb")


if __name__ == "__main__":
    main()
