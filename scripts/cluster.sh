#!/usr/bin/env bash
# A cluster of processes on this machine: nodes 1.. with MySQL on ports 3301.., HAProxy in front on 3300.
#   scripts/cluster.sh up N [options of `skeindb start`...]   starts nodes 1..N (those that run already stay)
#   scripts/cluster.sh status                                 who runs, who is ready, who leads how many ranges
#   scripts/cluster.sh kill I | start I | pause I | cont I | stop I
#   scripts/cluster.sh rolling-restart                        one node after the other: drain, stop, start, wait
#   scripts/cluster.sh down [--wipe]                          stops all; --wipe removes the data
# Environment: SKEIN_CLUSTER_DIR (./data/cluster), SKEIN_BINARY (the release build), SKEIN_PORT_BASE (3300; RPC is 4000,
# admin 4080 above it).
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
dir=$(realpath -m -- "${SKEIN_CLUSTER_DIR:-$PWD/data/cluster}")
binary=${SKEIN_BINARY:-$root/build/release/bin/skeindb}
base=${SKEIN_PORT_BASE:-3300}
host=127.0.0.1
token=cluster-of-this-machine

die() { echo "cluster.sh: $*" >&2; exit 1; }
mysql_port() { echo $((base + $1)); }
rpc_port() { echo $((base + 4000 + $1)); }
admin_port() { echo $((base + 4080 + $1)); }
pid_of() { cat "$dir/$1/pid" 2>/dev/null || true; }
# Is process PID the one whose command line holds TEXT? A number may have gone to another process since.
is_process() { [ -n "$1" ] && [ -r "/proc/$1/cmdline" ] && tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null | grep -qF -- "$2"; }
running() { is_process "$(pid_of "$1")" "--data $dir/$1/data "; }
nodes() { find "$dir" -mindepth 1 -maxdepth 1 -type d -name '[0-9]*' -printf '%f\n' 2>/dev/null | sort -n; }
number() { [[ ${1:-} =~ ^[1-9][0-9]?$ ]] || die "which node? a number from 1 on"; }
known() { number "${1:-}"; [ -d "$dir/$1" ] || die "there is no node $1 in $dir"; }
page() { curl -sf -m 5 "http://$host:$(admin_port "$1")$2"; } # GET of node I

# A directory that something else lives in (a folder of sources, say) is never taken.
own_directory() {
    [ -e "$dir/.skein-cluster" ] && return
    [ -z "$(ls -A "$dir" 2>/dev/null)" ] || die "$dir holds something else: set SKEIN_CLUSTER_DIR to an empty or new directory"
    mkdir -p "$dir"
    : >"$dir/.skein-cluster"
}

# RPC addresses of the others that have data, for a node that has none: also for node 1, when it is to be replaced.
others() {
    local i list=
    for i in $(nodes); do
        [ "$i" = "$1" ] || [ ! -d "$dir/$i/data/store" ] || list+=${list:+,}$host:$(rpc_port "$i")
    done
    echo "$list"
}

# With TLS between the nodes a token has the CA's fingerprint behind it.
join_token() {
    local i print
    for i in $(nodes); do
        print=$(cat "$dir/$i/data/rpc-tls/fingerprint" 2>/dev/null || true)
        [ -z "$print" ] || { echo "$token@$print"; return; }
    done
    echo "$token"
}

start_node() {
    local i=$1 list
    shift
    running "$i" && return
    [ -x "$binary" ] || die "no binary at $binary: scripts/quickstart.sh --build-only"
    list=$(others "$i")
    [ "$i" = 1 ] || [ -n "$list" ] || [ -d "$dir/$i/data/store" ] || die "node $i has nobody to join: start node 1 first"
    mkdir -p "$dir/$i"
    # what was given at the first start holds for later ones
    [ $# -eq 0 ] || printf '%s\n' "$@" >"$dir/$i/options"
    local options=() join=()
    [ -f "$dir/$i/options" ] && mapfile -t options <"$dir/$i/options"
    [ -z "$list" ] || join=(--join "$list")
    : >"$dir/$i/ready"
    setsid "$binary" start --data "$dir/$i/data" --mysql "$host:$(mysql_port "$i")" --rpc "$host:$(rpc_port "$i")" \
        --admin "$host:$(admin_port "$i")" --join-token "$(join_token)" "${join[@]}" "${options[@]}" \
        >"$dir/$i/ready" 2>>"$dir/$i/log" </dev/null &
    echo $! >"$dir/$i/pid"
}

wait_ready() {
    local i=$1
    for _ in $(seq 1200); do
        grep -q '^ready ' "$dir/$i/ready" && return
        running "$i" || { sleep 0.1; running "$i" || { tail -n 5 "$dir/$i/log" >&2; die "node $i did not start: $dir/$i/log"; }; }
        sleep 0.05
    done
    die "node $i is not ready after 60 s: $dir/$i/log"
}

haproxy_config() {
    local i files
    files=$(ulimit -Hn) # a connection takes two, and some are for health checks
    [ "$files" != unlimited ] && [ "$files" -lt 40200 ] && files=$(((files - 200) / 2)) || files=20000
    cat <<CONF
global
    maxconn $files
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

haproxy_pid() {
    local pid
    pid=$(cat "$dir/haproxy.pid" 2>/dev/null || true)
    is_process "$pid" "-f $dir/haproxy.cfg" && echo "$pid" || true
}

start_haproxy() {
    command -v haproxy >/dev/null || { echo "haproxy is not installed: no balancer on port $base" >&2; return 0; }
    local old
    old=$(haproxy_pid)
    haproxy_config >"$dir/haproxy.cfg"
    if [ -n "$old" ]; then
        haproxy -D -f "$dir/haproxy.cfg" -sf "$old" >/dev/null || echo "haproxy does not start: $dir/haproxy.cfg" >&2
    else
        haproxy -D -f "$dir/haproxy.cfg" >/dev/null || echo "haproxy does not start: $dir/haproxy.cfg" >&2
    fi
}

stop_haproxy() {
    local pid
    pid=$(haproxy_pid)
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
    own_directory
    for ((i = 1; i <= count; i++)); do # in order, so that node I gets id I
        start_node "$i" "$@"
        [ -d "$dir/$i/data/store" ] || wait_ready "$i"
    done
    for ((i = 1; i <= count; i++)); do wait_ready "$i"; done
    start_haproxy
    echo "ready: $count nodes; connect with: mariadb -h $host -P $base -u root (or one node: ports $((base + 1))..)"
}

state_of() {
    running "$1" || { echo stopped; return; }
    case $(ps -o stat= -p "$(pid_of "$1")" 2>/dev/null) in T*) echo paused; return ;; esac
    curl -s -m 2 "http://$host:$(admin_port "$1")/readyz" || echo "no answer"
}

status() {
    local i state shown=
    for i in $(nodes); do
        state=$(state_of "$i")
        printf 'node %s: pid %s, mysql %s, admin %s, %s\n' "$i" "$(pid_of "$i")" "$(mysql_port "$i")" "$(admin_port "$i")" "$state"
    done
    i=$(haproxy_pid)
    echo "haproxy: ${i:+pid $i, port $base}${i:-not running}" | sed "s/port $base$i\$/port $base/"
    for i in $(nodes); do
        [ -n "$shown" ] || case $(state_of "$i") in ready | draining)
            echo
            page "$i" '/nodes?key=table' && shown=1 ;;
        esac
    done
}

# Ranges with fewer sound replicas than wanted, over all nodes, then the leases: `0 12`. Fails when a node does not answer.
replication() {
    local i text all=
    for i in $(nodes); do
        [ -d "$dir/$i/data/store" ] || continue
        running "$i" || continue
        text=$(page "$i" /metrics) || return 1
        all+=$text$'\n'
    done
    awk '$1 == "skein_ranges_under_replicated" { under += $2 } $1 == "skein_range_leases" { leases += $2 }
         $1 == "skein_ranges" && $2 > most { most = $2 } END { print under + 0, (leases < most) }' <<<"$all"
}

# Until all ranges are led by somebody and have their replicas, three times in a row.
wait_replicated() {
    local good=0
    for _ in $(seq 600); do
        if [ "$(replication)" = "0 0" ]; then good=$((good + 1)); else good=0; fi
        [ "$good" -lt 3 ] || return 0
        sleep 0.2
    done
    die "ranges do not get their replicas within two minutes: scripts/cluster.sh status"
}

rolling_restart() {
    local i id
    for i in $(nodes); do
        running "$i" || die "node $i does not run: all must, before one is stopped"
    done
    wait_replicated
    for i in $(nodes); do
        id=$(page "$i" /status | grep -o '"node_id":[0-9]*' | cut -d: -f2) || die "node $i does not answer"
        echo "node $i (id $id): drain, stop, start"
        "$binary" node --admin "$host:$(admin_port "$i")" drain "$id" >/dev/null
        sleep 1 # HAProxy looks twice in this time
        stop_node "$i" TERM
        start_node "$i"
        wait_ready "$i"
        wait_replicated
    done
    echo "all nodes were restarted"
}

# Only what this script has made.
wipe() {
    local i
    [ -e "$dir/.skein-cluster" ] || die "$dir was not made by this script"
    for i in $(nodes); do rm -rf "${dir:?}/$i"; done
    rm -f "$dir/haproxy.cfg" "$dir/.skein-cluster"
    rmdir "$dir" 2>/dev/null || true
}

command=${1:-}
[ $# -eq 0 ] || shift
case $command in
up) up "$@" ;;
status) status ;;
kill) known "${1:-}"; running "$1" || die "node $1 does not run"; kill -KILL "$(pid_of "$1")" ;;
stop) known "${1:-}"; stop_node "$1" TERM ;;
start) number "${1:-}"; own_directory; start_node "$1"; wait_ready "$1"; start_haproxy ;;
pause) known "${1:-}"; running "$1" || die "node $1 does not run"; kill -STOP "$(pid_of "$1")" ;;
cont) known "${1:-}"; running "$1" || die "node $1 does not run"; kill -CONT "$(pid_of "$1")" ;;
rolling-restart) rolling_restart ;;
down)
    stop_haproxy
    for i in $(nodes); do stop_node "$i" TERM & done
    wait
    [ "${1:-}" != --wipe ] || wipe
    ;;
*) sed -n '2,10p' "$0"; exit 2 ;;
esac
