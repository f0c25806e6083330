# What a person does with WattView, two words each. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
HOURS ?= 1
unexport PYTHONDONTWRITEBYTECODE # tests start some hundred daemons: their modules are compiled once

.PHONY: help install up test test-all lint bench soak stack clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(VENV)/.installed ## make .venv with WattView in it

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

up: packages-run install ## the dashboard: daemon, media server and history start with it and end with it
	@$(BIN)/wattview up $(ARGS)

test: packages-test $(VENV)/.installed-dev ## the tests, but for the slow ones
	@$(BIN)/python -m pytest -n auto --dist loadfile -m 'not slow' $(ARGS)

test-all: packages-test $(VENV)/.installed-dev ## all tests
	@$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.installed-dev ## ruff and mypy --strict
	@$(BIN)/ruff check src tests benchmarks
	@$(BIN)/ruff format --check src tests benchmarks
	@$(BIN)/mypy

soak: $(VENV)/.installed-dev ## a daemon and a dashboard for HOURS=1 on a moving machine: do they stay flat?
	@$(BIN)/python -m tests.support.soak --hours $(HOURS) $(ARGS)

bench: packages-bench $(VENV)/.installed-dev ## the measurements behind every figure in docs/
	@$(BIN)/python -m benchmarks $(ARGS)

stack: ## Prometheus, Grafana and alerts beside WattView, with Docker (ARGS=down ends it)
	@scripts/stack.sh $(ARGS)

packages-%:
	@scripts/packages.sh $*

clean: ## remove .venv and caches
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
