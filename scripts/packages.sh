#!/bin/sh
# Installs the named Debian packages that are not there yet, says which, and starts none of their services.
#
#   packages.sh NAME...            install
#   packages.sh --unpack DIR NAME  unpack one package below DIR without installing it

set -eu

update() {
    # Lists that are there are good enough; a new machine has none.
    if [ "${1-}" = force ] || ! apt-get indextargets --format '$(FILENAME)' 'Created-By: Packages' | xargs -r ls >/dev/null 2>&1 ||
        [ -z "$(apt-get indextargets --format '$(FILENAME)' 'Created-By: Packages')" ]; then
        apt-get -qq update
    fi
}

if [ "${1-}" = --unpack ]; then
    directory=$2 package=$3
    [ -e "$directory/.$package" ] && exit 0
    update
    mkdir -p "$directory"
    echo "unpacking $package below $directory"
    # apt's own user must be able to write where the package is put.
    temporary=$(mktemp -d)
    trap 'rm -rf "$temporary"' EXIT
    chmod 755 "$temporary"
    (cd "$temporary" && apt-get -qq -o APT::Sandbox::User=root download "$package")
    dpkg-deb -x "$temporary"/*.deb "$directory"
    touch "$directory/.$package"
    exit 0
fi

missing=
for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

echo "installing:$missing"
update
# A program that a test starts by itself must not run as a service of the machine as well (invoke-rc.d(8)).
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
apt-get -qq install -y --no-install-recommends $missing >/dev/null || {
    update force
    apt-get -qq install -y --no-install-recommends $missing >/dev/null
}
if [ -d /run/systemd/system ]; then
    for package in $missing; do
        # Nor after the next boot.
        case $package in docker.io) systemctl disable --quiet docker.service docker.socket containerd.service || true ;; esac
    done
fi
