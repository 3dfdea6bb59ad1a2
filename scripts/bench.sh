#!/usr/bin/env bash
# sysbench on a node of its own (release build, temporary directory, free ports) and on any MySQL-speaking peers, by turns.
#   scripts/bench.sh [--seconds S] [--repeat N] [--threads "1 8 32"] [--workloads "oltp_point_select ..."] [--modes "auto disable"]
#                    [--tables N] [--table-size N] [--data DIR] [--out DIR] [--option OPTION-OF-START] [--binary PATH]
#                    [--nodes N [--splits N] [--rest S]]
#                    [name=HOST:PORT | name=USER:PASSWORD@HOST:PORT ...]
# Writes results.md (a table of ratios) and results.json to docs/bench/ or to --out; with --nodes a cluster of so many is measured,
# the files are cluster.md and cluster.json. Needs scripts/install_deps.sh --bench.
set -euo pipefail
cd "$(dirname "$0")/.."
binary=build/release/bin/skeindb out=docs/bench built=0
pass=()
while [ $# -gt 0 ]; do
    case $1 in
    --binary) binary=$2; built=1; shift ;;
    --out) out=$2; shift ;;
    -h | --help) sed -n '2,8p' "$0"; exit 0 ;;
    --*) pass+=("$1=$2"); shift ;;
    *) pass+=("$1") ;;
    esac
    shift
done
[ $built = 1 ] || scripts/build.sh release skeindb
for p in /usr/bin/python3 python3; do # Debian's pymysql is for Debian's Python
    "$p" -c 'import pymysql' 2>/dev/null && exec "$p" -B tests/bench/bench.py --binary "$binary" --out "$out" "${pass[@]}"
done
echo "bench.sh: install python3-pymysql (scripts/install_deps.sh)" >&2
exit 1
