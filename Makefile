# Everything a person types. The tools live in .venv; root on Debian also gets system packages.
SHELL := /bin/sh
PYTHON := .venv/bin/python

.PHONY: help run check test bench

help:  ## Show the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run:  ## Install what is missing and start the registry on https://localhost:5443
	@scripts/install registry
	@exec .venv/bin/pier serve

check:  ## Lint, types, import rules and the pure tests (under a minute)
	@scripts/install development
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	$(PYTHON) -m pytest -q tests/registry/storage tests/registry/access tests/house

test: check  ## Everything, against real databases, nginx and Docker
	@scripts/install development
	@scripts/test-parts
	$(PYTHON) -m pytest

bench:  ## Measure against peers and bounds, and print the ratios
	@scripts/install development
	@scripts/test-parts
	$(PYTHON) -m bench
