"""ANet-T: a CNN trained on another dataset, its fc7, and linear SVMs trained on this one (paper sections IV-B and IV-D)."""

import numpy as np

from au_jax.data.dataset import FaceSet
from au_jax.systems.anet import ANet
from au_jax.systems.base import FoldContext
from au_jax.systems.linear_svm import LinearSvms


class AnetTransfer:
    """The cross-dataset protocol: the CNN sees no frame of this dataset, the SVMs see its training subjects."""

    def __init__(self, context: FoldContext):
        if context.transfer is None:
            raise ValueError("anet_transfer needs the other dataset in its context")
        self._transfer = context.transfer
        # One CNN serves every fold: its subjects are in none of them.
        self._anet = ANet(context.transfer.context)
        self._svms = LinearSvms(context, "anet_transfer", context.config.anet_transfer)
        self._step = context.config.anet_transfer.frame_step

    def fit(self, train: FaceSet, validation: FaceSet) -> None:
        """Trains the CNN on the other dataset, if no fold has done so, then the SVMs on this fold's training subjects."""
        self._anet.fit(self._transfer.train, self._transfer.validation)
        self._svms.fit(
            lambda: (self._features(train)[:: self._step], train.labels[:: self._step]),
            lambda: (self._features(validation)[:: self._step], validation.labels[:: self._step]),
        )

    def score(self, faces: FaceSet) -> dict[str, np.ndarray]:
        """The SVMs' decision values."""
        return faces.by_video(self._svms.score(self._features(faces)))

    def _features(self, faces: FaceSet) -> np.ndarray:
        return self._anet.extract_features(faces)[1]
