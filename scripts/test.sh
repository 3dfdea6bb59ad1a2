#!/usr/bin/env bash
# Installs what is missing, builds, and runs all tests. Ends with a line "N passed, N failed".
#   scripts/test.sh [--no-install] [--only lint|unit|sim|sql|random|crash|isolation|cluster|protocol|sanitize]
# Every stage is a script that prints "N passed, N failed" as its last line (or is ctest).
set -uo pipefail
cd "$(dirname "$0")/.."
install=1 only=
while [ $# -gt 0 ]; do
    case $1 in
    --no-install) install=0 ;;
    --only) only=$2; shift ;;
    *) sed -n '2,4p' "$0"; exit 2 ;;
    esac
    shift
done
case ${only:-lint} in
lint | unit | sim | sql | random | crash | isolation | cluster | protocol | sanitize) ;;
*) sed -n '2,4p' "$0"; exit 2 ;;
esac
[ $install = 0 ] || scripts/install_deps.sh || { echo "0 passed, 1 failed"; exit 1; }

. tests/lib/stages.sh
jobs=$(nproc)
want() { [ -z "$only" ] || [ "$only" = "$1" ]; }
one() { # one NAME COMMAND...: a stage that counts as one test
    local name=$1 start=$SECONDS; shift
    if "$@"; then passed=$((passed + 1)); echo "ok: $name ($((SECONDS - start)) s)"
    else failed=$((failed + 1)); echo "FAILED: $name"; fi
}
unit() { # unit PRESET [ctest options...]
    local preset=$1; shift
    local out; out=$(mktemp)
    ctest --test-dir "build/$preset" -j "$jobs" --output-on-failure "$@" >"$out" 2>&1
    local total bad
    read -r bad total < <(sed -nE 's/.* ([0-9]+) tests failed out of ([0-9]+)/\1 \2/p' "$out" | tail -n 1)
    [ "${bad:-1}" = 0 ] || grep -vE '^ *[0-9]+/[0-9]+ .*Passed' "$out" | tail -n 120
    rm -f "$out"
    echo "$((${total:-0} - ${bad:-1})) passed, ${bad:-1} failed"
    [ "${bad:-1}" = 0 ]
}

if want lint; then stage lint scripts/lint/all.sh; fi
case $only in lint | sanitize) ;; *) one "build release" scripts/build.sh release ;; esac
if want unit; then stage "unit tests" unit release; fi
if [ "$only" = sim ]; then stage "simulations" unit release -L sim; fi # they are among the unit tests
binary=build/release/bin/skeindb
for name in sql random crash isolation; do
    if want $name; then stage $name tests/$name/run.sh --binary $binary; fi
done
if want cluster; then stage cluster tests/cluster_rpc/run.sh --binary $binary; fi
if want protocol; then stage protocol tests/lib/with_node.sh $binary -- tests/protocol/run.sh; fi
if want sanitize; then
    one "build asan-ubsan" scripts/build.sh asan-ubsan
    stage "unit tests under ASan and UBSan" unit asan-ubsan -LE 'slow|sim'
fi
summary
