#!/usr/bin/env bash
# The demonstration: needs Go and nothing else.
set -eu -o pipefail
cd "$(dirname "$0")/.."
CGO_ENABLED=0 exec go run ./scripts/demo --bin bin
