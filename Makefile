# make demo   install everything and run the whole loop on the sample report, no key, no network for the run
# make test   install everything and run the tests
# make check  formatting, lint, types

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
OUT    ?= runs/demo
BACKEND ?= offline
UV     := $(shell command -v uv 2>/dev/null)
# uv's hard links make nltk, which llama-index-core uses, refuse its own files.
export UV_LINK_MODE = copy

.PHONY: demo test check format build docs picture cassettes clean

demo: $(VENV)/.all
	$(BIN)/ft-rag demo --out $(OUT)

test: $(VENV)/.dev
	$(BIN)/pytest -n auto --cov --cov-report=term:skip-covered --cov-fail-under=90 $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

build: $(VENV)/.dev
	$(BIN)/python -m build --no-isolation

docs: $(VENV)/.dev
	$(BIN)/pytest -q tests/test_readme.py

picture: $(VENV)/.all
	$(BIN)/python docs/make_picture.py $(OUT)

$(VENV)/.all: pyproject.toml
	@test -x $(BIN)/python || $(if $(UV),uv venv -q --python $(PYTHON) $(VENV),$(PYTHON) -m venv $(VENV))
	$(if $(UV),uv pip install -q --python $(BIN)/python -e '.[all]',$(BIN)/python -m pip install -q 'pip>=25.1' && $(BIN)/python -m pip install -q -e '.[all]')
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.all
	$(if $(UV),uv pip install -q --python $(BIN)/python --group dev,$(BIN)/python -m pip install -q --group dev)
	@touch $@

# BACKEND=openai records from the real service; cassettes/README.md says what it needs.
cassettes: export FT_RAG_CASSETTE_BACKEND = $(BACKEND)
cassettes: $(VENV)/.dev
	$(BIN)/pytest -q -W ignore::ResourceWarning -W ignore::pytest.PytestUnraisableExceptionWarning \
		--record-mode=rewrite tests/test_replayed_*.py $(ARGS)

clean:
	rm -rf $(VENV) runs dist build .pytest_cache .mypy_cache .ruff_cache .coverage
