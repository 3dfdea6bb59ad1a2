#!/usr/bin/env bash
# The gate before a change goes in: formatting, lints, gcc and clang builds with warnings as errors, ASan+UBSan and TSan on
# all unit tests (those that run threads are among them; no label can be forgotten).
#   scripts/check.sh [--fast] [--fix]     --fast: only lints of the tree; --fix: format in place first
set -uo pipefail
cd "$(dirname "$0")/.."
fast=0
for a in "$@"; do
    case $a in
    --fast) fast=1 ;;
    --fix) git ls-files -z -- '*.c' '*.h' | xargs -0 clang-format-14 -i ;;
    *) sed -n '2,4p' "$0"; exit 2 ;;
    esac
done
failed=0
run() { echo "== $1"; shift; "$@" || { echo "FAILED: $*"; failed=$((failed + 1)); }; }
run lints scripts/lint/all.sh
if [ $fast = 0 ]; then
    run "gcc, release" scripts/build.sh release
    run "global names" scripts/lint/symbols.sh build/release
    run "clang" scripts/build.sh clang
    run "unit tests" ctest --test-dir build/release -j "$(nproc)" --output-on-failure
    run "asan-ubsan" scripts/build.sh asan-ubsan
    run "unit tests, asan-ubsan" ctest --test-dir build/asan-ubsan -j "$(nproc)" --output-on-failure -LE 'slow|sim'
    run "tsan" scripts/build.sh tsan
    # Libraries are not instrumented; what their modules list is theirs alone. A race of ours fails the test. (Not
    # called_from_lib: it would hide the libraries' mutexes and make races of hand-overs that they order.)
    git ls-files -z -- '*tsan.supp' | xargs -0 cat >build/tsan/suppressions
    export TSAN_OPTIONS="suppressions=$PWD/build/tsan/suppressions"
    run "unit tests, tsan" ctest --test-dir build/tsan -j "$(nproc)" --output-on-failure -LE 'slow|sim'
fi
[ $failed = 0 ] && echo "all checks passed" || echo "$failed checks failed"
[ $failed = 0 ]
