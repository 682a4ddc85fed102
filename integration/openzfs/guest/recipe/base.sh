#!/bin/bash
# base.sh PACKAGES MODULES KERNEL ROOT - makes the guest's root directory.
#
#   PACKAGES  a directory with Debian packages unpacked in it
#   MODULES   a directory with OpenZFS's .ko files
#   ROOT      a directory, made here
set -euo pipefail
packages=$1 modules=$2 kernel=$3 root=$4

# What the tests and their init load; what these need comes along.
wanted=(zfs fuse ext4 loop overlay virtio_pci virtio_blk virtio_console)

mkdir -p "$root"/{bin,sbin,usr/bin,usr/sbin,usr/lib,lib/x86_64-linux-gnu,lib64,etc,dev,proc,sys,run,tmp,mnt,root}
chmod 1777 "$root/tmp"
cp "$packages/bin/busybox" "$root/bin/"
"$root/bin/busybox" --list-full | while read -r applet; do
	[ "$applet" = bin/busybox ] || ln -sf /bin/busybox "$root/$applet"
done
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n' >"$root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
printf '127.0.0.1 localhost\n' >"$root/etc/hosts"

# The dynamic loader names the libraries. libc's own are for a Go test binary
# that was linked with cgo, as with -race.
loader=lib64/ld-linux-x86-64.so.2
libraries=$packages/lib/x86_64-linux-gnu:$packages/usr/lib/x86_64-linux-gnu
cp -L "$packages/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2" "$root/$loader"
cp -L "$packages"/lib/x86_64-linux-gnu/{libc,libm,libpthread,libdl,libresolv,librt,libnss_files}.so.[0-9] "$root/lib/x86_64-linux-gnu/"
for program in zfs zpool; do
	cp "$packages/sbin/$program" "$root/sbin/"
	"$root/$loader" --library-path "$libraries" --list "$packages/sbin/$program" |
		awk -v from="$packages" 'index($3, from) == 1 {print $3}' |
		xargs cp -L -t "$root/lib/x86_64-linux-gnu/"
done

tree=$packages/lib/modules/$kernel
mkdir "$tree/extra"
cp "$modules"/*.ko "$tree/extra/"
depmod -b "$packages" "$kernel"
for module in "${wanted[@]}"; do
	modprobe -d "$packages" -S "$kernel" --show-depends "$module"
done | awk '$1 == "insmod" {print $2}' | sort -u | while read -r file; do
	install -D -m 644 "$file" "$root/lib/modules/$kernel/${file#"$tree/"}"
done
cp "$tree"/modules.{builtin,builtin.modinfo,order} "$root/lib/modules/$kernel/"
depmod -b "$root" "$kernel"
