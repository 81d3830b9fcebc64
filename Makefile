# make demo and make test do all the set-up that they need, on a fresh clone.
PYTHON ?= python3
VENV ?= .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
TRAIN := $(VENV)/.installed-train
DEV := $(VENV)/.installed-dev
ARGS ?=

.PHONY: help demo setup test check format docs tables bench catalogue soak clean

help:            ## this list
	@grep -E '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /	/' | expand -t 12

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25"  # older ones take minutes to resolve

$(TRAIN): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable ".[train]"
	@touch $@

$(DEV): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable ".[all,dev]"
	@touch $@ $(TRAIN)

demo: $(TRAIN)   ## install what training needs, then train, measure and predict on the embedded data
	@$(BIN)/python -m olhar demo

setup: $(DEV)    ## install every extra and the tools

# One file is quicker without other processes. Byte code is kept: each process that a test starts
# would compile olhar again.
unexport PYTHONDONTWRITEBYTECODE
SIDE_BY_SIDE := $(if $(filter 1,$(words $(filter tests/%,$(ARGS)))),,--numprocesses auto --dist loadfile --no-loadscope-reorder)
test: $(DEV)     ## the tests; ARGS="-k word" for some of them
	$(BIN)/python -m pytest -m "not soak" $(SIDE_BY_SIDE) $(ARGS)

check: $(DEV)    ## format, lint, strict types, the import rule, docs
	$(BIN)/python -m ruff format --check src tests benchmarks tools
	$(BIN)/python -m ruff check src tests benchmarks tools
	$(BIN)/python -m mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/circles.py
	$(BIN)/python -m pytest -q tests/test_docs.py

format: $(DEV)   ## mend format and lint
	$(BIN)/python -m ruff format src tests benchmarks tools
	$(BIN)/python -m ruff check --fix src tests benchmarks tools

docs: $(DEV)     ## the documentation as a site, in both languages, in build/site
	$(BIN)/python tools/build_docs.py

tables: $(DEV)   ## the documentation's tables of settings, from the declarations
	$(BIN)/python tools/settings_tables.py

bench: $(DEV)    ## every table of docs/benchmarks.md anew, measured on this machine: hours, at rest
	$(BIN)/python benchmarks/peers.py --markdown
	$(BIN)/python benchmarks/scaling.py --markdown
	$(BIN)/python benchmarks/training_loop.py --markdown
	$(BIN)/python benchmarks/contention.py --markdown
	$(BIN)/python benchmarks/predicting.py --markdown
	$(BIN)/python benchmarks/serving.py --markdown
	$(BIN)/python benchmarks/photos.py --json .bench/photos.json --markdown
	$(BIN)/python benchmarks/web.py --markdown
	$(BIN)/python benchmarks/boards.py --markdown

# Written by Babel's functions: pybabel compile takes "95% interval" for a printf format.
catalogue: $(DEV) ## gather the texts, and compile what is translated
	mkdir -p build
	$(BIN)/pybabel -q extract -k _ --no-location --sort-output --width 100 --project olhar -o build/olhar.pot src/olhar
	$(BIN)/pybabel -q update -i build/olhar.pot -d src/olhar/locales -D olhar -l pt_BR --width 100 --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date
	$(BIN)/python -c "from babel.messages import mofile, pofile; p='src/olhar/locales/pt_BR/LC_MESSAGES/olhar'; mofile.write_mo(open(p + '.mo', 'wb'), pofile.read_po(open(p + '.po', 'rb'), locale='pt_BR'))"

soak: $(DEV)     ## the long proofs; results are kept in docs/experiments.md
	$(BIN)/python -m pytest -m soak $(ARGS)

clean:           ## remove what make made
	rm -rf $(VENV) build dist src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
