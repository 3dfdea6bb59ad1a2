"""Runs a load against clusters of its own, on one node and on three, and reports what was wrong."""
import argparse
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))
from cluster import Cluster


def main(title, doc, run):
    """run(cluster, seconds, rand, kills) returns a list of problems and a line about what was done."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--only", choices=["one", "three", "kill"])
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--keep", action="store_true", help="data and logs stay")
    args = parser.parse_args()
    seed = random.SystemRandom().getrandbits(24) if args.seed is None else args.seed
    passed = failed = 0
    for name in [args.only] if args.only else ["one", "three"]:
        print("%s, %s: seed %d" % (title, name, seed), flush=True)
        with Cluster(args.binary, 1 if name == "one" else 3, keep=args.keep) as cluster:
            problems, line = run(cluster, args.seconds, random.Random(seed), name == "kill")
            cluster.keep = cluster.keep or bool(problems)
        for p in problems[:20]:
            print("  " + p)
        print("%s %s: %s" % ("FAILED" if problems else "ok", name, line), flush=True)
        passed, failed = passed + (not problems), failed + bool(problems)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0
