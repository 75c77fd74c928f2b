#!/bin/bash
# Brings the peer that compare.sh measures against: Debian's docker.io, and docker compose 2.26.1 from Debian 13, which
# Debian 12 does not have. The latter is only unpacked, below .cache/bench, from this machine's own Debian mirror.

set -euo pipefail

top=$(cd "$(dirname "$0")/../.." && pwd)
cache=$top/.cache/bench
"$top/scripts/packages.sh" docker.io iptables busybox-static iproute2
# Debian 13 has the client in a package of its own.
command -v docker >/dev/null || "$top/scripts/packages.sh" docker-cli
[ ! -x "$cache/docker-compose" ] || exit 0

mirror=$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Created-By: Packages' | sed -n 's:^Debian \(.*/debian/\)$:\1:p' | sort -u | head -n 1)
[ -n "$mirror" ] || { echo "peer.sh: apt names no Debian mirror" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$cache"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >"$work/sources.list"
options=(-qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$work/lists"
    -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root)
echo "fetching docker-compose from Debian 13"
apt-get "${options[@]}" update
(cd "$work" && apt-get "${options[@]}" download docker-compose && dpkg-deb -x docker-compose_*.deb root)
install -m 755 "$work/root/usr/libexec/docker/cli-plugins/docker-compose" "$cache/docker-compose"
