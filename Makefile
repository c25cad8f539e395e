# Everything runs in .venv, made on first use and again when the requirements change.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check
REQUIREMENTS := pyproject.toml constraints.txt

.PHONY: lung test check clean

## lung: the whole main job on the embedded cohort; again: go on, or show the finished result
lung: $(VENV)/.run
	$(BIN)/capsmed train --config configs/lung.yaml --continue

## test: the whole suite
test: $(VENV)/.test
	$(BIN)/python -m pytest

## check: linter, types and the quick tests
check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -m "not slow"

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
