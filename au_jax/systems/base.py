"""What a system of the paper's tables is: `fit` on training and validation subjects, then `score` on others."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import jax
import numpy as np
from jaxtyping import Array, Float, Float32, Int8

from au_jax.config import CNNConfig, Config, DataConfig, FusionConfig, LSTMConfig, OptimizerConfig, to_dict
from au_jax.data.dataset import FaceDataset, FaceSet
from au_jax.errors import ConfigError, DataError
from au_jax.evaluation import metrics
from au_jax.logs import Costs, RunLog
from au_jax.models import temporal
from au_jax.run_dir import FoldDir
from au_jax.systems import GREY
from au_jax.training import losses, parallel
from au_jax.training.checkpoints import MOST_CHECKPOINTS
from au_jax.training.optimizers import make_optimizer, make_transformation
from au_jax.training.trainer import Plateau, TrainSpec


@dataclass(frozen=True)
class FoldContext:
    """The config, the folder and the logs of a fold; nothing of its test subjects.

    Attributes:
      config: of the whole run.
      index: number of the fold, from 0.
      directory: of the fold, such as runs/demo/fold_00.
      log: of the run.
      costs: of the run.
      datasets: the datasets that `System.further_data` asked for, by name.
      parents: names of the folders above `directory` that belong to a stage's name: ("fold_00",) in a part of a fold.
      salt: sets the seeds of a part apart from the fold's.

    Example:
      >>> import tempfile
      >>> folder = Path(tempfile.mkdtemp())
      >>> context = FoldContext(Config(), 0, folder / "fold_00", RunLog(folder), Costs(folder))
      >>> context.name("anet/cnn"), context.part("inner_01", 1).name("anet/cnn")
      ('fold_00/anet/cnn', 'fold_00/inner_01/anet/cnn')
    """

    config: Config
    index: int
    directory: Path
    log: RunLog
    costs: Costs
    datasets: Mapping[str, FaceDataset] = field(default_factory=dict)
    parents: tuple[str, ...] = ()
    salt: tuple[int, ...] = ()

    @property
    def files(self) -> FoldDir:
        """The names of the fold's files."""
        return FoldDir(self.directory)

    @property
    def aus(self) -> tuple[int, ...]:
        """The AUs of the run, in the order of the columns of labels and scores."""
        return tuple(self.config.data.aus)

    def name(self, stage: str) -> str:
        """A stage's name in logs and errors, such as "fold_00/anet/cnn"."""
        return "/".join((*self.parents, self.directory.name, stage))

    def seed(self, *numbers: int) -> int:
        """A seed of this fold for a purpose that the numbers name."""
        return fold_seed(self.config, self.index, *self.salt, *numbers)

    @property
    def folds_to_go(self) -> int:
        """How many folds the run still does, this one included."""
        order = list(self.config.folds or range(self.config.protocol.folds))
        return len(order) - order.index(self.index)

    def part(self, name: str, number: int) -> "FoldContext":
        """A context for a part of this fold's training, with a folder, names and seeds of its own."""
        return replace(
            self,
            directory=self.directory / name,
            parents=(*self.parents, self.directory.name),
            salt=(*self.salt, number),
        )


def fold_seed(config: Config, index: int, *numbers: int) -> int:
    """A seed of a fold for a purpose that the numbers name, below 2**31.

    Example:
      >>> fold_seed(Config(), 0, 1) == fold_seed(Config(), 0, 1), fold_seed(Config(), 0, 1) == fold_seed(Config(), 1, 1)
      (True, False)
    """
    return int(np.random.default_rng([config.seed, index, *numbers]).integers(2**31))


class System:
    """A row of the tables; a class that extends this one and a line of the registry (`au_jax.systems`) make a system.

    Attributes:
      name: in `config.systems`, in score files and in results.json.
      label: the name for readers.
      colour, marker, line: of its curves, as in matplotlib.
      config_block: a dataclass, the section `config.<name>`, every field of which has a default. Systems of other packages
        give the class; those built in give its name in `au_jax.config`, or None where several systems share the sections.

    Example:
      >>> class Never(System):
      ...     name, label = "never", "never present"
      ...
      ...     def fit(self, train, validation):
      ...         pass
      ...
      ...     def score(self, faces):
      ...         return {video.key: np.full((len(video), 12), -1.0, np.float32) for video in faces.videos}
      >>> Never.disk_bytes(Config(), frames=1000, folds=3, aus=12)
      0.0
    """

    name: ClassVar[str]
    label: ClassVar[str] = ""
    colour: ClassVar[str] = GREY
    marker: ClassVar[str] = "X"
    line: ClassVar[str] = "-."
    config_block: ClassVar[type | str | None] = None

    def __init__(self, context: FoldContext):
        self._context = context

    @property
    def hysteresis(self) -> float:
        """By how much a score must be beyond the threshold to change the decision of the frame before; 0: frames stand alone."""
        return 0.0

    @classmethod
    def check(cls, config: Config) -> None:
        """Refuses settings that would fail after hours; called before any work.

        Raises:
          ConfigError: names the field, and its choices or range.
        """

    @classmethod
    def check_fold(
        cls, config: Config, index: int, train: FaceSet, validation: FaceSet, further: Mapping[str, FaceDataset]
    ) -> None:
        """Refuses settings that do not fit a fold, such as a schedule that is longer than its training.

        Called for every fold that is to be run, before the run's folder is made.

        Args:
          config: of the run.
          index: number of the fold.
          train: its training subjects.
          validation: its validation subjects.
          further: the datasets that `further_data` asked for.

        Raises:
          ConfigError: names the field and what it would have to be.
        """

    @classmethod
    def plan_line(cls, config: Config, train: FaceSet) -> str:
        """What the system does in a fold with these training subjects, in one line."""
        return "fits, then scores"

    @classmethod
    def disk_bytes(cls, config: Config, frames: int, folds: int, aus: int) -> float:
        """Bytes that the system's files of all folds fill at most, its scores not counted.

        Args:
          config: of the run.
          frames: of the dataset.
          folds: of the protocol.
          aus: number of AUs.
        """
        return 0.0

    @classmethod
    def further_data(cls, config: Config) -> dict[str, DataConfig]:
        """The datasets that the system needs beside the run's own: name -> a section as `config.data`.

        The run prepares them before the first fold, and hands them over in `FoldContext.datasets`. The folder of that name
        in the run's folder belongs to the system, for what all folds share.
        """
        return {}

    def fit(self, train: FaceSet, validation: FaceSet, /) -> None:
        """Learns from training subjects; chooses by validation subjects.

        May be called again after a kill: what is finished is read from the fold's folder.
        """
        raise NotImplementedError

    def score(self, faces: FaceSet) -> dict[str, Float32[np.ndarray, "_ A"]]:
        """Scores every frame of every video.

        Args:
          faces: without labels.

        Returns:
          Video key -> scores [T, A] float32, > 0 where the AU is found present.
        """
        raise NotImplementedError

    def estimate_intensities(self, faces: FaceSet) -> dict[str, Float32[np.ndarray, "_ A"]] | None:
        """Estimates the intensity of every AU in every frame of every video; None: this system does not.

        Args:
          faces: without labels.

        Returns:
          Video key -> [T, A] float32, 0 to 5; NaN throughout for an AU without intensities among the training subjects.
        """
        return None


def decide(
    scores: Mapping[str, Float[np.ndarray, "_ A"]], thresholds: Float[np.ndarray, " A"], hysteresis: float
) -> dict[str, Float32[np.ndarray, "_ A"]]:
    """Scores from which 0 is the threshold, whatever it was for the system.

    Args:
      scores: video key -> [T, A], of whole videos.
      thresholds: [A].
      hysteresis: `System.hysteresis`.

    Returns:
      Video key -> [T, A] float32: above 0 where the AU is found present.

    Example:
      >>> scores = {"S001/T1": np.array([[1.5], [0.9], [0.4]], np.float32)}
      >>> decide(scores, np.ones(1), 0.0)["S001/T1"][:, 0].round(1).tolist()
      [0.5, -0.10000000149011612, -0.6000000238418579]
      >>> (decide(scores, np.ones(1), 0.2)["S001/T1"][:, 0] > 0).tolist()
      [True, True, False]
    """
    over = {key: (rows - thresholds).astype(np.float32) for key, rows in scores.items()}
    if not hysteresis:
        return over
    longest = max(len(rows) for rows in over.values())
    stacked = np.stack([np.pad(rows, ((0, longest - len(rows)), (0, 0))) for rows in over.values()])
    held, _ = temporal.hysteresis(stacked, temporal.initial_decisions(len(stacked), len(thresholds)), hysteresis)
    return {key: rows[: len(over[key])] for key, rows in zip(over, np.asarray(held), strict=True)}


def train_spec(
    context: FoldContext,
    stage: str,
    config: CNNConfig | LSTMConfig | FusionConfig,
    *,
    directory: Path,
    init: Callable[[jax.Array], Any],
    loss: parallel.ExampleLoss,
    batches: Callable[[int], Iterator[parallel.Batch]],
    steps_per_epoch: int,
    validate: Callable[[Any], dict[str, float]],
    monitor: str,
    seed: int,
    **optional: Any,
) -> TrainSpec:
    """What to train of a network of the paper: all that follows from the fold and the network's section of the config.

    Args:
      context: of the fold.
      stage: its name within the fold, such as "hybrid/lstm".
      config: `config.cnn`, `config.lstm` or `config.fusion`: epochs, optimizer, patience and plateau.
      directory, init, loss, batches, steps_per_epoch, validate: as in `TrainSpec`.
      monitor: "f1", of which more is better, or "loss".
      seed: number that sets the stage's seed apart from the fold's others.
      **optional: further fields of `TrainSpec`.

    Example:
      >>> import tempfile
      >>> folder = Path(tempfile.mkdtemp())
      >>> context = FoldContext(Config(), 0, folder / "fold_00", RunLog(folder), Costs(folder))
      >>> spec = train_spec(
      ...     context, "hybrid/lstm", context.config.lstm, directory=folder / "lstm", init=lambda key: {},
      ...     loss=lambda params, constants, example, key: (jax.numpy.float32(0), jax.numpy.float32(1)),
      ...     batches=lambda epoch: iter([]), steps_per_epoch=10, validate=lambda params: {"loss": 0.0}, monitor="f1", seed=5,
      ... )
      >>> spec.name, spec.maximise, spec.plateau.factor
      ('fold_00/hybrid/lstm', True, 1.0)
    """
    return TrainSpec(
        name=context.name(stage),
        directory=directory,
        init=init,
        loss=loss,
        batches=batches,
        steps_per_epoch=steps_per_epoch,
        epochs=config.epochs,
        optimizer=make_optimizer(config.optimizer, steps_per_epoch, steps_per_epoch * config.epochs),
        validate=validate,
        monitor=monitor,
        maximise=monitor == "f1",
        patience=config.patience,
        plateau=Plateau(**to_dict(config.plateau)),
        seed=context.seed(seed),
        folds_to_go=context.folds_to_go,
        **{"constants": {}, **optional},
    )


def validation_metrics(
    scores: Float[np.ndarray, "N A"],
    labels: Int8[np.ndarray, "N A"],
    loss: Callable[[np.ndarray, np.ndarray], Float[Array | np.ndarray, " N"]],
    aus: Sequence[int],
) -> dict[str, float]:
    """The metrics of an epoch, by which the best one is chosen.

    Args:
      scores: [N, A] float, of validation frames.
      labels: [N, A] int8.
      loss: (scores, labels) -> the loss of every frame [N].
      aus: numbers of the AUs.

    Returns:
      loss, the mean over the frames that have a label; f1, the average F1-frame at threshold 0; both NaN where a score is not
      finite; and f1/AU01 and so on, that of every AU for which it is defined.

    Example:
      >>> scores, labels = np.array([[1.0], [-1.0], [-1.0]], np.float32), np.array([[1], [1], [-1]], np.int8)
      >>> squares = lambda scores, labels: (scores[:, 0] - labels[:, 0]) ** 2
      >>> {name: round(value, 3) for name, value in validation_metrics(scores, labels, squares, aus=(12,)).items()}
      {'loss': 1.333, 'f1': 0.667, 'f1/AU12': 0.667}
    """
    if not np.isfinite(scores).all():
        return {"loss": np.nan, "f1": np.nan}
    values, counted = np.asarray(loss(scores, labels)), np.asarray(losses.labelled(labels))
    by_au = metrics.f1(metrics.counts(labels, scores))
    return {
        "loss": float((values * counted).sum() / max(counted.sum(), 1.0)),
        "f1": float(metrics.average(by_au)[0]),
        **{f"f1/AU{au:02d}": float(value) for au, value in zip(aus, by_au, strict=True) if np.isfinite(value)},
    }


def check_finite(faces: FaceSet, rows: Float[np.ndarray, "N ..."], what: str, remedy: str) -> None:
    """Stops at rows of all frames of a set that are not finite.

    Args:
      faces: N frames.
      rows: [N, ...] of these frames.
      what: the rows are, for the message.
      remedy: for the message.

    Raises:
      DataError: names the first of these frames.

    Example:
      >>> from au_jax.data.preparation import load_dataset
      >>> from au_jax.run_dir import load_run
      >>> dataset = load_dataset(load_run(run_folder).config.data)
      >>> faces = FaceSet(dataset, dataset.subjects[:1])
      >>> check_finite(faces, faces.landmarks, "landmarks", "delete the prepared dataset to have it made again")
    """
    bad = np.flatnonzero(~np.isfinite(rows).reshape(len(rows), -1).all(1))
    if bad.size:
        video = np.repeat([video.key for video in faces.videos], [len(video) for video in faces.videos])[bad[0]]
        raise DataError(f"{what} of {video}, frame {faces.frame_numbers[bad[0]]}, are not finite; {remedy}")


def checkpoint_bytes(init: Callable[..., Any], arguments: tuple[Any, ...], optimizer: OptimizerConfig) -> float:
    """Bytes that a network's checkpoints fill, parameters and what the optimizer keeps of each, and the best parameters alone.

    Args:
      init: (*arguments, key) -> parameters; not computed, only their shapes are asked for.
      arguments: of `init`, such as the network.
      optimizer: such as `config.cnn.optimizer`.

    Example:
      >>> init = lambda key: {"kernel": jax.numpy.zeros((10, 10)), "bias": jax.numpy.zeros(10)}
      >>> checkpoint_bytes(init, (), Config().cnn.optimizer) > MOST_CHECKPOINTS * 2 * 4 * 110  # with the velocity of each
      True
    """
    return _checkpoint_bytes(init, arguments, optimizer)


@contextlib.contextmanager
def building(fields: Mapping[str, Any]) -> Iterator[None]:
    """Turns what a network's first trace raises into a line that names the fields of which its sizes are made.

    Args:
      fields: name such as "config.lstm.hidden" -> value.

    Raises:
      ConfigError: whatever was raised in the block.

    Example:
      >>> with building({"config.lstm.hidden": 10**9}):
      ...     raise MemoryError("out of memory")
      Traceback (most recent call last):
      au_jax.errors.ConfigError: no network can be made with config.lstm.hidden 1000000000: out of memory; change one of these
    """
    try:
        yield
    except Exception as error:  # Flax, JAX and NumPy raise what they like for sizes that are too large or do not fit
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        sizes = ", ".join(f"{name} {value}" for name, value in fields.items())
        raise ConfigError(f"no network can be made with {sizes}: {reason}; change one of these") from error


# A run asks for the CNN of every system that has it.
@functools.lru_cache
def _checkpoint_bytes(init: Callable[..., Any], arguments: tuple[Any, ...], optimizer: OptimizerConfig) -> float:
    params = jax.eval_shape(functools.partial(init, *arguments), jax.random.key(0))
    state = params, jax.eval_shape(make_transformation(optimizer).init, params)
    in_state, in_params = (
        sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree)) for tree in (state, params)
    )
    return float(MOST_CHECKPOINTS * in_state + in_params)


def check_enough(name: str, index: int, faces: Sized, step: int = 1) -> None:
    """Stops where a PCA would have fewer than two training frames, and so no direction.

    Args:
      name: of the system, whose section of the config has the field frame_step, unless `step` is 1.
      index: of the fold.
      faces: of the training subjects; only their number counts.
      step: every n-th of their frames is taken.

    Raises:
      ConfigError: says how many frames there are.

    Example:
      >>> check_enough("hog_svm", 0, range(40), step=20)  # two frames, as many as PCA needs
      >>> check_enough("hog_svm", 0, range(40), step=40)  # doctest: +ELLIPSIS
      Traceback (most recent call last):
      au_jax.errors.ConfigError: fold_00: hog_svm has 1 training frame, and PCA needs two; lower config.hog_svm.frame_step, ...
    """
    count = -(-len(faces) // step)
    if count < 2:
        fewer = f"lower config.{name}.frame_step, or " if len(faces) > 1 else ""
        raise ConfigError(
            f"fold_{index:02d}: {name} has {count} training frame, and PCA needs two; {fewer}add recordings (of synthfacs: "
            "config.data.frames)"
        )


def every_nth(step: int) -> str:
    """The frames that a step takes, in words.

    Example:
      >>> every_nth(1), every_nth(2), every_nth(20)
      ('every frame', 'every 2nd frame', 'every 20th frame')
    """
    return "every frame" if step == 1 else f"every {step}{'nd' if step == 2 else 'rd' if step == 3 else 'th'} frame"
