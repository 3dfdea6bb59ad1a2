#!/usr/bin/env bash
# Installs every Debian package that building, testing and running SkeinDB needs. Does nothing when all are there.
#   scripts/install_deps.sh            build and tests
#   scripts/install_deps.sh --bench    also the peers and load generators of scripts/bench.sh
set -euo pipefail

packages=(
    # build
    gcc g++ libc6-dev cmake ninja-build ccache pkg-config bison python3 git ca-certificates
    librocksdb-dev libnng-dev libprotobuf-c-dev protobuf-c-compiler libssl-dev libuv1-dev libboost-context-dev
    libicu-dev libgmp-dev libxxhash-dev libzstd-dev liblz4-dev zlib1g-dev libsnappy-dev libbz2-dev libjemalloc-dev
    libmicrohttpd-dev libinih-dev libcmocka-dev
    # checks
    clang clang-format-14 libclang-rt-14-dev
    # tests and clients
    python3-pymysql python3-cryptography mariadb-client golang-go golang-github-go-sql-driver-mysql-dev curl openssl
    procps util-linux iproute2
    # a cluster's load balancer
    haproxy
)
bench_packages=(sysbench mariadb-server mmdebstrap linux-perf)
[ "${1:-}" = --bench ] && packages+=("${bench_packages[@]}")

missing=()
for p in "${packages[@]}"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
        echo "install_deps.sh: needs root or sudo to install: ${missing[*]}" >&2
        exit 1
    }
    as_root=(sudo)
fi
echo "installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{
    "${as_root[@]}" apt-get update -q
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
} >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    echo "install_deps.sh: apt-get failed" >&2
    exit 1
}
