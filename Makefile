# make help lists the targets. Each installs what it needs and lacks; nothing is installed by make alone.

SHELL := /bin/bash
BIN := .venv/bin
# .venv is made anew where it is of another Python than PYTHON names.
READY := .venv/.ready$(addprefix -,$(notdir $(PYTHON)))
# Jupyter asks root to say so.
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)
# CI uses no result of mypy twice, and to store them costs a tenth of mypy's time.
MYPY_ONCE := $(if $(CI),--cache-dir /dev/null)

.PHONY: help demo lab worker test test-fast test-es9 test-lowest test-loaded lint style types programs format bench docs pictures constraints clean
.DEFAULT_GOAL := help

help: ## List the targets
	@sed -nE 's/^([a-z0-9-]+):[^#]*## (.*)/make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

demo: $(READY) ## Show the library at work on the sample, with no server
	$(BIN)/python -m frontierlab.demo

lab: $(READY) ## Open the quick start in JupyterLab
	$(BIN)/jupyter lab --ip=localhost $(AS_ROOT) notebooks/quickstart.ipynb

worker: $(READY) ## Run jobs: a worker, and a Redis where the settings name no broker, until Ctrl-C
	@scripts/setup.sh redis
	$(BIN)/python -m frontierlab.jobs

test: ## Check everything: lint and all tests, with real services
	@$(MAKE) --no-print-directory --jobs=2 style programs
	@scripts/setup.sh redis
	$(BIN)/python scripts/run_tests.py make --no-print-directory types

test-fast: export TEST_FAST = 1
test-fast: export PYTHONDONTWRITEBYTECODE =
test-fast: $(READY) ## Run the tests that need no service, with a tenth of the random examples, in a minute and a half
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not (elasticsearch or redis or worker or spark or browser or jupyter or slow)"

test-es9: export TEST_ES_VERSION = 9.4.3
test-es9: $(READY) ## Run the tests that need Elasticsearch with version 9 (needs a JDK 21 or newer)
	@scripts/setup.sh java redis maven chromium
	$(BIN)/python -m tests.services.releases
	$(BIN)/python -m pytest -m elasticsearch

test-lowest: $(READY) ## Run all tests with the lowest versions that setup.cfg allows
	@scripts/setup.sh java redis maven chromium
	$(BIN)/python -m tests.services.releases
	scripts/lowest.sh
	.venv-lowest/bin/python scripts/run_tests.py

test-loaded: $(READY) ## Run the tests of Spark, JupyterLab and jobs three times on a machine that is kept busy
	@scripts/setup.sh java redis maven chromium
	$(BIN)/python -m tests.services.releases
	$(BIN)/python scripts/loaded.py

lint: style types ## Check style, types and the order of rooms

style: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(READY)
	$(BIN)/mypy $(MYPY_ONCE)
	$(BIN)/lint-imports --no-logo

# What tests need besides .venv, and can be installed while that is made.
programs:
	@scripts/setup.sh java maven chromium

format: $(READY) ## Put the code into its form
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(READY) ## Measure extraction from a real Elasticsearch, caching figures, jobs, filters, engines and periods
	@scripts/setup.sh java maven
	$(BIN)/python -m benchmarks.extraction
	$(BIN)/python -m benchmarks.overview
	$(BIN)/python -m benchmarks.caching
	$(BIN)/python -m benchmarks.servlet_logs
	$(BIN)/python -m benchmarks.jobs
	$(BIN)/python -m benchmarks.filters
	$(BIN)/python -m benchmarks.engines
	$(BIN)/python -m benchmarks.questions
	$(BIN)/python -m benchmarks.explore
	$(BIN)/python -m benchmarks.periods

docs: $(READY) ## Build the documentation: docs/_build/index.html
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs docs/_build

pictures: $(READY) ## Take the pictures of the panels for docs/panels.md anew
	@scripts/setup.sh java chromium
	$(BIN)/python scripts/pictures.py

constraints: ## Write constraints.txt anew, with today's versions
	scripts/constraints.sh

clean: ## Remove what these targets made: environment, downloads, caches
	rm -rf .venv .venv-lowest .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
	rm -rf spark-warehouse metastore_db derby.log
	find . -name __pycache__ -prune -exec rm -rf {} +

$(READY): setup.cfg pyproject.toml constraints.txt scripts/setup.sh
	@scripts/setup.sh python
	@touch $@
