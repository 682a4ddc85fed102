#!/usr/bin/env bash
# needs.sh PACKAGE...: makes sure that these Debian packages are installed.
#
# As root it installs those that are missing and says which; as another user
# it says what to run and fails. On a system without apt it names what is
# needed and leaves the rest to the user.
set -eu

missing=()
for package; do
	if ! command -v dpkg-query >/dev/null ||
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
		missing+=("$package")
	fi
done
[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
	echo "clonefs: this system has no apt-get; what follows needs the like of Debian's: ${missing[*]}" >&2
	exit 0
fi
if [ "$(id -u)" != 0 ]; then
	echo "clonefs: packages are missing; run: sudo apt-get install ${missing[*]}" >&2
	exit 1
fi

echo "clonefs: installing Debian packages: ${missing[*]}" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# The list of packages may be older than the mirror, so it is always fetched.
# Apt waits for the lock of the packages but not for that of the lists: flock
# keeps two of these scripts apart.
if ! DEBIAN_FRONTEND=noninteractive flock /run/lock/clonefs-needs sh -ec '
	apt-get -q update
	apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@"
' sh "${missing[@]}" >"$log" 2>&1 </dev/null; then
	cat "$log" >&2
	echo "clonefs: cannot install: ${missing[*]}" >&2
	exit 1
fi
