#!/usr/bin/env python3
"""Records MySQL's UCA collations other than the 0900 root, for sql/charset/data/uca_tailored.txt.

    record_collations.py HOST PORT DATA_DIR        (needs pymysql; makes and drops the schema skein_record_uca)

    table NAME BASE LEVELS       NAME is the collation's without charset and strength; BASE is 900 (uca900.txt), the name
                                 of an earlier table, or '-': all characters that are not named have implicit weights
    map LEVEL LO HI NEW [PREFIX] what weights LO..HI of the base become: NEW.. in order, each after PREFIX
    char CP W/W/W                weights by level, four hex digits each; '=': as the map says
    implicit LO HI BASE          implicit weights whose first is BASE + (CP >> 15)
    run LO HI W                  one weight each, W for LO and one more for each that follows
    pair CP-CP[-CP[-CP]] W/W/W        weights of characters that stand together
    byte general_ci's kin: `simple NAME` and `char CP W` where the weight differs from general_ci's
"""
import itertools
import os
import sys
from collections import Counter, defaultdict

import pymysql

OLD = ["icelandic", "latvian", "romanian", "slovenian", "polish", "estonian", "spanish", "swedish", "turkish", "czech",
       "danish", "lithuanian", "slovak", "spanish2", "roman", "persian", "esperanto", "hungarian", "sinhala", "german2",
       "croatian", "vietnamese"]
NEW = ["de_pb", "is", "lv", "ro", "sl", "pl", "et", "es", "sv", "tr", "cs", "da", "lt", "sk", "es_trad", "la", "eo", "hu",
       "hr", "vi", "ja", "ja_ks", "ru", "zh", "nb", "nn", "sr_latn", "bs", "bg", "gl", "mn_cyrl"]
LETTERS = [c for lo, hi in ((0x2D, 0x2E), (0x41, 0x5B), (0x61, 0x7B), (0xB7, 0xB8), (0xC0, 0x250), (0x2B0, 0x2C0), (0x300, 0x346),
                            (0x400, 0x460), (0x490, 0x4F0), (0x621, 0x656), (0x670, 0x6D4), (0xD82, 0xDE0),
                            (0x1EA0, 0x1EFA), (0x3041, 0x3100), (0xFF66, 0xFFA0)) for c in range(lo, hi)]


def levels(h, n):
    """Weight string in hex -> a string of hex digits per level."""
    units = [h[i:i + 4] for i in range(0, len(h), 4)]
    if n == 1:
        return ("".join(units),)
    out = [""]
    for u in units:
        if u == "0000":
            out.append("")
        else:
            out[-1] += u
    return tuple(out + [""] * (n - len(out)))


def units(text):
    return [int(text[i:i + 4], 16) for i in range(0, len(text), 4)]


def joined(parts):
    """A level of 0900's fourth kind is shown only when it has something."""
    if len(parts) == 4 and not parts[3]:
        parts = parts[:3]
    return "0000".join(parts)


class Recorder:
    def __init__(self, k, f):
        self.k, self.f, self.tables = k, f, {}

    def weights(self, coll, n, top):
        self.k.execute("select n, hex(weight_string(convert(s using utf8mb4) collate %s)) from cps where n < %d" % (coll, top))
        return {cp: levels(h, n) for cp, h in self.k.fetchall()}

    def implicit(self, cp):
        core = 0x4E00 <= cp <= 0x9FD5 or cp in (0xFA0E, 0xFA0F, 0xFA11, 0xFA13, 0xFA14, 0xFA1F, 0xFA21, 0xFA23, 0xFA24,
                                                0xFA27, 0xFA28, 0xFA29)
        other = 0x3400 <= cp <= 0x4DB5 or 0x20000 <= cp <= 0x2A6D6 or 0x2A700 <= cp <= 0x2B734 or \
            0x2B740 <= cp <= 0x2B81D or 0x2B820 <= cp <= 0x2CEA1
        base = 0xFB40 if core else 0xFB80 if other else 0xFBC0
        if 0x17000 <= cp <= 0x18AFF:
            return "FB00%04X" % ((cp - 0x17000) | 0x8000)
        return "%04X%04X" % (base + (cp >> 15), (cp & 0x7FFF) | 0x8000)

    def hangul(self, own, cp):
        """Syllables sort by their Jamo."""
        if not 0xAC00 <= cp <= 0xD7A3:
            return None
        i = cp - 0xAC00
        t = 0x11A7 + i % 28
        jamo = [0x1100 + i // 588, 0x1161 + i % 588 // 28] + ([t] if t != 0x11A7 else [])
        return "".join(own[j][0] for j in jamo)

    def learn(self, base, own, level):
        seen = defaultdict(Counter)
        for cp, b in base.items():
            if len(b[level]) == 4 and cp in own:
                seen[int(b[level], 16)][own[cp][level]] += 1
        rules, last = [], None
        for w in sorted(seen):
            to = seen[w].most_common(1)[0][0]
            key = None
            if len(to) in (4, 8):
                key = (to[:-4], int(to[-4:], 16) - w)
            if key is not None and key != ("", 0) and last == key:
                rules[-1][1] = w
            elif key is not None and key != ("", 0):
                rules.append([w, w, w + key[1], key[0]])
            last = key
        return rules

    def apply(self, rules, text):
        out = ""
        for w in units(text):
            for lo, hi, new, prefix in rules:
                if lo <= w <= hi:
                    out += prefix + "%04X" % (new + w - lo)
                    break
            else:
                out += "%04X" % w
        return out

    def table(self, name, coll, base_name, n, top):
        own = self.weights(coll, n, top)
        self.f.write("table %s %s %d\n" % (name, base_name, n))
        base = self.tables.get(base_name, {})
        rules = [self.learn(base, own, lv) if base and lv < 3 else [] for lv in range(n)]
        for lv, rs in enumerate(rules):
            for lo, hi, new, prefix in rs:
                self.f.write("map %d %X %X %X%s\n" % (lv, lo, hi, new, " " + prefix if prefix else ""))
        cache = {}
        chars = []
        for cp, w in own.items():
            parts = []
            for lv in range(n):
                if base and lv < 3:
                    text = base[cp][lv]
                    if lv == 0 and text == self.implicit(cp):
                        want = text
                    else:
                        want = cache.get((lv, text))
                        if want is None:
                            want = cache[(lv, text)] = self.apply(rules[lv], text)
                elif base:
                    want = ""
                else:
                    want = self.hangul(own, cp) or self.implicit(cp)
                parts.append("=" if w[lv] == want else w[lv])
            if any(p != "=" for p in parts):
                chars.append((cp, parts))
        self.chars(chars)
        self.tables[name] = own
        self.pairs(coll, n, own)

    def chars(self, chars):
        """Neighbours with implicit weights of one base, or with weights in order, share a line."""
        def kind(cp, parts):
            w = parts[0]
            if any(p != "=" for p in parts[1:]):
                return None
            if len(w) == 8 and int(w[4:], 16) == (cp & 0x7FFF) | 0x8000:
                return "implicit", int(w[:4], 16) - (cp >> 15)
            return ("run", int(w, 16) - cp) if len(w) == 4 else None

        i = 0
        while i < len(chars):
            cp, parts = chars[i]
            what, j = kind(cp, parts), i + 1
            while what and j < len(chars) and chars[j][0] == cp + j - i and kind(*chars[j]) == what:
                j += 1
            if what and j > i + 1:
                self.f.write("%s %X %X %X\n" % (what[0], cp, chars[j - 1][0],
                                                what[1] if what[0] == "implicit" else what[1] + cp))
            else:
                self.f.write("char %X %s\n" % (cp, "/".join(parts)))
                j = i + 1
            i = j

    def pairs(self, coll, n, own):
        k = self.k
        k.execute("truncate lv")
        k.execute("insert into lv values " + ",".join(
            "(%d, _utf8mb4 0x%s, %s)" % (c, chr(c).encode().hex(), ",".join("'%s'" % x for x in (own[c] + ("", "", ""))[:4]))
            for c in LETTERS))
        want = "concat(a.l1, b.l1)"
        if n > 1:
            want = "concat(a.l1, b.l1, '0000', a.l2, b.l2, '0000', a.l3, b.l3)"
        if n == 4:
            want = "concat(%s, if(a.l4 = '' and b.l4 = '', '', concat('0000', a.l4, b.l4)))" % want
        k.execute("select a.n, b.n, hex(weight_string(concat(a.s, b.s) collate %s)) from lv a, lv b"
                  " where hex(weight_string(concat(a.s, b.s) collate %s)) <> %s" % (coll, coll, want))
        found = {(a, b): levels(h, n) for a, b, h in k.fetchall()}
        k.execute("select a.n, b.n, c.n, hex(weight_string(concat(a.s, b.s, c.s) collate %s)) from lv a, lv b, lv c"
                  " where a.n < 128 and b.n < 128 and c.n < 128 and a.n > 64 and b.n > 64 and c.n > 64 and"
                  " hex(weight_string(concat(a.s, b.s, c.s) collate %s)) <> %s" % (
                      coll, coll, want.replace("b.l1", "b.l1, c.l1").replace("b.l2", "b.l2, c.l2").replace(
                          "b.l3", "b.l3, c.l3").replace("b.l4 = ''", "b.l4 = '' and c.l4 = ''").replace(
                          "a.l4, b.l4", "a.l4, b.l4, c.l4")))
        add = {}
        for a, b, c, h in k.fetchall():
            first = found.get((a, b))
            parts = [first, own[c]] if first else [own[a], found.get((b, c), tuple(
                x + y for x, y in zip(own[b], own[c])))]
            got = levels(h, n)
            if tuple(x + y for x, y in zip(*parts)) != got:
                add[(a, b, c)] = got
        found.update(add)
        self.quads(coll, n, own, found)
        for seq, w in sorted(found.items()):
            self.f.write("pair %s %s\n" % ("-".join("%X" % c for c in seq), "/".join(w)))
        print(coll, len(found), len(add), flush=True)

    def quads(self, coll, n, own, found):
        """Hungarian writes a long dzs ddzs: the only pair of four."""
        for text in ("".join(t) for t in itertools.product("dD", "dD", "zZ", "sS")):
            seq = tuple(ord(c) for c in text)
            rest = found.get(seq[1:])
            self.k.execute("select hex(weight_string(%%s collate %s))" % coll, (text,))
            got = levels(self.k.fetchone()[0], n)
            if rest and got != tuple(x + y for x, y in zip(own[seq[0]], rest)):
                found[seq] = got

    def simple(self, name, coll, cs):
        self.k.execute("select n, hex(weight_string(convert(s using %s) collate %s)), hex(weight_string(convert(s using"
                       " utf8mb4) collate utf8mb4_general_ci)) from cps where n < 65536" % (cs, coll))
        self.f.write("simple %s\n" % name)
        for n, w, g in self.k.fetchall():
            if w != g:
                self.f.write("char %X %s\n" % (n, w))


def main():
    conn = pymysql.connect(host=sys.argv[1], port=int(sys.argv[2]), user="root", charset="utf8mb4", autocommit=True)
    k = conn.cursor()
    k.execute("drop database if exists skein_record_uca")
    k.execute("create database skein_record_uca")
    k.execute("use skein_record_uca")
    k.execute("set cte_max_recursion_depth = 2000000")
    k.execute("create table cps(n int primary key, s varchar(1) character set utf32)")
    k.execute("create table lv(n int primary key, s varchar(1), l1 varchar(64), l2 varchar(64), l3 varchar(64), l4 varchar(64))"
              " character set utf8mb4 collate utf8mb4_bin")
    k.execute("insert into cps with recursive r as (select 0 as n union all select n + 1 from r where n < 196607)"
              " select n, char(n using utf32) from r where n not between 0xd800 and 0xdfff")
    k.execute("select version()")
    try:
        with open(os.path.join(sys.argv[3], "uca_tailored.txt"), "w") as f:
            f.write("# Recorded from MySQL %s by scripts/gen/record_collations.py\n" % k.fetchone()[0])
            r = Recorder(k, f)
            r.simple("general_mysql500", "utf8mb3_general_mysql500_ci", "utf8mb3")
            r.simple("tolower", "utf8mb3_tolower_ci", "utf8mb3")
            r.table("unicode", "utf8mb4_unicode_ci", "-", 1, 65536)
            r.table("unicode_520", "utf8mb4_unicode_520_ci", "-", 1, 196608)
            for name in OLD:
                r.table(name, "utf8mb4_%s_ci" % name, "unicode", 1, 65536)
            r.tables["900"] = r.weights("utf8mb4_0900_as_cs", 3, 196608)
            for name in NEW:
                coll = "utf8mb4_ja_0900_as_cs_ks" if name == "ja_ks" else "utf8mb4_%s_0900_as_cs" % name
                r.table(name, coll, "900", 4 if name == "ja_ks" else 3, 196608)
    finally:
        k.execute("drop database skein_record_uca")


if __name__ == "__main__":
    main()
