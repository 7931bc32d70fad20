# `make` lists the targets. PYTHON=python3.12 chooses the Python that .venv is made with (once made, its own),
# EXTRA=cpu or EXTRA=gpu the packages (default: what the machine has), ARGS=… is handed to pytest.
PYTHON ?= $(shell .venv/bin/python -c 'print(".venv/bin/python")' 2>/dev/null || echo python3)
EXTRA ?=
ARGS ?=
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup quickstart test unit e2e lint prove bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## make .venv and install everything (done once; quick when nothing is left to do)
	@$(PYTHON) setup/install.py $(if $(EXTRA),--extra $(EXTRA))

quickstart: setup ## set up, then train, serve and test a small real model (about 15 minutes on 2 cores)
	@$(BIN)/python setup/quickstart.py $(ARGS)

lint: setup ## ruff, mypy and the import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy setup
	$(BIN)/lint-imports

test: setup lint ## lint, then every test but the slow ones; the last of them train and serve the real model
	$(BIN)/pytest tests/unit tests/plugin tests/e2e -m "not slow" $(ARGS)

unit: setup ## the tests that need no real model (3 minutes)
	$(BIN)/pytest tests/unit tests/plugin -m "not slow and not e2e" $(ARGS)

e2e: setup ## the tests that train and serve the real model
	$(BIN)/pytest tests -m e2e $(ARGS)

prove: setup ## the slow tests: proofs over all rows, kill loops
	$(BIN)/pytest tests -m slow $(ARGS)

bench: setup ## the benchmarks, one after another; docs/benchmarks.md has their figures
	@set -e; for name in plugin generation; do echo "== $$name"; $(BIN)/python -m tests.benchmarks.bench_$$name; done

clean: ## remove caches and build files; .venv, .harness and reports stay
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis *.egg-info
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
