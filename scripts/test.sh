#!/usr/bin/env bash
# Every test of the project. The import rules are tested with -count=1: a
# cached answer would not see a bad import made since.
set -eu -o pipefail
cd "$(dirname "$0")/.."
export CGO_ENABLED=0
export SEKISHO_BIN="$PWD/bin"
export PATH="$PWD/.cache/peers/usr/sbin:$PATH"
export LD_LIBRARY_PATH="$PWD/.cache/peers/usr/lib/postfix${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
[ -d ../shared/corpus ] || echo "test: ../shared/corpus is not there; the tests over it are skipped and say so"
go test -count=1 ./internal/deptest/
go test -timeout 15m ./...
