# Stepwell: `make help` lists what there is. Everything lands in .venv and dashboard/; nothing needs root.

.DEFAULT_GOAL := help
SHELL := /bin/sh
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

# The first Python of at least 3.11; `make PYTHON=/path/to/python …` names another.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { command -v "$$p"; break; }; done)
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PYTHONUNBUFFERED := 1

UV := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command "make lock" \
	--no-emit-package stepwell --no-emit-package stepwell-operator --no-emit-package stepwell-dashboard

.PHONY: help
help: ## Say what there is
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Make .venv and build the dashboard's page; quick when nothing changed
	@if [ -z "$(PYTHON)" ]; then \
		echo "Stepwell needs Python 3.11 or newer, and found none on the PATH. Install it (on Debian and Ubuntu:" >&2; \
		echo "apt-get install python3 python3-venv), or name one: make $(or $(MAKECMDGOALS),setup) PYTHON=/path/to/python3.11" >&2; exit 1; fi
	@"$(PYTHON)" requirements/setup.py

.PHONY: demo
demo: setup ## Run everything with a demo shop; prints the dashboard's address; Ctrl-C stops it
	@exec $(BIN)/python examples/shop/demo.py

.PHONY: test
test: setup ## Run all the tests, those on a real Kubernetes API server included
	@PYTHONPATH=tests $(BIN)/python -m kube.assets
	@PYTHONPATH=tests $(BIN)/python -m kube.helm
	@npm --prefix dashboard/ui run --silent test
	@$(BIN)/pytest $(ARGS)

.PHONY: check
check: setup ## Format, lint, types and import contracts
	@failed=; run() { echo "check: $$*" >&2; "$$@" || failed="$$failed\n  $$*"; }; \
	run ruff format --check --quiet .; \
	run ruff check --quiet .; \
	run lint-imports --no-logo; \
	run mypy; \
	run npm --prefix dashboard/ui run --silent check; \
	if [ -n "$$failed" ]; then printf "These found something:$$failed\n" >&2; exit 1; fi

.PHONY: format
format: setup ## Write the format that `make check` asks for
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format --quiet .

.PHONY: generate
generate: setup ## Write what is generated: CRDs, the chart's CRDs and schema, OpenAPI and the page's types, the state diagram
	@$(BIN)/python requirements/generate.py

.PHONY: verify
verify: setup ## Fail if anything generated differs from its source
	@$(BIN)/python requirements/generate.py --check

.PHONY: bench
bench: setup ## Measure throughput and latency; PEERS=1 installs other systems outside .venv and measures them beside it
	@$(BIN)/python -m benchmarks $(if $(PEERS),--peers) $(ARGS)

.PHONY: lock
lock: setup ## Write requirements/*.lock anew from the *.in files and the three pyproject.toml; UPGRADE=1 takes newer versions
	@for name in runtime dev build node go; do \
		echo "locking $$name" >&2; \
		$(UV) $(if $(UPGRADE),--upgrade) requirements/$$name.in -o requirements/$$name.lock || exit 1; done

.PHONY: clean
clean: ## Remove everything that the other targets made
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .stepwell dist
	rm -rf dashboard/ui/node_modules dashboard/src/stepwell_dashboard/page
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
