#!/usr/bin/env python3
"""Checks every #include against scripts/lint/layers.txt."""
import os
import re
import subprocess
import sys

TOPS = ("base", "proto", "rpc", "wire", "sql", "cluster", "node", "tests")
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.M)


def unit_of(path):
    parts = path.split("/")
    if parts[0] in ("base", "proto", "tests"):
        return parts[0]
    return "/".join(parts[:2]) if len(parts) > 2 else parts[0]


def read_rules(path):
    allowed, external = {}, {}
    with open(path, encoding="utf-8") as f:
        for line in f:
            line = line.split("#")[0].strip()
            if not line:
                continue
            unit, _, names = line.partition(":")
            target = external if unit.startswith("<") else allowed
            target[unit.strip("<>")] = names.split()
    return allowed, external


def may(allowed, unit, other):
    for name in allowed.get(unit, []):
        if name == other or (name.endswith("/*") and other.startswith(name[:-1])):
            return True
    return unit == other


def main():
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    os.chdir(root)
    allowed, external = read_rules("scripts/lint/layers.txt")
    files = subprocess.run(["git", "ls-files", "*.c", "*.h", "*.y.in", "*.def"], capture_output=True, text=True,
                           check=True).stdout.split()
    errors = 0
    for path in files:
        if not path.startswith(tuple(t + "/" for t in TOPS)) or not os.path.exists(path):
            continue
        unit = unit_of(path)
        # Tests and benches may reach for anything that their module's build lets them link.
        loose = re.search(r"_(test|bench|fuzz)\.c$", path) is not None
        with open(path, encoding="utf-8", errors="replace") as f:
            text = f.read()
        for kind, name in INCLUDE.findall(text):
            if kind == '"':
                other = unit_of(name)
                if name.split("/")[0] in TOPS and not loose and not may(allowed, unit, other):
                    print(f"{path}: {unit} may not include {name} (layers.txt)")
                    errors += 1
            else:
                for prefix, units in external.items():
                    if name.startswith(prefix) and unit not in units and not loose:
                        print(f"{path}: only {', '.join(units)} may include <{name}>")
                        errors += 1
    return 1 if errors else 0


sys.exit(main())
