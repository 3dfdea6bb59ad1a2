"""kill -9 in a loop under load, an audit after each restart. A cycle is one test. Prints a line per cycle; see run.sh."""
import argparse
import os
import random
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import audit  # noqa: E402
from node import Node, StartFailed  # noqa: E402


def cycle(node, ledger, number, seconds, args):
    operations = audit.run_load(node, ledger, number, seconds, args.connections, args.splits)
    node.start()
    connection = node.connect()
    try:
        problems = audit.check(connection, ledger)
    finally:
        connection.close()
    if operations == 0:
        problems.append("no operation was done in %.1f s" % seconds)
    return operations, problems


def clean_restart(node, ledger):
    status = node.stop()
    problems = [] if status == 0 else ["SIGTERM gave status %r" % status]
    node.start()
    connection = node.connect()
    try:
        return problems + audit.check(connection, ledger)
    finally:
        connection.close()


def report(name, problems, text):
    print("%s %s: %s" % ("FAIL" if problems else "PASS", name, text), flush=True)
    for p in problems:
        print("     " + p, flush=True)
    return not problems


def run(args, directory):
    node = Node(args.binary, directory, args.option)
    ledger = audit.Ledger()
    rand = random.Random(args.seed)
    passed = failed = 0
    try:
        node.start()
        connection = node.connect()
        audit.prepare(connection)
        connection.close()
        for number in range(1, args.cycles + 1):
            seconds = rand.uniform(0.2, 2.0) * args.seconds
            operations, problems = cycle(node, ledger, args.seed + number, seconds, args)
            text = "killed after %.2f s and %d operations, ready again in %.2f s, %d ranges, %d inserts, %d transfers" % (
                seconds, operations, node.start_seconds, node.http("/ranges")[1].count('"id"'), len(ledger.batches), len(ledger.transfers))
            ok = report("cycle %d" % number, problems, text)
            passed, failed = passed + ok, failed + (not ok)
        ok = report("clean restart", clean_restart(node, ledger), "SIGTERM, start, audit")
        passed, failed = passed + ok, failed + (not ok)
    except (StartFailed, OSError, audit.pymysql.Error) as e:
        print("FAIL %r\n%s" % (e, node.log_tail()), flush=True)
        failed += 1
    finally:
        node.kill()
    return passed, failed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--cycles", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="mean time to the kill")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--splits", type=int, default=4, help="of ranges under load, per cycle")
    parser.add_argument("--seed", type=int, default=int(time.time()) & 0xFFFFFF)
    parser.add_argument("--option", action="append", default=[], help="option for `skeindb start`, e.g. --option=--range-size=1M")
    parser.add_argument("--keep", action="store_true", help="keep the directory of a failed run")
    args = parser.parse_args()
    directory = tempfile.mkdtemp(prefix="skein_crash_")
    print("seed %d" % args.seed, flush=True)
    failed = 1
    try:
        passed, failed = run(args, directory)
    finally:
        if args.keep and failed:
            print("kept: " + directory)
        else:
            shutil.rmtree(directory, ignore_errors=True)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


sys.exit(main())
