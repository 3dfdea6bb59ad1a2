#!/usr/bin/env python3
"""Text that must not be in the tree: marks of unfinished work, paths of a machine; each second-level folder has a README."""
import os
import re
import subprocess
import sys

MARKS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
PATHS = re.compile(r"(/work/|/root/|/home/)")


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
    files = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout.split()
    errors = 0
    for path in files:
        if path == "scripts/lint/text.py" or not os.path.isfile(path) or os.path.getsize(path) > 4 << 20:
            continue
        if not path.endswith((".c", ".h", ".py", ".sh", ".md", ".def", ".in", ".cmake", ".txt")) or "/data/" in path:
            continue
        with open(path, encoding="utf-8", errors="replace") as f:
            for n, line in enumerate(f, 1):
                if path.endswith((".c", ".h")) and MARKS.search(line):
                    print(f"{path}:{n}: mark of unfinished work: {line.strip()}")
                    errors += 1
                if PATHS.search(line):
                    print(f"{path}:{n}: path of a machine: {line.strip()}")
                    errors += 1
    modules = {os.path.dirname(p) for p in files if p.endswith("CMakeLists.txt") and p.count("/") == 2}
    for folder in sorted(modules | {"base"}):
        if not os.path.exists(folder + "/README.md"):
            print(f"{folder}: no README.md")
            errors += 1
    return 1 if errors else 0


sys.exit(main())
