# Every target sets up what it needs: a virtual environment in .venv with the pinned dependencies.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help setup train test unit contracts notebooks extras-test lint check smoke results wheel clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; set PYTHON=...") if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

setup: $(STAMP)  ## create .venv with pinned dependencies

train: $(STAMP)  ## the main job: learn a budget policy for the embedded model
	$(BIN)/recache train

# one thread a process: the tests share the cores already
PARALLEL := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist worksteal

test: unit contracts  ## all tests, offline
	$(PARALLEL) tests/outcomes
	$(BIN)/python -m pytest tests/integration

unit: $(STAMP)  ## the fast tests, no Ray
	$(PARALLEL) tests/unit

contracts: $(STAMP)  ## every model adapter against every mechanism, on tiny random weights
	$(PARALLEL) tests/contracts

notebooks: $(STAMP)  ## run the notebooks in fresh kernels, check what they show and what is committed
	$(BIN)/python -m pytest tests/notebooks

extras-test: $(STAMP)  ## the demo page clicked through, int8 weights; installs gradio, which takes pillow back to 12, and torchao
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[demo,int8]'
	$(BIN)/python -m pytest tests/integration/test_demo.py
	$(PARALLEL) tests/contracts/test_contract_variants.py -k int8

lint: $(STAMP)  ## style, types, import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test  ## style, types, import contract and all tests

smoke: $(STAMP)  ## the main job, seconds long
	rm -rf runs/smoke && $(BIN)/recache train experiment=smoke run.dir=runs/smoke

RUNS ?= runs/default
NAME ?= main_job

results: $(STAMP)  ## tables and picture of RUNS (comma between) under docs/results/NAME and in the README
	$(BIN)/recache results "results.runs=[$(RUNS)]" results.name=$(NAME)

wheel: $(STAMP)  ## dist/: the package and its pinned dependencies, what a cluster installs
	rm -rf dist && $(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	cp constraints.txt dist/

clean:  ## remove runs and caches, keep .venv
	rm -rf runs references .pytest_cache .ruff_cache .mypy_cache build dist
