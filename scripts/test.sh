#!/usr/bin/env bash
# test.sh TARGET...: makes these targets one after the other, stops at the
# first that fails, and closes with one line about what ran.
set -u

passed=''
while [ $# -gt 0 ]; do
	printf '\n==> make %s\n' "$1"
	start=$SECONDS
	if ! "${MAKE:-make}" --no-print-directory "$1"; then
		printf '\nclonefs: make %s FAILED after %d s; passed before:%s; not run: %s\n' \
			"$1" $((SECONDS - start)) "${passed:- nothing}" "${*:2}"
		exit 1
	fi
	passed+=" $1 ($((SECONDS - start)) s)"
	shift
done
printf '\nclonefs: all passed:%s; %d s in all\n' "$passed" "$SECONDS"
