#!/usr/bin/env bash
# orbax-checkpoint 0.12.8: restoring with a NumPy template compares no shapes, and cuts fractions off without a word.
#
# A checkpoint of NumPy arrays (means, thresholds, PCA components, weights kept on the host) is restored with a template that
# says what is expected, as the documentation of StandardCheckpointer shows: a tree of arrays or of ShapeDtypeStruct.
#
# Expected: an array of another shape than the template's is refused, as it is for jax.Array; another dtype is refused, or
#   converted only where nothing is lost.
# Behaviour: the template's shape is ignored, and the array comes back in the checkpoint's. The template's dtype is obeyed at
#   any price: float32 weights restored "as int32" are whole numbers afterwards. Both without an error or a warning.
#   With a jax.Array in the checkpoint and in the template the shape is compared.
# Why it matters: a face model of 12 AUs takes the place of one of 8, or a mean picture of another size is broadcast against
#   the faces, and scores come out that look like scores. A template made from integer pixels empties a normalised mean.
# Remedy: compare shape and dtype of every leaf with the template after restoring, and refuse (au_jax/training/checkpoints.py).
#
# Installs orbax-checkpoint 0.12.8 and jax 0.10.2 into a temporary folder and makes its own input. Ends with 0 while the
# behaviour is as described.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check orbax-checkpoint==0.12.8 jax==0.10.2 jaxlib==0.10.2
cd "$folder"
JAX_PLATFORMS=cpu "$folder/venv/bin/python" - <<'PYTHON'
import logging
from importlib.metadata import version
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp

logging.disable(logging.INFO)
print("orbax-checkpoint", version("orbax-checkpoint"), "jax", version("jax"))
assert version("orbax-checkpoint") == "0.12.8"
weights = np.array([[0.5, 1.5, 2.75], [3.25, -1.75, 9.5]], np.float32)


def restored(saved, like, name):
    path = Path(name).absolute()
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(path, {"weights": saved}, force=True)
        checkpointer.wait_until_finished()
        return np.asarray(checkpointer.restore(path, {"weights": like})["weights"])


for kind, template in (("NumPy array", np.zeros), ("ShapeDtypeStruct", jax.ShapeDtypeStruct)):
    other_shape = restored(weights, template((4, 4), np.float32), "shape")
    print(f"{kind} of (4, 4) as template: an array of {other_shape.shape}, no error")
    assert other_shape.shape == (2, 3) and (other_shape == weights).all(), "the shape is compared now"
    whole = restored(weights, template((2, 3), np.int32), "dtype")
    print(f"{kind} of int32 as template: {whole.tolist()}, no error")
    assert whole.dtype == np.int32 and whole.tolist() == [[0, 1, 2], [3, -1, 9]], "fractions are no longer cut off"

try:
    restored(jax.numpy.asarray(weights), jax.numpy.zeros((4, 4)), "device")
except ValueError as error:
    print("jax.Array of (4, 4) as template:", type(error).__name__)
else:
    raise AssertionError("jax.Array is not compared either now")
print("as described: with NumPy templates shapes are not compared and fractions are cut off")
PYTHON
