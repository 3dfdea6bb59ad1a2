#!/usr/bin/env python3
"""Makes charset_tables.c from sql/charset/{*.def,data/*.txt}.

    charset_tables.py CHARSET_DIR OUT.c
"""
import os
import re
import sys

import charset_tables_multi as multi

CE_MAX = 8  # MySQL keeps at most 8 elements of a character
HANGUL = range(0xAC00, 0xD7B0)


class Out:
    def __init__(self, f):
        self.f = f

    def array(self, ctype, name, values, per_line=16, fmt="%d"):
        self.f.write("%s %s = {\n" % (ctype, name))
        for i in range(0, len(values), per_line):
            self.f.write(",".join(fmt % v for v in values[i:i + per_line]) + ",\n")
        self.f.write("};\n")

    def line(self, text):
        self.f.write(text + "\n")


def read_uca(path):
    table = {}
    for line in open(path, encoding="utf8"):
        if line.startswith("#"):
            continue
        words = line.split()
        elements = []
        for w in words[1:]:
            parts = [int(x, 16) for x in w.split(".")]
            elements.append(tuple(parts) if len(parts) == 3 else (parts[0], 0x20, 2))
        table[int(words[0], 16)] = elements[:CE_MAX]
    # Hangul syllables sort by their Jamo. MySQL takes U+D7A4..D7AF for syllables too and gives the block from
    # U+D700 on a tertiary weight of 3.
    for cp in HANGUL:
        s = cp - 0xAC00
        t = 0x11A7 + s % 28
        jamo = [0x1100 + s // 588, 0x1161 + s % 588 // 28] + ([t] if t != 0x11A7 else [])
        elements = [e for j in jamo for e in table[j]]
        if cp >= 0xD700:
            elements = [(p, sec, 3) for p, sec, _ in elements]
        table[cp] = elements
    return table


def root_levels(table):
    return [{cp: tuple(e[level] for e in elements if e[level]) for cp, elements in table.items()} for level in range(3)]


def emit_case(out, path):
    rows = {}
    for line in open(path, encoding="utf8"):
        if line.startswith("#"):
            continue
        words = line.split()
        cp = int(words[0], 16)
        rows[cp] = [cp if w == "-" else int(w, 16) for w in words[1:]]
    for name, col in (("case_unicode900", 0), ("case_unicode_default", 2)):
        index = [0xFF] * 0x200
        pages = []
        for page in range(0x200):
            cps = range(page << 8, (page + 1) << 8)
            if any(c in rows and rows[c][col:col + 2] != [c, c] for c in cps):
                index[page] = len(pages)
                pages.append("{" + ",".join("{%d,%d}" % tuple(rows[c][col:col + 2] if c in rows else (c, c))
                                            for c in cps) + "}")
        out.array("static const uint8_t", name + "_index[0x200]", index)
        out.array("static const struct case_pair", name + "_pages[][256]", pages, 1, "%s")
        out.line("const struct case_table %s = {%s_index, %s_pages};" % (name, name, name))
    index = [0xFF] * 0x100
    pages = []
    for page in range(0x100):
        cps = range(page << 8, (page + 1) << 8)
        if any(c in rows and rows[c][4] != c for c in cps):
            index[page] = len(pages)
            pages.append("{" + ",".join("%d" % (rows[c][4] if c in rows else c) for c in cps) + "}")
    out.array("const uint8_t", "general_ci_index[0x100]", index)
    out.array("const uint16_t", "general_ci_pages[][256]", pages, 1, "%s")
    return {cp: row[4] for cp, row in rows.items() if cp < 0x10000}


SKIP = {"tis620_thai_ci", "utf8mb3_bin"}  # tis620_thai_ci reorders vowels: not one weight per byte


def emit_single(out, path):
    charsets = {}
    collations = {}
    cs = None
    for line in open(path, encoding="utf8"):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] == "charset":
            cs = words[1]
            charsets[cs] = {}
        elif words[0] == "collation":
            if words[1] not in SKIP:
                out.array("static const uint8_t", "weights_%s[256]" % words[1],
                          [int(w, 16) for w in words[3:]], 32)
                collations[int(words[2])] = ("collation_single_ops", "weights_" + words[1])
        else:
            charsets[cs][words[0]] = [int(w, 16) for w in words[1:]]
    for name, t in charsets.items():
        uni = t["unicode"]
        limit = 0x80 if name == "ascii" else 0x100
        # An undefined byte is recorded as '?': the only byte that may be that character is its own. (tis620 has U+FFFD for its own, which
        # becomes the last of them.)
        uni = [u if i < limit and (u != 0x3F or i == 0x3F) else 0 for i, u in enumerate(uni)]
        back = {}
        for i, u in enumerate(uni):
            if (u != 0 or i == 0) and (u not in back or u == 0xFFFD):
                back[u] = i
        t["unicode"] = uni
        out.array("static const uint16_t", "uni_%s[256]" % name, uni)
        out.array("static const uint32_t", "back_%s[]" % name, sorted(u << 8 | b for u, b in back.items()))
        out.array("static const uint8_t", "up_%s[256]" % name, t["upper"], 32)
        out.array("static const uint8_t", "low_%s[256]" % name, t["lower"], 32)
        out.line("static const struct single_byte single_%s = {uni_%s, back_%s, %d, up_%s, low_%s};"
                 % (name, name, name, len(back), name, name))
    return charsets, collations


def emit_registry(out, base, single, many, collations, known):
    for line in open(os.path.join(base, "implemented.def"), encoding="utf8"):
        m = re.match(r"IMPLEMENT\((\d+), (\w+), ([&\w]+)\)", line)
        if m:
            collations[int(m.group(1))] = (m.group(2), m.group(3))
    ops = {"utf8mb3": "charset_utf8mb3_ops", "utf8mb4": "charset_utf8mb4_ops", "binary": "charset_binary_ops",
           "ucs2": "charset_ucs2_ops", "utf16": "charset_utf16_ops", "utf16le": "charset_utf16le_ops",
           "utf32": "charset_utf32_ops"}
    out.line("const struct charset charset_table[] = {")
    position = {}
    for line in open(os.path.join(base, "charsets.def"), encoding="utf8"):
        m = re.match(r'CHARSET\((\w+), (\d+), (\d+), (\d+), ("[^"]*")\)', line)
        if not m:
            continue
        name = m.group(1)
        position[name] = len(position)
        o, data = ops.get(name), "NULL"
        superset = m.group(3) == "1" and name not in ("swe7", "sjis")  # MYSQL: 5C becomes 815F in sjis
        if name in many:
            o, data = "charset_multi_ops", "&multi_" + name
        if name in single:
            o, data = "charset_single_ops", "&single_" + name
            superset = single[name]["unicode"][:128] == list(range(128))
        if name == "ascii":
            o = "charset_ascii_ops"
        out.line('{"%s", %s, %s, %s, %s, %d, %s, %s},' % (
            name, m.group(5), m.group(2), m.group(3), m.group(4), superset, "&" + o if o else "NULL", data))
    out.line("};")
    out.line("const size_t charset_table_count = %d;" % len(position))
    out.line("const struct collation collation_table[] = {")
    index = [0] * 400
    count = 0
    for line in open(os.path.join(base, "collations.def"), encoding="utf8"):
        m = re.match(r"COLLATION\((\d+), (\w+), (\w+), (\d), (\d), (\d+), (\w+)\)", line)
        if not m:
            continue
        i = int(m.group(1))
        o, data = collations.get(i) or multi.collation_for(m.group(2), m.group(3), known) or (None, "NULL")
        out.line('{%d, %s, %s, %s, %s, "%s", &charset_table[%d], %s, %s},' % (
            i, m.group(4), m.group(5), m.group(6), m.group(7), m.group(2), position[m.group(3)],
            "&" + o if o else "NULL", data))
        count += 1
        index[i] = count
    out.line("};")
    out.line("const size_t collation_table_count = %d;" % count)
    out.array("const uint16_t", "collation_index[COLL_ID_MAX]", index)


def main():
    base, target = sys.argv[1], sys.argv[2]
    data = os.path.join(base, "data")
    with open(target, "w", encoding="utf8") as f:
        out = Out(f)
        out.line("/* Made by scripts/gen/charset_tables.py. */")
        out.line('#include "sql/charset/charset_int.h"')
        known, simple = multi.emit_recorded(out, os.path.join(data, "uca_tailored.txt"),
                                            root_levels(read_uca(os.path.join(data, "uca900.txt"))))
        multi.emit_simple(out, simple, emit_case(out, os.path.join(data, "unicode_case.txt")))
        many = multi.emit_multi(out, os.path.join(data, "multi_byte.txt"))
        single, collations = emit_single(out, os.path.join(data, "single_byte.txt"))
        emit_registry(out, base, single, many, collations, known)


if __name__ == "__main__":
    main()
