# `make help` lists the targets. Nothing but Python 3.11 or newer, make and git needs to be installed.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
PYTEST := $(BIN)/pytest
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11
SERVICES := $(patsubst services/%/app.py,%,$(wildcard services/*/app.py)) relay

.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 20

$(READY): requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or newer is needed"'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

setup: $(READY) ## build .venv with everything, pinned by hash

up: $(READY) ## run the platform on this machine, with the synthetic county
	$(BIN)/terrafusion up --seed

demo: $(READY) ## set everything up and run the main job end to end
	$(BIN)/terrafusion demo

check: $(READY) ## lint, types, import rules, the quick unit and contract tests; no server, under a minute
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) -n 2 --hypothesis-profile check -m "not slow and not soak" tests/unit tests/contracts

test: $(READY) ## the whole test suite
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) -n 2 --dist loadfile --ignore tests/e2e $(ARGS)
	$(PYTEST) tests/e2e $(ARGS)

soak: $(READY) ## the long random runs
	TERRAFUSION_NEW_SEEDS=1 $(PYTEST) -m soak -s --timeout 7200 $(ARGS)

bench: $(READY) ## benchmarks, each a ratio to a limit measured in the same run
	$(BIN)/python -m benchmarks

contracts: $(READY) ## regenerate contracts/schemas from the code
	$(BIN)/python -m clients.sdk.generate_contracts

requirements: $(READY) ## compile the hashed requirements files
	$(COMPILE) --all-extras pyproject.toml -o requirements.txt
	for extra in $(SERVICES); do $(COMPILE) --extra $$extra -c requirements.txt pyproject.toml -o deploy/requirements/$$extra.txt || exit 1; done
	$(COMPILE) --extra cli -c requirements.txt pyproject.toml -o deploy/requirements/migrate.txt
	printf 'hatchling\neditables\n' | $(COMPILE) -c requirements.txt - -o deploy/requirements/build.txt

migration: $(READY) ## a new migration: make migration m="valuation: add confidence"
	$(BIN)/terrafusion migration "$(m)"

clean: ## remove what the targets made
	rm -rf .venv var .mypy_cache .ruff_cache .pytest_cache

.PHONY: help setup up demo check test soak bench contracts requirements migration clean
