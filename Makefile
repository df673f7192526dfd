# aitbc: everything a newcomer needs. `make help` lists it.
SHELL := /bin/bash
SWIFT ?= swift
RELEASE := $(SWIFT) build -c release --static-swift-stdlib
# Dictionaries in the order of each process's own chance would make a seed tell another story every time.
SIMULATE := SWIFT_DETERMINISTIC_HASHING=1 $(SWIFT) test --skip-build --filter SimulationTests
KEEP ?=
SEEDS ?= 2000
SEED ?=
KILLS ?= 300

.PHONY: help setup build demo test test-fast test-unit test-web test-end-to-end conformance-fast conformance \
	bench simulate chaos faults lint format clean

help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install the missing Debian packages (says which; nothing to do the second time)
	@scripts/setup

build: setup ## the release executable, .build/release/aitbc
	$(RELEASE) --product aitbc

demo: build ## a real job, from submission to a verified result (KEEP=1 leaves everything up)
	@KEEP=$(KEEP) scripts/demo

test: build test-unit test-web conformance-fast test-end-to-end ## everything
	@echo "make test: all passed"

test-fast: setup ## the unit tests alone
	$(SWIFT) test

test-unit: setup ## builds and runs the unit tests
	$(SWIFT) build --build-tests
	$(SWIFT) test --skip-build --skip MinerTests --skip SimulationTests
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

conformance: setup ## all 517 cases of the WebSocket conformance suite, both directions (about 20 minutes)
	$(RELEASE) --product websocket-echo
	ECHO=.build/release/websocket-echo Tests/Conformance/run server full
	ECHO=.build/release/websocket-echo Tests/Conformance/run client full

simulate: setup ## seeded runs of the whole market (SEEDS=2000 or 201-900; SEED=17 tells one of them)
	$(SWIFT) build --build-tests
	SEEDS=$(SEEDS) SEED=$(SEED) $(SIMULATE).SimulationTests

chaos: build ## kill -9 of coordinator and miners at random under load (KILLS=300)
	AITBC_BIN=.build/release/aitbc Tests/EndToEnd/run chaos $(KILLS)

faults: build ## every write, fsync and rename of the coordinator fails once (some minutes)
	FAULTS=all AITBC_BIN=.build/release/aitbc Tests/EndToEnd/run -k test_faults

bench: build ## the benchmarks, as a table
	Benchmarks/run

lint: ## formatting and style
	$(SWIFT) format lint --strict --recursive --parallel Sources Tests Package.swift

format: ## format in place
	$(SWIFT) format -i --recursive --parallel Sources Tests Package.swift

clean: ## remove what was built
	rm -rf .build .build-*
