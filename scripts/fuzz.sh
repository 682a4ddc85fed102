#!/usr/bin/env bash
# fuzz.sh DURATION: runs every fuzz test for that long ("30s", "4h"), one at a time.
# What it finds is written to testdata/fuzz beside the test, to be committed: each
# `go test` plays what is there.
set -eu

duration=$1
for package in $(go list ./...); do
	# go test -list prints the names and then "ok" and the package.
	for name in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		echo "==> $name in $package"
		# What is new is not made small, which by default takes a minute each.
		go test -run '^$' -fuzz "^$name\$" -fuzztime "$duration" -fuzzminimizetime 10x "$package"
	done
done
