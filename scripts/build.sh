#!/usr/bin/env bash
# Configures and builds one preset: scripts/build.sh [release|debug|clang|asan-ubsan|tsan|fuzz] [ninja targets...]
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:-release}
shift || true
if [ ! -f "build/$preset/build.ninja" ]; then
    mkdir -p build
    cmake --preset "$preset" >"build/configure-$preset.log" 2>&1 || {
        tail -n 30 "build/configure-$preset.log" >&2
        exit 1
    }
fi
exec ninja -C "build/$preset" "$@"
