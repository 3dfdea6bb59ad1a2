#!/usr/bin/env bash
# Global names that two of our static libraries define: the linker takes either without a word.
#   scripts/lint/symbols.sh BUILD_DIRECTORY
set -uo pipefail
build=${1:?the directory of a build}
mapfile -t libraries < <(find "$build" -name '*.a')
[ ${#libraries[@]} -gt 0 ] || { echo "no libraries in $build"; exit 1; }
twice=$(nm -g --defined-only "${libraries[@]}" 2>/dev/null | awk 'NF == 3 && $2 ~ /[TDBR]/ { print $3 }' | sort | uniq -d)
[ -z "$twice" ] && exit 0
echo "defined more than once:"
nm -A -g --defined-only "${libraries[@]}" 2>/dev/null | grep -wF "$twice" | sed "s|^$build/|  |"
exit 1
