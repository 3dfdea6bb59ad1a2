#!/usr/bin/env bash
# Three nodes as real processes: what must hold over nodes, the corpus and the golden SQL through each node's port, also while nodes
# die and ranges split and move, and an audit under kill -9 and SIGSTOP.
#   tests/cluster_rpc/run.sh --binary PATH [--kills N] [--pauses N] [--only basic|sessions|operate|range_life|bad_input|partition|corpus|golden|audit] [--full]
# --kills, --pauses  faults of the audit (default 2 and 2)
# --full  also partitions (network namespaces) and the golden files while nodes die; the audit's gaps may be 3 s and not 4, which depends
#         on the machine
# Needs python3-pymysql from Debian. Binds 127.0.0.1, free ports, directories of its own: may run twice at once. The last line is
# "N passed, N failed".
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
binary= kills=2 pauses=2 only= full= limit=4
while [ $# -gt 0 ]; do
    case $1 in
    --binary) binary=$2; shift ;;
    --kills) kills=$2; shift ;;
    --pauses) pauses=$2; shift ;;
    --only) only=$2; shift ;;
    --full) full=--full limit=3 ;;
    *) sed -n '2,9p' "$0"; exit 2 ;;
    esac
    shift
done
[ -x "$binary" ] || { echo "no such binary: '$binary'"; echo "0 passed, 1 failed"; exit 1; }
python=
for p in /usr/bin/python3 python3; do # Debian's package is for Debian's Python
    [ -n "$python" ] || { "$p" -c 'import pymysql' 2>/dev/null && python=$p; }
done
[ -n "$python" ] || { echo "install python3-pymysql"; echo "0 passed, 1 failed"; exit 1; }
export PYTHONDONTWRITEBYTECODE=1

passed=0 failed=0
stage() {
    local name=$1 start=$SECONDS out rc line
    shift
    [ -z "$only" ] || [ "$only" = "$name" ] || return
    out=$(mktemp)
    "$python" "$here/$name.py" --binary "$binary" "$@" 2>&1 | tee "$out"
    rc=${PIPESTATUS[0]}
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$out" | tail -n 1)
    rm -f "$out"
    echo "$name: $((SECONDS - start)) s"
    if [ -z "$line" ]; then failed=$((failed + 1)); return; fi
    local p=${line%% passed*} f=${line#*, }; f=${f%% failed*}
    [ "$rc" -ne 0 ] && [ "$f" -eq 0 ] && f=1
    passed=$((passed + p)) failed=$((failed + f))
}
stage basic
stage sessions
stage operate
stage range_life
stage bad_input
if [ -n "$full" ] || [ "$only" = partition ]; then stage partition; fi
stage corpus
stage golden $full
stage audit --kills "$kills" --pauses "$pauses" --limit "$limit"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
