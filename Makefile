# make run     the environment, then the whole pipeline on generated phantoms
# make test    the environment, then the whole test suite
# make docs    the documentation as a site, in site/
# make check   style (ruff) and types (mypy), without a test
# make fuzz    mutated files against the readers, SECONDS=20 for each; inputs that crash one are kept in .fuzz
# make ui      the MLflow UI on loopback, port 5000, and the address of the training runs
# make env GPU=1   the environment with CUDA libraries for TensorFlow (Linux)

PYTHON ?= python3
PORT ?= 5000
SECONDS ?= 20
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export MLFLOW_DISABLE_TELEMETRY := true

.PHONY: run test check test-jax docs fuzz ui env bench clean

run: env
	dvc repro
	@python -c 'from pathlib import Path; print("Report:", Path("metrics/report.html").resolve().as_uri())'
	@echo "Compare runs with 'make ui'."

test: env
	python -m pytest

docs: env
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict --config-file .mkdocs.yml

check: env
	ruff check .
	ruff format --check .
	mypy

env: .venv/ready$(if $(GPU),-gpu)

.venv/ready: requirements.txt tests/requirements.txt .constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "Python 3.11 to 3.13 is needed, this is " + sys.version + "; run make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -r tests/requirements.txt -c .constraints.txt
	# axe-core for the tests of pages, without Playwright, which drives nothing here
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps axe-playwright-python==0.1.8
	touch $@

.venv/ready-gpu: .venv/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'tensorflow[and-cuda]' -c .constraints.txt
	touch $@

# the same network code on JAX, without TensorFlow
test-jax: .venv-jax/ready
	KERAS_BACKEND=jax .venv-jax/bin/python -m pytest tests/network tests/test_end_to_end.py

.venv-jax/ready: requirements.txt tests/requirements.txt .constraints.txt
	$(PYTHON) -m venv .venv-jax
	sed 's/^tensorflow.*/jax/' requirements.txt > .venv-jax/requirements.txt
	.venv-jax/bin/python -m pip install --quiet --disable-pip-version-check -r .venv-jax/requirements.txt -r tests/requirements.txt -c .constraints.txt
	touch $@

# atheris is installed next to the environment, not into it
fuzz: env .venv-fuzz/ready
	PYTHONPATH=.venv-fuzz python -m tests.fuzz --seconds $(SECONDS)

.venv-fuzz/ready: tests/requirements-fuzz.txt .venv/ready
	rm -rf .venv-fuzz
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --target .venv-fuzz -r tests/requirements-fuzz.txt
	touch $@

ui: env
	@python -m pipeline.runtime.tracking.view --port $(PORT)
	MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false mlflow ui --workers 1 --host 127.0.0.1 --port $(PORT) --backend-store-uri "$$(python -m pipeline.runtime.tracking)"

bench: env
	python -m benchmarks

clean:
	rm -rf .venv .venv-jax .venv-fuzz .fuzz site build *.egg-info
