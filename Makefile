SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Bytecode must be cached: compiling at each start costs the daemon 8 MB.
unexport PYTHONDONTWRITEBYTECODE PYTHONPATH PYTHONHOME VIRTUAL_ENV

VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' edged/__init__.py)
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
BENCHSTAT := golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da
GO_SOURCES := $(shell find go_core -type f ! -name '*_test.go' ! -path '*/testdata/*')
ENV := .venv/python.stamp .venv/go.stamp

.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*\#\# .*/\1/p' Makefile)
help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 10

env: $(ENV) ## Install what is missing: Debian packages, .venv, Go
.venv/python.stamp: pyproject.toml bootstrap/debian bootstrap/python
	@bootstrap/debian
	@bootstrap/python
	@touch $@
.venv/go.stamp: .venv/python.stamp go_core/go.mod bootstrap/go
	@bootstrap/go
	@touch $@

build: build/edged ## Build the daemon: build/edged
	@chmod go-w edged/models/* # as a clone under umask 002 has them, they are refused
build/edged: $(ENV) $(GO_SOURCES)
	@echo "build: compiling the daemon (the first time takes about a minute)"
	@cd go_core && go build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)' -o ../build/edged .
	@touch $@

run: build ## Classify 1,000 wine reviews through a daemon; REVIEWS=file takes yours
	@python -m demo $(if $(REVIEWS),"$(REVIEWS)")

test: build ## Run all tests, Python's and Go's
	@python -m pytest

heavy: build ## Run the tests that take minutes each, which `make test` leaves out
	@python -m pytest -m heavy

faults: build ## Do every fault many times under load: 1,000 SIGKILLs and the like, half an hour or so
	@EDGED_FAULTS=long python -m pytest -n logical --dist worksteal tests/faults

FUZZTIME := 10m
fuzz: $(ENV) ## Fuzz every parser, FUZZTIME each, one on each core; FUZZ=name takes some
	@python -m tests.fuzz $(FUZZTIME) $(FUZZ)

CROSS := gcc-aarch64-linux-gnu gcc-arm-linux-gnueabihf
cross: $(ENV) ## Build the daemon for amd64, arm64 and armhf: build/cross
	@bootstrap/debian $(CROSS)
	@python -m cross.build

deb: cross ## Build the Debian packages for the three: dist
	@bootstrap/debian debhelper scdoc
	@python -m cross.deb

package-test: cross ## Test the packages: their contents, lintian, the same bytes from two folders
	@bootstrap/debian debhelper scdoc lintian man-db
	@python -m pytest -m "heavy or not heavy" tests/test_cross.py tests/test_packaging.py

NATIVE = $(shell dpkg --print-architecture)
machine: $(ENV) ## Build this machine's package, and what its tests under a real systemd need
	@bootstrap/debian debhelper scdoc systemd-container mmdebstrap
	@python -m cross.build $(NATIVE)
	@python -m cross.deb $(NATIVE)

service-test: build machine ## Test the installed service under a real systemd, its security and its keys
	@python -m pytest tests/test_service.py tests/test_service_commands.py tests/test_service_removal.py tests/test_security.py tests/test_curve.py

page: build ## Look at the status page in headless Chromium; leaves build/page.png
	@bootstrap/debian chromium
	@python -m pytest -m page tests/test_metrics.py

# What the reviews come from: the large set where EDGED_DATA has it, else the sample that ships with edged.
LOAD_REVIEWS = $(firstword $(wildcard $(EDGED_DATA)/wine-10k.jsonl.gz) edged/sample/wine.jsonl.gz)
HOSTS = cpython $(if $(wildcard $(or $(EDGED_METACALL_LIB),/usr/local/lib/libmetacall.so /gnu/lib/libmetacall.so)),metacall)
# For the measured daemons alone: exported to all, it would hide what a configuration says.
footprint soak: export EDGED_PYTHON := $(CURDIR)/.venv/bin/python
build/load: tests/footprint/load.c | build
	@gcc -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -static -o $@ $<
build/footprint/reviews.jsonl: $(LOAD_REVIEWS)
	@mkdir -p build/footprint && zcat $< > $@

footprint: build build/load build/footprint/reviews.jsonl ## Measure the daemon's memory; fail when PSS passes its bound
	@for host in $(HOSTS); do tests/footprint/measure.sh $$host build/edged build/load build/footprint/reviews.jsonl build/footprint; done
	@python -m tests.footprint build/footprint $(HOSTS)

# 10 million reviews take half an hour or so; SLICES=24 is the short form, two minutes.
SLICES ?= 100
HOST ?= cpython
soak: build build/load build/footprint/reviews.jsonl ## Look for growth over 10 million reviews; SLICES=24: two minutes
	@tests/footprint/soak.sh $(HOST) build/edged build/load build/footprint/reviews.jsonl build/footprint/soak.tsv $(SLICES) 100000
	@python -m tests.footprint.soak build/footprint/soak.tsv

wheels: $(ENV) ## Build the wheels that carry the daemon: dist
	@bootstrap/debian $(CROSS) g++ g++-aarch64-linux-gnu cmake dpkg-dev
	@python -m cross.wheel

BOARDS ?= arm64 armhf amd64
EMULATION := qemu-user-static mmdebstrap
QEMU := $(EMULATION) qemu-system-arm qemu-system-x86 ipxe-qemu cpio kmod e2fsprogs
board: build cross ## Test the packages on emulated boards: build/board; BOARDS="arm64 armhf" for some
	@bootstrap/debian debhelper scdoc $(QEMU)
	@mkdir -p build/board
	@EDGED_BOARD="$(BOARDS)" python -m pytest tests/board -n $(words $(BOARDS)) \
		--durations=12 --junitxml=build/board/report.xml

emulated: build cross ## Test what was built for ARM through qemu-user, the fast form of board
	@bootstrap/debian debhelper scdoc $(EMULATION)
	@python -m pytest -n logical --maxprocesses 4 -m heavy tests/test_emulated.py

sysroots: $(ENV) ## Make the cross builds' sysroots; REFRESH=1 pins their packages anew
	@python -m cross.sysroot $(if $(REFRESH),--refresh)

BENCH := build/bench/echo build/bench/load build/bench/goecho
build/bench/%: tests/bench/native/%.c
	@mkdir -p $(@D)
	@$(CC) -std=gnu11 -O2 -Wall -Wextra -o $@ $< -lzmq
# The generator maps private copies of what it shares with the servers: their PSS is then their own.
build/bench/load: tests/bench/native/load.c
	@rm -rf $(@D)/private && mkdir -p $(@D)/private
	@$(CC) -std=gnu11 -O2 -Wall -Wextra -Wl,--disable-new-dtags,-rpath,'$$ORIGIN/private' -o $@ $< -lzmq
	@ldd $@ | awk '$$3 ~ /^\// && $$1 !~ /^libc\./ { print $$3 }' | xargs cp -L -t $(@D)/private
build/bench/goecho: $(wildcard tests/bench/native/goecho/*)
	@go build -C tests/bench/native/goecho -trimpath -o $(CURDIR)/$@ .

bench: build $(BENCH) .venv/bench.stamp ## Measure everything: tests/bench/results
	@python -m tests.bench $(BENCH_OPTIONS)

figures: $(ENV) ## Put the kept results of bench and bench-peers into the README
	@python -m tests.bench.readme

# The packages that every review passes through, and what was kept of them.
HOT_PATH := ./protocol ./features ./batcher ./counters ./model
KEPT := tests/bench/results/go.txt
bench-go: $(ENV) .venv/bin/benchstat ## Measure the hot path in Go beside what was kept; KEEP=1 keeps the new
	@mkdir -p build/bench
	@cd go_core && go test -run none -bench . -benchmem -benchtime 0.3s -count 6 $(HOT_PATH) | tee ../build/bench/go.txt
	@[ ! -e $(KEPT) ] || benchstat kept=$(KEPT) new=build/bench/go.txt
	@$(if $(KEEP),cp build/bench/go.txt $(KEPT))
.venv/bin/benchstat: Makefile | $(ENV)
	@GOBIN=$(CURDIR)/.venv/bin go install $(BENCHSTAT)

PEERS := .venv-peers/stamp .venv-mlserver/stamp
.venv-peers/stamp: tests/bench/peers/requirements.txt
.venv-mlserver/stamp: tests/bench/peers/requirements-mlserver.txt
$(PEERS): .venv/python.stamp
	@echo "bench: installing $(@D) (a few hundred MB)"
	@.venv/bin/python -c 'import sys, venv; venv.create(sys.argv[1], with_pip=True)' $(@D)
	@$(@D)/bin/python -m pip install --quiet -r $(filter %.txt,$^)
	@touch $@

bench-peers: build $(BENCH) .venv/bench.stamp $(PEERS) ## Measure other servers that serve the same model
	@python -m tests.bench.peers $(BENCH_OPTIONS)

.venv/bench.stamp: pyproject.toml $(ENV)
	@python -m pip install --quiet --editable '.[bench]'
	@touch $@

train: .venv-train/stamp ## Train a model on DATA, by default EDGED_DATA: build/training
	@.venv-train/bin/python -m edged.training $(if $(DATA),--data "$(DATA)") $(TRAIN_OPTIONS)

train-test: .venv-train/stamp ## Test the training, on a few made reviews
	@.venv-train/bin/python -m pytest tests/test_training.py

.venv-train/stamp: pyproject.toml $(ENV)
	@echo "train: installing TensorFlow into .venv-train (a few minutes, once)"
	@$${PYTHON:-/usr/bin/python3} -m venv .venv-train
	@.venv-train/bin/python -m pip install --quiet --editable '.[train,dev]'
	@touch $@

lint: $(ENV) .venv/bin/staticcheck ## Check style and types of both languages
	@ruff check .
	@ruff format --check .
	@mypy
	@unformatted=$$(gofmt -l go_core); [ -z "$$unformatted" ] || { echo "gofmt these: $$unformatted"; exit 1; }
	@cd go_core && go vet ./... && staticcheck ./...

.venv/bin/staticcheck: Makefile | $(ENV)
	@echo "lint: compiling staticcheck (once, about a minute)"
	@GOBIN=$(CURDIR)/.venv/bin go install $(STATICCHECK)

format: $(ENV) ## Format the sources of both languages
	@ruff check --fix-only --quiet . && ruff format --quiet .
	@gofmt -w go_core

clean: ## Remove everything built, the environment included
	rm -rf build dist .venv .venv-train .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
