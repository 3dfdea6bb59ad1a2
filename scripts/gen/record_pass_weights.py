#!/usr/bin/python3
"""sql/charset/pass_weights.def: the collations that weigh a byte in several passes, from a MySQL.

    record_pass_weights.py HOST:PORT > sql/charset/pass_weights.def
"""
import sys

import pymysql

host, port = sys.argv[1].split(":")
c = pymysql.connect(host=host, port=int(port), user="root", charset="utf8mb4").cursor()
# collation: passes, whether its passes are separated
COLLATIONS = {"latin1_german2_ci": (1, False), "cp1250_czech_cs": (2, False), "latin2_czech_cs": (4, True)}


def weights(collation, texts):
    charset, out = collation.split("_")[0], []
    for i in range(0, len(texts), 1000):
        rows = " union all ".join("select %d n, hex(weight_string(_%s x'%s' collate %s)) w" % (k, charset, t.hex(), collation)
                                  for k, t in enumerate(texts[i:i + 1000]))
        c.execute("select w from (%s) t order by n" % rows)
        out += [bytes.fromhex(r[0]) for r in c.fetchall()]
    return out


def by_pass(raw, passes, separated):
    """One list of weights per pass."""
    if not separated:
        n = len(raw) // passes
        return [raw[i * n:(i + 1) * n] for i in range(passes)]
    return raw[:-1].split(b"\x01")


print("/* Made by scripts/gen/record_pass_weights.py from a MySQL server: what bytes, and pairs of bytes that count\n"
      " * as one, weigh in each pass. PASS_BYTE(collation, byte, weights), PASS_PAIR(collation, two bytes, weights). */")
for name, (passes, separated) in COLLATIONS.items():
    single = []
    for b, raw in enumerate(weights(name, [bytes([b]) for b in range(256)])):
        if name == "latin1_german2_ci":
            single.append([raw[0], raw[1] if len(raw) > 1 else 0, 0, 0])
        else:
            parts = by_pass(raw, passes, separated)
            single.append([p[0] if p else 0 for p in parts] + [0] * (4 - passes))
    if separated:  # blanks part words: seen between letters only
        mid = weights(name, [b"a" + bytes([b]) + b"a" for b in range(256)])
        for b, raw in enumerate(mid):
            if raw[1] == 2:
                single[b] = [2, 2, 2, 2]
    for i in range(0, 256, 4):
        print(" ".join("PASS_BYTE(%s, 0x%02x, %s)" % (name, b, ", ".join("0x%02x" % w for w in single[b]))
                       for b in range(i, i + 4)))
    if name == "latin1_german2_ci":
        continue
    letters = [b for b in range(256) if chr(b).isalpha() and b < 128 or b >= 0x80]
    pairs = [bytes([x, y]) for x in letters for y in letters]
    for pair, raw in zip(pairs, weights(name, pairs)):
        parts = by_pass(raw, passes, separated)
        plain = [bytes(w for w in (single[pair[0]][p], single[pair[1]][p]) if w) for p in range(passes)]
        if [bytes(p) for p in parts] != plain:
            print("PASS_PAIR(%s, 0x%02x, 0x%02x, %s)" % (name, pair[0], pair[1], ", ".join(
                "0x%02x" % w for w in [p[0] if p else 0 for p in parts] + [0] * (4 - passes))))
