# Everything a checkout can do. The first three need nothing but Python 3.11 or later:
#
#   make demo    a 30 s take that moves from one prompt to another: out/demo.flac, its spectrogram, how fast it ran
#   make live    the live-mix page: opens in the browser, plays with the starter
#   make test    the test suite
#
#   make setup   an environment in .venv with all that tests and training need
#   make check   lint and type check
#   make docs    the documentation as a site, with a reference: out/docs/index.html
#   make bench   measure this machine         make clean     remove what make made, .venv included
#
#   make starter-cpu      train a starter on two cores: 100 minutes, stopped at any moment it goes on. Once more with
#                         ARGS="--recipe longer" is how the bundled one was made: 70 minutes more
#   make starter-status   what of that is done, and how long the rest will take
#   make starter-carry    pack what a GPU machine without a network needs besides the checkout: out/carry
#   make starter-gpu      train on one large GPU: two commands of under nine minutes. STEP=1 or STEP=2 runs one of
#                         them and leaves in out/step-1 or out/step-2 what has to be taken along. Needs no make setup

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
  $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
INPUTS := pyproject.toml constraints.txt

# uv installs in a fraction of pip's time; where it cannot be had, or refuses, pip does the same.
install = { test -x $(BIN)/uv && $(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt $(1); } \
  || $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(1)

.DEFAULT_GOAL := help
.PHONY: help demo live test setup check docs starter starter-cpu starter-status starter-carry starter-gpu bench clean

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

demo: $(VENV)/.installed-demo
	@mkdir -p out
	$(BIN)/mrtpy generate --score examples/demo_score.json --seconds 30 --seed 1 --out out/demo.flac --plot out/demo.png

# Loads the starter, opens the page in the browser, and plays until Ctrl-C. make live ARGS="--port 8000"
live: $(VENV)/.installed-live
	$(BIN)/mrtpy ui $(ARGS)

# Two processes, whole files each, in the order of tests/conftest.py: the slowest first.
test: $(VENV)/.installed-all
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

setup: $(VENV)/.installed-all

check: $(VENV)/.installed-all
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python

# Warnings are errors: a link that leads nowhere, a page nobody can find, a docstring that cannot be read.
docs: $(VENV)/.installed-all
	$(BIN)/python -m mkdocs build --config-file docs/site/mkdocs.yml

starter: starter-cpu

# The bundle is left in the user's cache; ARGS="--output DIR" puts it elsewhere, ARGS="--recipe smoke" only tries the chain.
starter-cpu: $(VENV)/.installed-all
	$(BIN)/python -m magenta_rt_py.train.starter all $(ARGS)

starter-status: $(VENV)/.installed-all
	$(BIN)/python -m magenta_rt_py.train.starter status $(ARGS)

starter-carry: $(VENV)/.installed-all
	$(BIN)/python -m magenta_rt_py.train.starter carry --out out/carry

# Runs with the Python that is there (GPU_PYTHON), whose JAX knows the GPU. What was carried is used if it is in out/carry.
GPU_PYTHON ?= python3
starter-gpu:
	@test ! -d out/carry/wheels -o -d out/carry/site || \
	  $(GPU_PYTHON) -m pip install --quiet --no-index --no-deps --target out/carry/site out/carry/wheels/*.whl
	@test -z "$(STEP)" -o "$(STEP)" = 1 -o "$(STEP)" = 2 || { echo "STEP is $(STEP); use 1, 2, or nothing for both"; exit 2; }
	$(if $(wildcard out/carry/starter.sf3),MAGENTA_RT_PY_SOUNDFONT=$(CURDIR)/out/carry/starter.sf3 )\
	PYTHONPATH=$(CURDIR):$(CURDIR)/out/carry/site$(if $(PYTHONPATH),:$(PYTHONPATH)) \
	$(GPU_PYTHON) -m magenta_rt_py.train.starter gpu \
	$(if $(STEP),--step $(STEP) --out out/step-$(STEP)) $(if $(filter 2,$(STEP)),--into out/step-1) $(ARGS)

bench: $(VENV)/.installed-all
	$(BIN)/python benchmarks/stream.py

clean:
	rm -rf $(VENV) out build dist *.egg-info .pytest_cache .ruff_cache

$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or later found: install one, or run make PYTHON=/path/to/python3"; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { echo "cannot make $(VENV): on Debian and Ubuntu, apt-get install python3-venv"; exit 2; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv || echo "uv is not to be had; using pip"
	@touch $@

$(VENV)/.installed-demo: $(VENV)/.made $(INPUTS)
	@echo "installing into $(VENV) ..."
	@$(call install,-e '.[plot]')
	@touch $@

$(VENV)/.installed-live: $(VENV)/.made $(INPUTS)
	@echo "installing into $(VENV) ..."
	@$(call install,-e '.[ui]')
	@touch $@

# tinysoundfont goes in alone because it declares pyaudio, which does not build without PortAudio's headers.
$(VENV)/.installed-all: $(VENV)/.made $(INPUTS)
	@echo "installing into $(VENV) ..."
	@$(call install,-e '.[plot$(comma)train$(comma)cluster$(comma)audio$(comma)midi$(comma)osc$(comma)ui$(comma)released$(comma)docs$(comma)dev]')
	@$(call install,--no-deps tinysoundfont)
	@touch $@ $(VENV)/.installed-demo $(VENV)/.installed-live

comma := ,
