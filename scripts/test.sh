#!/usr/bin/env bash
# test.sh TARGETS...: makes these targets one after the other, stops at the
# first that fails, and closes with one line about what ran. Targets that are one
# argument ("lint check-unit") are made side by side.
set -u

passed=''
while [ $# -gt 0 ]; do
	printf '\n==> make %s\n' "$1"
	start=$SECONDS
	read -ra together <<<"$1"
	abreast=()
	[ ${#together[@]} = 1 ] || abreast=(--jobs=2 --output-sync=target)
	if ! "${MAKE:-make}" --no-print-directory "${abreast[@]}" "${together[@]}"; then
		printf '\nclonefs: make %s FAILED after %d s; passed before:%s; not run: %s\n' \
			"$1" $((SECONDS - start)) "${passed:- nothing}" "${*:2}"
		exit 1
	fi
	passed+=" $1 ($((SECONDS - start)) s)"
	shift
done
printf '\nclonefs: all passed:%s; %d s in all\n' "$passed" "$SECONDS"
