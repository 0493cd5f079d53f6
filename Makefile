# Everything a person types. The tools live in .venv; root on Debian also gets system packages.
SHELL := /bin/sh
PYTHON := .venv/bin/python
# Tests wait for disks, timers and engines more than they compute.
WORKERS := 2

.PHONY: help run lint check test bench cluster-up cluster-down

help:  ## Show the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run:  ## Install what is missing and start the registry on https://localhost:5443
	@scripts/install registry
	@exec .venv/bin/pier serve

lint:  ## Lint, types and import rules
	@scripts/install development
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

check: lint  ## Lint, types, import rules and the pure tests (under a minute)
	$(PYTHON) -m pytest -q tests/registry/storage tests/registry/access tests/house

test: lint  ## Everything, against real databases, nginx, engines and clusters
	@scripts/test-parts
	$(PYTHON) -m pytest --numprocesses $(WORKERS)

bench:  ## Measure against peers and bounds, and print the ratios
	@scripts/install development
	@scripts/test-parts
	$(PYTHON) -m bench

cluster-up:  ## Start a cluster of one node with Pier's images, below build/cluster, to try things on
	@scripts/install development
	@scripts/test-parts
	@$(PYTHON) -m tests.cluster up

cluster-down:  ## Take it away
	@$(PYTHON) -m tests.cluster down
