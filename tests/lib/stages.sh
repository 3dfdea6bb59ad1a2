# For scripts of several stages, each of which prints "N passed, N failed" as its last line, with ", N skipped" where this machine
# does not let it do all; sourced by bash.
#   find_python               sets $python: one that has PyMySQL (Debian's package is for Debian's Python)
#   stage NAME COMMAND...     runs it, shows what it prints, adds its counts; without counts it is one failure
#   summary                   prints the sum; its status is that of the script. That nothing was run is a failure
passed=0 failed=0 skipped=0 stages=0

fail_early() { echo "$1"; echo "0 passed, 1 failed"; exit 1; }

find_python() {
    local p
    python=
    for p in /usr/bin/python3 python3; do
        [ -n "$python" ] || { "$p" -c 'import pymysql' 2>/dev/null && python=$p; }
    done
    [ -n "$python" ] || fail_early "install python3-pymysql"
    export PYTHONDONTWRITEBYTECODE=1
}

stage() {
    local name=$1 start=$SECONDS out rc line p f s=0 more=
    shift
    stages=$((stages + 1))
    out=$(mktemp)
    "$@" 2>&1 | tee "$out"
    rc=${PIPESTATUS[0]}
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$out" | tail -n 1)
    rm -f "$out"
    if [ -z "$line" ]; then
        failed=$((failed + 1))
        echo "FAILED: $name (no count; exit $rc)"
        return
    fi
    p=${line%% passed*} f=${line#*, } f=${f%% failed*}
    [[ $line =~ ,\ ([0-9]+)\ skipped ]] && s=${BASH_REMATCH[1]} more=", $s skipped"
    [ "$rc" -ne 0 ] && [ "$f" -eq 0 ] && f=1
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    echo "stage $name: $p passed, $f failed$more ($((SECONDS - start)) s)"
}

summary() {
    [ "$stages" -gt 0 ] || fail_early "FAILED: there is no such stage"
    local more=
    [ "$skipped" -eq 0 ] || more=", $skipped skipped"
    echo "$passed passed, $failed failed$more"
    [ "$failed" -eq 0 ]
}
