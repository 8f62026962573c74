"""The training loop of CNN, LSTM and fusion network: epochs, validation, plateau schedule, checkpoints, resume."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from tqdm import tqdm

from au_jax import console, files
from au_jax.errors import UserError
from au_jax.training import parallel
from au_jax.training.checkpoints import REMEDY, Checkpoints, restore_state
from au_jax.training.multihost import ProcessZeroProxy, broadcast_from_process_zero, is_process_zero
from au_jax.training.optimizers import Optimizer
from au_jax.training.prefetch import Prefetcher, StallTimer

ESTIMATE_STEPS = 10
"""Steps that are timed for the estimate of a stage's time."""
NOTE = "finished.json"
"""File of a finished stage: its best epoch."""
WORTH_TELLING = 1800.0
"""Seconds from which on an estimate is told: short stages have their progress bar."""


@dataclass(frozen=True)
class Plateau:
    """Learning rate x `factor` after `patience` epochs without a lower validation loss, down to `min_scale`; factor 1 = off."""

    factor: float
    patience: int
    min_scale: float


@dataclass(frozen=True)
class TrainSpec:
    """One network to train.

    Attributes:
      name: as it is called in logs and errors, such as "fold_00/anet/cnn".
      directory: of checkpoints and of the note that the stage is finished.
      init: key -> parameters.
      loss: of one example (`parallel.ExampleLoss`).
      constants: arrays by name that the loss needs and that do not change, such as the mean picture; kept out of the
        compiled program, so that it is the same for every fold.
      batches: epoch -> this process's rows (`parallel.own`) of its batches, a pure function of the epoch.
      steps_per_epoch: number of these batches.
      epochs: at most so many.
      optimizer: transformation and learning-rate schedule.
      validate: parameters -> figures on validation subjects, "loss" among them.
      monitor: the figure that decides which epoch is best.
      maximise: whether more of it is better.
      patience: stop after so many epochs without a better one; 0 = never.
      plateau: the schedule on validation loss.
      seed: of initial weights and dropout.
      folds_to_go: how many folds will train this stage, this one included; for the estimate of the time.
      watch: is shown epoch and parameters after every epoch.
      epoch_constants: epoch -> further constants, of the same names and shapes in every epoch.
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


def train(stage: TrainSpec, log: Log) -> Any:
    """Trains a stage to its end, from its newest checkpoint on if there is one, and returns the best epoch's parameters.

    Resume, in this order: a finished stage is read, not trained; else the newest whole checkpoint's state goes on with the
    next epoch; else training starts. All three end in the same parameters, because batches and dropout follow from (seed,
    epoch, step) alone. A finished stage whose best checkpoint is damaged is trained again from the one before it.

    Raises:
      UserError: a loss or a parameter is not finite; names stage, step and the last good checkpoint.
    """
    made = ProcessZeroProxy(
        lambda: Checkpoints(stage.directory / "checkpoints", stage.maximise), returning_arrays=("restore",)
    )
    checkpoints = cast(Checkpoints, made)
    note = stage.directory / NOTE
    try:
        params = stage.init(jax.random.key(stage.seed))
        state = _initial_state(stage, params)
        best = checkpoints.restore(broadcast_from_process_zero(lambda: _best_epoch(note)), state)
        if best is None:
            note.unlink(missing_ok=True)
            state = _run_epochs(stage, state, checkpoints, log)
            epoch = checkpoints.best_epoch()
            best = checkpoints.restore(epoch, state)
            if best is None:
                raise UserError(f"{stage.name}: the checkpoint of epoch {epoch} cannot be read back; check the disk")
            files.write_json(note, {"best_epoch": epoch, stage.monitor: float(state["best"])})
        return best["params"]
    finally:
        checkpoints.close()


def best_params(directory: Path) -> Any:
    """The best epoch's parameters of a finished stage, nested dicts of NumPy arrays.

    Raises:
      UserError: the stage is not finished, or damaged.
    """
    epoch = _best_epoch(directory / NOTE)
    if epoch is None:
        raise UserError(f"{directory} is not trained to its end, or its {NOTE} is damaged; {REMEDY}")
    return restore_state(directory / "checkpoints", epoch)["params"]


def _best_epoch(note: Path) -> int | None:
    """What the note of a finished stage says; None where there is none, or it is damaged: the checkpoints then tell."""
    try:
        return int(files.read_json(note)["best_epoch"])
    except (FileNotFoundError, UserError, KeyError, TypeError):
        return None


def _initial_state(stage: TrainSpec, params: Any) -> dict[str, Any]:
    worst = -math.inf if stage.maximise else math.inf
    return {
        "params": params,
        "opt_state": stage.optimizer.tx.init(params),
        "plateau": _plateau(stage.plateau).init(params),
        "best": np.float32(worst),
        "epochs_since_best": np.int32(0),
    }


def _run_epochs(stage: TrainSpec, state: dict[str, Any], checkpoints: Checkpoints, log: Log) -> dict[str, Any]:
    epoch, state = _resume(state, checkpoints)
    step_function = parallel.make_train_step(stage.loss, stage.optimizer.tx)
    total = stage.epochs * stage.steps_per_epoch
    estimate = _Estimate()
    ahead = Prefetcher(stage.batches)
    bar = console.bar(total=total, initial=epoch * stage.steps_per_epoch, desc=stage.name, unit="step")
    with contextlib.closing(ahead), bar as progress:
        while epoch < stage.epochs and not _out_of_patience(stage, state):
            state, trained = _run_epoch(stage, state, epoch, ahead, step_function, checkpoints, progress, estimate)
            if epoch + 1 < stage.epochs:
                ahead.begin(epoch + 1)
            _check_params(stage, state["params"], (epoch + 1) * stage.steps_per_epoch, checkpoints)
            figures = broadcast_from_process_zero(partial(stage.validate, state["params"]))
            _check_validation(stage, figures, (epoch + 1) * stage.steps_per_epoch, checkpoints)
            state = _judge(stage, state, figures)
            log(stage.name, epoch, {**trained, **_validation(figures)})
            checkpoints.save(epoch, state, float(np.float32(figures[stage.monitor])))
            stage.watch(epoch, state["params"])
            # A name with a slash is one of many, such as an AU's.
            shown = {
                "loss": trained["train_loss"],
                **{name: value for name, value in figures.items() if "/" not in name},
            }
            progress.set_postfix({name: f"{value:.3f}" for name, value in shown.items()})
            epoch += 1
    return state


def _resume(state: dict[str, Any], checkpoints: Checkpoints) -> tuple[int, dict[str, Any]]:
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


def _run_epoch(
    stage, state, epoch, ahead, step_function, checkpoints, progress, estimate
) -> tuple[dict[str, Any], dict[str, float]]:
    params, opt_state = parallel.replicate((state["params"], state["opt_state"]))
    constants = parallel.replicate({**stage.constants, **stage.epoch_constants(epoch)})
    waiting = StallTimer(ahead.epoch(epoch))
    key = jax.random.key(stage.seed)
    losses = []
    first = epoch * stage.steps_per_epoch
    # All rates of the epoch at once: one by one, each would wait for the update before it.
    steps = jnp.arange(first, first + stage.steps_per_epoch)
    rates = np.asarray(jax.vmap(stage.optimizer.schedule)(steps)) * np.float32(state["plateau"].scale)
    for step, batch in enumerate(waiting, start=first):
        if step - first >= len(rates):
            raise RuntimeError(f"{stage.name}: an epoch has more than {stage.steps_per_epoch} batches")
        opt_state = stage.optimizer.set_learning_rate(opt_state, rates[step - first])
        # Step 0 of dropout must not share its key with the initial weights.
        step_key = jax.random.fold_in(key, step + 1)
        params, opt_state, loss = step_function(params, opt_state, constants, parallel.shard(batch), step_key)
        losses.append(loss)
        waiting.queued(loss)
        progress.update()
        estimate.step(progress, stage, step, loss)
        # Looking at every loss would make the accelerator wait.
        if len(losses) % 50 == 0:
            _check(stage, losses, first, checkpoints)
    if len(losses) != stage.steps_per_epoch:
        raise RuntimeError(f"{stage.name}: an epoch had {len(losses)} batches, not {stage.steps_per_epoch}")
    _check(stage, losses, first, checkpoints)
    state = {**state, "params": params, "opt_state": opt_state}
    mean = float(np.mean([float(loss) for loss in losses]))
    return state, {"train_loss": mean, "learning_rate": float(rates[-1]), **waiting.figures()}


class _Estimate:
    """Tells once, a few steps after the start, how long the stage will take at most, for all folds to go."""

    def __init__(self):
        self._started: tuple[int, float] | None = None
        self._told = not is_process_zero()

    def step(self, progress: tqdm, stage: TrainSpec, step: int, loss: jax.Array) -> None:
        if self._told or (self._started and step - self._started[0] < ESTIMATE_STEPS):
            return
        # Steps are handed to the device ahead of time; one is over when its loss is there.
        jax.block_until_ready(loss)
        now = time.monotonic()
        if self._started is None:
            # The first step compiles.
            self._started = step, now
            console.note(f"{stage.name}: first step done")
            return
        self._told = True
        first, start = self._started
        seconds = (now - start) / (step - first)
        fold = seconds * stage.epochs * stage.steps_per_epoch
        if fold * stage.folds_to_go > WORTH_TELLING:
            console.tell(
                f"{stage.name}: {seconds:.2f} s a step; {stage.epochs} epochs of {stage.steps_per_epoch} steps are "
                f"{tqdm.format_interval(fold)} at most, {tqdm.format_interval(fold * stage.folds_to_go)} for "
                f"{stage.folds_to_go} folds (h:mm:ss), validation not counted"
            )


def _check(stage: TrainSpec, losses: list, first: int, checkpoints: Checkpoints) -> None:
    bad = np.flatnonzero(~np.isfinite(np.array([float(loss) for loss in losses])))
    if bad.size:
        raise UserError(_not_finite(stage, "loss", first + int(bad[0]), checkpoints))


def _check_params(stage: TrainSpec, params: Any, step: int, checkpoints: Checkpoints) -> None:
    # They come to the host for the checkpoint anyway.
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(jax.tree.map(np.asarray, params))):
        raise UserError(_not_finite(stage, "a parameter", step, checkpoints))


def _check_validation(stage: TrainSpec, figures: dict[str, float], step: int, checkpoints: Checkpoints) -> None:
    if not np.isfinite(figures["loss"]):
        raise UserError(_not_finite(stage, "validation loss", step, checkpoints))
    # F1 is undefined where no AU is present at all, which matters only to a stage that chooses its epoch by it.
    if not np.isfinite(figures[stage.monitor]):
        raise UserError(
            f"{stage.name}: validation {stage.monitor} is undefined, for no validation subject shows any AU; take a larger "
            "config.protocol.validation, or more recordings"
        )


def _not_finite(stage: TrainSpec, what: str, step: int, checkpoints: Checkpoints) -> str:
    latest = checkpoints.latest_epoch()
    good = (
        f"the last good checkpoint is {stage.directory / 'checkpoints' / str(latest)}"
        if latest is not None
        else "there is no checkpoint yet"
    )
    return f"{stage.name}: {what} is not finite at step {step}; {good}; lower the learning rate"


def _validation(figures: dict[str, float]) -> dict[str, float]:
    return {f"validation_{name}": value for name, value in figures.items()}


def _judge(stage: TrainSpec, state: dict[str, Any], figures: dict[str, float]) -> dict[str, Any]:
    value = np.float32(figures[stage.monitor])
    # Of equals the later one is best, as it is for the checkpoints that are kept.
    better = value >= state["best"] if stage.maximise else value <= state["best"]
    _, plateau = _plateau(stage.plateau).update({}, state["plateau"], value=jnp.asarray(figures["loss"], jnp.float32))
    return {
        **state,
        "plateau": plateau,
        "best": value if better else state["best"],
        "epochs_since_best": np.int32(0 if better else state["epochs_since_best"] + 1),
    }


def _out_of_patience(stage: TrainSpec, state: dict[str, Any]) -> bool:
    return bool(stage.patience) and int(state["epochs_since_best"]) >= stage.patience


def _plateau(plateau: Plateau) -> optax.GradientTransformationExtraArgs:
    # optax refuses a factor of 1, which is how a config turns the schedule off: never lose patience then.
    if plateau.factor == 1.0:
        return optax.contrib.reduce_on_plateau(factor=0.5, patience=2**30, min_scale=1.0)
    return optax.contrib.reduce_on_plateau(
        factor=plateau.factor, patience=plateau.patience, min_scale=plateau.min_scale
    )
