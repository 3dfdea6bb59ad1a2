#!/usr/bin/env bash
# All lints of the tree. Ends with "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/../.."
passed=0 failed=0
run() {
    if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $*"; fi
}
format() {
    local bad
    bad=$(git ls-files -z -- '*.c' '*.h' | xargs -0 -P "$(nproc)" -n 20 clang-format-14 --dry-run -Werror 2>&1 | grep -E 'error:' | cut -d: -f1 | sort | uniq -c)
    [ -z "$bad" ] || { printf 'not formatted (scripts/check.sh --fix):\n%s\n' "$bad"; return 1; }
}
run format
run python3 scripts/lint/layers.py
run python3 scripts/lint/sizes.py
run python3 scripts/lint/guards.py
run python3 scripts/lint/errors.py
run python3 scripts/lint/text.py
run python3 scripts/lint/docs.py
run python3 tests/sql/functions.py --check
run python3 scripts/gen/compat.py --check
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
