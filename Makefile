# What a person does with this project. Everything is installed below .venv and .tools, and nowhere else but for
# Debian's packages, which `make tools` installs when it may.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test lint types format tools lock clean bench bench-collect bench-latency compat soak soak-compare formal

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

# The environment is made anew when its locked packages change. Debian ships python3 without ensurepip, hence the hint.
$(VENV)/.made-%: requirements/%.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) 2>/dev/null || sh scripts/need-venv "$(PYTHON)" "$(VENV)"
	@$(BIN)/python -c 'import sys; sys.exit("jettison needs Python 3.11 or newer: make PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/$*.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(VENV)/.made-runtime ## run the main job on a sample registry in a temporary folder
	@$(BIN)/jettison demo

test: $(VENV)/.made-dev tools ## run all tests, real registries and a docker engine among them
	$(BIN)/python -m pytest -n 2 --dist loadgroup $(TESTS)

lint: $(VENV)/.made-dev ## check style, types and the direction of dependencies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.made-dev ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

tools: ## install the real registries and programs that the tests use, where that is possible
	@sh scripts/install-tools

bench: $(VENV)/.made-dev tools ## run the benchmarks; they print ratios
	$(BIN)/python -m benchmarks.plan_api
	$(BIN)/python -m benchmarks.policy

bench-collect: $(VENV)/.made-dev tools ## compare collecting with the registry's own collector, find and rm
	$(BIN)/python -m benchmarks.collect

bench-latency: $(VENV)/.made-dev tools ## compare pushes and pulls with and without the online collector beside them
	$(BIN)/python -m benchmarks.latency

compat: $(VENV)/.made-dev tools ## compare collections with the registry's own on TREES=1000 random trees
	JETTISON_COMPAT_TREES=$(or $(TREES),1000) $(BIN)/python -m pytest -n 2 -rP tests/compat

soak: $(VENV)/.made-dev tools ## run load on real registries while our collector works and is killed: MINUTES=60
	$(BIN)/python -m tests.soak.soak --minutes $(or $(MINUTES),2)

soak-compare: $(VENV)/.made-dev tools ## run the same load with the registry's own collector, and count what it loses
	$(BIN)/python -m tests.soak.soak --minutes $(or $(MINUTES),2) --collector registry

formal: $(VENV)/.made-dev tools ## check the models of collecting while the registry serves
	$(BIN)/python -m formal.check

lock: $(VENV)/.made-dev ## pin the newest allowed versions of all packages
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --no-emit-index-url --no-header --no-annotate --generate-hashes --upgrade pyproject.toml --extra docker --extra kubernetes --group build -o requirements/runtime.txt
	$(BIN)/uv pip compile --quiet --universal --no-emit-index-url --no-header --no-annotate --generate-hashes --upgrade pyproject.toml --extra docker --extra kubernetes --group build --group dev -o requirements/dev.txt

clean: ## remove everything that was installed or generated here
	rm -rf $(VENV) .tools .hypothesis .mypy_cache .pytest_cache .ruff_cache
