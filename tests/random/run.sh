#!/usr/bin/env bash
# Random statements on both storages, by several plans, and on three nodes with and without fragments;
# the golden statements with other literals; no reference server.
#   tests/random/run.sh --binary PATH [options that run.py and literals.py have]
# SKEIN_RANDOM_SECONDS: of each (default 45). SKEIN_RANDOM_SEED: the first (default 1: what a change is tried with does not
# depend on chance; other seeds are for looking for mistakes). Needs python3-pymysql from Debian.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
seconds=${SKEIN_RANDOM_SECONDS:-45}
seed=${SKEIN_RANDOM_SEED:-1}
. "$here/../lib/stages.sh"
find_python
for how in "storage memory" "storage disk" "storage memory --plans" "nodes 3"; do
    # shellcheck disable=SC2086
    stage "$how" "$python" "$here/run.py" --seed "$seed" "$@" --$how --seconds "$seconds"
done
stage literals "$python" "$here/literals.py" --seed "$seed" "$@" --seconds "$seconds"
summary
