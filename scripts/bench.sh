#!/usr/bin/env bash
# Figures of this machine. Needs Go; compares with Postfix when make deps has
# unpacked it into .cache/peers and this is root. Flags go to the program:
# scripts/bench.sh --only text,postfix --time 10s
set -eu -o pipefail
cd "$(dirname "$0")/.."
mkdir -p .cache
CGO_ENABLED=0 exec go run ./scripts/bench --bin bin --json .cache/bench.json "$@"
