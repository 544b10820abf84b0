PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
INSTALL := $(UV) pip install --quiet --compile-bytecode --python $(BIN)/python
COMPILE := $(UV) pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-header

.DEFAULT_GOAL := help
.PHONY: help up down demo test bench faults contracts images containers licences audit lint format lock manifests kubernetes rehearse

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: $(VENV)/.local ## Start Kafka, PostgreSQL and the four services (FRESH=1: discard all data; ARGS=--detach: in the background)
	@$(BIN)/tocsin up $(if $(FRESH),--fresh) $(ARGS)

down: $(VENV)/.local ## Stop what `make up` started
	@$(BIN)/tocsin down $(ARGS)

demo: $(VENV)/.local ## Play an outage on the local stack
	@$(BIN)/tocsin demo $(ARGS)

test: $(VENV)/.dev ## Run the tests on a real Kafka and a real PostgreSQL (ARGS="tests/unit -x")
	@$(BIN)/python -m pytest $(ARGS)

bench: $(VENV)/.dev ## Measure the stack under load (ARGS="--against COMMIT", ARGS=--help)
	@$(BIN)/python -m tests.bench $(ARGS)

faults: $(VENV)/.dev ## Inject faults under load and check the invariants (ARGS="-k broker")
	@$(BIN)/python -m pytest tests/faults --long -vs --durations=0 -o faulthandler_timeout=900 $(ARGS)

contracts: $(VENV)/.dev ## Write docs/contracts and docs/telemetry.md from the code (ARGS=--release: for a release)
	@$(BIN)/python -m deploy.contracts.generate $(ARGS)

images: $(VENV)/.supply-chain ## Build an image for each service with buildah (ARGS="--debian --save dist", ARGS=--help)
	@$(BIN)/python -m deploy.images.build $(ARGS)

# Images of this Debian's packages; so it needs no image registry, but root, buildah, mmdebstrap, docker.io and skopeo.
containers: $(VENV)/.supply-chain ## Build the images and run the tests of containers in a Docker daemon of their own
	@$(BIN)/python -m deploy.images.build --debian
	@$(BIN)/python -m deploy.images.build --debian kafka postgres
	@TOCSIN_TEST_KAFKA_IMAGE=tocsin-kafka TOCSIN_TEST_POSTGRES_IMAGE=tocsin-postgres TOCSIN_TEST_IMAGES=tocsin-{} \
	  deploy/images/with-docker $(BIN)/python -m pytest --stack=containers $(ARGS)

licences: $(VENV)/.dev ## List the licences of all dependencies in docs/licences.md, and check them
	@$(BIN)/python -m deploy.supply_chain.licences

audit: $(VENV)/.supply-chain ## Look all dependencies up among known vulnerabilities
	@$(BIN)/python -m deploy.supply_chain.audit

manifests: $(VENV)/.dev ## Write the Kubernetes manifests that follow from the code (topics, Kafka users, alert rules; ARGS=POLICY_FOLDER)
	@$(BIN)/python -m deploy.kubernetes.generate $(ARGS)

kubernetes: $(VENV)/.kubernetes ## Check the Kubernetes manifests of all overlays
	@$(BIN)/python -m pytest tests/kubernetes tests/unit/deploy/kubernetes $(ARGS)

rehearse: $(VENV)/.supply-chain ## Run Tocsin in a real Kubernetes on this machine and disturb it (root; ARGS=--help)
	@$(BIN)/python -m deploy.kubernetes.rehearsal rehearse $(ARGS)

lint: $(VENV)/.dev ## Check style, types and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict shared services deploy tests
	$(BIN)/lint-imports

format: $(VENV)/.dev ## Fix what ruff can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(VENV)/.dev ## Resolve all dependencies again and write the hashed requirement files
	echo uv | $(COMPILE) --upgrade - --output-file requirements/uv.txt
	$(COMPILE) --upgrade pyproject.toml --output-file requirements/runtime.txt
	$(COMPILE) --upgrade pyproject.toml --extra local -c requirements/runtime.txt --output-file requirements/local.txt
	$(COMPILE) --upgrade pyproject.toml --extra local --extra dev -c requirements/local.txt --output-file requirements/dev.txt
	$(COMPILE) --upgrade pyproject.toml --extra local --extra dev --extra supply-chain -c requirements/dev.txt --output-file requirements/supply-chain.txt
	$(COMPILE) --upgrade pyproject.toml --extra local --extra dev --extra kubernetes -c requirements/dev.txt --output-file requirements/kubernetes.txt
	echo hatchling | $(COMPILE) --upgrade -c requirements/local.txt - --output-file requirements/wheel.txt
	$(BIN)/python -m deploy.local.jars

# Stamp files: an environment that matches its requirement files is not installed again.
$(VENV)/.uv: requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is required; select one with: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	@echo "Creating $(VENV)"
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

$(VENV)/.kubernetes: $(VENV)/.dev requirements/kubernetes.txt
	@echo "Installing the checks of Kubernetes manifests"
	@$(INSTALL) --require-hashes --requirement requirements/kubernetes.txt
	@touch $@

$(VENV)/.supply-chain: $(VENV)/.dev requirements/supply-chain.txt
	@echo "Installing the tools of the supply chain"
	@$(INSTALL) --require-hashes --requirement requirements/supply-chain.txt
	@touch $@
