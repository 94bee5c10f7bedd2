# Two commands for a fresh clone: `make demo` and `make test`. Each makes the virtual environment if it is missing.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
KERNEL_TESTS := $(wildcard tests/*/test_*triton*.py)

.PHONY: demo test test-all test-kernels claims lint docs sprout clean

demo: $(STAMP)
	$(BIN)/hone train demo

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 -m "not slow"

test-all: $(STAMP)
	$(BIN)/python -m pytest -n 2

# The GPU kernels by Triton's interpreter, and compiled for a GPU that need not be there.
test-kernels: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[kernels]"
	TRITON_INTERPRET=1 $(BIN)/python -m pytest -n 2 $(KERNEL_TESTS)

# What papers claim, tested at a stated scale. What is in claims/ and was made by this code is not made again.
claims: $(STAMP)
	$(BIN)/python -m hone.lab.study
	$(BIN)/python -m hone.studies --workers 2

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(STAMP)
	$(BIN)/python docs/generate.py

# Remake the embedded model from its recipe (about a quarter of an hour on two cores) and pack it into the package.
sprout: $(STAMP)
	rm -rf runs/sprout
	$(BIN)/hone sft sprout --out runs/sprout
	$(BIN)/python -m hone.policies.shipping runs/sprout/final

$(STAMP): pyproject.toml constraints.txt
	test -d .venv || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $(STAMP)

clean:
	rm -rf .venv runs build dist src/*.egg-info
