#!/bin/sh
# The first process of a machine, in namespaces of its own: give it a root that it may write to, and become PROGRAM.
#   machine.sh HOME NAME PROGRAM...
# It sees this host's programs. What it writes is gone when it ends, but below HOME and in the folders named here.
set -eu
home=$1
name=$2
shift 2
where=$(pwd)
kept="etc/containerd etc/docker var/lib/containerd var/lib/kubelet var/lib/machine var/log"

hostname "$name"
mount -t tmpfs -o mode=755 machine "$home/root"
mkdir "$home/root/upper" "$home/root/work" "$home/root/merged"
root=$home/root/merged
mount -t overlay -o "lowerdir=/,upperdir=$home/root/upper,workdir=$home/root/work" overlay "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=755 run "$root/run"
mount -t tmpfs tmp "$root/tmp"
for place in $kept; do
    mkdir -p "$home/disk/$place" "$root/$place"
    mount --bind "$home/disk/$place" "$root/$place"
done
# Whatever they lie on: other file systems of this host are not seen through its root.
while read -r place; do
    mkdir -p "$root$place"
    mount --bind "$place" "$root$place"
done <"$home/visible"
printf '127.0.0.1 localhost %s\n' "$name" >"$root/etc/hosts"
cat "$home/hosts" >>"$root/etc/hosts"

cd "$root"
pivot_root . mnt
umount -l /mnt
cd "$where"
exec "$@"
