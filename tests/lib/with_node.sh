#!/usr/bin/env bash
# Starts a node of its own on free ports with a data directory of its own, runs a command with "127.0.0.1 PORT" appended, stops the node.
#   tests/lib/with_node.sh BINARY [node options...] -- COMMAND [ARG...]
# Exit status: the command's. Lines "PASS ..." and "FAIL ..." of its output are counted into a last line "N passed, N failed".
set -uo pipefail
binary=$1
shift
options=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do options+=("$1"); shift; done
shift
dir=$(mktemp -d)
out=$dir/out
pid=
cleanup() {
    if [ -n "$pid" ]; then kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; fi
    rm -rf "$dir"
}
trap cleanup EXIT
"$binary" start --data "$dir/data" --mysql 127.0.0.1:0 --rpc 127.0.0.1:0 --admin 127.0.0.1:0 "${options[@]}" >"$out" 2>"$dir/log" &
pid=$!
for _ in $(seq 1800); do
    grep -q '^ready ' "$out" && break
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
done
port=$(sed -nE 's/^ready mysql=[^ ]*:([0-9]+) .*/\1/p' "$out")
if [ -z "$port" ]; then
    tail -n 20 "$dir/log"
    echo "FAIL the node did not start"
    echo "0 passed, 1 failed"
    exit 1
fi
"$@" 127.0.0.1 "$port" 2>&1 | tee "$dir/result"
rc=${PIPESTATUS[0]}
if ! kill -0 "$pid" 2>/dev/null; then
    echo "FAIL the node died" | tee -a "$dir/result"
    tail -n 20 "$dir/log"
    rc=1
fi
passed=$(grep -cE '^(PASS|ok)\b' "$dir/result")
failed=$(grep -cE '^(FAIL|not ok)\b' "$dir/result")
[ "$rc" -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
echo "$passed passed, $failed failed"
exit "$rc"
