# make demo   three real models through LoadGen to a report   (downloads: about 92 MB of packages, 147 MB of assets)
# make test   the checks that CI runs                         (downloads: several hundred MB more, five frameworks)
# make bench  what the harness itself costs, against C++      (an hour; ARGS=--quick: two minutes)
# make clean  remove what the others made

PYTHON ?= python3
VENV   ?= .venv
ARGS   ?=

export HF_HUB_OFFLINE = 1
RUN := $(VENV)/bin/
PIP := $(RUN)python -m pip install --quiet --disable-pip-version-check
BESIDE := --numprocesses 2 --dist loadfile --no-loadscope-reorder
CHOSEN := not slow and not hardware and not network
BRIDGE := $(wildcard loadgen_harness/native/src/* loadgen_harness/native/*.sha256)

.DEFAULT_GOAL := help
.PHONY: help demo test bench clean

help:
	@grep '^# make' Makefile | cut -c 3-

demo: $(VENV)/.demo
	@$(RUN)lgh demo $(ARGS)

test: $(VENV)/.test
	@$(RUN)ruff check --quiet .
	@$(RUN)ruff format --quiet --check . || { echo 'run `ruff format .` on the files above.' >&2; exit 1; }
	@$(RUN)mypy --no-error-summary
	@$(RUN)python -m pytest -q $(BESIDE) -m "$(CHOSEN) and not alone" $(ARGS)
	@$(RUN)python -m pytest -q -m "$(CHOSEN) and alone" $(ARGS) || test $$? -eq 5  # 5: none of those that ARGS names

bench: $(VENV)/.bench
	@$(RUN)python -m tests.perf $(ARGS)

clean:
	rm -rf $(VENV) build dist *.egg-info lgh-demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -f loadgen_harness/native/_bridge.* loadgen_harness/native/_absent.txt
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.demo $(VENV)/.test $(VENV)/.bench: $(VENV)/.%: $(VENV)/bin/python setup.py pyproject.toml $(BRIDGE)
	@echo "installing loadgen-harness[$*] into $(VENV) (once, two or three minutes) ..."
	@$(PIP) --editable '.[$*]'
	@touch $@

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || \
	  { echo "$(PYTHON) is not there: install Python 3.11, 3.12 or 3.13, or run make PYTHON=/path/to/python3.12." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "$(PYTHON) is not Python 3.11, 3.12 or 3.13: run make PYTHON=python3.12 (or another of those)." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "$(PYTHON) lacks the venv module: install it (Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
