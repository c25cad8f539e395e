# Everything runs in .venv, made on first use and again when the requirements change.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check
# a process a core, of one thread each (tests/conftest.py); `python -m pytest` alone is one process
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal
REQUIREMENTS := pyproject.toml constraints.txt

.PHONY: lung test check bench clean

## lung: the whole main job on the embedded cohort; again: go on, or show the finished result
lung: $(VENV)/.run
	$(BIN)/capsmed train --config configs/lung.yaml --continue

## test: the whole suite
test: $(VENV)/.test
	$(PYTEST)

## check: linter, types and the quick tests
check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(PYTEST) -m "not slow"

## bench: capsmed beside other implementations: time, memory, growth (tests/benchmarks)
bench: $(VENV)/.test
	$(BIN)/python -m tests.benchmarks

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(REQUIREMENTS) | $(BIN)/python
	@echo "installing capsmed into $(VENV) (a few minutes the first time)"
	$(PIP) --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.test: $(REQUIREMENTS) | $(BIN)/python
	@echo "installing capsmed and its tests' needs into $(VENV)"
	$(PIP) --constraint constraints.txt --editable ".[test]"
	@touch $@ $(VENV)/.run

$(VENV)/.dev: $(REQUIREMENTS) | $(BIN)/python
	@echo "installing capsmed and its developers' tools into $(VENV)"
	$(PIP) --constraint constraints.txt --editable ".[dev]"
	@touch $@ $(VENV)/.test $(VENV)/.run

## clean: what building and testing leave; run folders stay
clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
	find capsmed tests pipelines -name __pycache__ -type d -prune -exec rm -rf {} +
