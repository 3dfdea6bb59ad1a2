#!/usr/bin/python3
"""Random queries and changes against a server.

    tests/random/run.py --binary BINARY [--seconds N] [--seed S] [--storage disk|memory]   a node of its own
    tests/random/run.py --server HOST:PORT ...                                             one that runs
    ... --oracle HOST:PORT          the same statements on a reference server; answers must be equal
    ... --binary BINARY --nodes 3   three nodes, tables cut into ranges: parts of plans that run on other nodes against none that do;
                                    with --oracle each statement goes to the next node
    ... --plans                     each query by several plans, and with so little memory that operators spill

Without an oracle two properties are checked that hold for every SQL server: a query's rows are those of its three parts where a
condition is true, false and unknown (ternary logic partitioning), and a WHERE keeps as many rows as its condition is true for when it
stands in the select list (NoREC). A failure prints the seed and the statements; --seed repeats it."""
import argparse
import collections
import decimal
import os
import random
import re
import sys
import tempfile
import time

import pymysql
import pymysql.converters
from pymysql.constants import FIELD_TYPE

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import binary  # noqa: E402
from statements import Generator  # noqa: E402
from wide import Binary, Everywhere, Wide  # noqa: E402
from cluster import Cluster  # noqa: E402
from keys import FIRST_TABLE, key_of  # noqa: E402
from node import Node  # noqa: E402

TEMPORAL = (FIELD_TYPE.DATE, FIELD_TYPE.TIME, FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP)
LOST = (0, 2006, 2013)
QUERIES_PER_SEED = 60
CHANGES_PER_SEED = 15
ROUNDS_PER_SEED = 5


FRACTION = re.compile(r"^-?[0-9 :-]*\d\d:\d\d:\d\d\.\d+$")


def normal(value, folded, loose=False):
    if loose and isinstance(value, (decimal.Decimal, int, float)):
        return float("%.6g" % value)
    if isinstance(value, (decimal.Decimal, int)) and not isinstance(value, bool):
        return decimal.Decimal(value).normalize() + 0
    if isinstance(value, float):
        return float("%.6g" % value)
    if isinstance(value, str) and FRACTION.match(value):
        value = value.rstrip("0").rstrip(".")
    if isinstance(value, bytes):
        value = value.decode("utf8", "surrogateescape")
    if folded and isinstance(value, str):
        return value.casefold().rstrip(" ")
    return value


def rows_of(rows, ordered, folded, loose):
    """loose: numbers by their value only, whatever type a parameter gave them"""
    rows = [tuple(normal(v, folded, loose) for v in row) for row in rows]
    return rows if ordered else collections.Counter(rows)


class TimeUp(Exception):
    """The rest of the seed is not asked."""


class Server:
    end = float("inf")  # of the run

    def __init__(self, address, schema):
        host, port = address.rsplit(":", 1)
        self.address = (host, int(port))
        self.connect()
        self.schema = schema

    def connect(self):
        # dates and times as text: what a parameter's value is of another type shows in metadata only
        conv = {k: v for k, v in pymysql.converters.decoders.items() if k not in TEMPORAL}
        self.c = pymysql.connect(host=self.address[0], port=self.address[1], user="root", autocommit=True, charset="utf8mb4",
                                 read_timeout=30, conv=conv)
        with self.c.cursor() as cur:
            cur.execute("SET NAMES utf8mb4 COLLATE utf8mb4_0900_ai_ci")
            cur.execute("SET time_zone = '+00:00'")
            cur.execute("SET max_execution_time = 30000")

    def fresh(self, statements):
        """An empty schema with what the statements make; their outcomes."""
        with self.c.cursor() as cur:
            cur.execute("SET sql_mode = DEFAULT")
            cur.execute("DROP DATABASE IF EXISTS %s" % self.schema)
            cur.execute("CREATE DATABASE %s" % self.schema)
            cur.execute("USE %s" % self.schema)
        return [self.change(s) for s in statements]

    def use(self):
        with self.c.cursor() as cur:
            cur.execute("SET sql_mode = DEFAULT")
            cur.execute("USE " + self.schema)

    def ask(self, sql, ordered=False, folded=False):
        """('rows', Counter or list) or ('error', number); of several statements the last one's"""
        if time.monotonic() > self.end:
            raise TimeUp()
        try:
            if isinstance(sql, Binary):
                return ("rows", rows_of(binary.run(self.c, sql.text, sql.literals), ordered, folded, bool(sql.literals)))
            with self.c.cursor() as cur:
                for one in sql if isinstance(sql, list) else [sql]:
                    cur.execute(one)
                return ("rows", rows_of(cur.fetchall(), ordered, folded, isinstance(sql, list)))
        except pymysql.MySQLError as e:
            if e.args[0] in LOST:
                self.connect()
                self.use()
                if "timed out" in str(e):
                    return ("error", TIMEOUT)
                raise Failure("%s: %r\n  %s" % (self.address, e, sql))
            return ("error", e.args[0])

    def change(self, sql):
        if isinstance(sql, list):
            return ("several", [self.change(one) for one in sql])
        try:
            if isinstance(sql, Binary):
                return ("changed", binary.run(self.c, sql.text, sql.literals))
            with self.c.cursor() as cur:
                return ("changed", cur.execute(sql))
        except pymysql.MySQLError as e:
            if e.args[0] in LOST:
                self.connect()
                raise Failure("%s: %r\n  %s" % (self.address, e, sql))
            return ("error", e.args[0])

    def drop(self):
        with self.c.cursor() as cur:
            cur.execute("DROP DATABASE IF EXISTS %s" % self.schema)


class Failure(Exception):
    pass


def differ(what, statements, got, wanted):
    def short(answer, other):
        if answer[0] != "rows" or isinstance(answer[1], list):
            return str(answer)[:2000]
        more = answer[1] - other[1] if other[0] == "rows" and not isinstance(other[1], list) else answer[1]
        return ("rows", sorted(more.items(), key=str)[:8], "of", sum(answer[1].values()))
    raise Failure("%s\n  %s\n  got    %s\n  wanted %s" % (what, "\n  ".join(";\n  ".join(map(str, x)) if isinstance(x, list) else str(x) for x in statements), short(got, wanted), short(wanted, got)))


def check_partition(server, g):
    source, scope, _ = g.source()
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
    source, scope, _ = g.source()
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


# which of a statement's errors is met first, and whether one is met at all in a row that another condition drops, is open
OPEN_ERRORS = {1292, 1525, 1690, 1264, 1366, 1411, 3140, 3141, 3037, 3995, 1441, 6527, 3020}


# MySQL agrees on the collation of all operands of set operations at once, we pair by pair, and likewise with IN; of a subquery it sees
# only when it compares whether collations agree
MIXES = {1267, 1270, 1271}


# of which of several tables rows go first, and thus whether a foreign key is met, is the plan's
# which rows a cascade has reached before they are deleted themselves, and whether ALTER copies the table, is open
OPEN_COUNTS = re.compile(r"ALTER|DELETE \w+, ")
MANY_TARGETS = re.compile(r"DELETE \w+, \w+ FROM|UPDATE \w+ .*JOIN")


TIMEOUT = 3024


def open_error(*answers, text=""):
    if answers[-1] == ("error", TIMEOUT):
        return True         # the reference took too long
    numbers = [a[1] for a in answers if a[0] == "error"]
    if any(n in MIXES for n in numbers) and any(" %s" % w in str(text) for w in ("UNION", "INTERSECT", "EXCEPT", "IN (", "(SELECT")):
        return True
    if 1451 in numbers and MANY_TARGETS.match(str(text)):
        return True
    return len(numbers) == 2 or any(n in OPEN_ERRORS for n in numbers)


def check_change(servers, oracle, n, sql):
    """Whether to go on: not after an error that one of them alone may meet."""
    if isinstance(sql, Everywhere):
        for s in servers[:n] + servers[n + 1:]:
            s.change(sql)
    got, wanted = servers[n].change(sql), oracle.change(sql)
    several = got[0] == "several"
    for one, a, b in zip(sql, got[1], wanted[1]) if several else [(sql, got, wanted)]:
        if a == b or (a[0] == b[0] == "error" and open_error(a, b)) or (a[0] == b[0] and OPEN_COUNTS.match(str(one))):
            continue
        if open_error(a, b, text=one):
            servers[n].change("ROLLBACK")
            oracle.change("ROLLBACK")
            return False
        differ("another outcome than the reference", [sql, one], a, b)
    return True


def check_oracle(servers, oracle, g, log):
    """Each server is asked in turn; all are of one cluster."""
    count = 0
    for n in range(ROUNDS_PER_SEED):
        for _ in range(QUERIES_PER_SEED // ROUNDS_PER_SEED):
            sql, ordered, folded = g.query()
            got, wanted = servers[count % len(servers)].ask(sql, ordered, folded), oracle.ask(sql, ordered, folded)
            count += 1
            if got != wanted and not open_error(got, wanted, text=sql):
                differ("another answer than the reference", [sql], got, wanted)
        for _ in range(CHANGES_PER_SEED // ROUNDS_PER_SEED):
            sql = g.change()
            log.append(sql)
            count += 1
            if not check_change(servers, oracle, count % len(servers), sql):
                return count
            for t in g.tables:
                look = "SELECT * FROM %s" % t.name
                got, wanted = servers[count % len(servers)].ask(look), oracle.ask(look)
                if got != wanted:
                    differ("another content than the reference after", [sql, look], got, wanted)
    return count


def change_all(server, others, g, log):
    """A change, by the first session; what is of the session itself, by all."""
    log.append(g.change())
    server.change(log[-1])
    for s in others if isinstance(log[-1], Everywhere) else []:
        s.change(log[-1])


def check_pushdown(servers, g, log):
    """servers[0] runs all of a query itself; each of the others asks for parts of it elsewhere."""
    count = 0
    for _ in range(QUERIES_PER_SEED):
        sql, ordered, folded = g.query()
        wanted = servers[0].ask(sql, ordered, folded)
        for s in servers[1:]:
            got = s.ask(sql, ordered, folded)
            count += 1
            if got != wanted and not open_error(got, wanted):
                differ("with fragments at other nodes another answer than without", [sql], got, wanted)
    for _ in range(CHANGES_PER_SEED):
        change_all(servers[0], servers[1:], g, log)
    return count


# how a session of check_plans asks for another plan, or another way to run it
PLANS = ("SET skein_short_paths = OFF", "SET skein_pushdown = ALWAYS", "SET skein_pushdown = OFF", "SET skein_spill_budget = 4096", "SET skein_spill_budget = 1")
TOO_LITTLE = 20003        # a join of many rows of one key ends with an error when they do not fit into memory
NAMED = re.compile(r"\b(t\d) ([abqs]\d?|o)\b(?! (?:SET|JOIN \(SELECT))")


def check_plans(server, others, g, log):
    """Each query also without indexes, by prepared statements and in the ways of PLANS; after some changes statistics are made."""
    count = 0
    for n in range(ROUNDS_PER_SEED):
        for _ in range(QUERIES_PER_SEED // ROUNDS_PER_SEED):
            sql, ordered, folded = g.query()
            wanted = server.ask(sql, ordered, folded)
            ways = list(zip(others, PLANS))
            asked = [(s, sql, how) for s, how in ways]
            if isinstance(sql, str):
                asked.append((server, NAMED.sub(r"\1 \2 USE INDEX ()", sql), "without indexes"))
                asked.append((server, Binary(sql, []), "binary protocol"))
            for s, text, how in asked:
                got = s.ask(text, ordered, folded)
                count += 1
                if got != wanted and not open_error(got, wanted) and got[0] != "error":
                    differ("another plan, another answer: " + how, [text], got, wanted)
                if got[0] == "error" and wanted[0] != "error" and got[1] not in OPEN_ERRORS and not ("spill" in how and got[1] == TOO_LITTLE):
                    differ("another plan, an error: " + how, [text], got, wanted)
        for _ in range(CHANGES_PER_SEED // ROUNDS_PER_SEED):
            change_all(server, others, g, log)
        if n % 2 == 0:
            for t in g.tables:
                server.ask("ANALYZE TABLE " + t.name)
    return count


def one_seed(kind, seed, server, oracle, others=(), plans=False):
    g = kind(seed)
    statements = g.make_tables()
    done = server.fresh(statements)
    for s in others:
        s.use()
    log = []
    try:
        if oracle is not None:
            for one, a, b in zip(statements, done, oracle.fresh(statements)):
                if a != b:
                    if open_error(a, b, text=one):
                        return 0
                    differ("another outcome than the reference", [one], a, b)
        for one, a in zip(statements, done):
            if a[0] == "error" and one.startswith("CREATE"):
                g.forget(one.split()[2])
        if not g.tables:
            return 0
        if oracle is not None:
            return check_oracle([server] + list(others), oracle, g, log)
        if plans:
            return check_plans(server, others, g, log)
        if others:
            return sum(check_pushdown([server] + list(others), g, log) for _ in range(2))
        count = 0
        for _ in range(QUERIES_PER_SEED // 3):
            count += check_partition(server, g) + check_norec(server, g)
            log.append(g.change())
            server.change(log[-1])
        return count
    except TimeUp:
        for s in [server] + list(others):
            s.change("ROLLBACK")
        return 0
    except Failure as f:
        changes = [x for c in log for x in (c if isinstance(c, list) else [c])]
        raise Failure("seed %d: %s\n  tables:\n    %s\n  changes:\n    %s" % (
            seed, f, "\n    ".join(s[:4000] for s in statements), "\n    ".join(map(str, changes))))


def run(args, address, cluster=None):
    schema = "random_%d" % os.getpid()
    server = Server(address, schema)
    others = []
    for mode, n in (("ALWAYS", 1), ("ALWAYS", 2), ("AUTO", 2)) if cluster else ():
        others.append(Server("127.0.0.1:%d" % cluster.nodes[n].mysql_port, schema))
        with others[-1].c.cursor() as cur:
            cur.execute("SET skein_pushdown = " + mode)
    for how in PLANS if args.plans else ():
        others.append(Server(address, schema))
        with others[-1].c.cursor() as cur:
            cur.execute(how)
    if cluster and not args.oracle:
        with server.c.cursor() as cur:
            cur.execute("SET skein_pushdown = OFF")
    oracle = Server(args.oracle, schema) if args.oracle else None
    first = args.seed if args.seed is not None else random.SystemRandom().randrange(10**9)
    end = time.monotonic() + args.seconds
    if not args.once:
        server.end = end
    seeds = statements = failed = 0
    while time.monotonic() < end and failed < args.failures:
        try:
            statements += one_seed(Generator if args.basic else Wide, first + seeds, server, oracle, others, args.plans)
        except (Failure, pymysql.MySQLError, OSError) as f:
            if not isinstance(f, Failure):
                f = "seed %d: the connection ended: %r" % (first + seeds, f)
                for s in [server, oracle] + others:
                    if s is not None:
                        s.connect()
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
        for table in range(FIRST_TABLE, FIRST_TABLE + 150):
            cluster.split(key_of(table, 3), 1)
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
    p.add_argument("--basic", action="store_true", help="the kinds of statements.py only")
    p.add_argument("--plans", action="store_true", help="each query by several plans")
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
