# Sekisho. `make help` lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

# The worker changes its credentials on all threads at once, which only a
# program without cgo can do; and what runs anywhere needs no C library.
export CGO_ENABLED := 0

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMIT  ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X sekisho/internal/version.Version=$(VERSION) -X sekisho/internal/version.Commit=$(COMMIT)
GOFLAGS_BUILD := -trimpath -mod=readonly -ldflags '$(LDFLAGS)'

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: build
build: ## the three binaries, in bin/
	go build $(GOFLAGS_BUILD) -o bin/ ./cmd/sekishod ./cmd/sekisho ./cmd/sekisho-sanitizer

.PHONY: deps
deps: ## install what the tests need and the machine lacks
	bash scripts/deps.sh

.PHONY: vet
vet: ## go vet and gofmt
	go vet ./...
	@bad=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$bad" ]; then echo "not gofmt'ed: $$bad" >&2; exit 1; fi

.PHONY: test
test: deps build vet ## every test
	bash scripts/test.sh

.PHONY: demo
demo: build ## real mails through a gateway of its own on loopback
	bash scripts/demo.sh

.PHONY: bench
bench: deps build ## figures of this machine
	bash scripts/bench.sh

.PHONY: faults
faults: build ## long fault runs: 1,000 kill -9 under load (KILLS=n)
	SEKISHO_KILLS=$(or $(KILLS),1000) go test -count=1 -timeout 60m -run 'TestKill' -v ./cmd/sekishod/

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (default 1m each)
	bash scripts/fuzz.sh $(or $(FUZZTIME),1m)

# Programs of others that judge documents; nothing of them is linked or shipped.
OPENXML := @ooxml-tools/validate@0.4.6
READERS := $(addprefix python3-,openpyxl et-xmlfile jdcal docx lxml odf defusedxml)
POI := libapache-poi-java $(addsuffix -java,libcommons-codec libcommons-collections4 libcommons-compress libcommons-logging libcommons-math3 libcurvesapi liblog4j1.2 libxmlbeans)

.PHONY: judges
judges: ## fetch the Open XML SDK for node, Apache POI, openpyxl, python-docx and odfpy into .cache, for `make corpus`
	@mkdir -p .cache/openxml
	[ -f .cache/openxml/package/package.json ] || (cd .cache/openxml && npm pack --silent $(OPENXML) >/dev/null && tar xzf *.tgz)
	@mkdir -p .cache/poi/deb
	[ -f .cache/poi/usr/share/java/poi.jar ] || (cd .cache/poi/deb && apt-get download -qq $(POI) && for d in *.deb; do dpkg -x "$$d" ..; done)
	@mkdir -p .cache/readers/deb
	[ -d .cache/readers/usr/lib/python3/dist-packages/odf ] || (cd .cache/readers/deb && apt-get download -qq $(READERS) && for d in *.deb; do dpkg -x "$$d" ..; done)

.PHONY: corpus
corpus: deps build ## figures over a collection of real mails and documents beside the project
	go run ./scripts/corpus --bin bin mail
	go run ./scripts/corpus --bin bin --judges words,validity,poi,readers office
	go run ./scripts/corpus --bin bin --judges words,poi office doc xls ppt
	go run ./scripts/corpus --bin bin pdf

.PHONY: faults-power
faults-power: ## 50 power cuts under load (CUTS=n), on a disk that keeps only what was synced
	SEKISHO_CUTS=$(or $(CUTS),50) go test -count=1 -timeout 60m -run 'TestPowerCutsOfTheGateway' -v ./internal/faults/

.PHONY: faults-disk
faults-disk: ## ill disks, damaged stores, death at every step, small memory, in their long forms
	SEKISHO_CUTS=50 go test -count=1 -timeout 60m -run 'IllDisk|Damaged|Flipped|Kills|SmallMemory|Locked|Death' -v ./internal/faults/

.PHONY: faults-delivery
faults-delivery: ## a dead hop with 50,000 queued (QUEUED=n), 45 hops that misbehave for five days, tarpits beside a healthy domain
	SEKISHO_QUEUED=$(or $(QUEUED),50000) go test -count=1 -timeout 60m -run 'TestADeadHopWithALongQueue' -v ./delivery/
	SEKISHO_FAULTS=1 go test -count=1 -timeout 60m -run 'TestIllHops|TestTarpitsDelay' -v ./delivery/

.PHONY: faults-soak
faults-soak: ## 60,000 messages (SOAK=n) through one daemon: nothing grows
	SEKISHO_SOAK=$(or $(SOAK),60000) go test -count=1 -timeout 120m -run 'TestSoak' -v ./internal/faults/

.PHONY: faults-peers
faults-peers: build ## 12,000 connections, slow peers in every phase, a mail bomb, 512 MiB: the numbers of the design
	SEKISHO_BIN=$(CURDIR)/bin SEKISHO_PEERS=1 SEKISHO_CUTS=50 go test -count=1 -timeout 60m -run 'TestIdlePeers|TestSlowPeers|TestMailBomb|InASmallMemory' -v ./internal/faults/

.PHONY: mutate
mutate: ## take out each sync in turn: a test must notice
	bash scripts/mutate.sh

.PHONY: image
image: ## the container image by buildah, and its self-test in it (as root); TOOLS=all with the converters
	TOOLS=$(TOOLS) bash scripts/image.sh

.PHONY: unit
unit: deps build ## the unit of deploy/ under a systemd of its own, in a container (as root)
	bash scripts/unit.sh

PEERS := PATH="$(CURDIR)/.cache/peers/usr/sbin:$$PATH" LD_LIBRARY_PATH="$(CURDIR)/.cache/peers/usr/lib/postfix"

.PHONY: scenarios
scenarios: build ## the long forms of scenarios 13 and 14: 50,000 messages, and 30,000 in an hour (MESSAGES=n for both)
	$(PEERS) SEKISHO_MESSAGES=$(or $(MESSAGES),50000) go test -count=1 -timeout 120m -run 'TestScripts/scenario_13' -v ./cmd/sekishod/
	$(PEERS) SEKISHO_MESSAGES=$(or $(MESSAGES),30000) go test -count=1 -timeout 120m -run 'TestScripts/scenario_14' -v ./cmd/sekishod/
