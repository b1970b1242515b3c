# Each target builds .venv by itself; nothing needs to be installed first but Python, git and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready

.PHONY: demo test bench lint clean

demo: $(READY)
	$(BIN)/artifactlab demo

test: $(READY)
	$(BIN)/python -m pytest -n 2

bench: $(READY)
	$(BIN)/python benchmarks/demo.py
	$(BIN)/python benchmarks/real_models.py
	$(BIN)/python benchmarks/metric_validity.py
	$(BIN)/python benchmarks/lint.py
	$(BIN)/python benchmarks/coarse.py
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python benchmarks/planted.py
	$(BIN)/python benchmarks/fix.py
	$(BIN)/python benchmarks/fix_shipped.py
	$(BIN)/python benchmarks/upsamplers.py
	$(BIN)/python benchmarks/fuse.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/cost.py

lint: $(READY)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(READY): setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $(READY)

clean:
	rm -rf $(VENV) build dist *.egg-info artifactlab-demo
