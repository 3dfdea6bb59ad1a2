#!/bin/sh
# Random statements on both storages, and on three nodes with and without fragments; no reference server. The driver is Debian's python3-pymysql.
here=$(dirname "$0")
seconds=${SKEIN_RANDOM_SECONDS:-45}
passed=0 failed=0
for how in "--storage memory" "--storage disk" "--nodes 3"; do
    # shellcheck disable=SC2086  # two words
    out=$(/usr/bin/python3 "$here/run.py" "$@" $how --seconds "$seconds") || true
    echo "$out"
    line=$(echo "$out" | tail -n 1)
    case $line in
    *" passed, "*" failed") passed=$((passed + ${line%% passed*})) line=${line#*, } failed=$((failed + ${line%% failed*})) ;;
    *) failed=$((failed + 1)) ;;
    esac
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
