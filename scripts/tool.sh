#!/usr/bin/env bash
# tool.sh NAME ARGUMENT...: runs a Go tool at the version that this project
# works with. The first time the tool is built from source, into
# ${XDG_CACHE_HOME:-~/.cache}/clonefs/bin.
set -eu

case $1 in
golangci-lint) module=github.com/golangci/golangci-lint/v2/cmd/golangci-lint version=v2.15.0 ;;
gotestsum) module=gotest.tools/gotestsum version=v1.13.0 ;;
govulncheck) module=golang.org/x/vuln/cmd/govulncheck version=v1.8.0 ;;
*)
	echo "tool.sh: unknown tool $1" >&2
	exit 2
	;;
esac

# A linter built with an older Go refuses newer code, so Go is part of the key.
bin=${XDG_CACHE_HOME:-$HOME/.cache}/clonefs/bin
tool=$bin/$1-$version-$(go env GOVERSION)
if ! [ -x "$tool" ]; then
	echo "clonefs: building $1 $version (once; golangci-lint takes some minutes)" >&2
	mkdir -p "$bin"
	new=$(mktemp -d "$bin/.new.XXXXXX")
	trap 'rm -rf "$new"' EXIT
	log=$new/log
	if ! GOBIN=$new GOFLAGS='' nice go install "$module@$version" >"$log" 2>&1; then
		cat "$log" >&2
		exit 1
	fi
	mv "$new/$1" "$tool"
	rm -rf "$new"
fi
shift
exec "$tool" "$@"
