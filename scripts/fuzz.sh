#!/usr/bin/env bash
# Runs every fuzz target for the given time, one after the other.
# usage: fuzz.sh TIME [PACKAGE-PATTERN]
set -eu -o pipefail
cd "$(dirname "$0")/.."
time=${1:-1m}
failed=0
for dir in $(grep -rl --include='*_test.go' '^func Fuzz' "${2:-.}" | xargs -n1 dirname | sort -u); do
	for target in $(grep -rhoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' "$dir" --exclude-dir='?*' | sed 's/^func //' | sort -u); do
		echo "== $dir $target $time"
		go test -run xxx -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 50x "./$dir" | tail -n 3 || failed=1
	done
done
exit $failed
