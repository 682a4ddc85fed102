#!/bin/bash
# build.sh [--latest] - makes what the guest boots, and prints the directory:
#
#   vmlinuz      Debian's kernel for virtual machines
#   base.cpio    an initramfs without /init: busybox, the zfs and zpool programs,
#                glibc, and the kernel modules that the tests need
#   headers      Debian packages: what modules for this kernel are compiled with
#   versions     what is in there, for people
#
# Everything comes from the Debian mirrors of this machine's apt and is unpacked,
# not installed; only the tools that work here are installed, by apt-get. What
# was made is kept in ${XDG_CACHE_HOME:-~/.cache}/clonefs and used again until this
# recipe changes; --latest asks the mirrors for newer versions, too.
# shellcheck disable=SC2154 # host.sh assigns cache and work
set -euo pipefail
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
recipe=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=host.sh
. "$recipe/host.sh"
# shellcheck source=apt.sh
. "$recipe/apt.sh"
base_key=$(cat "$recipe"/*.sh | sha256sum | cut -c1-12)
modules_key=$(sha256sum <"$recipe/modules.sh" | cut -c1-12)

one_at_a_time
newest() { find "$cache" -maxdepth 1 -name "openzfs-guest-*-$base_key" -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2-; }
if [ "${1-}" != --latest ] && [ -n "$(newest)" ]; then
	newest
	exit
fi

make_work_directory

host_tools dpkg-dev cpio e2fsprogs kmod qemu-system-x86
apt_setup "$work/apt"
image=$(apt_dependency linux-image-cloud-amd64 linux-image-)
kernel=${image#linux-image-}
versions="kernel $(apt_version "$image"), OpenZFS $(apt_version zfs-dkms)"
name="$(apt_version "$image")_$(apt_version zfs-dkms)"
say "$versions"
result=$cache/openzfs-guest-$name-$base_key
modules=$cache/openzfs-modules-$name-$modules_key

apt_download "$work/headers" "linux-headers-$kernel" "$(apt_dependency "linux-headers-$kernel" linux-headers-)" \
	"$(apt_dependency "linux-headers-$kernel" linux-kbuild-)"

if [ ! -d "$modules" ]; then
	say "compiling the kernel modules, some seven minutes (log: $modules.log)"
	compiler_tools "$work/headers"
	mkdir "$work/source"
	unpack "$work/source" "$work/headers"
	apt_unpack "$work/source" zfs-dkms
	nice bash "$recipe/modules.sh" "$work/source" "$kernel" "$work/modules" >"$modules.log" 2>&1 &
	wait "$!" || { tail -n 20 "$modules.log" >&2; exit 1; } # a trap waits for what is not waited for
	mv -T "$work/modules" "$modules"
	rm "$modules.log"
fi

if [ ! -d "$result" ]; then
	say "putting the initramfs together"
	mkdir "$work/packages" "$work/result"
	mapfile -t closure < <(apt_closure zfsutils-linux libc6)
	apt_unpack "$work/packages" "${closure[@]}" busybox-static "$image"
	bash "$recipe/base.sh" "$work/packages" "$modules" "$kernel" "$work/root"
	(cd "$work/root" && find . | cpio --quiet -o -H newc -R 0:0) >"$work/result/base.cpio"
	cp "$work/packages/boot/vmlinuz-$kernel" "$work/result/vmlinuz"
	mv "$work/headers" "$work/result/"
	echo "$versions" >"$work/result/versions"
	mv -T "$work/result" "$result"
fi
touch "$result" # so that it is the newest
newest
