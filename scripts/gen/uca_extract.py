#!/usr/bin/env python3
"""Shrinks the Unicode Collation Algorithm's default table to what sql/charset needs.

    uca_extract.py allkeys-9.0.0.txt > sql/charset/data/uca900.txt

Input: https://www.unicode.org/Public/UCA/9.0.0/allkeys.txt (also inside the Python package pyuca). Contractions are left
out: MySQL's root collations do not use them (asked with WEIGHT_STRING). So are variable marks: nothing is ignorable there.
Each line is a code point and its collation elements as primary.secondary.tertiary; runs of equal secondaries 20 and tertiaries 2
are written short (only the primary).
"""
import re
import sys


def main():
    print("# Unicode Collation Algorithm 9.0.0, default table without contractions; made by scripts/gen/uca_extract.py")
    print("# Copyright (c) 1991-2016 Unicode, Inc. Terms of use: https://www.unicode.org/terms_of_use.html")
    print("# (Unicode License V3: data files may be used and distributed with this notice.)")
    for line in open(sys.argv[1], encoding="utf8"):
        line = line.split("#")[0].split("%")[0].strip()
        if not line or line[0] == "@":
            continue
        cps, elements = line.split(";")
        if len(cps.split()) > 1:
            continue
        out = []
        for e in re.findall(r"\[[.*]([0-9A-F.]+)\]", elements):
            p, s, t = (int(x, 16) for x in e.split(".")[:3])
            if (s, t) == (0x20, 2):
                out.append("%X" % p)
            else:
                out.append("%X.%X.%X" % (p, s, t))
        print("%X %s" % (int(cps, 16), " ".join(out)))


if __name__ == "__main__":
    main()
