#!/usr/bin/env bash
# jaxtyping 0.3.11: under its import hook, what a checked module imports is compiled from source, whosever it is.
#
# Expected: `install_import_hook("mine", ...)` treats modules of `mine`; others are read from their compiled files, as always.
# Behaviour: while a module of `mine` runs, the loader replaces importlib's cache_from_source, which all imports use that begin
#   in that module (jaxtyping/_import_hook.py, _JaxtypingLoader.exec_module). They look for compiled files with jaxtyping's mark,
#   find none, and compile the sources; with PYTHONDONTWRITEBYTECODE that is so in every process, and otherwise each package gets
#   a second set of compiled files.
# Why it matters: TensorFlow, Keras and scikit-learn were compiled from source in every test process of this project: 40 s of
#   processor time to collect the tests in place of 29.
# Remedy: import what is large before, or ask for the marked name in `get_code` alone, which runs nothing. tests/conftest.py
#   does the latter.
#
# Installs jaxtyping into a temporary folder. Ends with 0 while the behaviour is as described.
set -euo pipefail
unset PYTHONDONTWRITEBYTECODE PYTHONPYCACHEPREFIX  # compiled files are written, beside their sources
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check jaxtyping==0.3.11
cd "$folder"
echo "import other" > mine.py
echo "" > other.py
venv/bin/python -c "
from jaxtyping import install_import_hook
with install_import_hook('mine', None):
    import mine
"
ls __pycache__
# `other` is no module of `mine`, and has the mark all the same.
ls __pycache__ | grep -q '^other.*jaxtyping'
