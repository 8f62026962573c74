"""ANet + filter: what time gives the CNN without an LSTM; the hybrid's fusion over time, with the CNN's scores alone."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float32

from au_jax.config import Config, replace
from au_jax.data.dataset import FaceDataset, FaceSet
from au_jax.models.hybrid import make_fusion
from au_jax.systems import BUILT_IN, fusion_trainer
from au_jax.systems.anet import ANet
from au_jax.systems.base import FoldContext, System, building, checkpoint_bytes
from au_jax.systems.fusion_trainer import Branches, FusionTrainer, temporal_rows


class AnetFilter(System):
    """The fold's ANet, trained here where that has not been done, and a filter over its scores.

    The filter has the window, the level, the people and the training of the hybrid's (`config.fusion`), whatever its
    variant: what the hybrid is ahead of it, the LSTM gives.

    Example:
      >>> import pathlib, tempfile
      >>> from au_jax.logs import Costs, RunLog
      >>> folder = pathlib.Path(tempfile.mkdtemp())
      >>> system = AnetFilter(FoldContext(Config(), 0, folder / "fold_00", RunLog(folder), Costs(folder)))
      >>> system.label
      'ANet + filter'
    """

    name = "anet_filter"
    label, colour, marker, line = BUILT_IN[name].look

    def __init__(self, context: FoldContext):
        super().__init__(context)
        self._anet = ANet(context)
        self._fusion = FusionTrainer(context, self.name, variant="temporal")

    @property
    def hysteresis(self) -> float:
        """`config.fusion.hysteresis`."""
        return self._context.config.fusion.hysteresis

    @classmethod
    def check(cls, config: Config) -> None:
        """Refuses networks that cannot be made."""
        ANet.check(config)
        with building({"config.fusion.hidden": config.fusion.hidden}):
            cls.disk_bytes(config, 1, 2, len(config.data.aus))

    @classmethod
    def check_fold(
        cls, config: Config, index: int, train: FaceSet, validation: FaceSet, further: Mapping[str, FaceDataset]
    ) -> None:
        """Refuses what `ANet.check_fold` does, and the same of the filter."""
        ANet.check_fold(config, index, train, validation, further)
        fusion_trainer.check_validation(config, index, validation)

    @classmethod
    def plan_line(cls, config: Config, train: FaceSet) -> str:
        cnn = "the CNN of ANet" if "anet" in config.systems else ANet.plan_line(config, train)
        return f"{cnn}; filter over time, {config.fusion.epochs} epochs"

    @classmethod
    def disk_bytes(cls, config: Config, frames: int, folds: int, aus: int) -> float:
        fusion = make_fusion(replace(config.fusion, variant="temporal"), aus)
        shape = fusion_trainer.temporal_shape(config.fusion, aus)
        # ANet and the hybrid count the fold's CNN.
        cnn = not {"anet", "hybrid"} & set(config.systems)
        filters = folds * checkpoint_bytes(
            fusion_trainer.initial_params, (fusion, shape, None), config.fusion.optimizer
        )
        return filters + cnn * ANet.disk_bytes(config, frames, folds, aus)

    def fit(self, train: FaceSet, validation: FaceSet) -> None:
        """Trains the CNN on training subjects, and the filter on validation subjects as the hybrid's fusion network."""
        self._anet.fit(train, validation)
        self._fusion.fit_on_validation(self._branches(validation), validation)

    def score(self, faces: FaceSet) -> dict[str, Float32[np.ndarray, "_ A"]]:
        """The filtered logits."""
        return faces.by_video(self._fusion.logits(self._branches(faces)))

    def _branches(self, faces: FaceSet) -> Branches:
        logits, _ = self._anet.extract_features(faces)
        return (temporal_rows(self._context.config.fusion, logits, [len(video) for video in faces.videos]),)
