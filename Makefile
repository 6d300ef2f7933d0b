# Everything here stays inside the checkout: the virtual environment in .venv, Airflow's home in .airflow.
# Needed on the machine: make, and Python 3.11, 3.12 or 3.13 with its venv module.
#
#   make test PYTHON=/opt/python3.13/bin/python3      another interpreter (for a new .venv)
#   make test ARGS="-k manifest"                      arguments for pytest
#   make test PROCESSES=1                             so many tests at a time
#   make bench ENTRIES=100000 ARGS="--pairs 3"        arguments for the benchmark

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help demo ui screenshots test test-executors lint format matrix lock bench bench-parse bench-history bench-backfill clean

VENV := .venv
EXECUTORS_VENV := .venv-executors
BIN := $(VENV)/bin
ENTRIES ?= 100000
PROCESSES ?= 2
ARGS ?=
PIP_QUIET := --quiet --quiet --no-input

AIRFLOW_HOME := $(CURDIR)/.airflow
export AIRFLOW_HOME
export PIP_DISABLE_PIP_VERSION_CHECK := 1

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST)

demo: $(VENV)/.installed ## export, prepare and synchronize the sample data with Airflow, and show the result
	$(BIN)/python scripts/demo.py $(ARGS)

ui: $(VENV)/.installed ## a local Airflow with the sample jobs, to look around: http://localhost:8080
	@$(BIN)/python scripts/ui.py $(ARGS)

screenshots: $(VENV)/.installed-dev ## take the pictures of docs/images anew (needs Chromium)
	$(BIN)/python scripts/screenshots.py $(ARGS)

test: $(VENV)/.installed-dev ## run all tests
	$(BIN)/python -m pytest -n $(PROCESSES) --dist loadscope $(ARGS)

# Their own environment: what the executors and the S3 storage bring along does not fit what development has.
test-executors: $(EXECUTORS_VENV)/.installed ## run one job with three executors, on several machines (needs redis-server)
	$(EXECUTORS_VENV)/bin/python -m pytest tests/executors $(ARGS)

lint: $(VENV)/.installed-dev ## check style and types
	@status=0; for check in "ruff check ." "ruff format --check ." "mypy"; do \
		echo "$$check"; $(BIN)/$$check || status=1; done; exit $$status

format: $(VENV)/.installed-dev ## put the code into the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# dlt is a baseline alone: it and what it needs stay out of the environment.
bench: $(VENV)/.installed-dev ## measure every step beside others: ENTRIES=100000
	@test -d .bench/dlt || $(BIN)/python -m pip install $(PIP_QUIET) --target .bench/dlt "dlt[postgres]==1.31.0" \
		|| echo "dlt could not be installed; the benchmark goes on without it"
	$(BIN)/python -m benchmarks.run --entries $(ENTRIES) $(ARGS)

# dag-factory stays out of the environment: Airflow would load its plugin everywhere.
bench-parse: $(VENV)/.installed-dev ## measure the parsing of 300 jobs, beside DAGs by hand and dag-factory
	$(BIN)/python -m pip install $(PIP_QUIET) --no-deps --upgrade --target .bench/dag-factory dag-factory
	$(BIN)/python -m benchmarks.parse $(ARGS)

matrix: $(VENV)/.created ## run the Airflow-side tests with every version of Airflow and Python
	$(BIN)/python scripts/matrix.py $(ARGS)

bench-history: $(VENV)/.installed-dev ## measure what history costs a Complete with 1 % changes
	$(BIN)/python -m benchmarks.history $(ARGS)

bench-backfill: $(VENV)/.installed-dev ## backfill 90 days with a real scheduler, and compare each of their states
	$(BIN)/python -m benchmarks.backfill $(ARGS)

# The second file is a subset of the first: one version of everything, whatever is installed.
lock: ## resolve the dependencies again (needs uv)
	@command -v uv >/dev/null || { echo "make lock needs uv: https://docs.astral.sh/uv/" >&2; exit 1; }
	uv pip compile --quiet --universal --python-version 3.11 --no-annotate --custom-compile-command "make lock" \
		$(ARGS) --group dev pyproject.toml --output-file requirements-dev.lock
	uv pip compile --quiet --universal --python-version 3.11 --no-annotate --custom-compile-command "make lock" \
		--constraints requirements-dev.lock pyproject.toml --output-file requirements.lock
	cp requirements-dev.lock requirements-executors.lock   # the versions to prefer
	uv pip compile --quiet --universal --python-version 3.11 --no-annotate --custom-compile-command "make lock" \
		--group executors pyproject.toml --output-file requirements-executors.lock

clean: ## remove the virtual environment and everything that was made
	rm -rf $(VENV) $(EXECUTORS_VENV) .airflow .demo .bench .matrix .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find airflow_provider_idm benchmarks dags scripts tests -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

# A changed lock makes a new environment: what it no longer names must not stay behind.
$(VENV)/.created: requirements.lock requirements-dev.lock
	@sh scripts/make-venv.sh $(VENV) $(PYTHON)
	@touch $@

$(VENV)/.installed: $(VENV)/.created pyproject.toml
	@echo "Installing the locked packages (a few minutes the first time)"
	@$(BIN)/python -m pip install $(PIP_QUIET) --requirement requirements.lock
	@$(BIN)/python -m pip install $(PIP_QUIET) --no-deps --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo "Installing the locked development packages"
	@$(BIN)/python -m pip install $(PIP_QUIET) --requirement requirements-dev.lock
	@touch $@

$(EXECUTORS_VENV)/.installed: requirements-executors.lock pyproject.toml
	@sh scripts/make-venv.sh $(EXECUTORS_VENV) $(PYTHON)
	@echo "Installing the locked packages for the tests of the executors"
	@$(EXECUTORS_VENV)/bin/python -m pip install $(PIP_QUIET) --requirement requirements-executors.lock
	@$(EXECUTORS_VENV)/bin/python -m pip install $(PIP_QUIET) --no-deps --editable .
	@touch $@
