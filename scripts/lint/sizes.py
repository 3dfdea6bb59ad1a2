#!/usr/bin/env python3
"""Files of at most 1,000 lines and functions of at most 100. Exceptions stand in scripts/lint/allow.txt with a reason."""
import os
import re
import subprocess
import sys

FILE_MAX, FUNCTION_MAX = 1000, 100


def functions(lines):
    """(name, first line, length) of each function body: clang-format puts its braces in column 1."""
    start, name = None, None
    for i, line in enumerate(lines):
        if line.startswith("{") and start is None:
            j = i - 1
            while j > 0 and not re.match(r"^[A-Za-z_].*\(", lines[j]):
                j -= 1
            m = re.search(r"(\w+)\(", lines[j])
            start, name = j, m.group(1) if m else "?"
        elif line.startswith("}") and start is not None:
            if not line.startswith("};") and not line.startswith("} "):
                yield name, start + 1, i - start + 1
            start = None


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
    allow = set()
    with open("scripts/lint/allow.txt", encoding="utf-8") as f:
        for line in f:
            line = line.split("#")[0].split()
            if line:
                allow.add(line[0])
    used, errors = set(), 0
    files = subprocess.run(["git", "ls-files", "*.c", "*.h", "*.y.in", "*.py", "*.sh"], capture_output=True, text=True,
                           check=True).stdout.split()
    for path in files:
        if not os.path.exists(path):
            continue
        with open(path, encoding="utf-8", errors="replace") as f:
            lines = f.read().split("\n")
        if len(lines) > FILE_MAX + 1:
            if path in allow:
                used.add(path)
            else:
                print(f"{path}: {len(lines) - 1} lines, more than {FILE_MAX}")
                errors += 1
        if path.endswith((".c", ".h")):
            for name, line, length in functions(lines):
                if length > FUNCTION_MAX:
                    key = f"{path}:{name}"
                    if key in allow:
                        used.add(key)
                    else:
                        print(f"{path}:{line}: {name} has {length} lines, more than {FUNCTION_MAX}")
                        errors += 1
    for key in sorted(allow - used):
        print(f"scripts/lint/allow.txt: {key} needs no exception any more: remove it")
        errors += 1
    return 1 if errors else 0


sys.exit(main())
