#!/usr/bin/env python3
"""Records what MySQL answers about strings, for sql/charset/vectors_test.c.

    record_charset_vectors.py HOST PORT OUT_DIR        (needs pymysql)

weights.txt   per collation and block of 256 characters: FNV-1a of all their WEIGHT_STRINGs (each followed by its length)
strings.txt   collation, string, weight string, upper, lower          (hex)
compare.txt   collation, a, b, sign of the comparison, a LIKE b
"""
import os
import random
import sys

import pymysql

UTF8 = ["utf8mb4_0900_ai_ci", "utf8mb4_0900_as_ci", "utf8mb4_0900_as_cs", "utf8mb4_0900_bin", "utf8mb4_general_ci",
        "utf8mb4_bin"]
UTF8_3 = ["utf8mb3_general_ci", "utf8mb3_bin"]
LATIN = ["latin1_swedish_ci", "latin1_bin", "latin1_general_cs", "ascii_general_ci", "ascii_bin"]
POOL = list("abcABC xyzZ019_%\\.-\t~") + list("àéîõüßñÄÖØåÆœžŽ") + ["\u0301", "\u0308", "\u00ad", "\u200d", "\u0000", "\u007f"]
WIDE = list("ЖжЯяαΑωΩקש中文字日本かガが한글각ไทยเกทिक्षאَ") + ["\U0001F600", "\U0001F601", "\U00020000", "\uFDFA", "\uD7A5", "\u3400", "ŉ", "ǆ", "ﬀ", "ȿ",
                                                            "\U00017001", "ı", "İ", "ẞ", "Ⅳ", "①"]


def fnv(data, h=0xCBF29CE484222325):
    for b in data:
        h = (h ^ b) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return h


def text(rng, wide, longest):
    pool = POOL + (WIDE * 2 if wide else [])
    return "".join(rng.choice(pool) for _ in range(rng.randrange(longest)))


def variant(rng, s, wide):
    """Something close to s: swaps case, drops or adds a character."""
    out = list(s)
    for _ in range(rng.randrange(3)):
        what = rng.randrange(4)
        at = rng.randrange(len(out) + 1)
        if what == 0 and out:
            out[at % len(out)] = out[at % len(out)].swapcase()[:1]
        elif what == 1 and out:
            del out[at % len(out)]
        elif what == 2:
            out.insert(at, rng.choice(POOL + (WIDE if wide else [])))
        else:
            out.append(" ")
    return "".join(out)


def pattern(rng, s):
    out = []
    for ch in s:
        r = rng.random()
        if r < 0.2:
            out.append("_")
        elif r < 0.35:
            out.append("%")
        elif r < 0.4:
            out.append("\\" + ch)
        elif r < 0.6:
            out.append(ch.swapcase()[:1])
        else:
            out.append(ch)
    return "".join(out)


def encode(s, coll):
    if coll.startswith("latin1"):
        return s.encode("latin1", "ignore")
    if coll.startswith("ascii"):
        return s.encode("ascii", "ignore")
    if coll.startswith("utf8mb3"):
        s = "".join(c for c in s if ord(c) < 0x10000)
    return s.encode("utf8", "ignore")


def main():
    conn = pymysql.connect(host=sys.argv[1], port=int(sys.argv[2]), user="root", charset="utf8mb4", autocommit=True)
    k = conn.cursor()
    k.execute("drop database if exists skein_record")
    k.execute("create database skein_record")
    k.execute("use skein_record")
    k.execute("create table cps(n int primary key)")
    k.execute("set cte_max_recursion_depth = 2000000")
    k.execute("insert into cps with recursive r as (select 0 as n union all select n + 1 from r where n < 196607)"
              " select n from r")
    rng = random.Random(1)
    head = "# Recorded from MySQL by scripts/gen/record_charset_vectors.py\n"
    with open(os.path.join(sys.argv[3], "weights.txt"), "w") as f:
        f.write(head)
        for coll in ["utf8mb4_0900_ai_ci", "utf8mb4_0900_as_ci", "utf8mb4_0900_as_cs", "utf8mb4_general_ci"]:
            for lo in range(0, 0x30000, 0x2000):
                k.execute("select n, weight_string(convert(char(n using utf32) using utf8mb4) collate %s) from cps"
                          " where n >= %d and n < %d and not (n between 0xd800 and 0xdfff) order by n" % (coll, lo, lo + 0x2000))
                page, h = None, None
                for n, w in k.fetchall() + ((0x7FFFFFFF, b""),):
                    if n >> 8 != page:
                        if page is not None:
                            f.write("%s %X %016X\n" % (coll, page, h))
                        page, h = n >> 8, 0xCBF29CE484222325
                    h = fnv(w + bytes([len(w)]), h)
    with open(os.path.join(sys.argv[3], "strings.txt"), "w") as f, open(os.path.join(sys.argv[3], "compare.txt"), "w") as g:
        f.write(head)
        g.write(head)
        for coll in UTF8 + UTF8_3 + LATIN:
            cs = coll.split("_")[0]
            wide = coll in UTF8 + UTF8_3
            for i in range(150):
                a = text(rng, wide, 14)
                lit = "_%s x'%s' collate %s" % (cs, encode(a, coll).hex(), coll)
                k.execute("select hex(weight_string(%s)), hex(upper(%s)), hex(lower(%s))" % (lit, lit, lit))
                w, u, lo = k.fetchone()
                f.write("%s '%s '%s '%s '%s\n" % (coll, encode(a, coll).hex().upper(), w or "", u, lo))
                b = variant(rng, a, wide) if i % 3 else text(rng, wide, 14)
                if i % 2:
                    b = pattern(rng, b)
                other = "_%s x'%s' collate %s" % (cs, encode(b, coll).hex(), coll)
                k.execute("select (%s > %s) - (%s < %s), %s like %s" % (lit, other, lit, other, lit, other))
                c, like = k.fetchone()
                g.write("%s '%s '%s %d %d\n" % (coll, encode(a, coll).hex().upper(), encode(b, coll).hex().upper(), c, like))
    k.execute("drop database skein_record")


if __name__ == "__main__":
    main()
