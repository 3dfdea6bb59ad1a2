#!/usr/bin/env python3
"""What stands in backticks in a README or in docs/ and looks like a file, or like a name of the code, is there; and so are the
files that comments of the code name."""
import fnmatch
import os
import re
import subprocess
import sys

QUOTED = re.compile(r"`([^`\n]+)`")
FILE = re.compile(r"[\w*{},+-]+(\.[\w*-]+)*\.(c|h|def|py|sh|y|proto|cmake|tsv|txt|md)")
PATH = re.compile(r"[\w.*{},+-]+(/[\w.*{},+-]+)+/?")
NAME = re.compile(r"[a-z][a-z0-9]*(_+[a-z0-9]+)+(\(\))?")
NAMES = re.compile(r"([a-z][a-z0-9]*(?:_+[a-z0-9]+)+)((?:/[a-z0-9_]+)+)")  # thing_open/close/free
COMMENT = re.compile(r"/\*.*?\*/", re.S)
IN_COMMENT = re.compile(r"(?<![\w/.<*-])((?:[\w-]+/)*[\w-]{2,}\.(?:c|h|def|py|sh|proto|md))(?![\w(])")
MADE_UP = re.compile(r"\bfoo|\b[A-Z]{2,}\b(?!\.md)|[A-Z]{3,}_")  # NAME.test, foo_test.c
CODE = (".c", ".h", ".def", ".py", ".sh", ".proto", ".y", ".in", ".cmake", ".go", ".sql", ".test", "CMakeLists.txt")


def read(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


class Tree:
    def __init__(self, files):
        self.files = set(files)
        self.folders = set()
        for f in files:
            while f := os.path.dirname(f):
                self.folders.add(f)
        self.all = self.files | self.folders
        self.ends = {}
        for f in self.all:
            self.ends.setdefault(os.path.basename(f), []).append(f)
        self.stems = {os.path.basename(f).split(".")[0] for f in files}
        self.words = set()
        self.built = ""  # what makes files
        for f in files:
            if f.endswith(CODE) and os.path.isfile(f) and os.path.getsize(f) < 8 << 20:
                text = read(f)
                self.words.update(re.findall(r"[A-Za-z_]\w*", text))
                self.built += text if f.endswith("CMakeLists.txt") else ""

    def has_path(self, path, here, within):
        """From the root, from the document's folder, or the end of one; a name without its ending, too. within: a bare name is
        one of that folder."""
        within = "" if "/" in path else within
        if "*" in path:
            return any(fnmatch.fnmatch(f, p) for p in (path, "*/" + path) for f in self.all)
        for p in (path, path + ".c", path + ".h"):
            if p in self.all or os.path.normpath(os.path.join(here, p)) in self.all:
                return True
            if any(("/" + f).endswith("/" + p) and f.startswith(within) for f in self.ends.get(os.path.basename(p), ())):
                return True
        return False

    def has_name(self, name):
        return name in self.words or name in self.stems

    def has_names(self, first, rest):
        if not self.has_name(first):
            return False
        parts = first.split("_")
        starts = ["_".join(parts[:i]) + "_" for i in range(1, len(parts))]
        return all(any(self.has_name(s + r) for s in starts) for r in rest)


def braces(text):
    """{a,b} as the shell does."""
    m = re.search(r"\{([^{}]*)\}", text)
    return [text] if m is None else [t for p in m[1].split(",") for t in braces(text[: m.start()] + p + text[m.end() :])]


def wrong(tree, token, document):
    here = os.path.dirname(document)
    within = here + "/" if document.endswith("/README.md") else ""
    if MADE_UP.search(token):
        return None
    several = NAMES.fullmatch(token)
    first = token.split("/")[0]
    if FILE.fullmatch(token) or (PATH.fullmatch(token) and (first in tree.folders or os.path.join(here, first) in tree.folders)):
        missing = [p for p in braces(token.rstrip("/")) if not tree.has_path(p, here, within)]
        return "no such file" if missing else None
    if several:
        return None if tree.has_names(several[1], several[2][1:].split("/")) else "no such names"
    if NAME.fullmatch(token) and not tree.has_name(token.removesuffix("()")):
        return "no such name"
    return None


def in_document(tree, path):
    for n, line in enumerate(read(path).split("\n"), 1):
        for token in QUOTED.findall(line):
            what = wrong(tree, token, path)
            if what is not None:
                yield n, f"{what}: {token}"


def in_comments(tree, path):
    text = read(path)
    for comment in COMMENT.finditer(text):
        for token in IN_COMMENT.findall(comment[0]):
            if not MADE_UP.search(token) and not tree.has_path(token, os.path.dirname(path), "") and token not in tree.built:
                yield text.count("\n", 0, comment.start()) + 1, f"no such file: {token}"


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True, check=True)
    tree = Tree([f for f in listed.stdout.split("\n") if f])
    errors = 0
    for path in sorted(f for f in tree.files if os.path.isfile(f)):
        if path.endswith(".md"):
            found = in_document(tree, path)
        elif path.endswith((".c", ".h", ".def")) and "/data/" not in path:
            found = in_comments(tree, path)
        else:
            continue
        for n, what in found:
            print(f"{path}:{n}: {what}")
            errors += 1
    return 1 if errors else 0


sys.exit(main())
