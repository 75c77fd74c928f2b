#!/bin/bash
# Makes the three images of the guest book without muster, from Debian packages: what docker and the tests start with.
#
#   guestbook-images.sh [-o FILE]     default: .cache/guestbook/images.tar at the top of the repository
#
# The archive is laid out as `docker save` of a current docker writes one, an OCI image layout that also has docker's
# manifest.json: `muster load -i` and `docker load -i` read it. The three images share the layer of the base system.
# Nothing is done when the archive is there and nothing that it is made of has changed. Needs root, mmdebstrap and the
# apt sources of a Debian host; everything happens below the cache directory and in mount namespaces of its own.

set -euo pipefail
export LC_ALL=C

top=$(cd "$(dirname "$0")/.." && pwd)
here=$top/examples/guestbook
cache=$top/.cache/guestbook
archive=$cache/images.tar
[ "${1-}" != -o ] || archive=$2

fail() { echo "guestbook-images.sh: $*" >&2; exit 1; }
say() { echo "images: $*" >&2; }

[ "$(id -u)" = 0 ] || fail "must run as root: it makes root file systems"
command -v mmdebstrap >/dev/null || fail "needs mmdebstrap (apt-get install mmdebstrap)"
# shellcheck source=/dev/null
suite=$(. /etc/os-release && echo "${VERSION_CODENAME-}")
architecture=$(dpkg --print-architecture)

# What the archive is made of. Newer packages alone are no reason to build again; `make clean` is.
key=$(cd "$here" && { echo "$suite $architecture"; find ../../tests/guestbook-images.sh images -type f | sort | xargs sha256sum; } | sha256sum)
if [ -f "$archive" ] && [ "$(cat "$archive.key" 2>/dev/null)" = "$key" ]; then
    say "$archive is up to date"
    exit 0
fi

mkdir -p "$cache" "$(dirname "$archive")"
exec 9>"$cache/lock"
flock 9
work=$cache/work
rm -rf "$work"
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/oci/blobs/sha256"

# --- roots ---------------------------------------------------------------------------------------------------------

# What no package brings into an image: documentation, locales, and PostgreSQL's JIT compiler, which it does without
# when the library is not there (LLVM alone would be as large as all the rest).
excludes=(/usr/share/{doc,man,info,locale,lintian,i18n/{charmaps,locales}}/'*'
    /usr/lib/postgresql/'*'/lib/{bitcode/'*',llvmjit'*'} /usr/lib/'*'/lib{LLVM,z3}'*')

# The base system: what Debian calls essential and OpenSSL, which all three need, from the mirrors that this host uses.
make_base() {
    local sources
    sources=$(apt-get indextargets --format '$(ORIGIN) deb $(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' |
        sed -n 's/^Debian deb /deb /p' | grep -E " $suite(-updates|-security)? " | sort -u || true)
    [ -n "$sources" ] || fail "apt knows no Debian $suite here; run apt-get update"
    say "base system from Debian $suite"
    mmdebstrap --quiet --variant=essential --include=openssl "${excludes[@]/#/--dpkgopt=path-exclude=}" \
        '' "$work/base" - <<<"$sources" || fail "mmdebstrap failed"
    clean "$work/base"
}

# Installs packages into a root with this host's apt, lists and keys; dpkg itself runs inside the root.
install_packages() {
    local root=$1
    shift
    mkdir -p "$root/var/cache/apt/archives/partial" "$root/var/lib/apt" "$root/var/log/apt"
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod +x "$root/usr/sbin/policy-rc.d"
    # The mounts go with the namespace, so nothing is left on the host when this is interrupted.
    unshare --mount --pid --fork sh -euc '
        root=$1
        shift
        mount -t proc proc "$root/proc"
        mount --bind /dev "$root/dev"
        DEBIAN_FRONTEND=noninteractive exec apt-get -qq -y --no-install-recommends \
            -o Dir="$root" -o Dir::Etc=/etc/apt -o Dir::State::lists=/var/lib/apt/lists \
            -o DPkg::Chroot-Directory="$root" -o Dpkg::Use-Pty=0 -o APT::Sandbox::User=root \
            install "$@"
    ' sh "$root" "$@" >"$work/apt.log" 2>&1 9>&- || { tail -n 40 "$work/apt.log" >&2; fail "apt-get failed on $*"; }
    rm -f "$root/usr/sbin/policy-rc.d"
}

# Takes away what changes from build to build or belongs to one machine.
clean() {
    local root=$1
    rm -rf "$root"/var/lib/apt/* "$root"/var/cache/* "$root"/var/log/* "$root"/tmp/* "$root"/run/* "$root"/dev/* \
        "$root"/etc/apt/sources.list* "$root"/etc/machine-id "$root"/etc/resolv.conf "$root"/etc/hostname \
        "$root"/etc/passwd- "$root"/etc/group- "$root"/etc/shadow- "$root"/etc/gshadow- "$root"/var/lib/dpkg/*-old
}

# The day of the package lists: no file of a package is newer.
ls /var/lib/apt/lists/*Release >/dev/null 2>&1 || apt-get -qq update
released=$(stat -c %Y /var/lib/apt/lists/*Release 2>/dev/null | sort -n | tail -n 1) || fail "apt has no package lists"

# --- layers and images ---------------------------------------------------------------------------------------------

# Moves a file to its place among the blobs; prints its digest.
blob() {
    local digest
    digest=$(sha256sum "$1" | cut -d' ' -f1)
    mv "$1" "$work/oci/blobs/sha256/$digest"
    echo "$digest"
}

# One line a path: everything that makes two paths differ.
listing() {
    (cd "$1" && find . -mindepth 1 -printf '%P\t%y\t%m\t%U\t%G\t%s\t%T@\t%l\n' | sort)
}

# Prints the digest of a layer that holds what $2 has over $1; everything of $2 when $1 is empty.
layer() {
    local below=$1 root=$2
    listing "$root" >"$work/list"
    if [ -n "$below" ]; then
        listing "$below" >"$work/list.below"
        comm -13 "$work/list.below" "$work/list" | cut -f1 >"$work/paths"
        # Removed paths become whiteouts.
        comm -23 <(cut -f1 "$work/list.below" | sort) <(cut -f1 "$work/list" | sort) | while IFS= read -r path; do
            [ -d "$root/$(dirname "$path")" ] || continue
            : >"$root/$(dirname "$path")/.wh.$(basename "$path")"
            echo "$(dirname "$path")/.wh.$(basename "$path")"
        done | sed 's:^\./::' >>"$work/paths"
        sort -o "$work/paths" "$work/paths"
    else
        cut -f1 "$work/list" >"$work/paths"
    fi
    # What the packages brought keeps its time stamp (Python compares a module's with that in its byte code), what was
    # made here gets that of the package lists: the same packages make the same digest on every machine.
    tar --create --file "$work/layer.tar" --directory "$root" --no-recursion --verbatim-files-from --files-from "$work/paths" \
        --format=pax --pax-option=delete=atime,delete=ctime,exthdr.name=%d/PaxHeaders/%f --numeric-owner --clamp-mtime --mtime="@$released" --sort=none
    blob "$work/layer.tar"
}

# Puts an image together: name, JSON of its `config`, layers.
image() {
    local name=$1 config=$2 diffs='' descriptors='' paths='' layer size
    shift 2
    for layer in "$@"; do
        size=$(stat -c %s "$work/oci/blobs/sha256/$layer")
        diffs+=",\"sha256:$layer\""
        paths+=",\"blobs/sha256/$layer\""
        descriptors+=",{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"sha256:$layer\",\"size\":$size}"
    done
    echo "{\"architecture\":\"$architecture\",\"os\":\"linux\",\"created\":\"1970-01-01T00:00:00Z\",\"config\":$config,\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[${diffs#,}]}}" >"$work/config.json"
    size=$(stat -c %s "$work/config.json")
    config=$(blob "$work/config.json")
    echo "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"sha256:$config\",\"size\":$size},\"layers\":[${descriptors#,}]}" >"$work/manifest.json"
    size=$(stat -c %s "$work/manifest.json")
    index+=",{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:$(blob "$work/manifest.json")\",\"size\":$size,\"annotations\":{\"io.containerd.image.name\":\"docker.io/library/$name:latest\",\"org.opencontainers.image.ref.name\":\"latest\"}}"
    docker_index+=",{\"Config\":\"blobs/sha256/$config\",\"RepoTags\":[\"$name:latest\"],\"Layers\":[${paths#,}]}"
}

new_root() {
    cp -a "$work/base" "$work/$1"
}

# --- the four layers and the three images --------------------------------------------------------------------------

make_base
base=$(layer '' "$work/base")
index='' docker_index=''
path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin

say "guestbook-db: PostgreSQL"
root=$work/db
new_root db
# The package would make a cluster at once; ours is made at the first start, in the volume.
mkdir -p "$root/etc/postgresql-common"
echo 'create_main_cluster = false' >"$root/etc/postgresql-common/createcluster.conf"
install_packages "$root" postgresql
rm -f "$root"/etc/ssl/private/ssl-cert-snakeoil.key "$root"/etc/ssl/certs/ssl-cert-snakeoil.pem
bin=$(cd "$root" && echo usr/lib/postgresql/*/bin)
install -m 755 "$here/images/db/entrypoint" "$root/usr/local/bin/entrypoint"
clean "$root"
chroot "$root" install -d -o postgres -g postgres -m 700 /var/lib/postgresql/data
image guestbook-db '{"User":"postgres","Env":["PATH=/'"$bin:$path"'","PGDATA=/var/lib/postgresql/data/cluster","PGHOST=/tmp","LANG=C.UTF-8"],"Entrypoint":["entrypoint"],"ExposedPorts":{"5432/tcp":{}},"Volumes":{"/var/lib/postgresql/data":{}},"StopSignal":"SIGINT"}' \
    "$base" "$(layer "$work/base" "$root")"
rm -rf "$root"

say "guestbook-app: Python and psycopg"
root=$work/app
new_root app
install_packages "$root" python3 python3-psycopg
install -D -m 644 "$here/images/app/guestbook.py" "$root/srv/guestbook.py"
clean "$root"
image guestbook-app '{"User":"nobody","Env":["PATH='"$path"'","LANG=C.UTF-8","PYTHONDONTWRITEBYTECODE=1"],"WorkingDir":"/srv","Entrypoint":["python3"],"Cmd":["/srv/guestbook.py"],"ExposedPorts":{"8000/tcp":{}},"StopSignal":"SIGTERM"}' \
    "$base" "$(layer "$work/base" "$root")"
rm -rf "$root"

say "guestbook-web: nginx"
root=$work/web
new_root web
install_packages "$root" nginx
install -m 644 "$here/images/web/nginx.conf" "$root/etc/nginx/guestbook.conf"
clean "$root"
image guestbook-web '{"User":"www-data","Env":["PATH='"$path"'"],"Entrypoint":["nginx","-e","stderr"],"Cmd":["-c","/etc/nginx/guestbook.conf"],"ExposedPorts":{"80/tcp":{}},"StopSignal":"SIGQUIT"}' \
    "$base" "$(layer "$work/base" "$root")"
rm -rf "$root"

echo '{"imageLayoutVersion":"1.0.0"}' >"$work/oci/oci-layout"
echo "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[${index#,}]}" >"$work/oci/index.json"
echo "[${docker_index#,}]" >"$work/oci/manifest.json"
# The small files first: a reader knows what is coming before it meets the layers.
tar --create --file "$archive.new" --directory "$work/oci" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner \
    oci-layout index.json manifest.json blobs
mv "$archive.new" "$archive"
echo "$key" >"$archive.key"
say "$archive: $(($(stat -c %s "$archive") / 1000000)) MB"
