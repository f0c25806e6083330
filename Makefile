# `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
HOURS ?= 1
unexport PYTHONDONTWRITEBYTECODE # tests start some hundred daemons: their modules are compiled once

.PHONY: help install up test test-all lint bench soak stack clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(VENV)/.installed ## create .venv with WattView in it

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("WattView needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@echo "installing WattView into $(VENV)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo "installing what the tests need into $(VENV)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

up: packages-run install ## open the dashboard, with a daemon and a media server for as long as it runs
	@$(BIN)/wattview up $(ARGS)

test: packages-test $(VENV)/.installed-dev ## run the tests, except the slow ones
	@$(BIN)/python -m pytest -n auto --dist loadfile -m 'not slow' $(ARGS)

test-all: packages-test $(VENV)/.installed-dev ## run all tests
	@$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.installed-dev ## run ruff and mypy --strict
	@$(BIN)/ruff check src tests benchmarks
	@$(BIN)/ruff format --check src tests benchmarks
	@$(BIN)/mypy

soak: $(VENV)/.installed-dev ## check that daemon and dashboard do not grow over HOURS=1
	@$(BIN)/python -m tests.support.soak --hours $(HOURS) $(ARGS)

bench: packages-bench $(VENV)/.installed-dev ## run the measurements behind the figures in docs/
	@$(BIN)/python -m benchmarks $(ARGS)

stack: ## run WattView with Prometheus, Grafana and alerts in Docker (ARGS=down stops them)
	@scripts/stack.sh $(ARGS)

packages-%:
	@scripts/packages.sh $*

clean: ## remove .venv and caches
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
