"""The training loop of CNN, LSTM and fusion network: epochs, validation, plateau schedule, checkpoints, resume."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from tqdm import tqdm

from au_jax import console, files
from au_jax.errors import ConfigError, DataError
from au_jax.training import parallel
from au_jax.training.best_params import BEST, NOTE, best_epoch, keep_best_params
from au_jax.training.checkpoints import Checkpoints
from au_jax.training.multihost import ProcessZeroProxy, broadcast_from_process_zero, is_process_zero
from au_jax.training.optimizers import Optimizer
from au_jax.training.prefetch import Prefetcher, StallTimer

ESTIMATE_STEPS = 10
"""Steps that are timed for the estimate of a stage's time."""
LONG_STAGE = 1800.0
"""Seconds from which on an estimate is printed: short stages have their progress bar."""
LOSSES_BETWEEN_CHECKS = 50
"""Looking at every loss would make the accelerator wait."""


@dataclass(frozen=True)
class Plateau:
    """Learning rate x `factor` after `patience` epochs without a lower validation loss, down to `min_scale`; factor 1 = off.

    Example:
      >>> Plateau(factor=0.1, patience=5, min_scale=1e-3).factor
      0.1
    """

    factor: float
    patience: int
    min_scale: float


@dataclass(frozen=True)
class TrainSpec:
    """One network to train: a stage.

    Attributes:
      name: as it is called in logs and errors, such as "fold_00/anet/cnn".
      directory: of checkpoints and of the note that the stage is finished.
      init: key -> parameters.
      loss: of one example (`parallel.ExampleLoss`).
      constants: arrays by name that the loss needs and that do not change, such as the mean image; kept out of the
        compiled program, so that it is the same for every fold.
      batches: epoch -> this process's rows (`parallel.take_process_rows`) of its batches, a pure function of the epoch.
      steps_per_epoch: number of these batches.
      epochs: at most so many.
      optimizer: transformation and learning-rate schedule.
      validate: parameters -> metrics of validation subjects, "loss" among them.
      monitor: the metric that decides which epoch is best.
      maximise: whether more of it is better.
      patience: stop after so many epochs without a better one; 0 = never.
      plateau: the schedule on validation loss.
      seed: of initial weights and dropout.
      folds_to_go: how many folds will train this stage, this one included; for the estimate of the time.
      watch: is shown epoch and parameters after every epoch.
      epoch_constants: epoch -> further constants, of the same names and shapes in every epoch.

    Example:
      >>> from au_jax.config import Config
      >>> from au_jax.training.optimizers import make_optimizer
      >>> spec = TrainSpec(
      ...     name="toy",
      ...     directory=Path("runs/toy"),
      ...     init=lambda key: {"w": jnp.zeros(())},
      ...     loss=lambda params, constants, example, key: ((params["w"] - example["x"]) ** 2, jnp.float32(1)),
      ...     constants={},
      ...     batches=lambda epoch: iter([{"x": np.full(2, 4.0, np.float32)}]),
      ...     steps_per_epoch=1,
      ...     epochs=2,
      ...     optimizer=make_optimizer(Config().cnn.optimizer, 1, 2),
      ...     validate=lambda params: {"loss": float((params["w"] - 4) ** 2)},
      ...     monitor="loss",
      ...     maximise=False,
      ...     patience=0,
      ...     plateau=Plateau(1.0, 0, 1.0),
      ...     seed=0,
      ... )
      >>> spec.folds_to_go
      1
    """

    name: str
    directory: Path
    init: Callable[[jax.Array], Any]
    loss: parallel.ExampleLoss
    constants: dict[str, Any]
    batches: Callable[[int], Iterator[parallel.Batch]]
    steps_per_epoch: int
    epochs: int
    optimizer: Optimizer
    validate: Callable[[Any], dict[str, float]]
    monitor: str
    maximise: bool
    patience: int
    plateau: Plateau
    seed: int
    folds_to_go: int = 1
    watch: Callable[[int, Any], None] = lambda epoch, params: None
    epoch_constants: Callable[[int], dict[str, Any]] = lambda epoch: {}


Log = Callable[[str, int, dict[str, float]], None]
"""(name of the stage, epoch, metrics), after every epoch."""


def train(spec: TrainSpec, log: Log) -> Any:
    """Trains a stage to its end, from its newest checkpoint on if there is one, and returns the best epoch's parameters.

    Resume, in this order: a finished stage is read, not trained; else the newest whole checkpoint's state goes on with the
    next epoch; else training starts. All three end in the same parameters, because batches and dropout follow from (seed,
    epoch, step) alone. A finished stage whose best checkpoint is damaged is trained again from the one before it.

    Args:
      spec: what to train.
      log: is given the metrics of every epoch.

    Raises:
      ConfigError: a loss or a parameter is not finite; names stage, step and the last good checkpoint. Or the metric to
        monitor is undefined on the validation subjects.
      DataError: the best checkpoint cannot be read back.

    Example:
      >>> import ml_collections, tempfile
      >>> schedule = {"name": "constant", "arguments": ""}
      >>> fields = {"name": "sgd", "learning_rate": 0.25, "arguments": "", "clip": 0.0, "schedule": schedule}
      >>> from au_jax.training.optimizers import make_optimizer
      >>> spec = TrainSpec(
      ...     name="toy",
      ...     directory=Path(tempfile.mkdtemp()),
      ...     init=lambda key: {"w": jnp.zeros(())},
      ...     loss=lambda params, constants, example, key: ((params["w"] - example["x"]) ** 2, jnp.float32(1)),
      ...     constants={},
      ...     batches=lambda epoch: iter([{"x": np.full(2, 4.0, np.float32)}]),
      ...     steps_per_epoch=1,
      ...     epochs=2,
      ...     optimizer=make_optimizer(ml_collections.ConfigDict(fields), 1, 2),
      ...     validate=lambda params: {"loss": float((params["w"] - 4) ** 2)},
      ...     monitor="loss",
      ...     maximise=False,
      ...     patience=0,
      ...     plateau=Plateau(1.0, 0, 1.0),
      ...     seed=0,
      ... )
      >>> params = train(spec, lambda name, epoch, metrics: print(epoch, metrics["validation_loss"]))
      0 4.0
      1 1.0
      >>> float(params["w"])
      3.0
    """
    checkpoints = ProcessZeroProxy(
        lambda: Checkpoints(spec.directory / "checkpoints", spec.maximise), returning_arrays=("restore",)
    )
    note = spec.directory / NOTE
    plateau = _reduce_on_plateau(spec.plateau)
    try:
        params = spec.init(jax.random.key(spec.seed))
        state: dict[str, Any] = {
            "params": params,
            "opt_state": spec.optimizer.tx.init(params),
            "plateau": plateau.init(params),
            "best": np.float32(-math.inf if spec.maximise else math.inf),
            "epochs_since_best": np.int32(0),
        }
        best = broadcast_from_process_zero(lambda: best_epoch(spec.directory))
        finished = checkpoints.restore(best, state)
        if finished is not None and best is not None:
            if is_process_zero():
                keep_best_params(spec.directory, best, finished["params"])
            return finished["params"]

        for path in (note, spec.directory / BEST):
            path.unlink(missing_ok=True)
        epoch, state = _resume(state, checkpoints)
        step_function = parallel.make_train_step(spec.loss, spec.optimizer.tx)
        estimate = _Estimate(spec)
        prefetcher = Prefetcher(spec.batches)
        total, done = spec.epochs * spec.steps_per_epoch, epoch * spec.steps_per_epoch
        bar = console.bar(total=total, initial=done, desc=spec.name, unit="step")
        with contextlib.closing(prefetcher), bar as progress:
            while epoch < spec.epochs and not (spec.patience and state["epochs_since_best"] >= spec.patience):
                state, metrics = _run_epoch(
                    spec, state, epoch, step_function, prefetcher, checkpoints, progress, estimate
                )
                if epoch + 1 < spec.epochs:
                    prefetcher.begin(epoch + 1)
                step = (epoch + 1) * spec.steps_per_epoch
                _check_params(spec, state["params"], step, checkpoints)
                validation = broadcast_from_process_zero(partial(spec.validate, state["params"]))
                _check_validation(spec, validation, step, checkpoints)

                value = np.float32(validation[spec.monitor])
                # Of equals the later one is best, as it is for the checkpoints that are kept.
                better = value >= state["best"] if spec.maximise else value <= state["best"]
                loss = jnp.asarray(validation["loss"], jnp.float32)
                state["plateau"] = plateau.update({}, state["plateau"], value=loss)[1]
                state["best"] = value if better else state["best"]
                state["epochs_since_best"] = np.int32(0 if better else state["epochs_since_best"] + 1)

                log(spec.name, epoch, metrics | {f"validation_{name}": value for name, value in validation.items()})
                checkpoints.save(epoch, state, float(value))
                spec.watch(epoch, state["params"])
                # A name with a slash is one of many, such as an AU's.
                shown = {name: value for name, value in validation.items() if "/" not in name}
                shown = {"loss": metrics["train_loss"], **shown}
                progress.set_postfix({name: f"{value:.3f}" for name, value in shown.items()})
                epoch += 1

        epoch = checkpoints.best_epoch()
        best = checkpoints.restore(epoch, state)
        if best is None:
            raise DataError(f"{spec.name}: the checkpoint of epoch {epoch} cannot be read back; check the disk")
        if is_process_zero():
            keep_best_params(spec.directory, epoch, best["params"])
        files.write_json(note, {"best_epoch": epoch, spec.monitor: float(state["best"])}, seal=True)
        return best["params"]
    finally:
        checkpoints.close()


def _run_epoch(
    spec: TrainSpec,
    state: dict[str, Any],
    epoch: int,
    step_function: Callable[..., Any],
    prefetcher: Prefetcher,
    checkpoints: ProcessZeroProxy,
    progress: tqdm,
    estimate: "_Estimate",
) -> tuple[dict[str, Any], dict[str, float]]:
    """One epoch of updates: the state after it, and its training metrics."""
    params, opt_state = parallel.replicate_on_devices((state["params"], state["opt_state"]))
    constants = parallel.replicate_on_devices({**spec.constants, **spec.epoch_constants(epoch)})
    batches = StallTimer(prefetcher.epoch(epoch))
    key = jax.random.key(spec.seed)
    losses: list[jax.Array] = []
    first = epoch * spec.steps_per_epoch
    # All rates of the epoch at once: one by one, each would wait for the update before it.
    steps = jnp.arange(first, first + spec.steps_per_epoch)
    rates = np.asarray(jax.vmap(spec.optimizer.schedule)(steps)) * np.float32(state["plateau"].scale)
    for step, batch in enumerate(batches, start=first):
        if step - first >= len(rates):
            raise RuntimeError(f"{spec.name}: an epoch has more than {spec.steps_per_epoch} batches")
        opt_state = spec.optimizer.set_learning_rate(opt_state, rates[step - first])
        # Step 0 of dropout must not share its key with the initial weights.
        step_key = jax.random.fold_in(key, step + 1)
        params, opt_state, loss = step_function(params, opt_state, constants, parallel.shard(batch), step_key)
        losses.append(loss)
        batches.step_queued(loss)
        progress.update()
        estimate.step_queued(step, loss)
        if len(losses) % LOSSES_BETWEEN_CHECKS == 0:
            _check_losses(spec, losses, first, checkpoints)
    if len(losses) != spec.steps_per_epoch:
        raise RuntimeError(f"{spec.name}: an epoch had {len(losses)} batches, not {spec.steps_per_epoch}")
    _check_losses(spec, losses, first, checkpoints)
    mean = float(np.mean([float(loss) for loss in losses]))
    metrics = {"train_loss": mean, "learning_rate": float(rates[-1]), **batches.metrics()}
    return {**state, "params": params, "opt_state": opt_state}, metrics


def _resume(state: dict[str, Any], checkpoints: ProcessZeroProxy) -> tuple[int, dict[str, Any]]:
    """The epoch to go on with, and the state before it: from the newest whole checkpoint whose best epoch is whole too."""
    for epoch in checkpoints.epochs():
        restored = checkpoints.restore(epoch, state)
        if restored is None:
            continue
        best = epoch - int(restored["epochs_since_best"])
        if best in checkpoints.epochs():
            return epoch + 1, restored
        checkpoints.set_aside(epoch, f"that of epoch {best}, the best until then, is missing")
    return 0, state


def _reduce_on_plateau(plateau: Plateau) -> optax.GradientTransformationExtraArgs:
    # optax refuses a factor of 1, which is how a config turns the schedule off: never lose patience then.
    if plateau.factor == 1.0:
        return optax.contrib.reduce_on_plateau(factor=0.5, patience=2**30, min_scale=1.0)
    return optax.contrib.reduce_on_plateau(
        factor=plateau.factor, patience=plateau.patience, min_scale=plateau.min_scale
    )


class _Estimate:
    """Says once, a few steps after the start, how long the stage will take at most, for all folds to go."""

    def __init__(self, spec: TrainSpec):
        self._spec = spec
        self._started: tuple[int, float] | None = None
        self._done = not is_process_zero()

    def step_queued(self, step: int, loss: jax.Array) -> None:
        if self._done or (self._started and step - self._started[0] < ESTIMATE_STEPS):
            return
        # Steps are handed to the device ahead of time; one is over when its loss is there.
        jax.block_until_ready(loss)
        now = time.monotonic()
        spec = self._spec
        if self._started is None:
            # The first step compiles.
            self._started = step, now
            console.note(f"{spec.name}: first step done")
            return
        self._done = True
        first, start = self._started
        seconds = (now - start) / (step - first)
        fold = seconds * spec.epochs * spec.steps_per_epoch
        if fold * spec.folds_to_go > LONG_STAGE:
            console.tell(
                f"{spec.name}: {seconds:.2f} s a step; {spec.epochs} epochs of {spec.steps_per_epoch} steps are "
                f"{tqdm.format_interval(fold)} at most, {tqdm.format_interval(fold * spec.folds_to_go)} for "
                f"{spec.folds_to_go} folds (h:mm:ss), validation not counted"
            )


def _check_losses(spec: TrainSpec, losses: list[jax.Array], first: int, checkpoints: ProcessZeroProxy) -> None:
    bad = np.flatnonzero(~np.isfinite(np.array([float(loss) for loss in losses])))
    if bad.size:
        raise _not_finite(spec, "loss", first + int(bad[0]), checkpoints)


def _check_params(spec: TrainSpec, params: Any, step: int, checkpoints: ProcessZeroProxy) -> None:
    # They come to the host for the checkpoint anyway.
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(jax.tree.map(np.asarray, params))):
        raise _not_finite(spec, "a parameter", step, checkpoints)


def _check_validation(spec: TrainSpec, metrics: dict[str, float], step: int, checkpoints: ProcessZeroProxy) -> None:
    if not np.isfinite(metrics["loss"]):
        raise _not_finite(spec, "validation loss", step, checkpoints)
    # F1 is undefined where no AU is present at all, which matters only to a stage that chooses its epoch by it.
    if not np.isfinite(metrics[spec.monitor]):
        loss = "take config.cnn.monitor=loss, " if spec.name.endswith("/cnn") else ""
        raise ConfigError(
            f"{spec.name}: validation {spec.monitor} is undefined, for no validation subject shows any AU; {loss}a larger "
            "config.protocol.validation or more recordings, in another --workdir"
        )


def _not_finite(spec: TrainSpec, what: str, step: int, checkpoints: ProcessZeroProxy) -> ConfigError:
    latest = checkpoints.latest_epoch()
    good = (
        f"the last good checkpoint is {spec.directory / 'checkpoints' / str(latest)}"
        if latest is not None
        else "there is no checkpoint yet"
    )
    section = spec.name.rpartition("/")[2]
    return ConfigError(
        f"{spec.name}: {what} is not finite at step {step}; {good}; lower config.{section}.optimizer.learning_rate, in another "
        "--workdir"
    )
