#!/bin/bash
# setup.sh - prepares a real VirtualBox for the tests and prints where it is.
#
# The last line on standard output is the directory of a Debian sid root with
# VirtualBox in it, made for the driverless mode described below. Everything
# else goes to standard error. Run as root on Debian or a relative of it.
#
# The root is cached in ${XDG_CACHE_HOME:-~/.cache}/clonefs/virtualbox-KEY, KEY
# being a hash of this file: a changed recipe builds a new root, and a root that
# was not used for a month is removed. Nothing is ever mounted there in the
# machine's own mount namespace, so
#   rm -rf --one-file-system ~/.cache/clonefs/virtualbox-*
# starts afresh.
#
# Driverless: VirtualBox 7 can run a VM without its kernel module by interpreting
# the guest's instructions. Only VirtualBoxVM, the launcher of the graphical
# front end, takes the options for it; the code that it loads is a library
# beside it. So that launcher is given the code of VBoxHeadless, which needs no
# display, and a wrapper starts it with the options. Whoever runs VMs mounts
# usr/lib/vbox-driverless/wrapper over usr/lib/virtualbox/VBoxHeadless.
#
#   setup.sh --tools   only installs the programs that the tests use here
#
# DEBIAN_MIRROR names a mirror of Debian; without it the one that apt uses is
# taken.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
# The caller's directory for temporary files does not exist in the root.
unset TMPDIR

readonly TOOLS=(qemu-utils binutils)
readonly BUILD_TOOLS=(debootstrap debian-archive-keyring)

say() { printf 'setup.sh: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# install_packages PACKAGE... installs what is missing on this machine.
install_packages() {
	local missing=() p
	for p; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	say "installing ${missing[*]}"
	logged apt_get update
	logged apt_get install -y --no-install-recommends "${missing[@]}"
}

# A mirror may be a frozen copy, whose Release files are past their date.
apt_get() { apt-get -qq -o Acquire::Check-Valid-Until=false -o DPkg::Lock::Timeout=300 "$@"; }

# mirror prints the mirror of this release's main component in apt's own
# configuration.
mirror() {
	local codename
	codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT) $(ORIGIN)' 'Created-By: Packages' |
		awk -v c="$codename" '$2 == c && $3 == "main" && $4 == "Debian" { print $1; exit }'
}

# in_root COMMAND... runs a command in the root, in namespaces of its own: what
# it mounts or leaves running is gone when it ends.
in_root() {
	unshare --mount --pid --fork --kill-child --propagation private bash -c '
		set -e
		root=$1; shift
		mount -t proc proc "$root/proc"
		mount --rbind /dev "$root/dev"
		mount -t sysfs sysfs "$root/sys"
		mount -t tmpfs tmpfs "$root/tmp"
		exec chroot "$root" env HOME=/tmp "$@"' in_root "$root" "$@"
}

# logged COMMAND... shows what the command says only if it fails.
logged() {
	local log
	log=$(mktemp)
	if ! "$@" >"$log" 2>&1; then
		tail -n 40 "$log" >&2
		rm -f "$log"
		die "failed: $*"
	fi
	rm -f "$log"
}

# bootstrap makes the Debian root and configures its apt as this machine's.
bootstrap() {
	local from=${DEBIAN_MIRROR:-}
	[ -n "$from" ] || from=$(mirror)
	[ -n "$from" ] || die "apt's configuration names no Debian mirror; set DEBIAN_MIRROR to one"
	say "debootstrap of sid (about 1 minute)"
	logged debootstrap --variant=minbase --include=ca-certificates \
		--keyring=/usr/share/keyrings/debian-archive-keyring.gpg sid "$root" "$from"
	echo "deb $from sid main contrib" >"$root/etc/apt/sources.list"
	{
		apt-config dump | grep -iE '^Acquire::(https?|Retries|ForceIPv)' || true
		echo 'Acquire::Check-Valid-Until "false";'
		echo 'Acquire::Check-Date "false";'
		echo 'APT::Install-Recommends "false";'
		echo 'APT::Sandbox::User "root";'
	} >"$root/etc/apt/apt.conf.d/99clonefs"
	printf 'path-exclude /usr/share/%s/*\n' doc man locale info >"$root/etc/dpkg/dpkg.cfg.d/clonefs"
	# No service is to be started by an installation.
	printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
	chmod 755 "$root/usr/sbin/policy-rc.d"
	cp -L /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
}

# install_virtualbox installs VirtualBox in the root, without a kernel module.
install_virtualbox() {
	say "installing VirtualBox in it (about 1 minute)"
	logged in_root apt-get -qq update
	logged in_root apt-get -qq install -y virtualbox
}

# make_driverless adds what VMs without the kernel module need; see above.
make_driverless() {
	local vbox=$root/usr/lib/virtualbox
	logged in_root sh -ec 'cd /tmp && apt-get -qq download virtualbox-qt && dpkg-deb -x virtualbox-qt_*.deb qt &&
		install -m 755 qt/usr/lib/virtualbox/VirtualBoxVM /usr/lib/virtualbox/VirtualBoxVM'
	install -m 644 "$vbox/VBoxHeadless.so" "$vbox/VirtualBoxVM.so"
	mkdir -p "$root/usr/lib/vbox-driverless"
	# The launcher finds its options anywhere in the arguments; the code of
	# VBoxHeadless would refuse them, but takes them as values of --comment.
	cat >"$root/usr/lib/vbox-driverless/wrapper" <<-'EOW'
		#!/bin/sh
		exec /usr/lib/virtualbox/VirtualBoxVM "$@" --comment --driverless --comment --execute-all-in-iem
	EOW
	chmod 755 "$root/usr/lib/vbox-driverless/wrapper"
}

# clean removes what only apt needs.
clean() {
	rm -rf "$root"/var/cache/apt/*.bin "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
}

main() {
	[ "$(id -u)" = 0 ] || die "needs root, for apt-get, debootstrap and chroot"
	install_packages "${TOOLS[@]}"
	[ "${1:-}" != --tools ] || return 0

	local cache key built root
	cache=${XDG_CACHE_HOME:-$HOME/.cache}/clonefs
	key=$(sha256sum <"${BASH_SOURCE[0]}" | cut -c1-12)
	built=$cache/virtualbox-$key
	mkdir -p "$cache"
	# Two runs at once would build the same root twice.
	exec 9>"$cache/virtualbox.lock"
	flock 9
	if [ ! -d "$built" ]; then
		install_packages "${BUILD_TOOLS[@]}"
		root=$built.tmp
		rm -rf --one-file-system "$root"
		bootstrap
		install_virtualbox
		make_driverless
		clean
		mv "$root" "$built"
	fi
	touch "$built"
	find "$cache" -maxdepth 1 -name 'virtualbox-*' -mtime +30 -exec rm -rf --one-file-system {} +
	echo "$built"
}

main "$@"
