#!/bin/sh
# Makes a machine of its own out of a network namespace of the lab, to be a node of a cluster: node.sh NAME FOLDER
#
# Run in that network namespace by `unshare --mount --uts`, it mounts and then sleeps: whatever joins its namespaces is
# on the node. The node has its own /run, /etc/cni, /opt, /var/lib and /var/log, whatever is written into them lands in
# FOLDER, and the rest of the machine's file system is as it is. The kubelet and others write into a few settings of the
# kernel that are the whole machine's: they get files of their own in their place.
set -eu
name=$1 folder=$2
mount --make-rprivate /
hostname "$name"

# The sysfs of this network namespace (`ip netns exec` has mounted it) hides the cgroups; the lab has kept them (enter.sh).
mount --move /run/cgroup /sys/fs/cgroup

# Whatever is on the machine is seen and never written to.
for place in /etc /opt /var/lib /var/log; do
  mkdir -p "$folder/upper$place" "$folder/work$place"
  mount -t overlay overlay -o "lowerdir=$place,upperdir=$folder/upper$place,workdir=$folder/work$place" "$place"
done
# The runtime lays overlays of its own, which an overlay does not bear.
for place in /var/lib/kubelet /var/lib/containerd; do
  mkdir -p "$folder$place" "$place"
  mount --bind "$folder$place" "$place"
done
mkdir -p /etc/cni/net.d /opt/cni/bin /var/lib/cni /var/log/pods /var/log/containers
rm -rf /etc/cni/net.d/* /opt/cni/bin/* /var/lib/cni/*

for setting in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys \
  kernel/keys/root_maxbytes; do
  [ -e "/proc/sys/$setting" ] || continue
  mkdir -p "$folder/settings/${setting%/*}"
  cat "/proc/sys/$setting" >"$folder/settings/$setting"
  mount --bind "$folder/settings/$setting" "/proc/sys/$setting"
done

# What the lab has written for the node stays in sight.
mount --rbind /run/lab /mnt
mount -t tmpfs tmpfs /run
mkdir -p /run/netns /run/lock /run/lab
mount --move /mnt /run/lab
mount --make-rshared /
echo ready
exec sleep infinity
