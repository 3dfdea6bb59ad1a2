#!/usr/bin/env bash
# A node that is killed, starved and lied to: kill -9 under load with an audit, then bad input.
#   tests/crash/run.sh --binary PATH [--cycles N] [--seconds S] [--idle N] [--only kill|input] [--full-disk]
# --full-disk  only the test that fills a small tmpfs under the node (skipped where mounting is not allowed)
# --cycles   kills, each after about two seconds of load (default 5)
# --seconds  of each kind of random bytes (default 3)
# --idle     connections that never log in (default 500)
# Needs python3-pymysql from Debian. Binds 127.0.0.1, free ports, directories of its own: may run twice at once. The last line is
# "N passed, N failed".
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
binary= cycles=5 seconds=3 idle=500 only= full=
while [ $# -gt 0 ]; do
    case $1 in
    --binary) binary=$2; shift ;;
    --cycles) cycles=$2; shift ;;
    --seconds) seconds=$2; shift ;;
    --idle) idle=$2; shift ;;
    --only) only=$2; shift ;;
    --full-disk) only=input full="--only full_disk_test" ;;
    *) sed -n '2,8p' "$0"; exit 2 ;;
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
    local out rc line
    out=$(mktemp)
    "$python" "$@" 2>&1 | tee "$out"
    rc=${PIPESTATUS[0]}
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$out" | tail -n 1)
    rm -f "$out"
    if [ -z "$line" ]; then failed=$((failed + 1)); return; fi
    local p=${line%% passed*} f=${line#*, }; f=${f%% failed*}
    [ "$rc" -ne 0 ] && [ "$f" -eq 0 ] && f=1
    passed=$((passed + p)) failed=$((failed + f))
}
[ "$only" = input ] || stage "$here/kill_test.py" --binary "$binary" --cycles "$cycles"
[ "$only" = input ] || stage "$here/create_select_test.py" --binary "$binary" --cycles "$cycles"
[ "$only" = kill ] || stage "$here/bad_input.py" --binary "$binary" --seconds "$seconds" --idle "$idle" $full
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
