#!/bin/bash
# module.sh BASE SOURCE NAME - compiles a module for the guest's kernel, and prints
# its file.
#
#   BASE    what build.sh printed
#   SOURCE  a directory, the module's source being in SOURCE/NAME, with a Makefile
#           as the kernel's build system wants it
#
# What was made is kept in ${XDG_CACHE_HOME:-~/.cache}/clonefs and used again until
# the kernel, the source or this recipe changes.
# shellcheck disable=SC2154 # host.sh assigns cache and work
set -euo pipefail
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
recipe=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
base=$1 source=$2 name=$3
# shellcheck source=host.sh
. "$recipe/host.sh"
# shellcheck source=apt.sh
. "$recipe/apt.sh"

hashes() { find "$source" -type f -printf '%P\0' | sort -z | (cd "$source" && xargs -0 sha256sum); }
key=$({ cat "$base/versions" "${BASH_SOURCE[0]}"; hashes; } | sha256sum | cut -c1-12)
result=$cache/openzfs-guest-$name-$key.ko

one_at_a_time
if [ ! -f "$result" ]; then
	say "compiling the kernel module $name (log: $result.log)"
	make_work_directory
	compiler_tools "$base/headers"
	unpack "$work" "$base/headers"
	headers=$(echo "$work"/usr/src/linux-headers-*-cloud-amd64)
	# They find each other by absolute paths; here they are not installed.
	sed -i "s|/usr/src/|$work/usr/src/|" "$headers/Makefile"
	cp -R "$source" "$work/source"
	nice make --silent -j"$(nproc)" -C "$headers" M="$work/source/$name" modules >"$result.log" 2>&1 &
	wait "$!" || { tail -n 20 "$result.log" >&2; exit 1; } # a trap waits for what is not waited for
	strip --strip-debug -o "$work/stripped" "$work/source/$name/$name.ko"
	mv -T "$work/stripped" "$result"
	rm "$result.log"
fi
echo "$result"
