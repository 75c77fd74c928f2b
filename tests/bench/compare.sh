#!/bin/bash
# Times muster and docker compose at the same work, in one run on one machine, and prints both with their ratio.
#
#   compare.sh [-m MUSTER] [-r RUNS] [-n "1 5 20"] [-o TABLE.md]
#
# The peer is Debian's docker.io with docker compose 2.26.1; `make bench` installs the one and fetches the other. Both
# work in one network namespace that goes when this ends, so that dockerd's firewall rules disturb nobody, with data on
# the same file system, on the same image (a static busybox) and the same compose files. Runs alternate between the two; figures
# are medians in milliseconds. Quote ratios from one run: absolute times depend on the machine and on who shares it.

set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
muster=$top/target/x86_64-unknown-linux-gnu/release/muster runs=5 sizes="1 5 20" table=/dev/null
while getopts m:r:n:o: option; do
    case $option in
        m) muster=$OPTARG ;;
        r) runs=$OPTARG ;;
        n) sizes=$OPTARG ;;
        o) table=$OPTARG ;;
        *) exit 2 ;;
    esac
done
fail() { echo "compare.sh: $*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || fail "must run as root"
compose=$top/.cache/bench/docker-compose
for program in "$muster" "$compose" dockerd docker busybox ip; do
    command -v "$program" >/dev/null || fail "$program is missing; make bench gets it"
done

# Once more, inside a network and mount namespace of its own. The process that waits outside sees the end of it.
if [ "${MUSTER_BENCH_INSIDE-}" != 1 ]; then
    MUSTER_BENCH_INSIDE=1 exec unshare --net --mount --kill-child --fork "$0" "$@"
fi
ip link set lo up

work=$(mktemp -d /var/tmp/muster-bench.XXXXXX)
export MUSTER_DATA_ROOT=$work/muster/data MUSTER_RUN_ROOT=$work/muster/run
export DOCKER_HOST=unix://$work/docker.sock DOCKER_CONFIG=$work/config
mkdir -p "$work/muster" "$work/config" "$work/files"
dockerd_pid=
cgroups_before=$(find /sys/fs/cgroup -maxdepth 2 -type d -name docker 2>/dev/null | sort)

finish() {
    set +e
    for file in "$work"/files/*/compose.yaml; do
        [ -e "$file" ] && "$muster" -f "$file" down -t 0 >/dev/null 2>&1
    done
    if [ -n "$dockerd_pid" ]; then
        docker ps -aq 2>/dev/null | xargs -r docker rm -f >/dev/null 2>&1
        kill "$dockerd_pid" 2>/dev/null
        wait "$dockerd_pid" 2>/dev/null
    fi
    # What dockerd leaves: its mount of the namespace directory and its empty cgroups.
    awk -v top="$work/" 'index($5, top) == 1 { print $5 }' /proc/self/mountinfo | sort -r | xargs -r umount -l
    comm -13 <(echo "$cgroups_before") <(find /sys/fs/cgroup -maxdepth 2 -type d -name docker 2>/dev/null | sort) |
        xargs -r rmdir 2>/dev/null
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

# --- the two engines and their image --------------------------------------------------------------------------------

dockerd --data-root "$work/docker" --exec-root "$work/exec" --pidfile "$work/docker.pid" --host "$DOCKER_HOST" \
    --log-level warn >"$work/dockerd.log" 2>&1 &
dockerd_pid=$!
for _ in $(seq 300); do
    docker version >/dev/null 2>&1 && break
    kill -0 "$dockerd_pid" 2>/dev/null || { tail -n 20 "$work/dockerd.log" >&2; fail "dockerd does not start"; }
    sleep 0.1
done
docker version >/dev/null || fail "dockerd does not answer within 30 s"

mkdir -p "$work/root/bin" "$work/root/etc" "$work/root/tmp"
cp "$(command -v busybox)" "$work/root/bin/busybox"
for applet in $(busybox --list); do
    [ "$applet" = busybox ] || ln -sf busybox "$work/root/bin/$applet"
done
echo 'root:x:0:0:root:/:/bin/sh' >"$work/root/etc/passwd"
tar --create --directory "$work/root" . | docker import --change 'ENV PATH=/bin' - bench-busybox >/dev/null
docker save -o "$work/image.tar" bench-busybox
"$muster" load -i "$work/image.tar" >/dev/null

for size in $sizes; do
    mkdir -p "$work/files/bench$size"
    {
        echo "name: bench$size"
        echo services:
        for number in $(seq "$size"); do
            printf '  s%s:\n    image: bench-busybox\n    command: [sleep, infinity]\n' "$number"
        done
    } >"$work/files/bench$size/compose.yaml"
done

# --- measuring ------------------------------------------------------------------------------------------------------

# Appends the milliseconds of one command to a file; a failing command ends the whole run.
clock() {
    local file=$1 begin end
    shift
    begin=$EPOCHREALTIME
    "$@" >"$work/out" 2>&1 </dev/null || { cat "$work/out" >&2; fail "failed: $*"; }
    end=$EPOCHREALTIME
    echo $(((${end/./} - ${begin/./}) / 10)) >>"$work/$file"
}

# Median of a file of hundredths of milliseconds.
median() {
    sort -n "$work/$1" | awk '{ v[NR] = $1 } END { m = (NR % 2) ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2; printf "%.1f", m / 100 }'
}

# Private memory of processes in KiB, the largest of them.
private_memory() {
    local pid
    for pid in "$@"; do
        awk '/^Private_(Clean|Dirty):/ { sum += $2 } END { print sum + 0 }' "/proc/$pid/smaps_rollup"
    done | sort -n | tail -n 1
}

largest=$(echo "$sizes" | tr ' ' '\n' | sort -n | tail -n 1)
# The first round of each engine fills caches and is not counted.
for run in $(seq 0 "$runs"); do
    [ "$run" = 0 ] && echo "warming up" >&2 || echo "round $run of $runs" >&2
    for size in $sizes; do
        file=$work/files/bench$size/compose.yaml
        for engine in docker muster; do
            command=("$compose" --ansi never -f "$file")
            [ "$engine" = docker ] || command=("$muster" -f "$file")
            [ "$run" = 0 ] && prefix=warm || prefix=$engine
            clock "$prefix.up.$size" "${command[@]}" up -d
            if [ "$size" = "$largest" ]; then
                clock "$prefix.noop.$size" "${command[@]}" up -d
                for _ in 1 2 3; do
                    clock "$prefix.exec.$size" "${command[@]}" exec -T s1 true
                    clock "$prefix.ps.$size" "${command[@]}" ps
                done
                if [ "$engine" = muster ]; then
                    # shellcheck disable=SC2046
                    shim=$(private_memory $(sed -n 's/.*"shim_pid": *\([0-9]*\).*/\1/p' "$MUSTER_DATA_ROOT"/containers/*/record.json))
                    shims=$(sed -n 's/.*"shim_pid": *\([0-9]*\).*/\1/p' "$MUSTER_DATA_ROOT"/containers/*/record.json)
                    others=
                    for exe in /proc/[0-9]*/exe; do
                        pid=${exe%/exe} pid=${pid#/proc/}
                        [ "$(readlink "$exe" 2>/dev/null)" = "$(readlink -f "$muster")" ] || continue
                        grep -qx "$pid" <<<"$shims" || others+=" $pid"
                    done
                    # shellcheck disable=SC2086
                    supervisor=$(private_memory $others)
                fi
            fi
            clock "$prefix.down.$size" "${command[@]}" down -t 0
        done
    done
done

# --- the table ------------------------------------------------------------------------------------------------------

row() {
    local what=$1 key=$2 target=$3 peer own
    peer=$(median "docker.$key") own=$(median "muster.$key")
    awk -v what="$what" -v peer="$peer" -v own="$own" -v target="$target" 'BEGIN {
        ratio = peer / own
        verdict = target == "-" ? "" : (ratio >= target ? "reached" : "missed")
        printf "| %s | %.0f ms | %.1f ms | 1/%.1f | %s | %s |\n", what, peer, own, ratio, target == "-" ? "-" : "1/" target, verdict
    }'
}

{
    echo "| work | docker compose $("$compose" version --short) on docker $(docker version --format '{{.Server.Version}}') | muster | ratio | target | |"
    echo "|---|---|---|---|---|---|"
    for size in $sizes; do row "up -d, services: $size" "up.$size" 8; done
    row "up -d again, nothing changed, services: $largest" "noop.$largest" 4
    for size in $sizes; do row "down -t 0, services: $size" "down.$size" 5; done
    row "exec -T s1 true" "exec.$largest" 10
    row "ps, services: $largest" "ps.$largest" -
    echo
    echo "Medians of $runs runs; kernel $(uname -r), $(nproc) cores."
    echo "Private memory with $largest containers: largest shim $shim KiB (target: under 1024), supervisor $supervisor KiB (target: under 12288)."
} | tee "$table"
