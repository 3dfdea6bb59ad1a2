#!/usr/bin/env bash
# From a fresh Debian 12 to a running SkeinDB: installs what is missing, builds, starts one node on 127.0.0.1:3306 with
# its data in ./data.
#   scripts/quickstart.sh [--build-only] [--data DIR] [--port PORT] [options of `skeindb start`...]
#   scripts/quickstart.sh --nodes N [options]   N processes on ports 3301.. with HAProxy in front on 3300 (scripts/cluster.sh)
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build_only=0 data=$PWD/data port=3306 nodes=1
extra=()
while [ $# -gt 0 ]; do
    case $1 in
    --build-only) build_only=1 ;;
    --data) data=$2; shift ;;
    --port) port=$2; shift ;;
    --nodes) nodes=$2; shift ;;
    -h | --help) sed -n '2,5p' "$0"; exit 0 ;;
    *) extra+=("$1") ;;
    esac
    shift
done
"$root/scripts/install_deps.sh"
"$root/scripts/build.sh" release skeindb
binary=$root/build/release/bin/skeindb
[ $build_only = 1 ] && { echo "built: $binary"; exit 0; }
if [ "$nodes" -gt 1 ]; then
    export SKEIN_CLUSTER_DIR=$data/cluster SKEIN_BINARY=$binary
    exec "$root/scripts/cluster.sh" up "$nodes" "${extra[@]}"
fi
echo "connect with: mariadb -h 127.0.0.1 -P $port -u root"
exec "$binary" start --data "$data" --mysql "127.0.0.1:$port" "${extra[@]}"
