#!/usr/bin/env python3
"""Joins the grammar's fragments into one Bison file.

usage: join_grammar.py keywords.def expected-conflicts prologue.y.in fragment.y.in... > sql_grammar.y

A fragment is `declarations %% rules`. In the prologue and the fragments these names are replaced:
  @TOKENS@        the terminals of keywords.def
  @WORD_CLASSES@  rules word_plain, word_label, ... : the words of each class that may be names
  @EXPECT@        the number of shift-reduce conflicts that precedence does not settle: the README of sql/parser lists them"""
import re
import sys


def main():
    text = re.sub(r"/\*.*?\*/", "", open(sys.argv[1]).read(), flags=re.S)
    words = re.findall(r"^KEYWORD\((\w+), (\w+), (\w+)\)", text, flags=re.M)
    functions = re.findall(r"^FUNCTION_WORD\((\w+), (\w+)\)", text, flags=re.M)
    tokens, classes = [], {}
    for _, cls, token in words:
        if token not in tokens:
            tokens.append(token)
            classes.setdefault(cls, []).append(token)
        elif token not in classes.get(cls, []):
            sys.exit("KW_%s has words of two classes" % token)
    declared = ["KW_" + t for t in tokens] + sorted({f[1] for f in functions})
    token_text = "\n".join("%%token %s" % t for t in declared)
    rules = []
    for cls in ("PLAIN", "LABEL_ROLE", "LABEL", "ROLE", "VAR"):
        rules.append("word_%s:\n    %s\n  ;" % (cls.lower(), "\n  | ".join("KW_" + t for t in classes[cls])))
    replace = {"@TOKENS@": token_text, "@WORD_CLASSES@": "\n".join(rules), "@EXPECT@": sys.argv[2]}
    declarations, all_rules = [], []
    for i, path in enumerate(sys.argv[3:]):
        body = open(path).read()
        for name, value in replace.items():
            body = body.replace(name, value)
        if i == 0:
            declarations.append(body)
            continue
        head, sep, tail = body.partition("\n%%\n")
        if not sep:
            sys.exit(path + ": no %% line")
        declarations.append(head)
        all_rules.append(tail)
    print("\n".join(declarations) + "\n%%\n" + "\n".join(all_rules))


main()
