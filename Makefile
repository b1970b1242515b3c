# Each target builds .venv by itself; nothing needs to be installed first but Python, git and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready

.PHONY: demo test test-notebooks matrix bench visibility planted architectures lint docs notebooks clean

demo: $(READY)
	$(BIN)/artifactlab demo

test: $(READY)
	# a thread for each of the two workers: four on two cores wait for each other, and took ten times as long
	# tests start Python some hundred times: without bytecode, where the environment forbids it, each compiles all anew
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

test-notebooks: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --nbmake notebooks

# other versions of Python, torch and the rest: `make matrix ARGUMENTS=--help`
matrix:
	$(PYTHON) .ci/matrix.py $(ARGUMENTS)

bench: $(READY)
	$(BIN)/python benchmarks/demo.py
	$(BIN)/python benchmarks/real_models.py
	$(BIN)/python benchmarks/lint.py
	$(BIN)/python benchmarks/coarse.py
	$(BIN)/python benchmarks/compare.py
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python benchmarks/metric_validity.py
	$(BIN)/python benchmarks/fix.py
	$(BIN)/python benchmarks/fix_menu.py
	$(BIN)/python benchmarks/fix_shipped.py
	$(BIN)/python benchmarks/upsamplers.py
	$(BIN)/python benchmarks/fuse.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/cost.py
	$(BIN)/python benchmarks/monitor.py
	$(BIN)/python benchmarks/robustness.py
	$(BIN)/python benchmarks/store_kills.py

# in an environment of their own, as one of the models of seeing needs torchvision
SEEING := build/visibility/bin

visibility: $(SEEING)/cvvdp
	$(SEEING)/python benchmarks/visibility.py

planted: $(SEEING)/cvvdp
	$(SEEING)/python benchmarks/planted.py

$(SEEING)/cvvdp:
	$(PYTHON) -m venv build/visibility
	$(SEEING)/pip install --quiet --constraint constraints.txt --editable '.[bench]' scikit-learn cvvdp flip-evaluator

# likewise: these libraries bring half of PyPI
MODELS := build/models/bin

architectures: $(MODELS)/artifactlab
	$(MODELS)/python benchmarks/architectures.py

$(MODELS)/artifactlab:
	$(PYTHON) -m venv build/models
	$(MODELS)/pip install --quiet --constraint constraints.txt --editable '.[bench-models]'

lint: $(READY)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell

notebooks: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/refresh_notebooks.py

# a warning is an error: of a docstring, of a page that is in no menu, of a link or anchor that leads nowhere
docs: $(READY)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --clean

$(READY): setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $(READY)

clean:
	rm -rf $(VENV) build dist *.egg-info artifactlab-demo site
