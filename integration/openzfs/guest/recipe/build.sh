#!/bin/bash
# build.sh [--latest] - makes what the guest boots, and prints the directory:
#
#   vmlinuz      Debian's kernel for virtual machines
#   base.cpio    an initramfs without /init: busybox, the zfs and zpool programs,
#                glibc, and the kernel modules that the tests need
#   versions     what is in there, for people
#
# Everything comes from the Debian mirrors of this machine's apt and is unpacked,
# not installed; only the tools that work here are installed, by apt-get. What
# was made is kept in ${XDG_CACHE_HOME:-~/.cache}/clonefs and used again until this
# recipe changes; --latest asks the mirrors for newer versions, too.
set -euo pipefail
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
recipe=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/clonefs
mkdir -p "$cache"
base_key=$(cat "$recipe"/*.sh | sha256sum | cut -c1-12)
modules_key=$(sha256sum <"$recipe/modules.sh" | cut -c1-12)

# Two test runs at once build once.
exec 9>"$cache/openzfs-guest.lock"
flock 9

newest() { find "$cache" -maxdepth 1 -name "openzfs-guest-*-$base_key" -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2-; }
if [ "${1-}" != --latest ] && [ -n "$(newest)" ]; then
	newest
	exit
fi

say() { echo "openzfs guest: $*" >&2; }

# host_tools PACKAGE...: install those that are missing.
host_tools() {
	local missing=() package sudo=() attempts=0
	for package; do
		dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	say "apt-get install ${missing[*]}"
	[ "$(id -u)" = 0 ] || sudo=(sudo -n)
	# Another apt-get may be at work: only dpkg's lock can be waited for.
	until "${sudo[@]}" apt-get -qq update; do
		[ $((++attempts)) -lt 30 ]
		sleep 2
	done
	"${sudo[@]}" apt-get -qq -o DPkg::Lock::Timeout=600 --no-install-recommends install "${missing[@]}" >/dev/null
}

rm -rf --one-file-system "$cache"/openzfs-guest.building.* # of runs that were killed
work=$(mktemp -d "$cache/openzfs-guest.building.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'trap "" TERM; kill 0; exit 1' TERM # ends make and its compilers, too

host_tools dpkg-dev cpio e2fsprogs kmod qemu-system-x86
# shellcheck source=apt.sh
. "$recipe/apt.sh"
apt_setup "$work/apt"
image=$(apt_dependency linux-image-cloud-amd64 linux-image-)
kernel=${image#linux-image-}
versions="kernel $(apt_version "$image"), OpenZFS $(apt_version zfs-dkms)"
name="$(apt_version "$image")_$(apt_version zfs-dkms)"
say "$versions"
result=$cache/openzfs-guest-$name-$base_key
modules=$cache/openzfs-modules-$name-$modules_key

if [ ! -d "$modules" ]; then
	say "compiling the kernel modules, some seven minutes (log: $modules.log)"
	headers=linux-headers-$kernel
	host_tools make libelf1 "$(apt_dependency "$headers" linux-compiler-)"
	mkdir "$work/source"
	apt_unpack "$work/source" "$headers" "$(apt_dependency "$headers" linux-headers-)" \
		"$(apt_dependency "$headers" linux-kbuild-)" zfs-dkms
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
	echo "$versions" >"$work/result/versions"
	mv -T "$work/result" "$result"
fi
touch "$result" # so that it is the newest
newest
