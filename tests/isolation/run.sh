#!/usr/bin/env bash
# Histories of transactions, checked for anomalies; foreign keys and predicates under load: on one node and on three.
#   tests/isolation/run.sh --binary PATH [--seconds S] [--seed N] [--only one|three|kill] [--keep]
# Needs python3-pymysql from Debian. Binds 127.0.0.1, directories of its own: may run twice at once. The last line is
# "N passed, N failed".
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../lib/stages.sh"
find_python
for test in append_test foreign_key_test phantom_test; do
    stage "$test" "$python" "$here/$test.py" "$@"
done
summary
