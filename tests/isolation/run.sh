#!/usr/bin/env bash
# Histories of transactions, checked for anomalies, and foreign keys under load: on one node and on three.
#   tests/isolation/run.sh --binary PATH [--seconds S] [--seed N] [--only one|three|kill] [--keep]
# Needs python3-pymysql from Debian. Binds 127.0.0.1, directories of its own: may run twice at once. The last line is
# "N passed, N failed".
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
python=
for p in /usr/bin/python3 python3; do # Debian's package is for Debian's Python
    [ -n "$python" ] || { "$p" -c 'import pymysql' 2>/dev/null && python=$p; }
done
[ -n "$python" ] || { echo "install python3-pymysql"; echo "0 passed, 1 failed"; exit 1; }
export PYTHONDONTWRITEBYTECODE=1
passed=0 failed=0
for test in append_test foreign_key_test; do
    out=$("$python" "$here/$test.py" "$@" 2>&1)
    printf '%s\n' "$out" | sed '$d'
    case ${out##*$'\n'} in
    *" passed, "*" failed")
        read -r p _ f _ <<<"${out##*$'\n'}"
        passed=$((passed + p)) failed=$((failed + f)) ;;
    *)
        printf '%s\n' "$out" | tail -1
        failed=$((failed + 1)) ;;
    esac
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
