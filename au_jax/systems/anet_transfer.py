"""ANet-T: a CNN trained on another dataset, its fc7, and linear SVMs trained on this one (paper sections IV-B and IV-D)."""

import dataclasses
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float32

from au_jax.config import Config, DataConfig, replace, to_dict
from au_jax.data.dataset import FaceDataset, FaceSet
from au_jax.data.readers import make_reader
from au_jax.data.splits import split_off
from au_jax.errors import ConfigError, DataError
from au_jax.models.cnn import FC7_WIDTH
from au_jax.systems import BUILT_IN
from au_jax.systems.anet import ANet
from au_jax.systems.base import FoldContext, System, check_enough, fold_seed
from au_jax.systems.hog_svm import LinearSvms

OTHER = "transfer"
"""The other dataset's name among `FoldContext.datasets`, and the folder of its CNN in the run's folder."""
SALT = 2017
"""Sets the seeds of the other dataset's CNN apart from those of fold 0."""


class AnetTransfer(System):
    """The cross-dataset protocol: the CNN sees no frame of this dataset, the SVMs see its training subjects.

    Example:
      >>> from au_jax.config import Config
      >>> AnetTransfer.label, AnetTransfer.further_data(Config())["transfer"].source
      ('ANet-T', 'synthfacs')
    """

    name = "anet_transfer"
    label, colour, marker, line = BUILT_IN[name].look
    config_block = "HogSvmConfig"

    def __init__(self, context: FoldContext):
        super().__init__(context)
        config, dataset = context.config, context.datasets[OTHER]
        # One CNN serves every fold: its subjects are in none of them.
        other = dataclasses.replace(
            context,
            config=_with_other_data(config),
            index=0,
            directory=context.directory.parent / OTHER,
            salt=(SALT,),
        )
        self._train, self._validation = _other_faces(config, dataset)
        self._anet = ANet(other)
        self._svms = LinearSvms(context, "anet_transfer", config.anet_transfer)
        self._step = config.anet_transfer.frame_step

    @classmethod
    def check(cls, config: Config) -> None:
        """Refuses the dataset itself for the other one, and a network that cannot be made."""
        if make_reader(_other_data(config)).name == make_reader(config.data).name:
            raise ConfigError(
                "config.transfer names the dataset of config.data, and anet_transfer needs another one; give another "
                "config.transfer.source, name, preset or render_seed"
            )
        ANet.check(_with_other_data(config))

    @classmethod
    def check_fold(
        cls, config: Config, index: int, train: FaceSet, validation: FaceSet, further: Mapping[str, FaceDataset]
    ) -> None:
        """Refuses what `ANet.check_fold` does, of the other dataset, and fewer than two training frames of this one."""
        check_enough(cls.name, index, train, config.anet_transfer.frame_step)
        ANet.check_fold(_with_other_data(config), 0, *_other_faces(config, further[OTHER]), {})

    @classmethod
    def plan_line(cls, config: Config, train: FaceSet) -> str:
        epochs, aus = config.cnn.epochs, train.labels.shape[1]
        return f"CNN on the other dataset, once, {epochs} epochs; {aus} linear SVMs on its fc7"

    @classmethod
    def disk_bytes(cls, config: Config, frames: int, folds: int, aus: int) -> float:
        svms = 4.0 * folds * FC7_WIDTH * config.anet_transfer.pca_components
        return svms + ANet.disk_bytes(config, frames, 1, aus)

    @classmethod
    def further_data(cls, config: Config) -> dict[str, DataConfig]:
        return {OTHER: _other_data(config)}

    def fit(self, train: FaceSet, validation: FaceSet) -> None:
        """Trains the CNN on the other dataset, if no fold has done so, then the SVMs on this fold's training subjects."""
        self._anet.fit(self._train, self._validation)
        self._svms.fit(
            lambda: (self._features(train)[:: self._step], train.labels[:: self._step]),
            lambda: (self._features(validation)[:: self._step], validation.labels[:: self._step]),
        )

    def score(self, faces: FaceSet) -> dict[str, Float32[np.ndarray, "_ A"]]:
        """The SVMs' decision values."""
        return faces.by_video(self._svms.score(self._features(faces)))

    def _features(self, faces: FaceSet) -> np.ndarray:
        return self._anet.extract_features(faces)[1]


def _other_faces(config: Config, dataset: FaceDataset) -> tuple[FaceSet, FaceSet]:
    """Training and validation subjects of the other dataset.

    Raises:
      DataError: it has too few subjects.
    """
    chosen, rest = split_off(dataset.subjects, config.protocol.validation, fold_seed(config, 0, SALT, 0))
    if not rest:
        raise DataError(
            f"the dataset of config.transfer has {len(dataset.subjects)} subjects, of which a share of "
            f"{config.protocol.validation:g} for validation leaves none to train on; lower config.protocol.validation, or "
            "take a larger dataset"
        )
    return FaceSet(dataset, rest), FaceSet(dataset, chosen)


def _other_data(config: Config) -> DataConfig:
    """`config.data` with the fields that `config.transfer` changes."""
    return replace(config.data, **to_dict(config.transfer))


def _with_other_data(config: Config) -> Config:
    """The config of the run on the other dataset, which has one fold."""
    return replace(config, data=_other_data(config), folds=(0,))
