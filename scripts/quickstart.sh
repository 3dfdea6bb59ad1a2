#!/usr/bin/env bash
# From a fresh Debian 12 to a running SkeinDB: installs what is missing, builds, starts one node on 127.0.0.1:3306 with
# its data in ./data.
#   scripts/quickstart.sh [--build-only] [--data DIR] [--port PORT] [options of `skeindb start`...]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build_only=0 data=$PWD/data port=3306
extra=()
while [ $# -gt 0 ]; do
    case $1 in
    --build-only) build_only=1 ;;
    --data) data=$2; shift ;;
    --port) port=$2; shift ;;
    --nodes)
        [ "${2:-1}" = 1 ] || { echo "quickstart.sh: clusters of more than one node are not built yet" >&2; exit 2; }
        shift ;;
    -h | --help) sed -n '2,4p' "$0"; exit 0 ;;
    *) extra+=("$1") ;;
    esac
    shift
done
"$root/scripts/install_deps.sh"
"$root/scripts/build.sh" release skeindb
binary=$root/build/release/bin/skeindb
[ $build_only = 1 ] && { echo "built: $binary"; exit 0; }
echo "connect with: mariadb -h 127.0.0.1 -P $port -u root"
exec "$binary" start --data "$data" --mysql "127.0.0.1:$port" "${extra[@]}"
