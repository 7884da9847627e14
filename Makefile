# Needs Python 3.11 or newer with venv, and make. `make` alone lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST_ARGS ?=

# Set in the caller's shell, it would leave every start to compile 1,500 modules again: 4 s instead of 1.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help env run test coverage mutants check format bench faults nightly lock clean browser

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

env: $(STAMP) ## Make the environment in .venv from the locked requirements
	@echo "Ready: $(BIN)/tracker"

# --clear: an environment whose Python was removed from the machine is made anew
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is older than Python 3.11: name a newer one with 'make env PYTHON=python3.12'" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)

# uv is some ten times faster; where it cannot be had, or cannot reach the index as pip can, pip does the same work.
# Everything, the build backend too, comes from the lock and is checked against its hashes.
$(STAMP): $(BIN)/python requirements/bootstrap.txt requirements/dev.txt pyproject.toml
	@$(BIN)/python -m pip install -qq --require-hashes -r requirements/bootstrap.txt || true
	@if [ -x $(BIN)/uv ] \
		&& $(BIN)/uv pip sync -q --python $(BIN)/python --require-hashes --compile-bytecode requirements/dev.txt; then \
		$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .; \
	else \
		echo "uv cannot be used here: going on with pip, which takes a few minutes" >&2; \
		$(BIN)/python -m pip install -q --require-hashes --compile -r requirements/dev.txt \
		&& $(BIN)/python -m pip install -q --no-deps --no-build-isolation -e .; \
	fi
	@touch $@

run: env ## Start web and scheduler on demonstration data, in ./var; data that is there is kept
	$(BIN)/tracker run --demo

test: env ## Run the tests (PYTEST_ARGS="-k overdue" narrows them)
	$(BIN)/python -m pytest -n 2 $(PYTEST_ARGS)

# What sends reminders once, and proves it: no branch of it is untried, on either database.
PROVEN := scheduler reminders digests recall outbox leases tick ledger balance audit
comma := ,
space := $(subst ,, )

coverage: env ## Run the tests and fail where a branch of what sends reminders is untried (PYTEST_ARGS=tests/tracker will do)
	$(BIN)/python -m pytest -n 2 --cov --cov-report= $(PYTEST_ARGS)
	$(BIN)/coverage report --fail-under=100 --include=$(subst $(space),$(comma),$(PROVEN:%=tracker/%.py))

mutants: env ## Change what sends reminders in 1,700 places, one at a time, and see that a test notices
	$(BIN)/python -m tests.mutants

check: env ## Format, lint, strict types, who may import whom, dead code: nothing is changed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/vulture

format: env ## Format the code and repair what the linter can repair
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

# Each command can be run by itself; docs/faults.md says how long it takes.
faults: env ## Break everything that can be, for long: kills, rivals, ten virtual years, edits (some 5 hours on one core)
	@for database in sqlite postgresql; do for journal in "" --no-oracle; do \
		$(BIN)/python -m tests.faults.kills --kills 10000 --database $$database $$journal || exit 1; done; done
	@for database in sqlite postgresql; do \
		$(BIN)/python -m tests.faults.rivals --occurrences 100000 --processes 4 --database $$database || exit 1; done
	@for database in sqlite postgresql; do \
		$(BIN)/python -m tests.faults.soak --years 10 --cases 5000 --database $$database || exit 1; done
	@for database in sqlite postgresql; do \
		$(BIN)/python -m tests.faults.edits --edits 10000 --clients 50 --database $$database || exit 1; done

nightly: env ## Try 20,000 random histories against each property of the planner (some 40 minutes)
	HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest -n 2 tests/workflows/test_properties.py

bench: env ## Measure the speed of planning, the sweep and the pages
	$(BIN)/python -m tests.benchmarks

LOCK = $(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --no-annotate $(UPGRADE)

lock: $(BIN)/python ## Write requirements/ anew from pyproject.toml (UPGRADE=--upgrade takes the newest versions)
	@$(BIN)/python -m pip install -qq --require-hashes -r requirements/bootstrap.txt
	echo uv | $(LOCK) - -o requirements/bootstrap.txt
	$(LOCK) pyproject.toml --extra dev --extra oidc -o requirements/dev.txt
	$(LOCK) pyproject.toml --constraints requirements/dev.txt -o requirements/run.txt
	$(LOCK) pyproject.toml --extra oidc --constraints requirements/dev.txt -o requirements/oidc.txt

browser: ## Install Debian's Chromium for the browser tests, where it is missing
	@if command -v chromium >/dev/null || [ -x "$$CHROMIUM" ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		export DEBIAN_FRONTEND=noninteractive; \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; \
	else \
		echo "The browser tests need Chromium. Install it (Debian: 'apt-get install chromium' as root)," >&2; \
		echo "or name one that you have: CHROMIUM=/path/to/chromium make test" >&2; \
		exit 1; \
	fi

clean: ## Remove the environment and the caches; the data in ./var stays
	rm -rf $(VENV) build dist htmlcov .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
