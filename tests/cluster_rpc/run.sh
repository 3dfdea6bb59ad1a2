#!/usr/bin/env bash
# Three nodes as real processes: what must hold over nodes, the corpus and the golden SQL through each node's port, also while nodes
# die and ranges split and move, and an audit under kill -9 and SIGSTOP.
#   tests/cluster_rpc/run.sh --binary PATH [--kills N] [--pauses N] [--only basic|sessions|stuck|deadlocks|big_changes|big_transactions|operate|range_life|bad_input|partition|corpus|golden|audit] [--full]
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
. "$here/../lib/stages.sh"
[ -x "$binary" ] || fail_early "no such binary: '$binary'"
find_python

run() {
    local name=$1
    shift
    [ -z "$only" ] || [ "$only" = "$name" ] || return 0
    stage "$name" "$python" "$here/$name.py" --binary "$binary" "$@"
}
run basic
run sessions
run stuck
run deadlocks
run big_changes
run big_transactions
run operate
run range_life
run bad_input
if [ -n "$full" ] || [ "$only" = partition ]; then run partition; fi
run corpus
run golden $full
run audit --kills "$kills" --pauses "$pauses" --limit "$limit"
summary
