#!/bin/sh
# root.sh DIRECTORY: makes a root file system there, in the mount namespace that
# it is called in, and runs systemd in it. It is called as the first process of
# its process namespace.
#
# The root is a tmpfs with the machine's own programs, read-only, and nothing of
# the machine's configuration: of the units only those that every service stands
# on, so that nothing else of the machine is started.
set -eu

units='multi-user.target basic.target sysinit.target local-fs-pre.target local-fs.target swap.target
	paths.target slices.target sockets.target timers.target rescue.target emergency.target
	shutdown.target umount.target final.target poweroff.target systemd-poweroff.service
	systemd-journald.socket systemd-journald-dev-log.socket systemd-journald.service'

mount -t tmpfs -o mode=755 tmpfs "$1"
cd "$1"

mkdir -p usr etc mnt root srv var/log proc sys dev run tmp old
ln -s /run var/run
mount --bind /usr usr
mount -o remount,bind,ro usr
for link in bin sbin lib lib32 lib64; do
	[ ! -L "/$link" ] || ln -s "usr/$link" "$link"
done
mount -t tmpfs -o mode=755 tmpfs usr/local

mount -t tmpfs -o mode=755 tmpfs usr/lib/systemd/system
for unit in $units; do
	cp "/usr/lib/systemd/system/$unit" usr/lib/systemd/system/
done
mkdir usr/lib/systemd/system/sysinit.target.wants
ln -s ../systemd-journald.service usr/lib/systemd/system/sysinit.target.wants/
ln -s multi-user.target usr/lib/systemd/system/default.target
# They make units of what the machine has, such as partitions.
mount -t tmpfs -o mode=755 tmpfs usr/lib/systemd/system-generators

echo 'root:x:0:0::/root:/bin/sh' >etc/passwd
echo 'root:x:0:' >etc/group
# Where there is none this would be the first boot, on which all is enabled.
echo 0123456789abcdef0123456789abcdef >etc/machine-id
: >etc/fstab
[ ! -e /etc/ld.so.cache ] || cp /etc/ld.so.cache etc/

mount -t proc proc proc
# The kernel is the machine's: systemd would raise its limits.
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/pts dev/shm
mknod -m 666 dev/null c 1 3
mknod -m 666 dev/zero c 1 5
mknod -m 666 dev/full c 1 7
mknod -m 666 dev/random c 1 8
mknod -m 666 dev/urandom c 1 9
mknod -m 666 dev/tty c 5 0
mknod -m 666 dev/ptmx c 5 2
mknod -m 666 dev/fuse c 10 229

pivot_root . old
cd /
umount -l old
rmdir old
# See "Container Interface" of systemd: with container= it leaves alone what is
# the machine's, such as the clock.
exec env -i container=clonefs-test PATH="$PATH" /usr/lib/systemd/systemd --system
