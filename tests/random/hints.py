"""Optimizer hints in front of a query that is there: another plan, the same rows."""
import random
import re

from known import NAMED

SELECT = re.compile(r"\bSELECT\b(?! /\*\+)")
KEY = re.compile(r"\bKEY (\w+) \(")
STRATEGIES = ("FIRSTMATCH", "LOOSESCAN", "MATERIALIZATION", "DUPSWEEDOUT")
TABLE_HINTS = ("BNL", "NO_BNL", "HASH_JOIN", "NO_HASH_JOIN", "BKA", "NO_BKA", "MERGE", "NO_MERGE", "NO_MERGE", "DERIVED_CONDITION_PUSHDOWN", "NO_DERIVED_CONDITION_PUSHDOWN")
INDEX_HINTS = ("INDEX", "NO_INDEX", "JOIN_INDEX", "NO_JOIN_INDEX", "ORDER_INDEX", "NO_ORDER_INDEX", "GROUP_INDEX", "NO_GROUP_INDEX", "NO_RANGE_OPTIMIZATION")
DERIVED = ("d", "u", "v", "w", "j", "l")        # what statements.py and the others call tables that are queries
# the same said to a session
SWITCHES = "SET optimizer_switch = 'semijoin=off,materialization=off,block_nested_loop=off,derived_merge=off,derived_condition_pushdown=off,prefer_ordering_index=off,use_invisible_indexes=on'"


class Hints:
    def __init__(self, text, tables, seed):
        self.r = random.Random("%d %s" % (seed, text))
        self.text = text
        keys = {t.name: ["PRIMARY"] + [k for d in t.keys for k in KEY.findall(d)] for t in tables}
        self.keys = {alias: keys.get(table, ["PRIMARY"]) for table, alias in NAMED.findall(text)}
        self.names = sorted(self.keys) + [n for n in DERIVED if re.search(r"\b%s\b" % n, text)]
        self.blocks = 0

    def table(self):
        block = "@b%d" % self.r.randrange(self.blocks) if self.blocks and self.r.random() < 0.1 else ""
        return self.r.choice(self.names) + block

    def some(self, of, most):
        return self.r.sample(of, self.r.randint(0, min(most, len(of))))

    def one(self):
        kind = self.r.randrange(5)
        if kind == 0 and self.names:
            return "%s(%s)" % (self.r.choice(("JOIN_ORDER", "JOIN_PREFIX", "JOIN_SUFFIX")), ", ".join(sorted({self.table() for _ in range(3)}, key=lambda _: self.r.random())))
        if kind == 1 and self.keys:
            alias = self.r.choice(sorted(self.keys))
            return "%s(%s %s)" % (self.r.choice(INDEX_HINTS), alias, ", ".join(self.some(self.keys[alias], 2)))
        if kind == 2:
            return "%s(%s)" % (self.r.choice(TABLE_HINTS), ", ".join(self.some(self.names, 2)))
        if kind == 3:
            return "%s(%s)" % (self.r.choice(("SEMIJOIN", "NO_SEMIJOIN")), ", ".join(self.some(STRATEGIES, 2)))
        return self.r.choice(("JOIN_FIXED_ORDER()", "NO_MERGE()", "NO_BNL()", "SUBQUERY(MATERIALIZATION)", "SUBQUERY(INTOEXISTS)"))

    def of_block(self, match):
        if self.r.random() < 0.2:
            return match.group(0)
        hints = [self.one() for _ in range(self.r.randint(1, 4))] + ["QB_NAME(b%d)" % self.blocks]
        self.blocks += 1
        return "SELECT /*+ %s */" % " ".join(hints)


def hinted(text, tables, seed=0):
    """The query with hints on its own tables and indexes, which follow from the text. Some are in vain."""
    h = Hints(text, tables, seed)
    return SELECT.sub(h.of_block, text)
