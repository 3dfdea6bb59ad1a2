#!/usr/bin/env python3
"""Headers have a guard named after their path that is closed last; a .c file includes its own header first; banned
functions are not called; fallible prototypes in headers are MUST_USE."""
import os
import re
import subprocess
import sys

TOPS = ("base", "proto", "rpc", "wire", "sql", "cluster", "node", "tests")
BANNED = re.compile(r"(?<![\w.>])(strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|gmtime|localtime|alloca|gets)\s*\(")
RAW_HEAP = re.compile(r"(?<![\w.>])(malloc|calloc|realloc|free|strdup)\s*\(")
HEAP_OK = {"base/alloc.c", "base/banned.h"}


def strip_comments(text):
    text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group(0).count("\n"), text, flags=re.S)
    text = re.sub(r'"(\\.|[^"\\\n])*"', '""', text)
    return re.sub(r"//[^\n]*", "", text)


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
    files = subprocess.run(["git", "ls-files", "*.c", "*.h"], capture_output=True, text=True, check=True).stdout.split()
    errors = []
    for path in files:
        if path.split("/")[0] not in TOPS or not os.path.exists(path):
            continue
        with open(path, encoding="utf-8", errors="replace") as f:
            raw = f.read()
        text = strip_comments(raw)
        if path.endswith(".h"):
            guard = "SKEIN_" + re.sub(r"[^A-Z0-9]", "_", path.upper())
            code = text.strip().split("\n")
            folder = os.path.basename(os.path.dirname(path))
            short = guard.replace(f"_{folder}_{folder}_INT_H".upper(), f"_{folder}_INT_H".upper())  # math/math_int.h
            if code[0].strip() not in (f"#ifndef {guard}", f"#ifndef {short}") or code[-1].strip() != "#endif":
                errors.append(f"{path}: include guard must be {guard}, around everything")
        elif os.path.exists(path[:-2] + ".h"):
            m = re.search(r'#include\s+["<]([^">]+)[">]', text.replace('""', '"?"')) and re.search(
                r'#include\s+["<]([^">]+)[">]', raw)
            folder = os.path.dirname(path)
            private = m and os.path.dirname(m.group(1)) == folder and m.group(1).endswith("_int.h")
            if m and m.group(1) != path[:-2] + ".h" and not private:
                errors.append(f"{path}: first include must be {path[:-2]}.h (or the folder's _int.h)")
        for m in BANNED.finditer("" if path == "base/banned.h" else text):
            errors.append(f"{path}:{text.count(chr(10), 0, m.start()) + 1}: {m.group(1)} is banned (style rule 16)")
        if path not in HEAP_OK and not path.startswith("tests/") and not re.search(r"_(test|bench|fuzz)\.c$", path):
            for m in RAW_HEAP.finditer(text):
                errors.append(f"{path}:{text.count(chr(10), 0, m.start()) + 1}: {m.group(1)}: use base/alloc.h")
    for e in errors:
        print(e)
    return 1 if errors else 0


sys.exit(main())
