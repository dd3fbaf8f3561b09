# Every target works on a machine that has only Python >= 3.11 and make; it creates .venv if it is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# A second environment with the previous major release of transformers, for test-compat.
COMPAT := .venv-compat
# A third one with Flower, which keeps typer, rich and protobuf at older releases, for test-fl.
FL := .venv-fl
# A fourth one with the tools that build a release, for dist.
DIST := .venv-dist
# The CPU build of torch is pinned where no GPU is found; a plain install would pull gigabytes of CUDA.
TORCH_CPU := torch==2.13.0
# Python compiles a module when it is first imported, if it may write the result; compiling all
# modules at installation takes a minute and 400 MB.
unexport PYTHONDONTWRITEBYTECODE
INSTALL := -m pip install -q --no-compile
# TextAttack requires flair, which requires transformers below 5. The edits need neither.
TEXTATTACK := --no-deps textattack==0.3.11
PYTEST := -m pytest -p no:cacheprovider
FAST := -m "not slow and not long and not gpu and not network"
# One more than the cores: tests wait for servers, signals and subprocesses. Slow tests compute.
WORKERS ?= 3
SLOW_WORKERS ?= 2
# One thread in each worker, for several compute at once.
ONE := OMP_NUM_THREADS=1
# sys.monitoring (Python 3.12 and later) measures coverage almost for free. With the tracer before it
# the tests take nearly twice as long, so there only `make test COVERAGE=1` measures.
MONITORING = $(shell $(BIN)/python -c "import sys; print(*[1] * (sys.version_info >= (3, 12)))")
COVERAGE = $(MONITORING)
COVER = --cov --cov-report=term:skip-covered --cov-fail-under=85

# A virtual environment with torch, in the folder of the target.
define ENVIRONMENT
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(@D)/bin/python -c "import torch" 2>/dev/null || command -v nvidia-smi >/dev/null 2>&1 || $(@D)/bin/python $(INSTALL) $(TORCH_CPU)
endef

.PHONY: help demo test test-slow test-long test-compat test-fl quick lint docs golden figures bench gpu dist clean

help:  ## print this list of targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.run: pyproject.toml  ## virtual environment with the runtime dependencies
	$(ENVIRONMENT)
	$(BIN)/python $(INSTALL) -e ".[all]"
	$(BIN)/python $(INSTALL) $(TEXTATTACK)
	touch $@

$(VENV)/.dev: $(VENV)/.run  ## virtual environment with the development dependencies
	$(BIN)/python $(INSTALL) -e ".[dev]"
	touch $@

$(COMPAT)/.dev: pyproject.toml  ## the same with transformers 4.57 and all that TextAttack requires
	$(ENVIRONMENT)
	$(COMPAT)/bin/python $(INSTALL) -e ".[all,attack,test]" transformers==4.57.6
	touch $@

$(FL)/.dev: pyproject.toml  ## the same with Flower and its simulation on Ray
	$(ENVIRONMENT)
	$(FL)/bin/python $(INSTALL) -e ".[all,fl,test]" "flwr[simulation]"
	touch $@

$(DIST)/.tools: Makefile  ## virtual environment that builds and checks distributions
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(@D)/bin/python $(INSTALL) build twine
	touch $@

demo: $(VENV)/.run  ## get data, train, audit and gate; ends with the path of the report
	$(BIN)/auditkit demo

test: $(VENV)/.dev  ## run all tests except slow, gpu and network; at most 10 minutes on 2 cores
	$(ONE) $(if $(MONITORING),COVERAGE_CORE=sysmon) $(BIN)/python $(PYTEST) -n $(WORKERS) --dist loadfile $(FAST) $(if $(COVERAGE),$(COVER))

test-slow: $(VENV)/.dev  ## run the slow tests; at most 30 minutes on 2 cores
	$(ONE) $(BIN)/python $(PYTEST) -n $(SLOW_WORKERS) --dist loadfile --no-loadscope-reorder -m "slow and not gpu" --durations=30

test-long: $(VENV)/.dev  ## fine-tune SmolLM2 and compare it with its base; about 30 minutes
	$(BIN)/python $(PYTEST) -m "long and not gpu"

test-compat: $(COMPAT)/.dev $(VENV)/.run  ## run the tests of models, training and edits on transformers 4.57
	$(ONE) AUDITKIT_OTHER_PYTHON=$(CURDIR)/$(BIN)/python $(COMPAT)/bin/python $(PYTEST) -n $(WORKERS) --dist loadfile $(FAST) $(addprefix tests/, compat engine recommenders training perturb planted/test_planted_faults.py)

test-fl: $(FL)/.dev  ## run the tests of federated training, which needs Flower; about 2 minutes
	$(ONE) $(FL)/bin/python $(PYTEST) -m "not gpu and not network" tests/training/federated tests/training/test_federated_training.py tests/architecture/test_public_names.py

quick: $(VENV)/.dev  ## run the fast tests, for use during development; under 90 seconds
	$(ONE) $(BIN)/python $(PYTEST) -n $(WORKERS) --dist loadfile $(FAST) -x --ignore=tests/browser --ignore=tests/planted

lint: $(VENV)/.dev  ## check style, formatting, types, unused code and the documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/vulture
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict -q -d $(VENV)/site

docs: $(VENV)/.dev  ## build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

golden: $(VENV)/.dev  ## rebuild reports/examples from real runs; review the diff
	$(BIN)/python tests/golden/rebuild.py

figures: $(VENV)/.dev  ## rebuild the tables of docs/explain/families.md from real runs; about an hour
	$(BIN)/python tests/figures/families.py --indexing

bench: $(VENV)/.dev  ## run the benchmarks; they print ratios measured in one run and assert nothing
	$(BIN)/python tests/bench/attribution.py
	$(BIN)/python tests/bench/cli_startup.py
	$(BIN)/python tests/bench/cues.py
	$(BIN)/python tests/bench/dp_step.py
	$(BIN)/python tests/bench/engine.py
	$(BIN)/python tests/bench/fairness.py
	$(BIN)/python tests/bench/graph.py
	$(BIN)/python tests/bench/linking.py
	$(BIN)/python tests/bench/training.py
	$(BIN)/python tests/bench/trie.py
	$(BIN)/python tests/bench/turns.py

gpu: $(VENV)/.dev  ## compare a GPU with the CPU and time the engine on it; writes gpu.md; at most 5 minutes
	$(BIN)/python tests/bench/gpu.py

dist: $(DIST)/.tools $(VENV)/.dev  ## build wheel and sdist, check them, and gate a run with the core dependencies only
	rm -rf dist
	$(DIST)/bin/python -m build -o dist .
	$(DIST)/bin/twine check --strict dist/*
	$(BIN)/python tests/support/core_install.py dist/*.whl

clean:  ## remove .venv, dist, site and caches
	rm -rf $(VENV) $(COMPAT) $(FL) $(DIST) dist site .mypy_cache .ruff_cache
