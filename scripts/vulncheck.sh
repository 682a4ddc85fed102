#!/usr/bin/env bash
# vulncheck.sh: looks for known vulnerabilities in what the code calls. Where
# the database cannot be reached it says so and is content.
set -eu

here=$(dirname "$0")
output=$(mktemp)
trap 'rm -f "$output"' EXIT

status=0
"$here/tool.sh" govulncheck ./... >"$output" 2>&1 || status=$?
cat "$output"
if [ "$status" != 0 ] && grep -q 'fetching vulnerabilities: .*dial tcp' "$output"; then
	echo "clonefs: the vulnerability database cannot be reached; nothing was checked"
	exit 0
fi
exit "$status"
