# Every target works on a machine that has only Python >= 3.11 and make: it creates or reuses .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The CPU build of torch is pinned where no GPU is found; a plain install would pull gigabytes of CUDA.
TORCH_CPU := torch==2.13.0
PYTEST := $(BIN)/python -m pytest -p no:cacheprovider
WORKERS ?= 2
# Coverage through sys.monitoring costs little, and Python has that from 3.12 on; a tracer costs much.
CORE = $(shell $(BIN)/python -c "import sys; print('sysmon' if sys.version_info >= (3, 12) else 'ctrace')")

.PHONY: demo test test-slow quick lint docs golden bench figures clean

$(VENV)/.run: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -c "import torch" 2>/dev/null || command -v nvidia-smi >/dev/null 2>&1 || $(BIN)/python -m pip install -q $(TORCH_CPU)
	$(BIN)/python -m pip install -q -e ".[all]"
	touch $@

$(VENV)/.dev: $(VENV)/.run
	$(BIN)/python -m pip install -q -e ".[dev]"
	touch $@

demo: $(VENV)/.run  ## get data, train, audit, gate; ends with the path of the report
	$(BIN)/auditkit demo

test: $(VENV)/.dev  ## everything but slow, gpu and network; at most 10 minutes on 2 cores
	COVERAGE_CORE=$(CORE) $(PYTEST) -n $(WORKERS) --dist loadfile -m "not slow and not gpu and not network" --cov --cov-report=term:skip-covered --cov-fail-under=85

test-slow: $(VENV)/.dev  ## the slow ones, at most 40 minutes on 2 cores
	$(PYTEST) -n $(WORKERS) --dist loadfile -m "slow and not gpu"

quick: $(VENV)/.dev  ## under 90 seconds, while working
	$(PYTEST) -n $(WORKERS) --dist loadfile -m "not slow and not gpu and not network" -x --ignore=tests/browser --ignore=tests/planted

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/vulture
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict -q -d $(VENV)/site

docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

golden: $(VENV)/.dev  ## rebuild reports/examples from real runs; review the diff
	$(BIN)/python tests/golden/rebuild.py

figures: $(VENV)/.dev  ## the tables of docs/explain/families.md from real runs, about an hour
	$(BIN)/python tests/figures/families.py --indexing

bench: $(VENV)/.dev  ## ratios measured in one run; never asserted
	$(BIN)/python tests/bench/cli_startup.py
	$(BIN)/python tests/bench/engine.py
	$(BIN)/python tests/bench/fairness.py
	$(BIN)/python tests/bench/graph.py
	$(BIN)/python tests/bench/linking.py
	$(BIN)/python tests/bench/training.py
	$(BIN)/python tests/bench/trie.py

clean:
	rm -rf $(VENV) site .mypy_cache .ruff_cache
