"""The stages of one fold at the paper's size, as `experiments.gpu_day` measures them: epochs by the project's own training loop.

Ten folds of `bp4d_like`: 147,600 frames, of which a fold trains on 72 %, chooses epochs by 18 % and tests on 10 %. Frames, labels
and features are drawn at random, which changes no time. Not in it: reading and decoding the dataset, HOG+SVM, tables and figures.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from au_jax.config import Config, load, replace, typed
from au_jax.data.device_cache import DeviceInputPipeline
from au_jax.models import hybrid
from au_jax.training import losses, parallel
from au_jax.training.optimizers import make_optimizer
from au_jax.training.trainer import Plateau, TrainSpec, train
from experiments.benchmark_parts import sequence_loss
from experiments.gpu_parts import DaySizes, Row, Spec, cnn_loss

FOLDS = 10
"""Of the experiment whose time is projected."""

GOAL_MINUTES = 15.0
"""For all folds, one after the other on one GPU."""

EPOCHS = 2
"""That are trained: the first compiles and fills the memory, the second is measured."""


@dataclass(frozen=True)
class Stage:
    """A stage of a fold.

    Attributes:
      name: of the table.
      times: how often a fold does it: its epochs.
      seconds: sizes -> seconds of doing it once.
    """

    name: str
    times: Callable[[Config], int]
    seconds: Callable[[DaySizes], float]


def fold_config(sizes: DaySizes) -> Config:
    """The config of the paper's experiment, its networks of these sizes."""
    networks = sizes.networks
    return replace(
        typed(load("bp4d:10fold")),
        **{
            "data.cache": "device",
            "data.crop_size": networks.crop,
            "data.image_size": networks.crop * 200 // 176,
            "cnn.variant": networks.variant,
            "cnn.batch_size": networks.batch,
            "lstm.pca_components": networks.inputs,
            "lstm.hidden": networks.hidden,
            "lstm.layers": networks.layers,
            "lstm.batch_size": networks.sequences,
            "lstm.sequence_length": networks.steps,
            "lstm.burn_in": min(10, networks.steps - 1),
        },
    )


def frames_of(sizes: DaySizes, config: Config) -> dict[str, int]:
    """Frames of a fold: train, validation and test.

    Args:
      sizes: `frames` of all subjects.
      config: its folds and share of validation subjects.
    """
    test = sizes.frames // config.protocol.folds
    validation = round((sizes.frames - test) * config.protocol.validation)
    return {"train": sizes.frames - test - validation, "validation": validation, "test": test}


def _seconds_per_epoch(spec: Callable[[Path], TrainSpec]) -> float:
    """Seconds from the end of the first epoch to that of the second: updates, validation and checkpoint."""
    ends: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        train(spec(Path(folder)), lambda name, epoch, metrics: ends.append(time.perf_counter()))
    return ends[1] - ends[0]


def cnn_epoch(sizes: DaySizes) -> float:
    """Seconds of an epoch of the CNN with `data.cache=device`, and of its validation."""
    config, rng = fold_config(sizes), np.random.default_rng(0)
    count, side = frames_of(sizes, config), config.data.image_size
    some = rng.integers(256, size=(min(sizes.cached, count["train"]), side, side, 3), dtype=np.uint8)
    labels = rng.choice(np.array([-1, 1], np.int8), size=(count["train"], 12))
    usable = np.ones((1, count["train"]), bool)

    def frames() -> np.ndarray:
        # Drawing all of them would take longer than the epoch.
        return np.resize(some, (count["train"], side, side, 3))

    pipeline = DeviceInputPipeline(labels, usable, frames, config, seed=0)
    model = hybrid.make_cnn(config.cnn, 12)
    mean = np.full((side, side, 3), 128, np.float32)
    forward = parallel.make_forward(partial(hybrid.cnn_forward, model))
    one = jnp.zeros((1, config.data.crop_size, config.data.crop_size, 3))

    def validate(params: Any) -> dict[str, float]:
        parts = _forward_all(
            forward, {"params": jax.device_put(params), "mean": mean}, some, count["validation"], config
        )
        logits = np.concatenate([logits for logits, _ in parts])
        loss = losses.cross_entropy(logits, np.resize(labels, logits.shape), config.cnn.label_reduction)
        return {"loss": float(np.mean(loss))}

    return _seconds_per_epoch(
        lambda folder: _train_spec(
            "cnn",
            config.cnn,
            folder,
            init=lambda key: model.init(key, one)["params"],
            loss=cnn_loss(model, config.data.crop_size, cached=True),
            batches=pipeline.batches,
            steps=pipeline.steps_per_epoch,
            validate=validate,
            constants={"mean": jnp.asarray(mean)},
            epoch_constants=pipeline.epoch_constants,
        )
    )


def features(sizes: DaySizes) -> float:
    """Seconds of fc7 and logits of all frames of a fold, frames in host memory and features back there."""
    config, rng = fold_config(sizes), np.random.default_rng(0)
    side, crop = config.data.image_size, config.data.crop_size
    some = rng.integers(256, size=(sizes.cached, side, side, 3), dtype=np.uint8)
    model = hybrid.make_cnn(config.cnn, 12)
    params = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, crop, crop, 3)))["params"]
    variables = {"params": params, "mean": np.zeros((side, side, 3), np.float32)}
    forward = parallel.make_forward(partial(hybrid.cnn_forward, model))
    list(_forward_all(forward, variables, some, config.cnn.batch_size, config))  # compiles
    start = time.perf_counter()
    list(_forward_all(forward, variables, some, len(some), config))
    return (time.perf_counter() - start) * sizes.frames / len(some)


def pca(sizes: DaySizes) -> float:
    """Seconds of fitting PCA to the training frames' fc7 on the host, and of projecting all frames."""
    from au_jax.systems.pca import fit_number_of_components

    config = fold_config(sizes)
    width = jax.eval_shape(
        hybrid.make_cnn(config.cnn, 12).init_with_output,
        jax.random.key(0),
        jnp.zeros((1, config.data.crop_size, config.data.crop_size, 3)),
    )[0][1]["fc7"].shape[1]
    count = frames_of(sizes, config)
    draw = jax.jit(lambda key: jax.random.normal(key, (count["train"], width)))
    rows = np.asarray(draw(jax.random.key(0)))
    start = time.perf_counter()
    fitted = fit_number_of_components(rows, config.lstm.pca_components)
    middle = time.perf_counter()
    hybrid.project(rows, fitted.mean, fitted.directions)
    end = time.perf_counter()
    return middle - start + (end - middle) * sizes.frames / count["train"]


def lstm_epoch(sizes: DaySizes) -> float:
    """Seconds of an epoch of the LSTM stack, and of its scores of the validation videos; cutting subsequences is not in it."""
    config, rng = fold_config(sizes), np.random.default_rng(0)
    count, model = frames_of(sizes, config), hybrid.make_lstm(config.lstm, 12)
    length, width, size = config.lstm.sequence_length, config.lstm.pca_components, config.lstm.batch_size
    batch = {
        "features": rng.normal(size=(size, length, width)).astype(np.float32),
        "labels": rng.choice(np.array([-1, 1], np.int8), size=(size, length, 12)),
    }
    steps = -(-count["train"] // (size * length))
    forward = parallel.make_forward(lambda params, batch: hybrid.lstm_forward(model, params, batch["features"])[:2])
    # A BP4D video has 450 frames, and each is filled up to one subsequence.
    rounds = -(-count["validation"] // (450 * size))

    def validate(params: Any) -> dict[str, float]:
        params = jax.device_put(params)
        parts = [forward(params, {"features": batch["features"]})[0] for _ in range(rounds)]
        return {"loss": float(np.mean(parts))}

    return _seconds_per_epoch(
        lambda folder: _train_spec(
            "lstm",
            config.lstm,
            folder,
            init=lambda key: model.init(key, jnp.zeros((1, 1, width)))["params"],
            loss=partial(sequence_loss, model),
            batches=lambda epoch: (batch for _ in range(steps)),
            steps=steps,
            validate=validate,
        )
    )


def fusion_epoch(sizes: DaySizes) -> float:
    """Seconds of an epoch of the fusion network, on the validation frames."""
    config, rng = fold_config(sizes), np.random.default_rng(0)
    frames, size = frames_of(sizes, config)["validation"], config.fusion.batch_size
    model = hybrid.make_fusion(config.fusion, 12)
    batch = {name: rng.normal(size=(size, 12)).astype(np.float32) for name in ("cnn", "lstm")}
    batch["labels"] = rng.choice(np.array([-1, 1], np.int8), size=(size, 12))
    whole = {name: rng.normal(size=(frames, 12)).astype(np.float32) for name in ("cnn", "lstm")}
    forward = parallel.make_forward(partial(hybrid.fusion_forward, model))
    steps, zeros = -(-frames // size), jnp.zeros((1, 12))

    def loss(params: Any, constants: Any, example: Any, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        del constants
        streams = example["cnn"][None], example["lstm"][None]
        logits = model.apply({"params": params}, *streams, train=True, rngs={"dropout": key})
        return losses.cross_entropy(logits[0], example["labels"], "sum"), losses.labelled(example["labels"])

    return _seconds_per_epoch(
        lambda folder: _train_spec(
            "fusion",
            config.fusion,
            folder,
            init=lambda key: model.init(key, zeros, zeros)["params"],
            loss=loss,
            batches=lambda epoch: (batch for _ in range(steps)),
            steps=steps,
            validate=lambda params: {"loss": float(np.mean(forward(params, whole)))},
        )
    )


def _train_spec(
    name: str, config: Any, folder: Path, *, init: Any, loss: Any, batches: Any, steps: int, validate: Any, **more: Any
) -> TrainSpec:
    return TrainSpec(
        name=name,
        directory=folder,
        init=init,
        loss=loss,
        batches=batches,
        steps_per_epoch=steps,
        epochs=EPOCHS,
        optimizer=make_optimizer(config.optimizer, steps, steps * config.epochs),
        validate=validate,
        monitor="loss",
        maximise=False,
        patience=0,
        plateau=Plateau(1.0, 0, 1.0),
        seed=0,
        **{"constants": {}, **more},
    )


def _forward_all(
    forward: Callable, variables: dict[str, Any], frames: np.ndarray, count: int, config: Config
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Logits and fc7 of so many frames, the given ones again and again, a batch at a time, as `systems.anet` scores."""
    size, crop = config.cnn.batch_size, config.data.crop_size
    first = (config.data.image_size - crop) // 2
    fixed = {"offset": np.full((size, 2), first, np.int32), "flip": np.zeros(size, bool)}
    for start in range(0, count, size):
        rows = np.arange(start, start + size) % len(frames)
        image = frames[rows, first : first + crop, first : first + crop]
        yield forward(variables, {"image": image, **fixed})


STAGES: tuple[Stage, ...] = (
    Stage("CNN, an epoch", lambda config: config.cnn.epochs, cnn_epoch),
    Stage("features of all frames", lambda config: 1, features),
    Stage("PCA", lambda config: 1, pca),
    Stage("LSTM, an epoch", lambda config: config.lstm.epochs, lstm_epoch),
    Stage("fusion, an epoch", lambda config: config.fusion.epochs, fusion_epoch),
)
"""What a fold of ANet and hybrid consists of."""


def specs() -> list[Spec]:
    """The stages as parts that are measured: their rates are folds an hour."""
    return [_spec(stage) for stage in STAGES]


def _spec(stage: Stage) -> Spec:
    def measure(sizes: DaySizes) -> Row:
        seconds, times = stage.seconds(sizes), stage.times(fold_config(sizes))
        return spec.row(unit="s", rate=seconds, note=f"x {times} = {seconds * times:.1f} s a fold")

    spec = Spec(stage.name, "", "ours", measure)
    return spec


def fold_seconds(rows: list[Row], sizes: DaySizes) -> float | None:
    """Seconds of a fold by the rows of its stages; None where one was not measured.

    Args:
      rows: of the whole day.
      sizes: they were measured with.
    """
    measured = {row.part: row.rate for row in rows}
    config, total = fold_config(sizes), 0.0
    for stage in STAGES:
        seconds = measured.get(stage.name)
        if seconds is None:
            return None
        total += seconds * stage.times(config)
    return total
