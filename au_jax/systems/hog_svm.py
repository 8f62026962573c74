"""HOG+SVM: a linear SVM per AU on the 128-D SIFT/HOG descriptors at 49 landmarks (paper section IV-D)."""

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float, Float32

from au_jax.config import Config
from au_jax.data import input_pipeline
from au_jax.data.dataset import FaceDataset, FaceSet
from au_jax.descriptors.hog import hog
from au_jax.systems import BUILT_IN
from au_jax.systems.base import FoldContext, System, check_enough, check_finite, every_nth
from au_jax.systems.linear_svm import LinearSvms

BATCH = 128
WIDTH = 49 * 128
"""Numbers of a frame's descriptor."""


class HogSvm(System):
    """PCA on the descriptors of training subjects, then a linear SVM per AU."""

    name = "hog_svm"
    label, colour, marker, line = BUILT_IN[name].look
    config_block = "HogSvmConfig"

    def __init__(self, context: FoldContext):
        super().__init__(context)
        self._svms = LinearSvms(context, "hog_svm", context.config.hog_svm)
        self._step = context.config.hog_svm.frame_step

    @classmethod
    def check_fold(
        cls, config: Config, index: int, train: FaceSet, validation: FaceSet, further: Mapping[str, FaceDataset]
    ) -> None:
        """Refuses fewer than two training frames."""
        check_enough(cls.name, index, train, config.hog_svm.frame_step)

    @classmethod
    def plan_line(cls, config: Config, train: FaceSet) -> str:
        frames = every_nth(config.hog_svm.frame_step)
        return f"HOG of every frame, {train.labels.shape[1]} linear SVMs on {frames}"

    @classmethod
    def disk_bytes(cls, config: Config, frames: int, folds: int, aus: int) -> float:
        return 4.0 * folds * WIDTH * config.hog_svm.pca_components

    def fit(self, train: FaceSet, validation: FaceSet) -> None:
        """Fits PCA and SVMs on every n-th training frame; the cost with the best validation F1-frame wins, per AU."""
        self._svms.fit(
            lambda: (descriptors(train, self._step), train.labels[:: self._step]),
            lambda: (descriptors(validation, self._step), validation.labels[:: self._step]),
        )

    def score(self, faces: FaceSet) -> dict[str, np.ndarray]:
        """The SVMs' decision values."""
        return faces.by_video(self._svms.score(descriptors(faces, 1)))


def descriptors(
    faces: FaceSet,
    frame_step: int,
    reduce: Callable[[Float32[np.ndarray, "B 6272"]], np.ndarray] = lambda rows: rows,
) -> Float[np.ndarray, "N D"]:
    """HOG of every n-th frame of the set, or what `reduce` makes of it batch by batch.

    Args:
      faces: in whose frames the descriptors are computed, at the landmarks.
      frame_step: n.
      reduce: [B, 6272] float32 -> [B, D].

    Returns:
      [ceil(frames / n), D] float32; D = 6272 without `reduce`.

    Raises:
      DataError: landmarks that are not finite; names the frame.
    """
    check_finite(faces, faces.landmarks, "landmarks", "delete the prepared dataset to have it made again")
    landmarks = faces.landmarks[::frame_step]
    parts, start = [], 0
    for batch in input_pipeline.ordered_batches(faces, batch_size=BATCH, crop_size=None, frame_step=frame_step):
        count = int(batch["mask"].sum())
        # One shape for all calls, as the images have: one compilation.
        points = np.pad(landmarks[start : start + count], [(0, BATCH - count), (0, 0), (0, 0)])
        parts.append(reduce(np.asarray(hog(batch["image"], points))[:count]))
        start += count
    return np.concatenate(parts)
