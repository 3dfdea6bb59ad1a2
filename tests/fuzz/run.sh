#!/usr/bin/env bash
# The parser under libFuzzer with ASan and UBSan, seeded with the statements of sql/parser/testdata/corpus.txt.
#   tests/fuzz/run.sh [--seconds N] [--corpus DIR]
# DIR keeps what was found interesting for the next run (default: a temporary one). A crash is kept in build/fuzz/crash-*, with
# the command that repeats it. Ends with "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/../.."
seconds=60 corpus=
while [ $# -gt 0 ]; do
    case $1 in
    --seconds) seconds=$2; shift ;;
    --corpus) corpus=$2; shift ;;
    *) sed -n '2,5p' "$0"; exit 2 ;;
    esac
    shift
done
mkdir -p build
scripts/build.sh fuzz sql_parser_parser_fuzz >build/fuzz.log 2>&1 || { tail -n 20 build/fuzz.log; echo "0 passed, 1 failed"; exit 1; }
seeds=$(mktemp -d "${TMPDIR:-/tmp}/skein_fuzz_XXXXXX")
trap 'rm -rf "$seeds"' EXIT
mkdir -p "$seeds/given" "${corpus:=$seeds/found}"
# A line is "MODE<tab>STATEMENT"; the target's first byte is the mode.
python3 - "$seeds/given" <<'PY'
import sys
with open("sql/parser/testdata/corpus.txt", encoding="utf8") as lines:
    for number, line in enumerate(lines):
        mode, _, text = line.rstrip("\n").partition("\t")
        text = text.replace("\\n", "\n").replace("\\t", "\t")
        with open("%s/%d" % (sys.argv[1], number), "wb") as out:
            out.write(bytes([int(mode) & 255]) + text.encode())
PY
if build/fuzz/bin/sql_parser_parser_fuzz -max_total_time="$seconds" -timeout=20 -rss_limit_mb=3000 -print_final_stats=1 \
    -artifact_prefix=build/fuzz/ "$corpus" "$seeds/given" 2>"$seeds/log"; then
    grep -E "INITED|number_of_executed_units|peak_rss" "$seeds/log"
    echo "1 passed, 0 failed"
else
    tail -n 40 "$seeds/log"
    echo "repeat: build/fuzz/bin/sql_parser_parser_fuzz build/fuzz/crash-..."
    echo "0 passed, 1 failed"
    exit 1
fi
