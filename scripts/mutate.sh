#!/usr/bin/env bash
# Mutation run over custody: from a copy of the program one sync is taken out
# (or one commit no longer waits for the disk), and the power-cut tests must
# notice. Every such place in spool, internal/blob and internal/store is found
# by its text, so that a new one is in the next run by itself. Prints a table;
# fails when a test noticed nothing. A run that takes too long noticed nothing:
# the same happens on a busy machine without any mutation. A crash is told with
# the line it died with. Needs root and /dev/fuse.
set -eu -o pipefail
cd "$(dirname "$0")/.."
export CGO_ENABLED=0

tests=${MUTATE_TESTS:-TestPower}
limit=${MUTATE_LIMIT:-600} # seconds for one run of the tests
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

[ "$(id -u)" = 0 ] && [ -w /dev/fuse ] || { echo "mutate: needs root and /dev/fuse; nothing was shown" >&2; exit 1; }

arg='(([^()]|\([^()]*\))*)'
nothing='func() error { _ = \1; return nil }()'
# What a place looks like, and what it becomes.
change() {
	sed -E \
		-e "$1s/([A-Za-z.]+)\.(Sync|sync)\(\)/$nothing/" \
		-e "$1s/\bsync(Dir|File|Above)\($arg\)/func() error { _ = \2; return nil }()/" \
		-e "$1s/synchronous(\(| = )FULL/synchronous\1NORMAL/" \
		-e "$1s/PRAGMA wal_checkpoint\(TRUNCATE\)/SELECT 0, 0, 0/" \
		-e "$1s/\bs\.do\(ctx/s.hurry(ctx/" "$2"
}
# The sources as they are now: somebody may be at work on them.
git ls-files 'spool/*.go' 'internal/blob/*.go' 'internal/store/*.go' | xargs cp --parents -t "$tmp"
places() {
	git ls-files 'spool/*.go' 'internal/blob/*.go' 'internal/store/*.go' |
		grep -vE '_test\.go$|/(blobtest|spooltest)/' |
		(cd "$tmp" && xargs grep -nE '\.(Sync|sync)\(\)|\bsync(Dir|File|Above)\(|synchronous(\(| = )FULL|PRAGMA wal_checkpoint|\bs\.do\(ctx') |
		grep -vE '^[^:]+:[0-9]+:(func |[[:space:]]*//)'
}

run() { # binary
	(cd internal/faults && timeout --kill-after=10 "$limit" "$1" -test.short -test.failfast -test.run "$tests") >"$tmp/log" 2>&1
}

go test -c -o "$tmp/whole" ./internal/faults
run "$tmp/whole" || { cat "$tmp/log" >&2; echo "mutate: the tests fail without a mutation" >&2; exit 1; }

total=0 survived=0 late=0
printf '%-38s %-46s %s\n' place 'taken out' 'noticed by'
while IFS=: read -r file line text; do
	total=$((total + 1))
	change "$line" "$tmp/$file" >"$tmp/mutant.go"
	if cmp -s "$tmp/$file" "$tmp/mutant.go"; then
		echo "mutate: no rule changes $file:$line" >&2
		exit 1
	fi
	printf '{"Replace":{"%s":"%s"}}\n' "$PWD/$file" "$tmp/mutant.go" >"$tmp/overlay.json"
	if ! go test -c -overlay "$tmp/overlay.json" -o "$tmp/mutant" ./internal/faults 2>"$tmp/log"; then
		cat "$tmp/log" >&2
		echo "mutate: the mutant of $file:$line does not build" >&2
		exit 1
	fi
	status=0
	run "$tmp/mutant" || status=$?
	by=$(sed -nE 's/^ *--- FAIL: ([^ ]+).*/\1/p' "$tmp/log" | tail -1)
	case $status in
	0)
		by='NOBODY'
		survived=$((survived + 1))
		;;
	124 | 137) # the limit, and what kill-after or the kernel ended
		by="TIMEOUT after $limit s: shows nothing"
		late=$((late + 1))
		;;
	*)
		: "${by:=crash: $(grep -m1 -E '^(panic|fatal error|SIG[A-Z]+):' "$tmp/log" || echo "exit status $status, $(tail -1 "$tmp/log")")}"
		;;
	esac
	text=$(sed -E 's/^[[:space:]]+//' <<<"$text")
	printf '%-38s %-46.46s %s\n' "$file:$line" "$text" "$by"
done < <(places)
echo "{\"test\":\"mutate\",\"mutations\":$total,\"noticed\":$((total - survived - late)),\"survived\":$survived,\"timeouts\":$late}"
[ "$((survived + late))" = 0 ]
