#!/usr/bin/env bash
# lint.sh: everything that is checked without running the code, the quick and
# telling first.
set -eu

here=$(dirname "$0")

unformatted=$(gofmt -l .)
if [ -n "$unformatted" ]; then
	echo "clonefs: not formatted, run gofmt -w on: $unformatted" >&2
	exit 1
fi
go vet ./...
# VirtualBox and ZFS live on FreeBSD too.
GOOS=freebsd go build ./...
go list ./... | grep -v /integration | GOOS=freebsd xargs go vet
"$here/tool.sh" golangci-lint run --allow-parallel-runners ./...

"$here/needs.sh" shellcheck
mapfile -t scripts < <(grep -rlE --exclude-dir=.git --exclude-dir=bin -m1 '^#!.*[/ ](bash|sh)( |$)' .)
shellcheck "${scripts[@]}"
