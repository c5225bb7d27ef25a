#!/bin/sh
# Runs a command in network, mount and PID namespaces of its own: enter.sh COMMAND [ARG...]
#
# Everything that tests and the demo make (namespaces, links, routes, processes, files under /run) exists only in
# there, so the kernel removes all of it when the command ends, also by SIGKILL, and the host's own network is never
# touched. Without root a user namespace makes the caller root inside, where the kernel allows that.
set -eu
[ "$(id -u)" = 0 ] || user=--map-root-user
exec setpriv --pdeathsig KILL \
  unshare ${user-} --net --mount --pid --fork --kill-child=KILL --mount-proc -- \
  sh -eu -c '
    mount -t tmpfs tmpfs /run
    mkdir -p /run/netns /run/lock /run/cgroup
    # A fresh sysfs hides the cgroups, which a kubelet needs; where there are none, only its tests are skipped.
    mount --rbind /sys/fs/cgroup /run/cgroup 2>/dev/null || true
    mount -t sysfs sysfs /sys
    ip link set lo up
    sysctl -qw net.ipv6.conf.default.accept_dad=0
    exec "$@"' enter "$@"
