#!/usr/bin/env bash
# The demonstration. Go is all it needs; with LibreOffice, poppler and a
# Japanese font, which it installs where it may, it shows more.
set -eu -o pipefail
cd "$(dirname "$0")/.."
bash scripts/deps.sh tools || echo "LibreOffice, poppler or fonts could not be installed (that needs root, apt and a network): documents are not converted or drawn as pages below" >&2
CGO_ENABLED=0 exec go run ./scripts/demo --bin bin
