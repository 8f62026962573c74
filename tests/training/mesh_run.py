"""Not a test: one process of a small training, which tests/training/test_multihost.py starts alone and twice.

python mesh_run.py <folder> <devices> [<coordinator> <count> <index>]
"""

import os
import sys
from pathlib import Path

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={sys.argv[2]}"

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from au_jax.errors import UserError
from au_jax.training import multihost, parallel
from au_jax.training.optimizers import make_optimizer
from au_jax.training.trainer import Plateau, TrainSpec, train

folder, _, *joined = sys.argv[1:]
if joined:
    multihost.start(joined[0], int(joined[1]), int(joined[2]))

TARGET = np.array([1.0, -2.0, 3.0], np.float32)


def loss(params, constants, example, key):
    # As dropout does: the noise belongs to the example, wherever it is computed.
    x = example["x"] + 0.1 * jax.random.normal(key, example["x"].shape)
    error = jnp.sum(jnp.tanh(x @ params["hidden"]) * params["out"]) - example["y"]
    return error**2 * example["mask"], example["mask"]


def batches(epoch):
    generator = np.random.default_rng([7, epoch])
    for _ in range(3):
        x = generator.normal(size=(7, 3)).astype(np.float32)
        yield parallel.take_process_rows({"x": x, "y": np.tanh(x @ TARGET), "mask": np.ones(7, np.float32)})


def stage(epochs):
    optimizer = ml_collections.ConfigDict(
        {"name": "adam", "learning_rate": 0.05, "arguments": "", "clip": 0.0}
        | {"schedule": {"name": "constant", "arguments": ""}}
    )
    return TrainSpec(
        name="toy",
        directory=Path(folder) if multihost.is_process_zero() else Path(folder + "_scratch"),
        init=lambda key: {"hidden": jax.random.normal(key, (3, 5)), "out": jnp.ones(5)},
        loss=loss,
        constants={},
        batches=batches,
        steps_per_epoch=3,
        epochs=epochs,
        optimizer=make_optimizer(optimizer, 3, 3 * epochs),
        validate=lambda params: {"loss": float(np.square(np.asarray(params["out"])).sum())},
        monitor="loss",
        maximise=False,
        patience=0,
        plateau=Plateau(1.0, 1000, 1.0),
        seed=0,
    )


def failing():
    raise OSError("the disk is full")


rows = []
# Killed after two epochs, as it were, and gone on with: the others have nothing on their disks.
train(stage(2), lambda *row: rows.append(row))
if multihost.is_process_zero():
    (Path(folder) / "finished.json").unlink()
params = train(stage(4), lambda *row: rows.append(row))
print("params", *np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(params)]).tolist())
print("epochs", *[row[1] for row in rows])
try:
    multihost.broadcast_from_process_zero(failing)
except (OSError, UserError) as error:
    print("told", type(error).__name__, error)
