# Each target makes the virtual environment that it needs; Python 3.11 or newer and make are enough to begin.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV ?= .venv
BIN := $(VENV)/bin
SIZE ?= normal

.DEFAULT_GOAL := help
.PHONY: help demo run test check bench docs screenshots wheel clean

help: ## Say what there is
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 20

$(VENV)/.installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo 'mlops-tui needs Python 3.11 or newer on the PATH' >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo 'Installing into $(VENV), once; this takes a minute or two.'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(VENV)/.installed ## The dashboard on an embedded world
	@$(BIN)/mlops-tui demo

run: $(VENV)/.installed ## The dashboard on your own systems
	@$(BIN)/mlops-tui

test: $(VENV)/.installed ## Every test
	$(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile

check: $(VENV)/.installed ## Lint, format, types, import contracts, generated documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check

bench: $(VENV)/.installed ## The benchmarks, each a ratio to a yardstick in the same run (SIZE=large: the large world too)
	SIZE=$(SIZE) $(BIN)/python -m benchmarks

docs: $(VENV)/.installed ## Write the generated tables of README.md and docs/
	$(BIN)/python docs/generate.py

screenshots: $(VENV)/.installed ## Write the pictures of the README from the demo
	$(BIN)/python docs/screenshots.py

wheel: $(VENV)/.installed ## Build the wheel into dist/
	$(BIN)/python -m build --wheel

clean: ## Remove what make made
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
