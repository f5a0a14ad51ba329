# The book's commands; `make help` lists them. `make book` and `make test` need nothing but Python 3.11 or newer.
# Another interpreter: make book PYTHON=/path/to/python3

VENV := .venv
PY := $(VENV)/bin/python
PORT ?= 8000
# Of `make gpu`: GPU="--help" lists what else can be asked for.
PYTHON ?= python3
OUT ?= _build/gpu
GPU ?=
# Waiting threads soon go to sleep: where they spin for long, OpenMP's habit, training crawls once a core is shared.
export GOMP_SPINCOUNT ?= 1000

.DEFAULT_GOAL := help
.PHONY: help environment browser book strict test check serve weigh benchmarks gpu constraints clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

book: environment ## Execute every chapter whose code changed and render the pages; prints the path of the first
	@$(PY) book/build.py

test: environment ## Run the whole test suite, a file at a time on every core
	@OMP_NUM_THREADS=1 $(PY) -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

check: environment ## Check style (ruff) and types (mypy)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

strict: environment ## Build the book from nothing; every warning is an error (what CI runs)
	@$(PY) book/build.py --strict

serve: book ## Serve the built pages on http://localhost:$(PORT)
	@$(PY) -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

environment: ## Make or refresh .venv from the pinned dependencies (the others do it when needed)
	@sh tools/environment.sh $(VENV)

browser: environment ## Install a Chromium for the browser tests, unless there is one
	@sh tools/browser.sh $(VENV)

weigh: book ## Weigh every page, and time its first paint in the browser
	@$(PY) tools/weigh.py

benchmarks: environment ## Measure every claim about speed again, into benchmarks/results; leave the machine alone meanwhile
	@$(PY) -m benchmarks

gpu: ## Show what only an accelerator can, with the Python at hand and its torch; a JSON a part in $(OUT)
	@$(PYTHON) -m benchmarks.gpu --out "$(OUT)" $(GPU)

constraints: environment ## Pin today's versions of every dependency in constraints.txt, their files in pins.sha256
	@$(PY) tools/pins.py

clean: ## Remove everything built (the environment stays)
	rm -rf _build
