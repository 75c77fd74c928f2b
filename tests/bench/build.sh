#!/bin/bash
# Times builds of one Dockerfile by muster, docker build (classic and BuildKit, where the client has it) and buildah, in
# one run on one machine: cold, with nothing changed, with one file changed.
#
#   build.sh [-m MUSTER] [-r RUNS] [-f FILES] [-o TABLE.md]
#
# The Dockerfile has four stages on a busybox, two of which do not need each other, and copies a context of FILES files.
# No step needs a network, and no base a registry. Everything happens in a network and mount namespace that goes when
# this ends, with all data on one file system. Figures are medians in milliseconds; quote ratios from one run.

set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
muster=$top/target/x86_64-unknown-linux-gnu/release/muster runs=5 files=2000 table=/dev/null
while getopts m:r:f:o: option; do
    case $option in
        m) muster=$OPTARG ;;
        r) runs=$OPTARG ;;
        f) files=$OPTARG ;;
        o) table=$OPTARG ;;
        *) exit 2 ;;
    esac
done
fail() { echo "build.sh: $*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || fail "must run as root"
for program in "$muster" dockerd docker ip busybox; do
    command -v "$program" >/dev/null || fail "$program is missing"
done
if [ "${MUSTER_BENCH_INSIDE-}" != 1 ]; then
    MUSTER_BENCH_INSIDE=1 exec unshare --net --mount --kill-child --fork "$0" "$@"
fi
ip link set lo up

work=$(mktemp -d /var/tmp/muster-build.XXXXXX)
export DOCKER_HOST=unix://$work/docker.sock DOCKER_CONFIG=$work/config
mkdir -p "$work/config" "$work/context/src" "$work/times"
echo '{}' >"$work/config/config.json"
processes=()
cgroups_before=$(find /sys/fs/cgroup -maxdepth 2 -type d -name docker 2>/dev/null | sort)

finish() {
    set +e
    for pid in "${processes[@]}"; do
        kill "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
    awk -v top="$work/" 'index($5, top) == 1 { print $5 }' /proc/self/mountinfo | sort -r | xargs -r umount -l
    comm -13 <(echo "$cgroups_before") <(find /sys/fs/cgroup -maxdepth 2 -type d -name docker 2>/dev/null | sort) |
        xargs -r rmdir 2>/dev/null
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

# --- what is built --------------------------------------------------------------------------------------------------

cp "$(command -v busybox)" "$work/context/busybox"
for number in $(seq "$files"); do
    directory=$work/context/src/$((number % 50))
    mkdir -p "$directory"
    # Some 4 KiB each, as sources are.
    seq "$number" $((number + 700)) >"$directory/file-$number"
done
cat >"$work/context/Dockerfile" <<'END'
FROM scratch AS base
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
FROM base AS left
COPY src /src
RUN find /src -type f | xargs cat | gzip -9 >/left.gz
FROM base AS right
COPY src /src
RUN find /src -type f | sort | xargs sha256sum >/right
FROM base
COPY --from=left /left.gz /left.gz
COPY --from=right /right /right
COPY src /src
RUN find /src -type f | wc -l >/count
ENTRYPOINT ["cat"]
END
cat >"$work/compose.yaml" <<END
name: bench
services: {image: {build: {context: $work/context, network: none}}}
END

dockerd --data-root "$work/docker" --exec-root "$work/exec" --pidfile "$work/docker.pid" --host "$DOCKER_HOST" \
    --bridge none --iptables=false --log-level warn >"$work/dockerd.log" 2>&1 &
processes+=($!)
for _ in $(seq 300); do
    docker version >/dev/null 2>&1 && break
    sleep 0.1
done
docker version >/dev/null || fail "dockerd does not answer within 30 s"

# --- measuring ------------------------------------------------------------------------------------------------------

storage=(--root "$work/buildah/root" --runroot "$work/buildah/run" --storage-driver overlay)
build() {
    case $1 in
        muster)
            MUSTER_DATA_ROOT=$work/own/data MUSTER_RUN_ROOT=$work/own/run "$muster" -f "$work/compose.yaml" build -q
            ;;
        docker) DOCKER_BUILDKIT=0 docker build -q --network none -t bench "$work/context" ;;
        buildkit) DOCKER_BUILDKIT=1 "$buildkit" build -q --network none -t bench "$work/context" ;;
        buildah) buildah "${storage[@]}" build -q --layers --network none -t bench "$work/context" ;;
    esac >"$work/out" 2>"$work/err" || { cat "$work/out" "$work/err" >&2; return 1; }
}
forget() {
    case $1 in
        muster) rm -rf "$work/own" ;;
        docker | buildkit) docker system prune -af >/dev/null; /usr/bin/docker builder prune -af >/dev/null 2>&1 || docker builder prune -af >/dev/null 2>&1 || true ;;
        buildah)
            buildah "${storage[@]}" rmi -af >/dev/null 2>&1 || true
            buildah "${storage[@]}" prune -af >/dev/null 2>&1 || true
            ;;
    esac
}
measure() {
    local began ended
    began=$(date +%s%N)
    build "$1" || fail "$1 cannot build"
    ended=$(date +%s%N)
    echo $(((ended - began) / 1000)) >>"$work/times/$1.$2"
}

engines=(muster docker)
# Newer clients need a plugin for BuildKit; Debian's does not.
for buildkit in docker /usr/bin/docker; do
    if DOCKER_BUILDKIT=1 "$buildkit" build -q --network none -t bench "$work/context" >/dev/null 2>&1; then
        engines+=(buildkit)
        break
    fi
done
command -v buildah >/dev/null && engines+=(buildah)
for run in $(seq "$runs"); do
    for engine in "${engines[@]}"; do
        forget "$engine"
        sync
        measure "$engine" cold
        measure "$engine" cached
        measure "$engine" cached
        echo "changed in run $run by $engine" >"$work/context/src/1/file-1"
        measure "$engine" changed
    done
done

median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print (NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2) }'; }
{
    echo "| build of four stages, $files files | $(printf '%s | ' "${engines[@]}")"
    echo "|---|$(printf -- '---|%.0s' "${engines[@]}")"
    for kind in cold cached changed; do
        row="| $kind |"
        own=$(median "$work/times/muster.$kind")
        for engine in "${engines[@]}"; do
            time=$(median "$work/times/$engine.$kind")
            row+=$(awk -v t="$time" -v own="$own" -v e="$engine" \
                'BEGIN { printf " %.0f ms", t / 1000; if (e != "muster") printf " (1/%.1f)", t / own; printf " |" }')
        done
        echo "$row"
    done
} | tee "$table"
