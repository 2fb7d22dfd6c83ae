# Every target makes its own virtual environment in .venv and installs again when setup.cfg has changed.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed
DEMO := runs/demo

.PHONY: demo test test-slow bench docs lint

$(STAMP): setup.cfg pyproject.toml
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

demo: $(STAMP)
	$(RUN) -m trainers.demo --out $(DEMO) --overwrite

lint: $(STAMP)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check --quiet .
	$(RUN) -m mypy

# Two processes of one thread each: most of the time goes into tracing and compiling, which use one core.
test: lint
	TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=2 $(RUN) -m pytest -n 2 --dist loadgroup

test-slow: lint
	$(RUN) -m pytest -m slow

bench: $(STAMP)
	$(RUN) -m pip install --quiet --disable-pip-version-check -e '.[bench]'
	$(RUN) -m benchmarks

docs: $(STAMP)
	$(RUN) -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	$(RUN) -m mkdocs build --clean
