# make serve: install, build the index where needed, serve. make test: every test. make check: all that CI runs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: serve index test check format bench eval screenshots clean

serve: $(VENV)/.installed
	$(BIN)/qa index
	$(BIN)/qa serve $(if $(PORT),--port $(PORT))

index: $(VENV)/.installed
	$(BIN)/qa index

test: $(VENV)/.dev
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(MAKE) test

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks.speed

# EVAL_DATA: a folder with the question sets; without it only the shipped corpus is measured.
eval: $(VENV)/.dev
	$(BIN)/python -m benchmarks.quality $(EVAL_DATA) $(EVAL_ARGS)

screenshots: $(VENV)/.dev
	SCREENSHOTS=docs $(BIN)/python -m pytest -q tests/app/test_browser.py -k "opens_its_source or shows_what_is_near"

clean:
	rm -rf $(VENV) index dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "pip>=25.1"

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[documents]'
	touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group dev
	touch $@
