#!/usr/bin/python3
"""Random queries and changes against a server.

    tests/random/run.py --binary BINARY [--seconds N] [--seed S] [--storage disk|memory]   a node of its own
    tests/random/run.py --server HOST:PORT ...                                             one that runs
    ... --oracle HOST:PORT          the same statements on a reference server; answers must be equal
    ... --binary BINARY --nodes 3   three nodes, tables cut into ranges: parts of plans that run on other nodes against none that do

Without an oracle two properties are checked that hold for every SQL server: a query's rows are those of its three parts where a
condition is true, false and unknown (ternary logic partitioning), and a WHERE keeps as many rows as its condition is true for when it
stands in the select list (NoREC). A failure prints the seed and the statements; --seed repeats it."""
import argparse
import collections
import decimal
import os
import random
import sys
import tempfile
import time

import pymysql

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from generate import Generator  # noqa: E402
from cluster import Cluster  # noqa: E402
from node import Node  # noqa: E402

QUERIES_PER_SEED = 60
CHANGES_PER_SEED = 15


def normal(value):
    if isinstance(value, (decimal.Decimal, int)) and not isinstance(value, bool):
        return decimal.Decimal(value).normalize() + 0
    if isinstance(value, float):
        return round(value, 6)
    return value


def rows_of(rows):
    return collections.Counter(tuple(normal(v) for v in row) for row in rows)


class Server:
    def __init__(self, address, schema):
        host, port = address.rsplit(":", 1)
        self.c = pymysql.connect(host=host, port=int(port), user="root", autocommit=True, charset="utf8mb4", read_timeout=60)
        self.schema = schema
        with self.c.cursor() as cur:
            cur.execute("SET NAMES utf8mb4 COLLATE utf8mb4_0900_ai_ci")

    def fresh(self, statements):
        with self.c.cursor() as cur:
            cur.execute("DROP DATABASE IF EXISTS %s" % self.schema)
            cur.execute("CREATE DATABASE %s" % self.schema)
            cur.execute("USE %s" % self.schema)
            for s in statements:
                cur.execute(s)

    def ask(self, sql):
        """('rows', Counter) or ('error', number)"""
        try:
            with self.c.cursor() as cur:
                cur.execute(sql)
                return ("rows", rows_of(cur.fetchall()))
        except pymysql.MySQLError as e:
            if e.args[0] in (0, 2006, 2013):
                raise
            return ("error", e.args[0])

    def change(self, sql):
        try:
            with self.c.cursor() as cur:
                return ("changed", cur.execute(sql))
        except pymysql.MySQLError as e:
            if e.args[0] in (0, 2006, 2013):
                raise
            return ("error", e.args[0])

    def drop(self):
        with self.c.cursor() as cur:
            cur.execute("DROP DATABASE IF EXISTS %s" % self.schema)


class Failure(Exception):
    pass


def differ(what, statements, got, wanted):
    def short(answer):
        return answer if answer[0] != "rows" else ("rows", sorted(answer[1].items(), key=str)[:12], sum(answer[1].values()))
    raise Failure("%s\n  %s\n  got    %s\n  wanted %s" % (what, "\n  ".join(statements), short(got), short(wanted)))


def check_partition(server, g):
    source, scope = g.source()
    p = g.condition(scope)
    head = "SELECT %s FROM %s" % (", ".join(n for n, _ in scope), source)
    whole = server.ask(head)
    parts = [server.ask("%s WHERE %s" % (head, c)) for c in ("(%s)" % p, "NOT (%s)" % p, "(%s) IS NULL" % p)]
    if any(a[0] == "error" for a in parts + [whole]):
        return 4
    total = ("rows", parts[0][1] + parts[1][1] + parts[2][1])
    if total != whole:
        differ("the parts of a query are not the query", ["%s WHERE [NOT] (%s) [IS NULL]" % (head, p)], total, whole)
    return 4


def check_norec(server, g):
    source, scope = g.source()
    p = g.condition(scope)
    kept = server.ask("SELECT COUNT(*) FROM %s WHERE %s" % (source, p))
    counted = server.ask("SELECT SUM(CASE WHEN x THEN 1 ELSE 0 END) FROM (SELECT (%s) AS x FROM %s) d" % (p, source))
    if "error" in (kept[0], counted[0]):
        return 2
    a = list(kept[1])[0][0]
    b = list(counted[1])[0][0] or decimal.Decimal(0)
    if a != b:
        differ("a condition keeps other rows than it is true for", ["FROM %s WHERE %s" % (source, p)], kept, counted)
    return 2


def check_oracle(server, oracle, g):
    for _ in range(QUERIES_PER_SEED):
        sql = g.query()
        got, wanted = server.ask(sql), oracle.ask(sql)
        if got != wanted:
            differ("another answer than the reference", [sql], got, wanted)
    for _ in range(CHANGES_PER_SEED):
        sql = g.change()
        got, wanted = server.change(sql), oracle.change(sql)
        if got != wanted and ("error", 1292) in (got, wanted):
            break  # whether text that is no number is met depends on the order of evaluation
        if got != wanted:
            differ("another outcome than the reference", [sql], got, wanted)
        for t in g.tables:
            look = "SELECT * FROM %s" % t.name
            got, wanted = server.ask(look), oracle.ask(look)
            if got != wanted:
                differ("another content than the reference after", [sql, look], got, wanted)
    return QUERIES_PER_SEED + CHANGES_PER_SEED


def check_pushdown(servers, g):
    """servers[0] runs all of a query itself; each of the others asks for parts of it elsewhere."""
    count = 0
    for _ in range(QUERIES_PER_SEED):
        sql = g.query()
        wanted = servers[0].ask(sql)
        for s in servers[1:]:
            got = s.ask(sql)
            count += 1
            if got != wanted:
                differ("with fragments at other nodes another answer than without", [sql], got, wanted)
    for _ in range(CHANGES_PER_SEED):
        servers[0].change(g.change())
    return count


def one_seed(seed, server, oracle, others=()):
    g = Generator(seed)
    statements = g.make_tables()
    server.fresh(statements)
    for s in others:
        with s.c.cursor() as cur:
            cur.execute("USE " + s.schema)
    if oracle is not None:
        oracle.fresh(statements)
    try:
        if oracle is not None:
            return check_oracle(server, oracle, g)
        if others:
            return check_pushdown([server] + list(others), g) + check_pushdown([server] + list(others), g)
        count = 0
        for _ in range(QUERIES_PER_SEED // 3):
            count += check_partition(server, g) + check_norec(server, g)
            server.change(g.change())
        return count
    except Failure as f:
        raise Failure("seed %d: %s\n  tables:\n    %s" % (seed, f, "\n    ".join(s[:2000] for s in statements)))


def run(args, address, cluster=None):
    schema = "random_%d" % os.getpid()
    server = Server(address, schema)
    others = []
    for mode, n in (("ALWAYS", 1), ("ALWAYS", 2), ("AUTO", 2)) if cluster else ():
        others.append(Server("127.0.0.1:%d" % cluster.nodes[n].mysql_port, schema))
        with others[-1].c.cursor() as cur:
            cur.execute("SET skein_pushdown = " + mode)
    if cluster:
        with server.c.cursor() as cur:
            cur.execute("SET skein_pushdown = OFF")
    oracle = Server(args.oracle, schema) if args.oracle else None
    first = args.seed if args.seed is not None else random.SystemRandom().randrange(10**9)
    end = time.monotonic() + args.seconds
    seeds = statements = failed = 0
    while time.monotonic() < end and failed < args.failures:
        try:
            statements += one_seed(first + seeds, server, oracle, others)
        except Failure as f:
            print("FAIL %s" % f, flush=True)
            failed += 1
        seeds += 1
        if args.seed is not None and args.once:
            break
    server.drop()
    if oracle is not None:
        oracle.drop()
    print("%d seeds from %d, %d statements" % (seeds, first, statements))
    return seeds - failed, failed


def in_pieces(args):
    """Three nodes; the tables to come lie in ranges of a few rows, led by all of them."""
    with Cluster(args.binary, args.nodes) as cluster:
        for table in range(1, 150):
            cluster.split("02%02x0180000003" % table, 1)
        cluster.wait_replicated()
        for i, r in enumerate(sorted(cluster.ranges())):
            if r != 1:
                cluster.move_lease(r, cluster.nodes[i % args.nodes])
        result = run(args, "127.0.0.1:%d" % cluster.nodes[0].mysql_port, cluster)
        pages = 0
        for n in cluster.nodes:
            for line in n.http("/metrics")[1].splitlines():
                pages += int(line.split()[1]) if line.startswith("skein_pushdown_pages_total ") else 0
        print("%d pages came from other nodes" % pages)
        return result if pages > 0 else (result[0], result[1] + 1)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--binary")
    p.add_argument("--server")
    p.add_argument("--oracle")
    p.add_argument("--nodes", type=int, default=1)
    p.add_argument("--storage", default="disk")
    p.add_argument("--seconds", type=float, default=30)
    p.add_argument("--seed", type=int)
    p.add_argument("--once", action="store_true", help="only the given seed")
    p.add_argument("--failures", type=int, default=5, help="stop after so many")
    args = p.parse_args()
    if args.nodes > 1:
        passed, failed = in_pieces(args)
    elif args.server:
        passed, failed = run(args, args.server)
    else:
        with tempfile.TemporaryDirectory(prefix="skein_random_") as directory:
            node = Node(args.binary, directory, ["--storage", args.storage])
            node.start()
            try:
                passed, failed = run(args, "127.0.0.1:%d" % node.mysql_port)
            finally:
                node.stop()
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
