#!/bin/sh
# Mounts file systems that share blocks between files, on loop devices, for the tests that need
# them; a small one in memory, one whose power can be cut, and a read-only folder.
#
#   reflink-fs.sh up DIR     makes DIR/xfs, DIR/btrfs, DIR/small (8 MiB tmpfs), DIR/power (XFS,
#                            its disk in memory) and DIR/readonly
#   reflink-fs.sh off DIR    cuts the power of DIR/power: nothing is flushed
#   reflink-fs.sh on DIR     mounts it again
#   reflink-fs.sh down DIR   unmounts them and removes what it made
#
# Needs root, xfsprogs and btrfs-progs (apt-get install xfsprogs btrfs-progs).
set -eu

usage() {
    echo "usage: $0 up|off|on|down DIR" >&2
    exit 2
}

[ $# -eq 2 ] || usage
verb=$1 dir=$2

up() {
    mkdir -p "$dir"
    for fs in xfs btrfs; do
        truncate -s 6G "$dir/$fs.img"
        case $fs in
            xfs) mkfs.xfs -q -m reflink=1 "$dir/$fs.img" ;;
            btrfs) mkfs.btrfs -q "$dir/$fs.img" ;;
        esac
        mkdir -p "$dir/$fs"
        mount -o loop "$dir/$fs.img" "$dir/$fs"
    done
    mkdir -p "$dir/memory" "$dir/power"
    mount -t tmpfs -o size=2g tmpfs "$dir/memory"
    truncate -s 2G "$dir/memory/power.img"
    mkfs.xfs -q -m reflink=1 "$dir/memory/power.img"
    mount -o loop "$dir/memory/power.img" "$dir/power"
    mkdir -p "$dir/small" "$dir/readonly" "$dir/writable"
    mount -t tmpfs -o size=8m tmpfs "$dir/small"
    mount --bind "$dir/writable" "$dir/readonly"
    mount -o remount,bind,ro "$dir/readonly"
}

down() {
    for name in readonly small power memory btrfs xfs; do
        if mountpoint -q "$dir/$name"; then
            umount "$dir/$name"
        fi
        [ ! -d "$dir/$name" ] || rmdir "$dir/$name"
    done
    rm -rf "$dir/writable"
    rm -f "$dir/xfs.img" "$dir/btrfs.img"
}

off() {
    # Without -f: the log stays unflushed too, which is what a power loss does.
    xfs_io -x -c shutdown "$dir/power"
}

on() {
    umount "$dir/power"
    mount -o loop "$dir/memory/power.img" "$dir/power"
}

case $verb in
    up) up ;;
    off) off ;;
    on) on ;;
    down) down ;;
    *) usage ;;
esac
