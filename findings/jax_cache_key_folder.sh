#!/usr/bin/env bash
# JAX 0.10.2: compiled programs that are copied into another folder are not found there, on the CPU too.
#
# Expected: what the persistent compilation cache files a program under hangs on the program, the versions, the flags and the
#   device, so that a copied or moved folder serves as well.
# Behaviour: the name of the folder is part of it. By default JAX sets XLA's option xla_gpu_per_fusion_autotune_cache_dir to a
#   folder in the cache, whatever the device, and the serialised options are hashed (jax/_src/compiler.py, get_compile_options).
#   The same program gets another name in every folder.
# Why it matters: a cache that is laid into an image, copied to a node's disk or shared by two names of one folder only costs
#   its room: every program is compiled again, and nothing says so.
# Remedy: jax_persistent_cache_enable_xla_caches = "none" (JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES=none), before the first
#   program. tests/conftest.py does.
#
# Installs JAX into a temporary folder. Ends with 0 while the behaviour is as described.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check jax==0.10.2 jaxlib==0.10.2
cat > "$folder/program.py" <<'PYTHON'
import sys

import jax

jax.config.update("jax_compilation_cache_dir", sys.argv[1])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.jit(lambda x: 2 * x)(jax.numpy.ones(3))
PYTHON
names() {
    for place in one two; do
        JAX_PLATFORMS=cpu "$folder/venv/bin/python" "$folder/program.py" "$folder/$1/$place"
    done
    echo "$1: programs in the first folder, and those of them that are in the second by the same name"
    ls "$folder/$1/one" | grep -c -- '-cache$'
    comm -12 <(ls "$folder/$1/one" | sort) <(ls "$folder/$1/two" | sort) | grep -c -- '-cache$' || true
}
names default | tee "$folder/default.txt"
export JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES=none
names none | tee "$folder/none.txt"
test "$(tail -1 "$folder/default.txt")" = 0
test "$(tail -1 "$folder/none.txt")" = "$(tail -2 "$folder/none.txt" | head -1)"
