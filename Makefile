# Two commands: `make book` renders the book, `make test` checks everything. `make help` lists the rest.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help book test lint unit notebooks site pdf linkcheck bench lock doctor clean env

help: ## list the commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

env: $(STAMP) ## create .venv and install the pinned packages

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and f"Python >= 3.11 is needed, {sys.executable} is {v.major}.{v.minor}: call make PYTHON=/path/to/python3.11")'
	@[ -x $(BIN)/python ] || { echo "creating $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "installing the packages of requirements.lock (some minutes the first time)"
	@$(BIN)/python -m pip install --quiet --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

book: $(STAMP) ## run every notebook at tier quick (cached), then render the book
	@$(BIN)/msig book

test: lint unit notebooks ## lint, unit tests, and every notebook executed twice at tier smoke
	@echo "make test: everything passed"

lint: $(STAMP) ## ruff and codespell over code, prose and notebooks
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/codespell

unit: $(STAMP) ## pytest
	@$(BIN)/python -m pytest

notebooks: $(STAMP) ## papermill runs each notebook at tier smoke, nbval runs the result again
	@$(BIN)/msig check

site: $(STAMP) ## every page of the rendered book in a browser (after make book)
	@[ -f _build/book/index.html ] || { echo "there is no rendered book: make book"; exit 1; }
	@MSIG_SITE_BOOK=_build/book $(BIN)/python -m pytest tests/site/test_pages.py

pdf: $(STAMP) ## the rendered book as one file, _build/book.pdf (after make book)
	@$(BIN)/msig pdf

linkcheck: $(STAMP) ## ask every address that the rendered book links to (needs a network)
	@$(BIN)/msig linkcheck

bench: $(STAMP) ## speed as ratios against a peer in the same process
	@$(BIN)/python -m tests.benchmarks

doctor: $(STAMP) ## is this machine ready, and if not, what to do
	@$(BIN)/msig doctor

lock: ## write requirements.lock and environment.yml from what is installed in the virtual environment
	@$(BIN)/python tools/lock.py

clean: ## remove the rendered book (the run cache stays; `msig runs prune` empties it)
	@rm -rf _build
