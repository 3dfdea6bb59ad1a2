#!/usr/bin/env bash
# Random statements on both storages, by several plans, and on three nodes with and without fragments; no reference server.
#   tests/random/run.sh --binary PATH [options of run.py]
# SKEIN_RANDOM_SECONDS: of each (default 45). Needs python3-pymysql from Debian.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
seconds=${SKEIN_RANDOM_SECONDS:-45}
. "$here/../lib/stages.sh"
find_python
for how in "storage memory" "storage disk" "storage memory --plans" "nodes 3"; do
    # shellcheck disable=SC2086
    stage "$how" "$python" "$here/run.py" "$@" --$how --seconds "$seconds"
done
summary
