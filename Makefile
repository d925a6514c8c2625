# All tasks in a clone of gigaledger. They need make and Python 3.11 or newer; the first target that needs
# anything else installs it into .tools/ and .venv/.
#
#   PYTHON=/path/to/python3   the Python to use instead of the first one on PATH
#   UV=/path/to/uv            the uv to use (0.13 or newer), instead of fetching it into .tools/
#   ARGS="..."                options for the program behind a target: make test ARGS="-k round_trip"

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

UV_VERSION := 0.13.9
UV ?= .tools/bin/uv
UV_IS_HERE := $(if $(filter file,$(origin UV)),.tools/uv-$(UV_VERSION))
ARGS ?=

# Use the Python of this machine, never one that uv would download.
export UV_PYTHON_DOWNLOADS := never
export UV_NO_PROGRESS := 1
unexport VIRTUAL_ENV

# The first Python on PATH that is new enough, evaluated only if a recipe uses it.
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11 python3.14; do \
	if $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	then command -v $$name; break; fi; done)

.PHONY: help
help: ## Show this list
	@echo 'Usage: make TARGET [ARGS="..."]'
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo: .venv/.installed ## Run a ledger with the example deal, show its figures, stop
	@.venv/bin/gigaledger demo $(ARGS)

.PHONY: up
up: .venv/.installed ## Run the ledger, its projections and a PostgreSQL until Ctrl-C
	@.venv/bin/gigaledger up $(ARGS)

.PHONY: test
test: check ## Check style and types, then run all tests
	@echo '== tests: rules, log, services, contract (pytest)'
	@.venv/bin/pytest $(ARGS)

.PHONY: coverage
coverage: .venv/.installed-for-development ## Run all tests and show the lines that they reach
	@rm -rf build/coverage && mkdir -p build/coverage
	@.venv/bin/pytest --cov --cov-report=term --cov-report=html $(ARGS)
	@echo 'Line by line: build/coverage/html/index.html'

.PHONY: bench
bench: .venv/.installed-for-benchmarks ## Measure speed next to other systems, into docs/
	@.venv/bin/python -m benchmarks --output docs $(ARGS)

.PHONY: check
check: .venv/.installed-for-development ## Check style, spelling, imports, contract and types, no tests
	@echo '== style (ruff check)'
	@.venv/bin/ruff check . || { echo '"make format" fixes what can be fixed automatically.'; exit 1; }
	@echo '== layout (ruff format)'
	@.venv/bin/ruff format --check . || { echo '"make format" fixes the layout.'; exit 1; }
	@echo '== spelling, and names that were replaced (codespell)'
	@.venv/bin/codespell || { echo 'The accepted name follows the arrow.'; exit 1; }
	@echo '== imports (import-linter)'
	@.venv/bin/lint-imports --no-cache --no-logo > .venv/imports.txt || { cat .venv/imports.txt; exit 1; }
	@echo '== contract (buf, generated code)'
	@.venv/bin/buf format --diff --exit-code proto || { echo '"make format" fixes the layout.'; exit 1; }
	@.venv/bin/python -m tests.contract.image .venv/contract.binpb
	@.venv/bin/buf lint .venv/contract.binpb --config buf.yaml --path gigaledger
	@.venv/bin/python proto/generate.py --check
	@echo '== types (mypy --strict)'
	@.venv/bin/mypy

.PHONY: format
format: .venv/.installed-for-development ## Format the code and fix simple faults
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .
	@.venv/bin/buf format -w proto

.PHONY: proto
proto: .venv/.installed-for-development ## Generate the Python side of the contract in proto/
	@.venv/bin/python proto/generate.py
	@echo 'The Python modules next to the .proto files are up to date.'

.PHONY: release-contract
release-contract: .venv/.installed-for-development ## Record the contract that later versions must not break
	@.venv/bin/python -m tests.contract.image proto/released.binpb
	@echo 'proto/released.binpb is written: commit it together with the release.'

.PHONY: setup
setup: .venv/.installed-for-development ## Install everything that development needs
	@echo 'Ready: .venv/bin/gigaledger --help'

.PHONY: lock
lock: $(UV_IS_HERE) ## Resolve all dependencies again (ARGS=--upgrade for the newest versions)
	$(UV) pip compile $(COMPILE) $(ARGS) pyproject.toml -o requirements.lock
	$(UV) pip compile $(COMPILE) $(ARGS) -c requirements.lock --extra local pyproject.toml \
		-o requirements-local.lock
	$(UV) pip compile $(COMPILE) $(ARGS) -c requirements-local.lock --extra local --group dev \
		pyproject.toml -o requirements-dev.lock
	$(UV) pip compile $(COMPILE) $(ARGS) -c requirements-dev.lock --group pyproject.toml:bench \
		-o requirements-bench.lock

# The lock files are for all platforms, with hashes and without the address of an index. The client comes
# from this repository.
COMPILE := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-annotate --no-header --no-emit-package gigaledger

.PHONY: clean
clean: ## Remove what was installed and generated here, but no data of ledgers
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- installation ---------------------------------------------------------------------------------

# The client and the server are installed as editable on top of the locked versions, with hashes checked.
# Their build tools come from requirements-dev.lock.
INSTALL_PROJECT = $(UV) pip install --quiet --python .venv --no-deps --no-sources \
	--build-constraints requirements-dev.lock --require-build-hashes --editable proto --editable .

.venv/.installed: requirements-local.lock pyproject.toml proto/pyproject.toml | .venv/pyvenv.cfg
	@echo 'Installing gigaledger into .venv/ ...'
	@$(UV) pip install --quiet --python .venv --require-hashes -r requirements-local.lock
	@$(INSTALL_PROJECT)
	@touch $@

.venv/.installed-for-development: requirements-dev.lock .venv/.installed
	@echo 'Installing the tools of development into .venv/ ...'
	@$(UV) pip sync --quiet --python .venv --require-hashes requirements-dev.lock
	@$(INSTALL_PROJECT)
	@touch $@

.venv/.installed-for-benchmarks: requirements-bench.lock .venv/.installed-for-development
	@echo 'Installing the peers of the benchmarks into .venv/ ...'
	@$(UV) pip install --quiet --python .venv --require-hashes -r requirements-bench.lock
	@touch $@

.venv/pyvenv.cfg: | $(UV_IS_HERE)
	@$(REQUIRE_PYTHON)
	@$(UV) venv --quiet --allow-existing --python "$(PYTHON)" .venv

.tools/uv-$(UV_VERSION):
	@$(REQUIRE_PYTHON)
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
		echo '$(PYTHON) cannot create virtual environments. On Debian and Ubuntu,'; \
		echo '"apt install python3-venv" adds what is missing. If you have uv: make UV=uv'; \
		exit 1; } >&2
	@echo 'Fetching uv $(UV_VERSION) into .tools/ ...'
	@rm -rf .tools
	@"$(PYTHON)" -m venv .tools
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION) || { \
		echo 'pip could not fetch uv: see the lines above.'; exit 1; } >&2
	@touch $@

REQUIRE_PYTHON = "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	echo 'gigaledger needs Python 3.11 or newer; none was found on PATH.'; \
	echo 'Install one, or name it: make PYTHON=/path/to/python3'; exit 1; } >&2
