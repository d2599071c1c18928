# setup check test test-all fuzz faults interop federation bench bench-relay demo: all that a person or a CI calls.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
PYTHON ?= python3
PYTEST := $(BIN)/python -m pytest
# Two workers: the tests start servers, and more of them on a small machine only wait for each other.
TEST_WORKERS ?= 2
# Arguments for `make demo`, as ARGS="--port-base 0 --workers 2".
ARGS ?=
# How long `make fuzz` searches each parser.
FUZZ_SECONDS ?= 20

.PHONY: help setup check test test-all fuzz faults interop federation bench bench-relay demo reference clean

help:
	@echo "make setup     build the environment in $(VENV)"
	@echo "make demo      start a whole system on this machine (ARGS=\"--help\" tells more)"
	@echo "make test      the tests that end within minutes"
	@echo "make check     style, types, import contracts, house rules"
	@echo "make test-all  all tests; make fuzz, interop, bench, bench-relay: what their names say"
	@echo "make federation three operators, killed at random while they exchange 10,000 messages"
	@echo "make faults    plant faults in a copy, and see that the tests find each"
	@echo "make reference write config/reference.toml anew"

setup: $(STAMP)

# Redone when the project's description or the lock is newer. Hashes are checked; nothing is taken that the lock lacks.
$(STAMP): pyproject.toml requirements.lock scripts/setup
	@PYTHON="$(PYTHON)" scripts/setup $(VENV)
	@touch $@

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(PYTEST) tests/rules

test: setup
	$(PYTEST) -n $(TEST_WORKERS) -m "not slow and not interop" $(ARGS)

test-all: setup
	$(PYTEST) -n $(TEST_WORKERS) $(ARGS)

# Some seconds for each parser; what breaks one is left in var/fuzz/found.
fuzz: setup
	$(BIN)/python scripts/fuzz --seconds $(FUZZ_SECONDS) $(ARGS)

faults: setup
	$(BIN)/python scripts/planted-faults $(ARGS)

interop: setup
	scripts/interop-clients
	$(PYTEST) tests/interop $(ARGS)

# Three operators exchange 10,000 messages while they are killed; what came of it is printed.
federation: setup
	$(PYTEST) tests/acceptance/test_federation.py -m slow -n 0 -s $(ARGS)

bench: setup
	scripts/bench $(ARGS)

# Mail to another operator, drained by a demo and by a private Postfix (needs root) to the same sink.
bench-relay: setup
	$(BIN)/python scripts/bench-relay $(ARGS)

demo: setup
	exec $(BIN)/mssmail demo $(ARGS)

reference: setup
	$(BIN)/python -m mssmail.settings.describe > config/reference.toml

clean:
	rm -rf $(VENV) var .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
