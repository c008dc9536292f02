# Two commands do everything on a fresh machine with Python 3.11+ and make: `make demo` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# ministack and aiobotocore pin a botocore of their own, so they live beside us: tests find them in this folder.
OTHERS := $(VENV)/others

.DEFAULT_GOAL := help
.PHONY: help demo up test check lint types bench docs lock clean

help: ## list what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-8s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"Python 3.11 or newer is needed; {sys.executable} is {v.major}.{v.minor}. Set PYTHON=/path/to/python3.")'
	@$(PYTHON) -m venv $(VENV) || { echo "This Python has no venv module: install it (Debian, Ubuntu: apt-get install python3-venv)."; exit 1; }
	@echo "installing into $(VENV) (locked versions, checked hashes)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(OTHERS)/.installed: $(STAMP) tests/others/requirements.lock
	@$(PYTHON) -m venv $(OTHERS)
	@echo "installing what tests deploy to into $(OTHERS)"
	@$(OTHERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tests/others/requirements.lock
	@touch $@

demo: $(STAMP) ## the main job on real input: ten appointments, delivered on time
	@$(BIN)/duestream demo

up: $(STAMP) ## serve examples/appointments.py on http://127.0.0.1:8787
	@$(BIN)/duestream up examples/appointments.py

test: $(STAMP) $(OTHERS)/.installed lint types ## everything CI runs
	$(BIN)/pytest -n 2 --dist worksteal

check: $(STAMP) lint types ## the gate of every commit: ruff, mypy, floors, fast tests
	$(BIN)/pytest -q -m "not slow" -n 2

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

bench: $(STAMP) ## measure: writes, lateness, start-up, memory (minutes)
	$(BIN)/python benchmarks/run.py

docs: $(STAMP) ## check that what the docs name exists
	$(BIN)/pytest -q tests/unit/test_docs.py

lock: $(STAMP) ## pin every dependency with its hashes
	$(BIN)/pip-compile --quiet --strip-extras --extra dev --generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --allow-unsafe --output-file requirements.lock pyproject.toml
	@cd tests/others && $(CURDIR)/$(BIN)/pip-compile --quiet --strip-extras --generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --allow-unsafe --output-file requirements.lock requirements.in

clean: ## remove what was installed and built
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
