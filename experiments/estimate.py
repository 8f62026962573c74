"""How long a run will take on this machine, from a few timed steps of its networks."""

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from au_jax.config import Config
from au_jax.systems import anet, lstm_trainer
from au_jax.training import parallel
from au_jax.training.optimizers import make_optimizer

_STEPS = 3


def estimate(config: Config, frames: int) -> dict[str, float]:
    """Seconds of a run's long stages: CNN and LSTM training, and scoring frames with the CNN, over all folds.

    Descriptors, SVMs, CPM, JPML, validation and figures are not counted.

    Args:
      config: of the run.
      frames: of the dataset (of the other one where the CNN is trained there).
    """
    folds = len(config.folds) or config.protocol.folds
    trained = round(frames * (1 - 1 / config.protocol.folds) * (1 - config.protocol.validation))
    seconds, crop = {}, config.data.crop_size
    cnn = anet.make_cnn(config.cnn, 12)
    batch = _cnn_batch(config.cnn.batch_size, crop)
    constants = {"mean": jnp.zeros((crop, crop, 3))}
    update, score = (
        _update_seconds(
            config.cnn.optimizer,
            partial(anet.initial_params, cnn, crop),
            partial(anet.example_loss, cnn, config.cnn.label_reduction),
            constants,
            batch,
        ),
        _forward_seconds(config, cnn, batch),
    )
    cross = "anet_transfer" in config.systems
    epochs, size = config.cnn.epochs, config.cnn.batch_size
    # A CNN that is trained on the other dataset is trained once, on all of its people but the validation subjects.
    seconds["CNN training"] = (
        epochs * math.ceil(round(frames * (1 - config.protocol.validation)) / size) * update
        if cross
        else folds * epochs * math.ceil(trained / config.cnn.frame_step / size) * update
    )
    seconds["CNN scoring"] = (1 if cross else folds * 2) * math.ceil(frames / size) * score
    if "hybrid" in config.systems:
        lstm = lstm_trainer.make_lstm(config.lstm, 12)
        dimension = config.lstm.pca_components
        step = _update_seconds(
            config.lstm.optimizer,
            partial(lstm_trainer.initial_params, lstm, dimension),
            partial(lstm_trainer.example_loss, lstm, config.lstm.margin, lstm_trainer.grad_threshold(config.lstm)),
            {},
            _lstm_batch(config.lstm, dimension),
        )
        updates = config.lstm.steps_per_epoch or math.ceil(
            trained / (config.lstm.batch_size * config.lstm.sequence_length)
        )
        seconds["LSTM training"] = folds * config.lstm.epochs * updates * step
    return seconds


def tell(name: str, seconds: dict[str, float]) -> str:
    """The estimate in one line."""
    parts = ", ".join(f"{part} {tqdm.format_interval(value)}" for part, value in seconds.items())
    return f"{name}: about {tqdm.format_interval(sum(seconds.values()))} ({parts})"


def _update_seconds(optimizer: Config, init: Callable, loss: Callable, constants: Any, batch: parallel.Batch) -> float:
    tx = make_optimizer(optimizer, 1, 1).tx
    params = init(jax.random.key(0))
    state = parallel.replicate((params, tx.init(params)))
    step = parallel.make_train_step(loss, tx)
    times = []
    for number in range(_STEPS + 1):
        start = time.monotonic()
        *state, value = step(*state, constants, parallel.shard(batch), jax.random.key(number))
        jax.block_until_ready(value)
        times.append(time.monotonic() - start)
    # The first step compiles.
    return float(np.median(times[1:]))


def _forward_seconds(config: Config, cnn: Any, batch: parallel.Batch) -> float:
    run = parallel.make_forward(partial(anet.forward, cnn))
    params = jax.device_put(anet.initial_params(cnn, config.data.crop_size, jax.random.key(0)))
    variables = {"params": params, "mean": np.zeros((config.data.crop_size,) * 2 + (3,), np.float32)}
    batch = {name: batch[name] for name in ("image", "offset", "flip", "mask")}
    times = []
    for _ in range(_STEPS):
        start = time.monotonic()
        run(variables, batch)
        times.append(time.monotonic() - start)
    return float(np.median(times[1:]))


def _cnn_batch(size: int, crop: int) -> parallel.Batch:
    return {
        "image": np.zeros((size, crop, crop, 3), np.uint8),
        "labels": np.ones((size, 12), np.int8),
        "offset": np.zeros((size, 2), np.int32),
        "flip": np.zeros(size, bool),
        "mask": np.ones(size, np.float32),
    }


def _lstm_batch(config: Config, dimension: int) -> parallel.Batch:
    shape = (config.batch_size, config.sequence_length)
    return {
        "features": np.zeros((*shape, dimension), np.float32),
        "reset": np.zeros(shape, bool),
        "labels": np.ones((*shape, 12), np.int8),
        "mask": np.ones(shape, np.float32),
    }
