# make serve: install, build the index where needed, serve. make test: every test. make check: all that CI runs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: serve index test check format bench bench-peers bench-postgres bench-scale fuzz soak eval screenshots clean

serve: $(VENV)/.installed
	$(BIN)/qa index
	$(BIN)/qa serve $(if $(PORT),--port $(PORT))

index: $(VENV)/.installed
	$(BIN)/qa index

test: $(VENV)/.dev $(VENV)/.axe
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

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks.speed $(BENCH_ARGS)

# BENCH_ARGS="--questions FILE --documents DIR": your own files, questions in SQuAD's format.
bench-peers: $(VENV)/.bench
	$(BIN)/python -m benchmarks.peers $(BENCH_ARGS)

# BENCH_ARGS="1000 10000": other sizes than up to a million passages.
bench-scale: $(VENV)/.bench
	$(BIN)/python -m benchmarks.scale $(BENCH_ARGS)

# 100,000 inputs to each parser of our own, and 2,280 requests made up from openapi.json
fuzz: $(VENV)/.dev
	FUZZ_EXAMPLES=100000 SCHEMA_EXAMPLES=120 $(BIN)/python -m pytest -q -n 2 \
	    tests/app/test_parsers.py tests/app/test_schema.py

# writes docs/reliability.md; a short run that writes nothing: python -m benchmarks.soak --seconds 20
soak: $(VENV)/.dev
	$(BIN)/python -m benchmarks.soak --publish

# The store in PostgreSQL beside the local one, 100,000 made-up passages; takes some minutes.
bench-postgres: $(VENV)/.dev
	$(BIN)/python -m benchmarks.postgres $(ROWS)

# EVAL_DATA: a folder with the question sets; without it only the shipped corpus is measured.
eval: $(VENV)/.dev
	$(BIN)/python -m benchmarks.quality $(EVAL_DATA) $(EVAL_ARGS)

screenshots: $(VENV)/.dev
	SCREENSHOTS=docs $(BIN)/python -m pytest -q tests/app/test_browser_screenshots.py

clean:
	rm -rf $(VENV) .peers index dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "pip>=25.1"

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[documents]'
	touch $@

$(VENV)/.bench: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group bench
	touch $@

# The accessibility checks of the browser tests; they say so when they skip for want of npm.
$(VENV)/.axe: | $(VENV)/bin/python
	command -v npm >/dev/null || exit 0; npm install --prefix $(VENV)/axe --ignore-scripts \
		--no-audit --no-fund --silent axe-core@4.11.0
	touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group dev
	-$(BIN)/python tests/postgres.py
	touch $@
