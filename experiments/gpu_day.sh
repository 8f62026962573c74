#!/bin/sh
# All that is still projected for GPUs, measured in at most eight minutes (experiments/gpu_day.py):
#
#     sh experiments/gpu_day.sh [--seconds=480] [--scale=tiny]
#
# Needs Python with JAX for the GPU, Flax, optax, Orbax, scikit-learn and ml_collections, and PyTorch for its columns; no TensorFlow and
# no dataset. Where nothing can be downloaded, wheels of what is missing are taken from .whl/, made elsewhere with
#
#     pip download --no-deps --only-binary=:all: -d .whl ml_collections
#
# PYTHON names the interpreter, OUT the folder that gets gpu_day/gpu_day.md and .json (runs by default).
set -eu
cd "$(dirname "$0")/.."
if [ -z "${PYTHON:-}" ]; then
    if [ -x .venv/bin/python ]; then PYTHON=.venv/bin/python; else PYTHON=python3; fi
fi
if ls .whl/*.whl >/dev/null 2>&1; then
    site=$(mktemp -d)
    trap 'rm -rf "$site"' EXIT
    "$PYTHON" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --target "$site" .whl/*.whl
    PYTHONPATH="$site${PYTHONPATH:+:$PYTHONPATH}"
    export PYTHONPATH
fi
"$PYTHON" - <<'MISSING'
import importlib.util
import sys

needed = {"absl": "absl-py", "flax": "flax", "jax": "jax[cuda13]", "jaxtyping": "jaxtyping", "ml_collections": "ml_collections",
          "optax": "optax", "orbax": "orbax-checkpoint", "sklearn": "scikit-learn", "tqdm": "tqdm"}
missing = [package for name, package in needed.items() if importlib.util.find_spec(name) is None]
if missing:
    sys.exit(f"error: {sys.executable} lacks {', '.join(missing)}; install them, or put their wheels into .whl/")
MISSING
"$PYTHON" -m experiments.gpu_day --out="${OUT:-runs}/gpu_day" "$@"
