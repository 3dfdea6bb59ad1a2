#!/usr/bin/env python3
"""Calls of my_error() and its relatives give as many arguments as the message of sql/diag/mysql_errors.def takes: the compiler
cannot check that."""
import os
import re
import subprocess
import sys

CALL = re.compile(r"\b(my_error|my_error_at|diag_area_note|diag_area_warn|bind__warn|func__warn|func__bind_warn)\s*\(")
ROW = re.compile(r'MYERR\w*\((ER_\w+|WARN_\w+),\s*\d+,\s*"\w+"(?:,\s*((?:"(?:\\.|[^"\\])*"\s*)+))?\)', re.S)


def conversions(text):
    """Number of arguments a printf format takes; a '*' takes one of its own."""
    found = re.findall(r"%(%|[-+ #0]*(\*|\d+)?(?:\.(\*|\d+))?(?:hh|h|ll|l|z|j)?[diouxXeEfgGcsp])", text)
    return sum(0 if whole == "%" else 1 + (a == "*") + (b == "*") for whole, a, b in found)


def arguments(text, at):
    """The arguments of the call whose '(' is at `at`."""
    depth, start, out, i = 0, at + 1, [], at
    while i < len(text):
        c = text[i]
        if c == '"':
            i += 1
            while text[i] != '"':
                i += 2 if text[i] == "\\" else 1
        elif c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
            if depth == 0:
                out.append(text[start:i].strip())
                return out
        elif c == "," and depth == 1:
            out.append(text[start:i].strip())
            start = i + 1
        i += 1
    return out


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
    with open("sql/diag/mysql_errors.def", encoding="utf-8") as f:
        formats = {m.group(1): conversions(m.group(2) or "") for m in ROW.finditer(f.read())}
    files = subprocess.run(["git", "ls-files", "sql/*.c"], capture_output=True, text=True, check=True).stdout.split()
    errors = 0
    for path in files:
        if path.startswith("sql/diag/"):
            continue
        with open(path, encoding="utf-8") as f:
            text = f.read()
        for m in CALL.finditer(text):
            args = arguments(text, m.end() - 1)
            first = 2 if m.group(1) == "my_error_at" else 1
            if len(args) <= first or not re.fullmatch(r"ER_\w+|WARN_\w+", args[first]):
                continue
            given, wanted = len(args) - first - 1, formats.get(args[first])
            if wanted is not None and given != wanted:
                print(f"{path}:{text.count(chr(10), 0, m.start()) + 1}: {args[first]} takes {wanted} arguments, not {given}")
                errors += 1
    return 1 if errors else 0


sys.exit(main())
