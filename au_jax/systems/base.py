"""What a system of the paper's tables is: `fit` on training and validation subjects, then `score` on others."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import jax
import numpy as np

from au_jax.config import Config
from au_jax.data.dataset import FaceSet
from au_jax.errors import UserError
from au_jax.evaluation import metrics
from au_jax.labels import AUS
from au_jax.logs import Costs, RunLog
from au_jax.training import losses


@dataclass(frozen=True)
class FoldContext:
    """Where a fold is at home; holds nothing of its test subjects.

    Attributes:
      config: of the whole run.
      index: number of the fold, from 0.
      directory: of the fold, such as runs/demo/fold_00.
      log: of the run.
      costs: of the run.
      parents: names of the folders above `directory` that belong to a stage's name: ("fold_00",) in a part of a fold.
      salt: sets the seeds of a part apart from the fold's.
      transfer: the other dataset's subjects, for the system whose CNN learns from them.
    """

    config: Config
    index: int
    directory: Path
    log: RunLog
    costs: Costs
    parents: tuple[str, ...] = ()
    salt: tuple[int, ...] = ()
    transfer: "Transfer | None" = None

    def name(self, stage: str) -> str:
        """A stage's name in logs and errors, such as "fold_00/anet/cnn"."""
        return "/".join((*self.parents, self.directory.name, stage))

    def seed(self, *numbers: int) -> int:
        """A seed of this fold for a purpose that the numbers name."""
        return int(np.random.default_rng([self.config.seed, self.index, *self.salt, *numbers]).integers(2**31))

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


@dataclass(frozen=True)
class Transfer:
    """The other dataset: its subjects, for training and validation, and where the CNN that learns from them is at home."""

    train: FaceSet
    validation: FaceSet
    context: FoldContext


class System(Protocol):
    """A row of the tables.

    `fit` may be called again after a kill: what is finished is read from the fold's folder. `score` gets faces without
    labels and gives, per video key, scores [T, 12] float32, > 0 where the AU is found present.
    """

    def __init__(self, context: FoldContext): ...

    def fit(self, train: FaceSet, validation: FaceSet, /) -> None:
        """Learns from training subjects; chooses by validation subjects."""
        ...

    def score(self, faces: FaceSet) -> dict[str, np.ndarray]:
        """Scores every frame of every video."""
        ...


def validation_metrics(
    scores: np.ndarray, labels: np.ndarray, loss: Callable[[np.ndarray, np.ndarray], jax.Array]
) -> dict[str, float]:
    """What an epoch is judged by.

    Args:
      scores: [N, 12] float, of validation frames.
      labels: [N, 12] int8.
      loss: (scores, labels) -> the loss of every frame [N].

    Returns:
      loss, the mean over the frames that have a label; f1, the average F1-frame at threshold 0; both NaN where a score is not
      finite; and f1/AU01 and so on, that of every AU for which it is defined.
    """
    if not np.isfinite(scores).all():
        return {"loss": np.nan, "f1": np.nan}
    values, counted = np.asarray(loss(scores, labels)), np.asarray(losses.labelled(labels))
    by_au = metrics.f1(metrics.counts(labels, scores))
    return {
        "loss": float((values * counted).sum() / max(counted.sum(), 1.0)),
        "f1": float(metrics.average(by_au)[0]),
        **{f"f1/AU{au:02d}": float(value) for au, value in zip(AUS, by_au, strict=True) if np.isfinite(value)},
    }


def check_finite(faces: FaceSet, rows: np.ndarray, what: str, remedy: str) -> None:
    """Stops at rows [N, ...] of all frames of a set that are not finite.

    Raises:
      UserError: names the first of these frames.
    """
    bad = np.flatnonzero(~np.isfinite(rows).reshape(len(rows), -1).all(1))
    if bad.size:
        video = np.repeat([video.key for video in faces.videos], [len(video) for video in faces.videos])[bad[0]]
        raise UserError(f"{what} of {video}, frame {faces.frame_numbers[bad[0]]}, are not finite; {remedy}")
