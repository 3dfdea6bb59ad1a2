#!/usr/bin/env bash
# A cluster of processes on this machine: nodes 1.. with MySQL on ports 3301.., HAProxy in front on 3300.
#   scripts/cluster.sh up N [options of `skeindb start`...]   starts nodes 1..N (those that run already stay)
#   scripts/cluster.sh status                                 who runs, who is ready, who leads what
#   scripts/cluster.sh kill I | start I | pause I | cont I | stop I
#   scripts/cluster.sh down [--wipe]                          stops all; --wipe removes the data
# Environment: SKEIN_CLUSTER_DIR (./data-cluster), SKEIN_BINARY (the release build), SKEIN_PORT_BASE (3300; RPC is 4000, admin
# 4080 above it).
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
dir=${SKEIN_CLUSTER_DIR:-$PWD/data-cluster}
binary=${SKEIN_BINARY:-$root/build/release/bin/skeindb}
base=${SKEIN_PORT_BASE:-3300}
host=127.0.0.1
token=cluster-of-this-machine

die() { echo "cluster.sh: $*" >&2; exit 1; }
mysql_port() { echo $((base + $1)); }
rpc_port() { echo $((base + 4000 + $1)); }
admin_port() { echo $((base + 4080 + $1)); }
pid_of() { cat "$dir/$1/pid" 2>/dev/null || true; }
# The process of node I, if it is still that program.
running() {
    local pid
    pid=$(pid_of "$1")
    [ -n "$pid" ] && [ -r "/proc/$pid/cmdline" ] && tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q -- "--data $dir/$1/data"
}
nodes() { find "$dir" -mindepth 1 -maxdepth 1 -type d -name '[0-9]*' -printf '%f\n' 2>/dev/null | sort -n; }
number() { [[ ${1:-} =~ ^[1-9][0-9]?$ ]] || die "which node? a number from 1 on"; }

start_node() {
    local i=$1
    shift
    running "$i" && return
    mkdir -p "$dir/$i"
    # what was given at the first start holds for later ones
    [ $# -eq 0 ] || printf '%s\n' "$@" >"$dir/$i/options"
    local options=() join=()
    [ -f "$dir/$i/options" ] && mapfile -t options <"$dir/$i/options"
    [ "$i" = 1 ] || join=(--join "$host:$(rpc_port 1)")
    : >"$dir/$i/ready"
    setsid "$binary" start --data "$dir/$i/data" --mysql "$host:$(mysql_port "$i")" --rpc "$host:$(rpc_port "$i")" \
        --admin "$host:$(admin_port "$i")" --join-token "$token" "${join[@]}" "${options[@]}" \
        >"$dir/$i/ready" 2>>"$dir/$i/log" </dev/null &
    echo $! >"$dir/$i/pid"
}

wait_ready() {
    local i=$1
    for _ in $(seq 600); do
        grep -q '^ready ' "$dir/$i/ready" && return
        running "$i" || { tail -n 5 "$dir/$i/log" >&2; die "node $i did not start: $dir/$i/log"; }
        sleep 0.05
    done
    die "node $i is not ready after 30 s: $dir/$i/log"
}

haproxy_config() {
    cat <<CONF
global
    maxconn 8000
    pidfile $dir/haproxy.pid
defaults
    mode tcp
    timeout connect 2s
    timeout client 1h
    timeout server 1h
    option redispatch
    retries 3
listen skeindb
    bind $host:$base
    balance leastconn
    option httpchk GET /readyz
    default-server inter 500ms fall 2 rise 1 on-marked-down shutdown-sessions
CONF
    for i in $(nodes); do
        echo "    server node$i $host:$(mysql_port "$i") check port $(admin_port "$i")"
    done
}

start_haproxy() {
    command -v haproxy >/dev/null || { echo "haproxy is not installed: no balancer on port $base" >&2; return; }
    local old
    old=$(cat "$dir/haproxy.pid" 2>/dev/null || true)
    haproxy_config >"$dir/haproxy.cfg"
    if [ -n "$old" ] && kill -0 "$old" 2>/dev/null; then
        haproxy -D -f "$dir/haproxy.cfg" -sf "$old" >/dev/null
    else
        haproxy -D -f "$dir/haproxy.cfg" >/dev/null
    fi
}

stop_haproxy() {
    local pid
    pid=$(cat "$dir/haproxy.pid" 2>/dev/null || true)
    [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
    rm -f "$dir/haproxy.pid"
}

stop_node() {
    local i=$1 signal=$2 pid
    running "$i" || return 0
    pid=$(pid_of "$i")
    kill -CONT "$pid" 2>/dev/null || true
    kill "-$signal" "$pid"
    for _ in $(seq 600); do
        running "$i" || return 0
        sleep 0.05
    done
    kill -KILL "$pid" 2>/dev/null || true
}

up() {
    local count=${1:-} i
    number "$count"
    shift
    [ -x "$binary" ] || die "no binary at $binary: scripts/quickstart.sh --build-only"
    mkdir -p "$dir"
    start_node 1 "$@"
    wait_ready 1
    for ((i = 2; i <= count; i++)); do start_node "$i" "$@"; done
    for ((i = 2; i <= count; i++)); do wait_ready "$i"; done
    start_haproxy
    echo "ready: $count nodes; connect with: mariadb -h $host -P $base -u root (or one node: ports $((base + 1))..)"
}

status() {
    local i state
    for i in $(nodes); do
        state=stopped
        running "$i" && state=$(curl -s -m 2 "http://$host:$(admin_port "$i")/readyz" || echo "no answer")
        echo "node $i: pid $(pid_of "$i") mysql $(mysql_port "$i") $state"
    done
}

# Only what this script has made.
wipe() {
    local i
    for i in $(nodes); do rm -rf "${dir:?}/$i"; done
    rm -f "$dir/haproxy.cfg"
    rmdir "$dir" 2>/dev/null || true
}

command=${1:-}
[ $# -eq 0 ] || shift
case $command in
up) up "$@" ;;
status) status ;;
kill) number "${1:-}"; running "$1" || die "node $1 does not run"; kill -KILL "$(pid_of "$1")" ;;
stop) number "${1:-}"; stop_node "$1" TERM ;;
start) number "${1:-}"; start_node "$1"; wait_ready "$1"; start_haproxy ;;
pause) number "${1:-}"; running "$1" || die "node $1 does not run"; kill -STOP "$(pid_of "$1")" ;;
cont) number "${1:-}"; running "$1" || die "node $1 does not run"; kill -CONT "$(pid_of "$1")" ;;
down)
    stop_haproxy
    for i in $(nodes); do stop_node "$i" TERM & done
    wait
    [ "${1:-}" != --wipe ] || wipe
    ;;
*) sed -n '2,8p' "$0"; exit 2 ;;
esac
