# Every target is a line or two; the programs behind them explain themselves.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CRD := crds/modeldeployments.serving.modeldeploy.io.yaml
SOURCES := operator/src runtime/src router/src devcluster/src
LOCK := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--override requirements/overrides.txt --custom-compile-command "make lock" --quiet
PURE := operator/src/modeldeploy_operator/analysis/*,operator/src/modeldeploy_operator/rollout/*,operator/src/modeldeploy_operator/resource/*,operator/src/modeldeploy_operator/manifests/*

# The tests reach into the cluster's network and stop its components: they never run on Docker.
test test-long: export MODELDEPLOY_CLUSTER = embedded

help: ## Show the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.installed ## Make the virtual environment from the locked requirements.
$(VENV)/.installed: requirements/dev.lock operator/pyproject.toml runtime/pyproject.toml router/pyproject.toml devcluster/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "modeldeploy needs Python 3.11 or newer; name one with: make PYTHON=python3.11 $(MAKECMDGOALS)")'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "Python's venv module is missing; install it with: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	sed -n '/^uv==/,/^ *# via/p' requirements/dev.lock > $(VENV)/uv.lock
	$(BIN)/pip install --quiet --require-hashes --requirement $(VENV)/uv.lock
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --compile-bytecode --require-hashes requirements/dev.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e operator -e runtime -e router -e devcluster
	@touch $@

lint: setup ## Check style, layers and types.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy $(SOURCES) tests

check: lint ## The quick gate: lint, house, unit and scenario tests, coverage of the pure rooms.
	$(BIN)/coverage run -m pytest tests/house tests/unit tests/scenario
	$(BIN)/coverage report --include='$(PURE)'

contract: setup ## The wires: every program against real peers, on this machine.
	$(BIN)/pytest tests/contract -m "not long"

test: check contract ## The quick gate, the wires, and at most ten minutes of a real cluster.
	$(BIN)/devcluster up
	$(BIN)/devcluster images runtime operator router s3
	$(BIN)/pytest tests/cluster -m "cluster and not long"

test-long: check contract ## Every cluster scenario and long simulation; writes docs/evidence/. PARTS="contract benchmarks" runs less.
	$(BIN)/devcluster up
	$(BIN)/devcluster images runtime operator router s3
	$(BIN)/python tests/evidence.py $(PARTS)

demo: setup ## Run the main job on a cluster: two versions of a model, and a canary between them.
	$(BIN)/python examples/demo

demo-down: setup ## Remove the demo and its cluster, and leave nothing behind.
	$(BIN)/devcluster down

images: setup ## Build the images; with PUSH=REGISTRY TAG=TAG also push them there, under one tag.
	$(BIN)/devcluster images runtime operator router $(if $(PUSH),--push $(PUSH)) $(if $(TAG),--tag $(TAG))

generate: setup ## Write anew what is generated: the CRD, the chart's copy, protos, diagrams.
	$(BIN)/python -m modeldeploy_operator.resource.crd $(CRD) charts/modeldeploy/$(CRD)
	$(BIN)/python -m modeldeploy_runtime.protos.generate
	$(BIN)/ruff format --quiet .
	$(BIN)/pytest --quiet tests/house/test_docs.py --update-golden

lock: setup ## Lock the dependencies anew: versions and hashes, no addresses.
	$(LOCK) operator/pyproject.toml -o requirements/operator.lock
	$(LOCK) --extra otel runtime/pyproject.toml -o requirements/runtime.lock
	$(LOCK) --extra otel operator/pyproject.toml runtime/pyproject.toml requirements/dev.in -o requirements/dev.lock

.PHONY: help setup lint check contract test test-long demo demo-down images generate lock
