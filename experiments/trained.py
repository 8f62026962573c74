"""A trained run as the figures need it: a fold's CNN, its test subjects' faces, and every system's scores."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from au_jax import files
from au_jax.config import Config
from au_jax.data.dataset import FaceDataset
from au_jax.data.preparation import prepare
from au_jax.errors import UserError
from au_jax.inference.detector import read_config
from au_jax.models.cnn import AlexNet
from au_jax.models.hybrid import config_aus
from au_jax.systems import anet
from au_jax.training.trainer import best_params

BATCH = 128


@dataclass(frozen=True)
class TrainedRun:
    """A fold of a run.

    Attributes:
      folder: of the run.
      fold: number of the fold.
    """

    folder: Path
    fold: int = 0

    @cached_property
    def config(self) -> Config:
        """What the run was started with."""
        return read_config(self.folder)

    @property
    def title(self) -> str:
        """The run and what it was trained on, for readers."""
        data = self.config.data
        source = f"synthfacs {data.preset}" if data.source == "synthfacs" else data.name or data.source
        return f"{self.folder.absolute().name} ({source})"

    @property
    def directory(self) -> Path:
        """The fold's folder."""
        return self.folder / f"fold_{self.fold:02d}"

    @cached_property
    def dataset(self) -> FaceDataset:
        """All faces of the run's dataset; prepared anew where they are not on disk any more."""
        return FaceDataset(prepare(self.config.data))

    @cached_property
    def test_subjects(self) -> tuple[str, ...]:
        """Those on whom the fold's networks were not trained."""
        return tuple(files.read_json(self.folder / "split.json")["folds"][self.fold]["test"])

    @cached_property
    def cnn(self) -> dict[str, Any]:
        """The fold's CNN: {"params": .., "mean" [S, S, 3]}.

        Raises:
          UserError: the run has no such fold, or its CNN is not trained to its end.
        """
        params = best_params(self.directory / "anet")
        return {"params": params, "mean": files.read_npz(self.directory / "anet" / "mean.npz")["mean"]}

    @property
    def thresholds(self) -> np.ndarray:
        """What was subtracted from the CNN's logits to make its scores, [12] float32."""
        return files.read_npz(self.directory / "scores" / "anet.npz")["thresholds"]

    @property
    def model(self) -> AlexNet:
        """The network that `cnn` has the parameters of."""
        return anet.make_cnn(self.config.cnn, len(config_aus(self.config)))

    @property
    def window(self) -> slice:
        """Rows and columns of a registered face that the CNN sees."""
        start = (self.config.data.image_size - self.config.data.crop_size) // 2
        return slice(start, start + self.config.data.crop_size)

    def fc7(self, images: np.ndarray) -> np.ndarray:
        """The CNN's L2-normalised fc7 of registered faces, [N, S, S, 3] uint8 -> [N, D] float32.

        Raises:
          UserError: the faces are of another size than the CNN's.
        """
        size, start = self.config.data.image_size, self.window.start
        if images.shape[1] != size:
            raise UserError(
                f"{self.folder} was trained on faces of {size} px and is shown faces of {images.shape[1]} px; take two "
                "runs with the same config.data.image_size"
            )
        forward = jax.jit(partial(anet.forward, self.model))
        variables, parts = jax.device_put(self.cnn), []
        for crops, count in padded(images[:, self.window, self.window]):
            place = {"offset": np.full((BATCH, 2), start, np.int32), "flip": np.zeros(BATCH, bool)}
            parts.append(np.asarray(forward(variables, {"image": crops, **place})[1])[:count])
        return np.concatenate(parts)


def padded(*arrays: np.ndarray, size: int = BATCH) -> Iterator[Any]:
    """Batches of `size` rows, the last filled up with zeros: one shape, one compilation; and how many rows count."""
    for start in range(0, len(arrays[0]), size):
        parts = [rows[start : start + size] for rows in arrays]
        count = len(parts[0])
        yield *(np.pad(part, [(0, size - count)] + [(0, 0)] * (part.ndim - 1)) for part in parts), count


def optional_path(text: str | None) -> Path | None:
    """The path that a flag names, None where it is not given."""
    return Path(text) if text else None
