#!/usr/bin/env bash
# A Slurm of one node on this machine, as root.
#
#   cluster.sh start DIR CONTROLLER_PORT NODE_PORT   all its files are in DIR; clients need SLURM_CONF=DIR/slurm.conf
#   cluster.sh stop DIR                              cancels its jobs and ends its daemons, and no others
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
here=$(dirname "$(realpath "$0")")
dir=$(realpath -m "$2")
export SLURM_CONF="$dir/slurm.conf"

start() {
    # munge wants folders that others can enter and not write, and a key that only its user can read.
    umask 022
    mkdir -p "$dir"/{munge,controller,node}
    (umask 077 && head -c 128 /dev/urandom >"$dir/munge/key")
    sed -e "s|@DIR@|$dir|; s|@HOST@|$(hostname -s)|; s|@CPUS@|$(nproc)|" \
        -e "s|@CONTROLLER_PORT@|$1|; s|@NODE_PORT@|$2|" "$here/slurm.conf" >"$SLURM_CONF"
    munged --key-file="$dir/munge/key" --socket="$dir/munge/socket" --pid-file="$dir/munge.pid" \
        --log-file="$dir/munge.log" --seed-file="$dir/munge/seed"
    slurmctld
    slurmd
    for _ in $(seq 300); do
        if sinfo --noheader --format=%t 2>/dev/null | grep -qx idle; then
            return
        fi
        sleep 0.1
    done
    tail -n 20 "$dir"/*.log >&2
    echo "the node does not come up" >&2
    exit 1
}

stop() {
    scancel --full --user="$(id -un)" || true
    local name pid
    for name in node controller munge; do
        [ -s "$dir/$name.pid" ] || continue
        pid=$(cat "$dir/$name.pid")
        kill "$pid" 2>/dev/null || continue
        for _ in $(seq 100); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
    done
}

case $1 in
start) start "$3" "$4" ;;
stop) stop ;;
*) sed -n '2,5p' "$0" >&2 && exit 2 ;;
esac
