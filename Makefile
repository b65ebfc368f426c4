# Everything installs itself: any target makes .venv, with locked versions, when it is missing
# or out of date. Choose the interpreter for a new .venv with, e.g., make test PYTHON=python3.12

SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?=
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed
SCRIPTS := $(wildcard scripts/*.sh)

# At most this many pytest processes, each of which loads TensorFlow (about 1 GB).
TEST_PROCESSES ?= 4
TEST_FLAGS ?=
DEMO_FLAGS ?= --model unet --max_examples 4000 --epochs 3

.PHONY: help demo test test-jax test-torch test-backends test-engines test-installs test-notebooks docs lint bench install lock clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# v11 with fewer examples, the first ones of its own.
REAL_SKY := {"name": "real_sky", "npix": 128, "lx": 5.0, "stokes": "QU", "oversampling": 2, \
  "beam_arcmin": 1.0, "noise_uK_arcmin": 1.0, \
  "num_examples": {"train": 128, "validation": 24, "test": 100}}

demo: $(STAMP)  ## estimate the convergence of a real sky; train a network on v2; judge both, write reports
	$(VENV)/bin/tfds build lensing_tfds --config '$(REAL_SKY)' --data_dir demo/data
	$(RUN) -m trainer --model iterated --dataset lensing/real_sky --data_dir demo/data --workdir demo/real_sky
	$(RUN) -m trainer.evaluate --workdir demo/real_sky --figures
	$(RUN) -m trainer --dataset lensing/v2 --data_dir demo/data --workdir demo/run $(DEMO_FLAGS)
	$(RUN) -m trainer.evaluate --workdir demo/run

test: $(STAMP)  ## run the tests (TEST_FLAGS='-k lensing' selects)
	$(RUN) -m pytest -n logical --maxprocesses $(TEST_PROCESSES) --dist loadfile \
	  --ignore tests/engines --ignore tests/installs --ignore tests/notebooks $(TEST_FLAGS)

# What shows that nothing needs TensorFlow; ALONE=tests/trainer runs all that can be run without it.
ALONE ?= tests/backends/test_end_to_end.py tests/trainer/data tests/trainer/test_reconstruct.py \
  tests/trainer/settings tests/trainer/machine tests/trainer/networks/test_padding.py \
  $(patsubst %,tests/trainer/loop/test_%.py,announcements closed_form errors interruption loss_scale \
  memory metrics)
test_alone = KERAS_BACKEND=$(1) $(VENV)-$(1)/bin/python -m pytest -n logical \
  --maxprocesses $(TEST_PROCESSES) --dist loadfile $(ALONE) $(TEST_FLAGS)

test-jax: $(VENV)-jax/.installed  ## run the trainer's tests on JAX where TensorFlow is not installed
	$(call test_alone,jax)

test-torch: $(VENV)-torch/.installed  ## the same on PyTorch, which this installs (5 GB)
	$(call test_alone,torch)

test-backends: $(STAMP)  ## run the networks on JAX and PyTorch, which this installs (5 GB)
	PIP_CONSTRAINT=requirements.lock $(RUN) -m pip install -q --disable-pip-version-check torch
	$(RUN) -m pytest tests/backends tests/lensing_tfds/test_frameworks.py $(TEST_FLAGS)
	$(RUN) -m pytest tests/test_pages.py -k frameworks
	$(RUN) -m pytest tests/notebooks -k own_network

test-engines: $(STAMP)  ## run the builds on Beam, Dask and, with Java and Maven, Flink
	$(RUN) -m pytest tests/engines $(TEST_FLAGS)

test-notebooks: $(STAMP)  ## run the notebooks of docs/ (two minutes of a core)
	$(RUN) -m pytest tests/notebooks $(TEST_FLAGS)

test-installs: $(STAMP)  ## install each extra alone and run its commands (slow)
	$(RUN) -m pytest tests/installs $(TEST_FLAGS)

docs: $(STAMP)  ## build the site, site/index.html, from docs/ and the docstrings; check its links
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict

lint: $(STAMP)  ## ruff and mypy, through pre-commit
	$(RUN) -m pre_commit run --all-files --show-diff-on-failure

bench: $(STAMP)  ## run the benchmarks
	$(RUN) -m benchmarks

install: $(STAMP)  ## system libraries and .venv only

$(STAMP): setup.cfg requirements.lock $(SCRIPTS)
	@scripts/install.sh $(VENV) $(PYTHON)
	@touch $@

$(VENV)-%/.installed: setup.cfg requirements.lock $(SCRIPTS)
	@scripts/install_backend.sh $(VENV)-$* $* $(PYTHON)
	@touch $@

lock:  ## resolve requirements.lock again from setup.cfg
	@scripts/lock.sh $(VENV) $(PYTHON)

clean:  ## remove caches, build leftovers, site/ and demo/ (not .venv)
	rm -rf demo site build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
