#!/bin/sh
# record.sh - makes what the tests of this package read, on a machine with OpenZFS
# and without a pool named tank, as root:
#
#   go run ./integration/openzfs/run zfs/testdata/record.sh >zfs/testdata/openzfs-VERSION.txt
#
# Every section is headed by the command that wrote it. Where a command
# failed, what is recorded is its standard error.
show() {
	echo "-- $* --"
	"$@" 2>&1
}

echo "Recorded by record.sh from $(zfs version | head -n 1) on Linux $(uname -r)."
truncate -s 2G /tmp/pool.img
zpool create -O mountpoint=/tmp/tank tank /tmp/pool.img
source='tank/vm images'
zfs create "$source"
zfs create "$source/golden"
zfs snapshot "$source/golden@v 1"
clone() { zfs clone "$@"; }
for name in job-1 'job 2' ' lead' 'trail ' ' ' -dash .dot ... a..b .zfs 012 'A:c_d-e.f:' promoted; do
	clone "$source/golden@v 1" "$source/$name"
done
zfs promote "$source/promoted"
zfs create -o canmount=off "$source/off"
zfs create "$source/off/child"
clone -o readonly=on "$source/promoted@v 1" "$source/ro"
clone -o mountpoint=/tmp/elsewhere "$source/promoted@v 1" "$source/moved"
clone -o mountpoint=legacy "$source/promoted@v 1" "$source/legacy"
mkdir -p "/tmp/by hand\\"
mount -t zfs "$source/legacy" "/tmp/by hand\\"
clone -o mountpoint=legacy "$source/promoted@v 1" "$source/legacy-ro"
mkdir /tmp/legacy-ro
mount -t zfs -o ro "$source/legacy-ro" /tmp/legacy-ro
clone "$source/promoted@v 1" "$source/unmounted"
zfs unmount "$source/unmounted"
clone -o clonefs:identity=ci-7 "$source/promoted@v 1" "$source/pinned"
zfs create "$source/pinned/inherits"
clone -o clonefs:identity=original "$source/promoted@v 1" "$source/as it is"
clone -o clonefs:identity=- "$source/promoted@v 1" "$source/dash"
clone -o clonefs:identity= "$source/promoted@v 1" "$source/empty"
zfs create -V 1M "$source/volume"
zfs snapshot "$source/job-1@of a clone"
mkdir -p /tmp/bind
mkdir "/tmp/tank/vm images/job-1/dir"
mount -o bind "/tmp/tank/vm images/job-1/dir" /tmp/bind
ls "/tmp/tank/vm images/job-1/.zfs/snapshot/of a clone" >/dev/null

show cat /proc/self/mountinfo
list() {
	type=$1
	shift
	show zfs get -H -p -t "$type" -o name,property,value,source guid,clonefs:identity,clonefs:end-recorded "$@"
}
get() { list filesystem "$@"; }
get -r "$source"
get "$source/job 2" "$source/ro"
get "$source/gone" "$source/job-1" "$source/gone too"
get -r tank/none
get -r nopool/none
get -r "$source/volume"
get -r 'tank/no*name'
get -r tank/slash/
get -r "tank/$(printf '%0300d' 0)"

zfs snapshot "$source/pinned@inherits"
zfs snapshot "$source/pinned@a b"
zfs set clonefs:identity=ci-8 "$source/pinned@a b"
list snapshot -r "$source"
list snapshot -d 1 "$source/pinned" "$source/job-1"
list snapshot -d 1 "$source/gone" "$source/job-1"
list snapshot -d 1 "$source/off"
list snapshot -r tank/none

show zfs destroy "$source/gone"
show zfs destroy "$source/off"
show zfs destroy "$source/promoted"
show zfs destroy -r "$source/promoted"
show zfs destroy "$source/promoted@v 1"
show zfs destroy "$source/promoted@gone"
zfs hold tag "$source/job-1@of a clone"
show zfs destroy "$source/job-1@of a clone"
cd "/tmp/tank/vm images/job 2" || exit
show zfs destroy "$source/job 2"
show zfs unmount "$source/job 2"
show zfs rename "$source/job 2" "$source/job 3"
show zpool export tank
cd /
show zfs clone "$source/promoted@v 1" "$source/job 2"
show zfs clone "$source/promoted@gone" "$source/new"
show zfs clone "$source/promoted@v 1" tank/no/parent
show zfs clone "$source/promoted@v 1" other/pool
show zfs clone "$source/promoted@v 1" "$source/a*b"
show zfs rename "$source/job-1" "$source/job 2"
show zfs snapshot "$source/job-1@of a clone"
chmod 666 /dev/zfs
for command in "clone 'tank/vm images/promoted@v 1' tank/new" "destroy 'tank/vm images/job-1'" \
	"rename 'tank/vm images/job-1' tank/new" "set a:b=c 'tank/vm images/job-1'"; do
	show su -s /bin/sh nobody -c "zfs $command"
done
chmod 600 /dev/zfs
show su -s /bin/sh nobody -c 'zfs list tank'

zfs set clonefs:identity='a	tab' "$source/job-1"
zfs set clonefs:identity="x	local
$source/job-1	clonefs:end-guessed	-	-
$source/ro	guid	1	-
$source/ro	clonefs:identity	stolen	local
$source/ro	clonefs:end-guessed	-	-" "$source/job 2"
get "$source/job-1" "$source/job 2" "$source/ro"

zpool export tank
rm /dev/zfs # as on a machine whose module is not loaded
show zfs list tank
rmmod zfs
show zfs list tank
