# aitbc: everything a newcomer needs. `make help` lists it.
SHELL := /bin/bash
SWIFT ?= swift
RELEASE := $(SWIFT) build -c release --static-swift-stdlib
# Dictionaries in the order of each process's own chance would make a seed tell another story every time.
SIMULATE := SWIFT_DETERMINISTIC_HASHING=1 $(SWIFT) test --skip-build --filter SimulationTests
# Beside hundreds that have begun, tests with sockets and time-outs would run out of time on a slow machine.
FEW := SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=8
KEEP ?=
SEEDS ?= 2000
SEED ?=
KILLS ?= 300
SECONDS ?= 60
SIZE ?= 48M
TREES ?= 1000
QUICK ?=

.PHONY: help setup setup-build build demo test test-fast test-unit test-web test-end-to-end test-transfers test-packages \
	conformance-fast conformance fuzz sanitize simulate chaos faults test-network bench bench-push bench-package \
	bench-dispatch lint format clean

help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install the missing Debian packages (says which; nothing to do the second time)
	@scripts/setup

setup-build:
	@scripts/setup build

build: setup-build ## the release executable, .build/release/aitbc
	$(RELEASE) --product aitbc

demo: build ## a real job, from submission to a verified result (KEEP=1 leaves everything up)
	@KEEP=$(KEEP) scripts/demo

test: setup build test-unit test-web conformance-fast test-end-to-end ## everything
	@echo "make test: all passed"

test-fast: setup ## the unit tests alone
	SWIFT_DETERMINISTIC_HASHING=1 $(FEW) $(SWIFT) test

test-unit: setup ## builds and runs the unit tests
	$(SWIFT) build --build-tests
	$(FEW) $(SWIFT) test --skip-build --skip MinerTests --skip SimulationTests
	$(SIMULATE)
	$(SWIFT) test --skip-build --no-parallel --filter MinerTests # processes and their clocks want the machine alone

test-web: setup ## the tests of the page and of the example
	Tests/Web/run
	cd examples/train-classifier && python3 -m unittest -q test_train

conformance-fast: setup ## WebSocket conformance, groups 1-7 and 10
	$(SWIFT) build --product websocket-echo
	ECHO=.build/debug/websocket-echo Tests/Conformance/run server fast
	ECHO=.build/debug/websocket-echo Tests/Conformance/run client fast

test-end-to-end: build ## the release executable with other people's clients
	AITBC_BIN=.build/release/aitbc Tests/EndToEnd/run

test-transfers: build ## uploads and downloads over cut connections, with restarts and a full disk (SIZE=48M)
	AITBC_BIN=.build/release/aitbc Tests/Transfers/run $(SIZE)

test-packages: setup ## packages of TREES=1000 random trees and of 4 GiB + 1 under unzip, 7-Zip, bsdtar, Python
	TREES=$(TREES) $(SWIFT) test --filter OtherToolsTests

conformance: setup ## all 517 cases of the WebSocket conformance suite, both directions (about 20 minutes)
	$(RELEASE) --product websocket-echo
	ECHO=.build/release/websocket-echo Tests/Conformance/run server full
	ECHO=.build/release/websocket-echo Tests/Conformance/run client full

fuzz: setup ## fuzzes frames, handshakes and compression, SECONDS=60 each (KEEP=1 adds what it finds to the corpus)
	@KEEP=$(KEEP) Fuzzing/run $(SECONDS)

sanitize: setup ## the unit tests under ThreadSanitizer, then AddressSanitizer (about 25 minutes, builds of its own)
	scripts/sanitize thread
	scripts/sanitize address

test-network: build ## half-open connections in network namespaces, nginx's defaults (root; about 3 minutes)
	AITBC_BIN=.build/release/aitbc Tests/EndToEnd/run -p 'long_*.py' -j 4 -v
bench-package: build ## packing beside zip, 7z, bsdtar, Python; serving beside nginx (QUICK=1: a short run)
	$(RELEASE) --product package-bench
	Benchmarks/package $(if $(QUICK),--quick)

simulate: setup ## seeded runs of the whole market (SEEDS=2000 or 201-900; SEED=17 tells one of them)
	$(SWIFT) build --build-tests
	SEEDS=$(SEEDS) SEED=$(SEED) $(SIMULATE).SimulationTests

chaos: build ## death at every durable step, standstills, then kill -9 at random under load (KILLS=300)
	AITBC_BIN=.build/release/aitbc Tests/EndToEnd/run -p 'lane_chaos.py'
	AITBC_BIN=.build/release/aitbc Tests/EndToEnd/run chaos $(KILLS)

faults: build ## every write, fsync and rename of the coordinator fails once (some minutes)
	FAULTS=all AITBC_BIN=.build/release/aitbc Tests/EndToEnd/run -p 'lane_faults.py'

bench: build ## the benchmarks, as a table
	Benchmarks/run

bench-push: build ## the push hub beside its peers (about 13 minutes; QUICK=1 only tries it)
	@scripts/setup bench
	$(RELEASE) --product push-broadcaster
	@mkdir -p .build-bench
	set -o pipefail; Benchmarks/push/run $(if $(QUICK),--quick) | tee .build-bench/push.md

bench-dispatch: build ## submit, claim, end beside Redis, beanstalkd, PostgreSQL; a million queued (an estimated 8 minutes on a quiet machine; QUICK=1 only tries it)
	@mkdir -p .build-bench
	set -o pipefail; Benchmarks/dispatch/run $(if $(QUICK),--quick) | tee .build-bench/dispatch.md

lint: ## formatting, lengths, words that must not stand in the tree, corpora
	$(SWIFT) format lint --strict --recursive --parallel Sources Tests Fuzzing Benchmarks Package.swift
	@scripts/lint-tree
	PYTHONDONTWRITEBYTECODE=1 Tests/Corpus/generate.py --check

format: ## format in place
	$(SWIFT) format -i --recursive --parallel Sources Tests Fuzzing Benchmarks Package.swift

clean: ## remove what was built
	rm -rf .build .build-*
