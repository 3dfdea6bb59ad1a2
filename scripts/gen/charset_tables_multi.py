"""The parts of charset_tables.py for charsets of several bytes and for recorded collations."""
import re

IMPLICIT = 0x40000000
LIST = 0x80000000
KINDS = {"big5": "MB_BIG5", "gbk": "MB_GBK", "gb2312": "MB_GB2312", "euckr": "MB_EUCKR", "sjis": "MB_SJIS",
         "cp932": "MB_SJIS", "ujis": "MB_EUC", "eucjpms": "MB_EUC", "gb18030": "MB_GB18030"}


def span(*pairs):
    return [b for lo, hi in pairs for b in range(lo, hi + 1)]


TRAILS = {"MB_BIG5": span((0x40, 0x7E), (0xA1, 0xFE)), "MB_GBK": span((0x40, 0x7E), (0x80, 0xFE)),
          "MB_GB2312": span((0xA1, 0xFE)), "MB_EUCKR": span((0x41, 0x5A), (0x61, 0x7A), (0x81, 0xFE)),
          "MB_SJIS": span((0x40, 0x7E), (0x80, 0xFC)), "MB_GB18030": span((0x40, 0x7E), (0x80, 0xFE))}


def gb4_number(c):
    return ((c[0] - 0x81) * 10 + c[1] - 0x30) * 1260 + (c[2] - 0x81) * 10 + c[3] - 0x30


def gb4_code(n):
    return bytes((0x81 + n // 12600, 0x30 + n // 1260 % 10, 0x81 + n // 10 % 126, 0x30 + n % 10))


LEADS = {"MB_BIG5": span((0xA1, 0xF9)), "MB_GBK": span((0x81, 0xFE)), "MB_GB2312": span((0xA1, 0xF7)),
         "MB_EUCKR": span((0x81, 0xFE)), "MB_SJIS": span((0x81, 0x9F), (0xE0, 0xFC)), "MB_GB18030": span((0x81, 0xFE))}


def all_codes(kind):
    """Codes in the order in which record_charset_mb.py names them."""
    ascii_codes = [bytes((b,)) for b in range(0x80)]
    if kind == "MB_EUC":
        graphic = span((0xA1, 0xFE))
        pairs = [bytes((a, b)) for a in graphic for b in graphic]
        return ascii_codes + [bytes((0x8E, b)) for b in span((0xA0, 0xDF))] + pairs + [b"\x8f" + p for p in pairs]
    out = list(ascii_codes)
    if kind == "MB_SJIS":
        out += [bytes((b,)) for b in span((0xA1, 0xDF))]
    out += [bytes((a, b)) for a in LEADS[kind] for b in TRAILS[kind]]
    if kind == "MB_GB18030":
        out += [gb4_code(n) for n in range(39420)]
    return out


def code16(c):
    if len(c) == 1:
        return c[0]
    if len(c) == 2:
        return c[0] << 8 | c[1]
    return c[1] << 8 | (c[2] & 0x7F)


def read_multi(path):
    charsets = {}
    t = None
    for line in open(path, encoding="utf8"):
        words = line.split()
        if line.startswith("#") or not words:
            continue
        if words[0] == "charset":
            order = all_codes(KINDS[words[1]])
            place = {c: i for i, c in enumerate(order)}
            t = charsets[words[1]] = {"unicode": {}, "weight": {}, "upper": {}, "lower": {}, "back": {}}
        elif words[0] in ("unicode", "weight"):
            at = place[bytes.fromhex(words[1])]
            value = 0
            for w in words[2:]:
                if w[0] == "+":
                    for _ in range(int(w[1:])):
                        value += 1
                        t[words[0]][order[at]] = value
                        at += 1
                else:
                    value = int(w, 16)
                    t[words[0]][order[at]] = value
                    at += 1
        elif words[0] == "back":
            t["back"][int(words[1], 16)] = None if words[2] == "-" else bytes.fromhex(words[2])
        else:
            t[words[0]][int(words[1], 16)] = int(words[2], 16)
    return charsets


def emit_paged(out, ctype, name, values):
    """values: {16-bit index: number}; page 0 is empty."""
    index, pages = [0] * 256, ["{0}"]
    for high in range(256):
        row = [values.get(high << 8 | low, 0) for low in range(256)]
        if any(row):
            index[high] = len(pages)
            pages.append("{" + ",".join("%d" % v if v < 0x80000000 else "%du" % v for v in row) + "}")
    out.array("static const uint8_t", name + "_index[256]", index)
    out.array("static const " + ctype, name + "_pages[][256]", pages, 1, "%s")


def emit_multi(out, path):
    charsets = read_multi(path)
    for cs, t in charsets.items():
        inverse = {}
        for c, u in t["unicode"].items():
            inverse.setdefault(u, c)
        for u, c in t["back"].items():
            inverse[u] = c
        inverse = {u: c for u, c in inverse.items() if c is not None and u >= 0x80}
        if cs == "sjis":  # MYSQL: the only ASCII character that does not become itself
            inverse[0x5C] = b"\x81\x5f"
        emit_paged(out, "uint16_t", "mb_uni_" + cs, {code16(c): u for c, u in t["unicode"].items() if len(c) < 4})
        emit_paged(out, "uint16_t", "mb_back_" + cs, {u: code16(c) for u, c in inverse.items() if len(c) < 4})
        emit_paged(out, "uint32_t", "mb_weight_" + cs, {code16(c): w for c, w in t["weight"].items() if len(c) < 4})
        four = ["NULL"] * 3
        if cs == "gb18030":
            four = ["mb_uni4", "mb_back4", "mb_weight4"]
            out.array("static const uint16_t", "mb_uni4[MB_GB4_COUNT]",
                      [t["unicode"].get(gb4_code(n), 0) for n in range(39420)])
            back = [0] * 65536
            for u, c in inverse.items():
                if len(c) == 4:
                    back[u] = gb4_number(c) + 1
            out.array("static const uint16_t", "mb_back4[65536]", back)
            out.array("static const uint32_t", "mb_weight4[MB_GB4_COUNT]",
                      [t["weight"].get(gb4_code(n), 0xFF000000 + n) for n in range(39420)], 16, "%du")
        for word in ("upper", "lower"):
            out.array("static const uint32_t", "mb_%s_%s[][2]" % (word, cs),
                      ["{%du,%du}" % p for p in sorted(t[word].items())] or ["{0,0}"], 8, "%s")
        out.line("static const struct multi_byte multi_%s = {%s, mb_uni_%s_index, mb_uni_%s_pages, mb_back_%s_index,"
                 " mb_back_%s_pages, mb_weight_%s_index, mb_weight_%s_pages, %s, mb_upper_%s, %d, mb_lower_%s, %d};"
                 % (cs, KINDS[cs], cs, cs, cs, cs, cs, cs, ", ".join(four), cs, len(t["upper"]), cs, len(t["lower"])))
    return charsets


# ---- UCA tables ----

class UcaPool:
    """Pages and weight lists that all tables share."""

    def __init__(self, out):
        self.out, self.pages, self.rows, self.lists, self.seen = out, {}, [], [], {}
        self.indexes = {}

    def place(self, weights):
        if weights not in self.seen:
            self.seen[weights] = len(self.lists)
            self.lists.extend(weights)
            assert len(self.lists) < 1 << 20
        return self.seen[weights]

    def entry(self, weights):
        if weights is None:
            return IMPLICIT
        if not weights:
            return 0
        if len(weights) == 1:
            return weights[0]
        return LIST | len(weights) << 20 | self.place(weights)

    def level(self, table):
        """table: {cp: tuple}; returns the name of the index array."""
        used = {}
        for cp in table:
            used.setdefault(cp >> 8, []).append(cp)
        index = []
        for page in range(0x1100):
            row = [IMPLICIT] * 256
            for cp in used.get(page, ()):
                row[cp & 0xFF] = self.entry(table[cp])
            key = tuple(row)
            if key not in self.pages:
                self.pages[key] = len(self.rows)
                self.rows.append("{" + ",".join("%du" % v for v in row) + "}")
            index.append(self.pages[key])
        key = tuple(index)
        if key not in self.indexes:
            self.indexes[key] = "uca_index%d" % len(self.indexes)
            self.out.array("static const uint16_t", self.indexes[key] + "[UCA_PAGES]", index)
        return self.indexes[key]

    def finish(self):
        self.out.array("static const uint32_t", "uca_pages[%d][256]" % len(self.rows), self.rows, 1, "%s")
        self.out.array("static const uint16_t", "uca_lists[]", self.lists)


def split(text):
    return tuple(int(text[i:i + 4], 16) for i in range(0, len(text), 4))


def hangul(rows, cp):
    i = cp - 0xAC00
    t = 0x11A7 + i % 28
    jamo = [0x1100 + i // 588, 0x1161 + i % 588 // 28] + ([t] if t != 0x11A7 else [])
    return tuple(w for j in jamo for w in rows.get(j, ()))


class Recorded:
    def __init__(self, name, base, levels):
        self.name, self.base, self.levels = name, base, levels
        self.maps = [[] for _ in range(levels)]
        self.own = [{} for _ in range(levels)]
        self.pairs = {}

    def rows(self, tables):
        """[{cp: weights}] by level."""
        base = tables.get(self.base)
        out = []
        for lv in range(self.levels):
            rows = {}
            if base is not None and lv < len(base):
                rules = self.maps[lv]
                cache = {}
                for cp, ws in base[lv].items():
                    if ws not in cache:
                        cache[ws] = tuple(x for w in ws for x in self.mapped(rules, w))
                    rows[cp] = cache[ws]
            elif lv == 3:
                rows = {cp: () for cp in range(0x30000)}
            rows.update(self.own[lv])
            if self.base == "-":
                for cp in range(0xAC00, 0xD7A4):
                    if cp not in rows:
                        rows[cp] = hangul(rows, cp)
            out.append(rows)
        if self.levels > 1:  # a character that is recorded on one level only keeps the computed ones of the others
            for lv, default in ((1, (0x20,)), (2, (2,))):
                for cp in out[0]:
                    out[lv].setdefault(cp, tuple(x for w in default for x in self.mapped(self.maps[lv], w)))
        return out

    @staticmethod
    def mapped(rules, w):
        for lo, hi, new, prefix in rules:
            if lo <= w <= hi:
                return prefix + (new + w - lo,)
        return (w,)


def read_recorded(path):
    tables, simple, t, s = [], {}, None, None
    for line in open(path, encoding="utf8"):
        words = line.split()
        if line.startswith("#") or not words:
            continue
        kind = words[0]
        if kind == "simple":
            s = simple[words[1]] = {}
            t = None
        elif kind == "table":
            t = Recorded(words[1], words[2], int(words[3]))
            tables.append(t)
        elif t is None:
            s[int(words[1], 16)] = int(words[2], 16)
        elif kind == "map":
            t.maps[int(words[1])].append((int(words[2], 16), int(words[3], 16), int(words[4], 16),
                                          split(words[5]) if len(words) > 5 else ()))
        elif kind in ("implicit", "run"):
            lo, hi, v = (int(w, 16) for w in words[1:4])
            for cp in range(lo, hi + 1):
                t.own[0][cp] = (v + cp - lo,) if kind == "run" else (v + (cp >> 15), (cp & 0x7FFF) | 0x8000)
        elif kind == "char":
            for lv, part in enumerate((words[2] if len(words) > 2 else "").split("/")):
                if part != "=":
                    t.own[lv][int(words[1], 16)] = split(part)
        elif kind == "pair":
            t.pairs[tuple(int(c, 16) for c in words[1].split("-"))] = [split(p) for p in words[2].split("/")]
    return tables, simple


def emit_recorded(out, path, root):
    """root: [{cp: weights}] of 900. Returns names of C tables by (table, levels)."""
    tables, simple = read_recorded(path)
    pool = UcaPool(out)
    rows_of = {"900": root}
    structs = []
    for t in [None] + tables:
        rows = root if t is None else t.rows(rows_of)
        name = "900" if t is None else t.name
        if t is not None:
            rows_of[name] = rows
            if t.base != "900":
                for cp in range(0x10000, 0x110000) if max(rows[0]) < 0x10000 else ():
                    rows[0][cp] = (0xFFFD,)
        names = [pool.level(r) for r in rows]
        ascii_weights = [(rows[0].get(c) or (0,)) for c in range(128)]
        pairs = {} if t is None else t.pairs
        heads = {seq[0] for seq in pairs}
        out.array("static const uint16_t", "uca_ascii_%s[128]" % name,
                  [w[0] if len(w) == 1 and c not in heads else 0 for c, w in enumerate(ascii_weights)])
        extra = "NULL, 0, NULL"
        if pairs:
            lines = []
            for seq, parts in sorted((tuple(s) + (0,) * (4 - len(s)), p) for s, p in pairs.items()):
                parts = parts + [()] * (4 - len(parts))
                lines.append("{{%s}, {%s}, {%s}}" % (",".join("%d" % c for c in seq),
                                                     ",".join("%d" % pool.place(p) for p in parts),
                                                     ",".join("%d" % len(p) for p in parts)))
            bits = [0] * 8
            for c in heads:
                bits[c >> 5 & 7] |= 1 << (c & 31)
            out.array("static const struct uca_pair", "uca_pairs_%s[]" % name, lines, 1, "%s")
            out.array("static const uint32_t", "uca_heads_%s[8]" % name, bits, 8, "%du")
            extra = "uca_pairs_%s, %d, uca_heads_%s" % (name, len(lines), name)
        computed = [0, 0x20, 2 if t is None or t.levels < 3 else t.mapped(t.maps[2], 2)[0], 0]
        structs.append((name, names, "%s, {%s}" % (extra, ", ".join(map(str, computed)))))
    pool.finish()
    known = set()
    for name, names, extra in structs:
        for n in ((len(names),) if len(names) in (1, 4) else (1, 2, 3)):
            if name != "900" and n == 2:
                continue
            out.line("%sconst struct uca_table uca%s_%d = {%d, {%s}, uca_lists, uca_ascii_%s, %s};" % (
                "" if name == "900" else "static ", name, n, n,
                ", ".join("{%s, uca_pages}" % i for i in names), name, extra))
            known.add((name, n))
    return known, simple


def emit_simple(out, simple, general):
    for name, diff in simple.items():
        weights = dict(general)
        weights.update(diff)
        index, pages = [0xFF] * 256, []
        for page in range(256):
            row = [weights.get(page << 8 | low, page << 8 | low) for low in range(256)]
            if row != [page << 8 | low for low in range(256)]:
                index[page] = len(pages)
                pages.append("{" + ",".join(map(str, row)) + "}")
        out.array("static const uint8_t", "simple_%s_index[256]" % name, index)
        out.array("static const uint16_t", "simple_%s_pages[][256]" % name, pages, 1, "%s")
        out.line("static const struct simple_weights simple_%s = {simple_%s_index, simple_%s_pages};" % (name, name, name))


WIDE = ("ucs2", "utf16", "utf16le", "utf32")


def collation_for(name, cs, known):
    """(ops, data) of a collation that follows from its name, or None."""
    tail = name[len(cs) + 1:]
    if cs in KINDS and tail != "unicode_520_ci":
        return ("collation_bin_ops", "NULL") if tail == "bin" else ("collation_multi_ops", "NULL")
    if cs in WIDE:
        if tail in ("bin", "general_ci"):
            return ("collation_cp_bin_ops" if tail == "bin" else "collation_cp_general_ops", "NULL")
    if tail in ("general_mysql500_ci", "tolower_ci"):
        return "collation_cp_general_ops", "&simple_" + tail[:-3]
    m = re.match(r"(?:(\w+)_)?0900_(ai_ci|as_cs|as_cs_ks)$", tail)
    if m:
        table = (m.group(1) or "900") + ("_ks" if m.group(2) == "as_cs_ks" else "")
        n = {"ai_ci": 1, "as_cs": 3, "as_cs_ks": 4}[m.group(2)]
        return ("collation_uca_ops", "&uca%s_%d" % (table, n)) if (table, n) in known else None
    if tail.endswith("_ci") and (tail[:-3], 1) in known and (cs in WIDE or cs in KINDS or cs.startswith("utf8")):
        return "collation_uca_pad_ops", "&uca%s_1" % tail[:-3]
    return None
