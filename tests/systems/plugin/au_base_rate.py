"""A system of another package: calls an AU present in every frame or in none, by its share among the training frames."""

from dataclasses import dataclass

import numpy as np

from au_jax import files
from au_jax.errors import ConfigError
from au_jax.systems.base import System


@dataclass(frozen=True)
class BaseRateConfig:
    """The section `config.base_rate`.

    Attributes:
      present_from: share of training frames from which an AU is called present, 0 to 1.
    """

    present_from: float = 0.5


class BaseRate(System):
    """Knows nothing of faces."""

    name, label, colour, marker, line = "base_rate", "base rate", "#882255", "h", ":"
    config_block = BaseRateConfig

    @classmethod
    def check(cls, config):
        if not 0 < config.base_rate.present_from < 1:
            raise ConfigError(f"config.base_rate.present_from is {config.base_rate.present_from}; give 0 to 1")

    @classmethod
    def plan_line(cls, config, train):
        return f"shares of {train.labels.shape[1]} AUs, present from {config.base_rate.present_from:g}"

    @classmethod
    def disk_bytes(cls, config, frames, folds, aus):
        return 4.0 * folds * aus

    def fit(self, train, validation):
        path = self._context.files.model(self.name)
        if not files.is_whole_npz(path):
            known = np.maximum((train.labels != 0).sum(0), 1)
            files.write_npz(path, {"shares": ((train.labels > 0).sum(0) / known).astype(np.float32)})
        self._shares = files.read_npz(path)["shares"]

    def score(self, faces):
        row = self._shares - np.float32(self._context.config.base_rate.present_from)
        return {video.key: np.tile(row, (len(video), 1)) for video in faces.videos}
