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
. "$here/../lib/stages.sh"
[ -x "$binary" ] || fail_early "no such binary: '$binary'"
find_python

run() {
    local name=$1
    shift
    stage "$name" "$python" "$here/$name.py" --binary "$binary" "$@"
}
[ "$only" = input ] || run kill_test --cycles "$cycles"
[ "$only" = input ] || run create_select_test --cycles "$cycles"
[ "$only" = input ] || run big_load_test
[ "$only" = kill ] || run bad_input --seconds "$seconds" --idle "$idle" $full
summary
