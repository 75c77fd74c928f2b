#!/bin/sh
# What the kernel holds of muster on this machine, one line each.
#
#   audit.sh take FILE       remember it
#   audit.sh compare FILE    print what is there now and was not then; exit 1 when there is anything
#
# Whatever was up before the tests began, a demo for instance, is in the first list and is no finding.

set -eu

list() {
    # Processes whose program is a muster, whatever they call themselves.
    for exe in /proc/[0-9]*/exe; do
        program=$(readlink "$exe" 2>/dev/null) || continue
        case $program in */muster | */muster\ * | *memfd:muster*)
            pid=${exe%/exe}
            echo "process ${pid#/proc/} $program" ;;
        esac
    done
    awk -F: 'NR > 2 { gsub(" ", "", $1); if ($1 ~ /^mst/) print "link", $1 }' /proc/net/dev
    nft list tables | awk '/muster/ { print "nft table", $2, $3 }'
    find /sys/fs/cgroup -mindepth 2 -type d -path '*muster/*' 2>/dev/null | sed 's/^/cgroup /'
    # Test binaries and clones of the project may lie in a directory of that name: only file systems of ours count.
    awk '$5 ~ /\/muster(-e2e|\/|$)/ || $0 ~ /\/(lib|run)\/muster\// || $0 ~ /muster-e2e/ { print "mount", $5 }' /proc/self/mountinfo
    awk 'NF >= 8 && $8 ~ /(\/run\/muster\/|muster-e2e)/ { print "socket", $8 }' /proc/net/unix
    # Locks stay on purpose: removing one would let two owners in.
    [ ! -d /run/muster ] || find /run/muster -mindepth 1 ! -type d ! -name '*.lock' ! -path '/run/muster/locks/*' ! -name boot_id | sed 's/^/file /'
    find "${TMPDIR:-/var/tmp}" -maxdepth 1 -name 'muster-e2e*' 2>/dev/null | sed 's/^/file /'
    # Named namespaces; ours have none, those of the tests' other machines must be gone.
    [ ! -d /run/netns ] || find /run/netns -mindepth 1 -name 'e2e*' | sed 's/^/netns /'
}

case ${1-} in
    take) list | sort >"$2" ;;
    compare)
        # What is just ending may take a moment.
        for _ in 1 2 3 4 5 6 7 8 9 10; do
            left=$(list | sort | comm -13 "$2" -)
            [ -n "$left" ] || break
            sleep 0.2
        done
        if [ -n "$left" ]; then
            echo "audit: left behind:" >&2
            echo "$left" >&2
            exit 1
        fi
        echo "audit: no process, link, table, cgroup, mount, socket or file of muster is left" ;;
    *) echo "usage: audit.sh take|compare FILE" >&2; exit 2 ;;
esac
