"""HOG+SVM: a linear SVM per AU on the 128-D SIFT/HOG descriptors at 49 landmarks (paper section IV-D)."""

import numpy as np

from au_jax.data import frames
from au_jax.data.dataset import FaceSet
from au_jax.descriptors.hog import hog
from au_jax.systems.base import FoldContext
from au_jax.systems.linear_svm import LinearSvms

BATCH = 128


class HogSvm:
    """PCA on the descriptors of training subjects, then a linear SVM per AU."""

    def __init__(self, context: FoldContext):
        self._svms = LinearSvms(context, "hog_svm", context.config.hog_svm)
        self._step = context.config.hog_svm.frame_step

    def fit(self, train: FaceSet, validation: FaceSet) -> None:
        """Fits PCA and SVMs on every n-th training frame; the cost with the best validation F1-frame wins, per AU."""
        self._svms.fit(
            lambda: (descriptors(train, self._step), train.labels[:: self._step]),
            lambda: (descriptors(validation, self._step), validation.labels[:: self._step]),
        )

    def score(self, faces: FaceSet) -> dict[str, np.ndarray]:
        """The SVMs' decision values."""
        return faces.by_video(self._svms.score(descriptors(faces, 1)))


def descriptors(faces: FaceSet, frame_step: int) -> np.ndarray:
    """HOG of every n-th frame of the set, [ceil(N / n), 6272] float32."""
    landmarks = faces.landmarks
    parts, start = [], 0
    for batch in frames.ordered_batches(faces, batch_size=BATCH * frame_step, crop_size=None):
        count = int(batch["mask"].sum())
        # Every batch starts at a multiple of frame_step.
        images = batch["image"][:count:frame_step]
        points = landmarks[start : start + count : frame_step]
        missing = BATCH - len(images)
        # One shape for all calls: one compilation.
        images = np.pad(images, [(0, missing), (0, 0), (0, 0), (0, 0)])
        points = np.pad(points, [(0, missing), (0, 0), (0, 0)])
        parts.append(np.asarray(hog(images, points))[: BATCH - missing])
        start += count
    return np.concatenate(parts)
