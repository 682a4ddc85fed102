# shellcheck shell=bash
# host.sh - what the scripts that build do with this machine: its cache, its lock,
# its programs. Sourced by them.

cache=${XDG_CACHE_HOME:-$HOME/.cache}/clonefs
mkdir -p "$cache"

say() { echo "openzfs guest: $*" >&2; }

# one_at_a_time: wait for other runs, so that two at once build once.
one_at_a_time() {
	exec 9>"$cache/openzfs-guest.lock"
	flock 9
}

# make_work_directory: make the directory $work, for as long as this script runs.
make_work_directory() {
	rm -rf --one-file-system "$cache"/openzfs-guest.building.* # of runs that were killed
	work=$(mktemp -d "$cache/openzfs-guest.building.XXXXXX")
	trap 'rm -rf --one-file-system "$work"' EXIT
	trap 'trap "" TERM; kill 0; exit 1' TERM # ends make and its compilers, too
}

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

# compiler_tools HEADERS: install what a module is compiled with, by the packages
# in the directory HEADERS.
compiler_tools() {
	local compiler
	compiler=$(for deb in "$1"/*.deb; do dpkg-deb -f "$deb" Depends; done | grep -o 'linux-compiler-[^ ,]*')
	host_tools make libelf1 "$compiler"
}
