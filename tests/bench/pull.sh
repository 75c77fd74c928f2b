#!/bin/bash
# Times cold pulls of one image by muster, docker, podman and skopeo from one registry, in one run on one machine.
#
#   pull.sh [-a] [-m MUSTER] [-r RUNS] [-l LAYERS] [-s MIB] [-d DIRECTORY] [-o TABLE.md]
#
# The registry is Debian's docker-registry on loopback; with -a it speaks TLS and wants a user and a password. The image has LAYERS layers, each with some MIB of real files (of
# DIRECTORY), packed with gzip. Everything happens in a network and mount namespace that goes when this ends, with all
# data on one file system. Runs alternate between the engines; between two runs the data of the last is removed and the
# disk is given the time to settle. podman and skopeo take part when they are installed. skopeo is shown twice: into
# containers-storage, where the image is unpacked as by the others, and into a directory, which is the download alone.
# Figures are medians; quote ratios from one run.

set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
muster=$top/target/x86_64-unknown-linux-gnu/release/muster runs=3 layers=8 size=110 files=/usr table=/dev/null guarded=
while getopts am:r:l:s:d:o: option; do
    case $option in
        a) guarded=yes ;;
        m) muster=$OPTARG ;;
        r) runs=$OPTARG ;;
        l) layers=$OPTARG ;;
        s) size=$OPTARG ;;
        d) files=$OPTARG ;;
        o) table=$OPTARG ;;
        *) exit 2 ;;
    esac
done
fail() { echo "pull.sh: $*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || fail "must run as root"
registry=$top/.cache/tools/usr/bin/docker-registry
[ -x "$registry" ] || registry=$(command -v docker-registry) || fail "docker-registry is missing; make test unpacks it"
for program in "$muster" dockerd docker ip python3; do
    command -v "$program" >/dev/null || fail "$program is missing"
done

if [ "${MUSTER_BENCH_INSIDE-}" != 1 ]; then
    MUSTER_BENCH_INSIDE=1 exec unshare --net --mount --kill-child --fork "$0" "$@"
fi
ip link set lo up

work=$(mktemp -d /var/tmp/muster-pull.XXXXXX)
export DOCKER_HOST=unix://$work/docker.sock DOCKER_CONFIG=$work/config
mkdir -p "$work/config" "$work/image/blobs/sha256"
# podman insists on the file.
echo '{}' >"$work/config/config.json"
http="addr: '127.0.0.1:5000'" access=
if [ -n "$guarded" ]; then
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 \
        -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
    http+=", tls: {certificate: $work/cert.pem, key: $work/key.pem}"
    # bcrypt of `open sesame`
    echo 'me:$2b$04$0xBgHolFlnTo9r/Qwhv.s.ZLU.Mif8riBwAvL8j9Gg5V3OFe7Nc0y' >"$work/passwords"
    access="auth: {htpasswd: {realm: bench, path: $work/passwords}}"
    echo "{\"auths\":{\"127.0.0.1:5000\":{\"auth\":\"$(printf "me:open sesame" | base64)\"}}}" >"$work/config/config.json"
fi
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

# --- the registry and the image -------------------------------------------------------------------------------------

cat >"$work/registry.yml" <<END
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $work/registry}}
http: {$http}
$access
END
"$registry" serve "$work/registry.yml" >"$work/registry.log" 2>&1 &
processes+=($!)
name=127.0.0.1:5000/bench/image:1

echo "making an image of $layers layers, $size MiB of files each" >&2
# What vanishes while it is looked at is no reason to stop.
{ find "$files" -xdev -type f -size +0 -printf '%s %p\n' 2>/dev/null || true; } |
    awk -v layers="$layers" -v size=$((size << 20)) -v out="$work/list." '
        { if (sum >= size) { number++; sum = 0 } if (number >= layers) next; sum += $1; sub(/^[0-9]+ \//, ""); print >(out (number + 0)) }'
for number in $(seq 0 $((layers - 1))); do
    [ -e "$work/list.$number" ] || fail "$files has not enough files"
    tar --create --directory / --no-recursion --files-from "$work/list.$number" --file "$work/layer.$number" 2>/dev/null || true
done
python3 - "$work" "$layers" <<'END'
import gzip, hashlib, json, os, platform, sys

work, layers = sys.argv[1], int(sys.argv[2])
machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())

def blob(data, media_type):
    digest = hashlib.sha256(data).hexdigest()
    with open(f"{work}/image/blobs/sha256/{digest}", "wb") as file:
        file.write(data)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

parts, ids, plain = [], [], 0
for number in range(layers):
    with open(f"{work}/layer.{number}", "rb") as file:
        data = file.read()
    os.remove(f"{work}/layer.{number}")
    plain += len(data)
    ids.append("sha256:" + hashlib.sha256(data).hexdigest())
    parts.append(blob(gzip.compress(data, 6, mtime=0), "application/vnd.oci.image.layer.v1.tar+gzip"))
config = {"architecture": machine, "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": ids}}
config = blob(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json")
kind = "application/vnd.oci.image.manifest.v1+json"
manifest = blob(json.dumps({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": parts}).encode(), kind)
with open(f"{work}/image/index.json", "w") as file:
    json.dump({"schemaVersion": 2, "manifests": [manifest]}, file)
with open(f"{work}/image/oci-layout", "w") as file:
    file.write('{"imageLayoutVersion":"1.0.0"}')
packed = sum(part["size"] for part in parts)
with open(f"{work}/sizes", "w") as file:
    file.write(f"{layers} layers, {packed >> 20} MiB, {plain >> 20} MiB unpacked")
END
tar --create --directory "$work/image" --file "$work/image.tar" .
rm -rf "$work/image"
export MUSTER_DATA_ROOT=$work/made/data MUSTER_RUN_ROOT=$work/made/run
id=$("$muster" load -i "$work/image.tar" | sed -n 's/^Loaded image ID: //p')
"$muster" tag "$id" "$name"
"$muster" image push -q "$name" >/dev/null
rm -rf "$work/made" "$work/image.tar"

dockerd --data-root "$work/docker" --exec-root "$work/exec" --pidfile "$work/docker.pid" --host "$DOCKER_HOST" \
    --bridge none --iptables=false --log-level warn >"$work/dockerd.log" 2>&1 &
processes+=($!)
for _ in $(seq 300); do
    docker version >/dev/null 2>&1 && break
    sleep 0.1
done
docker version >/dev/null || fail "dockerd does not answer within 30 s"

# --- measuring ------------------------------------------------------------------------------------------------------

# For podman and skopeo, which read the same form; docker-registry would take it for a setting of its own.
[ -z "$guarded" ] || export REGISTRY_AUTH_FILE=$work/config/config.json
storage=(--root "$work/podman/root" --runroot "$work/podman/run" --storage-driver overlay)
engines=(docker muster)
command -v podman >/dev/null && engines+=(podman)
command -v skopeo >/dev/null && command -v podman >/dev/null && engines+=(skopeo download)

pull() {
    case $1 in
        muster) MUSTER_DATA_ROOT=$work/own/data MUSTER_RUN_ROOT=$work/own/run "$muster" image pull -q "$name" ;;
        docker) docker pull -q "$name" ;;
        podman) podman "${storage[@]}" pull -q --tls-verify=false "$name" ;;
        skopeo)
            skopeo copy -q --src-tls-verify=false "docker://$name" \
                "containers-storage:[overlay@$work/podman/root+$work/podman/run]bench:1"
            ;;
        download) skopeo copy -q --src-tls-verify=false "docker://$name" "dir:$work/download" ;;
    esac
}

forget() {
    case $1 in
        muster) rm -rf "$work/own" ;;
        docker) docker rmi -f "$name" ;;
        podman | skopeo) podman "${storage[@]}" rmi -af ;;
        download) rm -rf "$work/download" ;;
    esac
    sync
}

median() {
    sort -n "$work/time.$1" | awk '{ v[NR] = $1 } END { m = (NR % 2) ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2; printf "%.2f", m / 1000000 }'
}

for run in $(seq 0 "$runs"); do
    [ "$run" = 0 ] && echo "warming up" >&2 || echo "round $run of $runs" >&2
    for engine in "${engines[@]}"; do
        begin=$EPOCHREALTIME
        if [ "$engine" = muster ]; then
            # The largest resident set, of wait4(2).
            MUSTER_DATA_ROOT=$work/own/data MUSTER_RUN_ROOT=$work/own/run python3 -c '
import os, subprocess, sys
child = subprocess.Popen(sys.argv[2:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
open(sys.argv[1], "a").write(f"{usage.ru_maxrss}\n")
sys.exit(os.waitstatus_to_exitcode(status))' "$work/memory" "$muster" image pull -q "$name" || fail "muster failed"
        else
            pull "$engine" >"$work/out" 2>&1 || { cat "$work/out" >&2; fail "$engine failed"; }
        fi
        end=$EPOCHREALTIME
        [ "$run" = 0 ] || echo $((${end/./} - ${begin/./})) >>"$work/time.$engine"
        forget "$engine" >/dev/null 2>&1
    done
done

# --- the table ------------------------------------------------------------------------------------------------------

own=$(median muster)
{
    echo "| engine | cold pull | muster takes |"
    echo "|---|---|---|"
    for engine in "${engines[@]}"; do
        case $engine in
            muster) what="muster" ;;
            docker) what="docker $(docker version --format '{{.Server.Version}}')" ;;
            podman) what="podman $(podman --version | sed 's/.* //')" ;;
            skopeo) what="skopeo $(skopeo --version | sed 's/.* version //') into containers-storage" ;;
            download) what="skopeo into a directory: packed layers, nothing unpacked" ;;
        esac
        awk -v what="$what" -v theirs="$(median "$engine")" -v own="$own" 'BEGIN {
            printf "| %s | %.2f s | %s |\n", what, theirs, what == "muster" ? "" : sprintf("1/%.2f", theirs / own) }'
    done
    echo
    echo "$(cat "$work/sizes")${guarded:+, over TLS with a password}. Medians of $runs runs; kernel $(uname -r), $(nproc) cores."
    echo "Largest resident set of muster: $(sort -n "$work/memory" | tail -n 1) KiB (target: under 102400)."
} | tee "$table"
