"""What the tests that kill a node share: options, a node in a directory of its own, a line per test, the sum."""
import argparse
import os
import random
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import pymysql  # noqa: E402
from node import Node, StartFailed  # noqa: E402


class Report:
    """Counts what was found."""

    def __init__(self):
        self.passed = self.failed = 0

    def add(self, name, problems, text):
        print("%s %s: %s" % ("FAIL" if problems else "PASS", name, text), flush=True)
        for p in problems[:10]:
            print("     " + p, flush=True)
        self.passed, self.failed = self.passed + (not problems), self.failed + bool(problems)


def parser_of(doc, cycles):
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--cycles", type=int, default=cycles)
    parser.add_argument("--seed", type=int, default=int(time.time()) & 0xFFFFFF)
    parser.add_argument("--option", action="append", default=[], help="option for `skeindb start`, e.g. --option=--range-size=1M")
    parser.add_argument("--keep", action="store_true", help="keep the directory of a failed run")
    return parser


def main(args, run):
    """run(node, rand, report): the tests, on a node that has been started; the exit status."""
    directory = tempfile.mkdtemp(prefix="skein_crash_")
    print("seed %d" % args.seed, flush=True)
    report = Report()
    node = Node(args.binary, directory, args.option)
    try:
        node.start()
        run(node, random.Random(args.seed), report)
    except (StartFailed, OSError, pymysql.Error) as e:
        report.add("the run", [node.log_tail()], repr(e))
    finally:
        node.kill()
        if args.keep and report.failed:
            print("kept: " + directory)
        else:
            shutil.rmtree(directory, ignore_errors=True)
    print("%d passed, %d failed" % (report.passed, report.failed))
    return 1 if report.failed else 0
