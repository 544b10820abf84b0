PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
INSTALL := $(UV) pip install --quiet --compile-bytecode --python $(BIN)/python
COMPILE := $(UV) pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-header

.DEFAULT_GOAL := help
.PHONY: help up down demo test bench faults lint format lock

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: $(VENV)/.local ## Start Kafka, PostgreSQL and the four services (FRESH=1: from nothing; ARGS=--detach: in the background)
	@$(BIN)/tocsin up $(if $(FRESH),--fresh) $(ARGS)

down: $(VENV)/.local ## Stop what `make up` started
	@$(BIN)/tocsin down $(ARGS)

demo: $(VENV)/.local ## Play an outage through the local stack
	@$(BIN)/tocsin demo $(ARGS)

test: $(VENV)/.dev ## Run the tests on a real Kafka and a real PostgreSQL (ARGS="tests/unit -x")
	@$(BIN)/python -m pytest $(ARGS)

bench: $(VENV)/.dev ## Measure the stack under load (ARGS="--against COMMIT", ARGS=--help)
	@$(BIN)/python -m tests.bench $(ARGS)

faults: $(VENV)/.dev ## Break everything many times under load and look whether the invariants hold (ARGS="-k broker")
	@$(BIN)/python -m pytest tests/faults --long -vs --durations=0 -o faulthandler_timeout=900 $(ARGS)

lint: $(VENV)/.dev ## Check style, types and who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict shared services deploy tests
	$(BIN)/lint-imports

format: $(VENV)/.dev ## Mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(VENV)/.dev ## Resolve all dependencies anew and write the hashed requirement files
	echo uv | $(COMPILE) --upgrade - --output-file requirements/uv.txt
	$(COMPILE) --upgrade pyproject.toml --output-file requirements/runtime.txt
	$(COMPILE) --upgrade pyproject.toml --extra local -c requirements/runtime.txt --output-file requirements/local.txt
	$(COMPILE) --upgrade pyproject.toml --extra local --extra dev -c requirements/local.txt --output-file requirements/dev.txt
	$(BIN)/python -m deploy.local.jars

# the stamps: once an environment is as its requirement files say, nothing is fetched and nothing takes time
$(VENV)/.uv: requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; name one: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	@echo "Making $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/uv.txt
	@touch $@

$(VENV)/.local: $(VENV)/.uv requirements/local.txt pyproject.toml
	@echo "Installing the local stack"
	@$(INSTALL) --require-hashes --requirement requirements/local.txt
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.local requirements/dev.txt
	@echo "Installing the development tools"
	@$(INSTALL) --require-hashes --requirement requirements/dev.txt
	@touch $@
