"""What a system of the paper's tables is: `fit` on training and validation subjects, then `score` on others."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from au_jax.config import Config
from au_jax.data.dataset import FaceSet
from au_jax.logs import Costs, RunLog


@dataclass(frozen=True)
class FoldContext:
    """Where a fold is at home; holds nothing of its test subjects.

    Attributes:
      config: of the whole run.
      index: number of the fold, from 0.
      directory: of the fold, such as runs/demo/fold_00.
      log: of the run.
      costs: of the run.
    """

    config: Config
    index: int
    directory: Path
    log: RunLog
    costs: Costs

    def name(self, stage: str) -> str:
        """A stage's name in logs and errors, such as "fold_00/anet/cnn"."""
        return f"{self.directory.name}/{stage}"

    def seed(self, *numbers: int) -> int:
        """A seed of this fold for a purpose that the numbers name."""
        return int(np.random.default_rng([self.config.seed, self.index, *numbers]).integers(2**31))


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
