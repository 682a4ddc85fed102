#!/usr/bin/env bash
# gotest.sh ARGUMENT...: go test with these arguments, and a summary of what
# failed and what was skipped. Where CI=true a skipped test is a failure: there
# a skip would hide that the machine lacks what the test is about. It is one, too,
# if no test ran at all: go test is content with a -run that fits none.
#
# TEST_FORMAT is gotestsum's: standard-quiet (go test's own lines, the
# default), standard-verbose (go test -v), testname, dots.
set -eu

here=$(dirname "$0")
events=$(mktemp)
trap 'rm -f "$events"' EXIT

status=0
"$here/tool.sh" gotestsum --format "${TEST_FORMAT:-standard-quiet}" --jsonfile "$events" -- "$@" || status=$?

# A package without tests is "skipped" too, but names no test. The second
# pattern finds what a test prints of tests that it ran elsewhere.
if [ "${CI:-}" = true ] && grep -qE '"Action":"skip".*"Test":|"Output":" *--- SKIP: ' "$events"; then
	echo "clonefs: the tests named above as skipped count as failures where CI=true" >&2
	[ "$status" != 0 ] || status=1
fi
if [ "$status" = 0 ] && ! grep -q '"Action":"pass".*"Test":' "$events"; then
	echo "clonefs: no test ran: go test $*" >&2
	status=1
fi
exit "$status"
