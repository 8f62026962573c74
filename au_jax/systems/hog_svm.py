"""HOG+SVM: a linear SVM per AU on the 128-D SIFT/HOG descriptors at 49 landmarks (paper section IV-D)."""

import concurrent.futures
import os
import warnings
from typing import cast

import numpy as np
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from au_jax import files
from au_jax.data import frames
from au_jax.data.dataset import FaceSet
from au_jax.descriptors.hog import hog
from au_jax.evaluation import metrics
from au_jax.labels import NUM_AUS
from au_jax.systems.base import FoldContext

BATCH = 128


class HogSvm:
    """PCA on the descriptors of training subjects, then scikit-learn's linear SVM with its cost chosen per AU."""

    def __init__(self, context: FoldContext):
        self._context = context
        self._model: dict[str, np.ndarray] = {}

    def fit(self, train: FaceSet, validation: FaceSet) -> None:
        """Fits PCA and SVMs on every n-th training frame; the cost with the best validation F1-frame wins, per AU."""
        path = self._context.directory / "hog_svm" / "model.npz"
        if not path.exists():
            with self._context.costs.measure(self._context.name("hog_svm/fit")):
                files.write_npz(path, self._fit(train, validation))
        self._model = files.read_npz(path)

    def score(self, faces: FaceSet) -> dict[str, np.ndarray]:
        """The SVMs' decision values."""
        return faces.by_video(self._project(descriptors(faces, 1)) @ self._model["weights"] + self._model["bias"])

    def _fit(self, train: FaceSet, validation: FaceSet) -> dict[str, np.ndarray]:
        config = self._context.config.hog_svm
        rows, labels = descriptors(train, config.frame_step), train.labels[:: config.frame_step]
        components = min(config.pca_components, *rows.shape)
        pca = PCA(components, svd_solver="auto", random_state=0).fit(rows)
        assert pca.components_ is not None
        energy = np.cumsum(pca.explained_variance_ratio_)
        kept = min(int(np.searchsorted(energy, config.pca_energy)) + 1, components)
        # One scale for all components keeps PCA's geometry and makes the costs comparable between datasets.
        scale = np.sqrt(pca.explained_variance_[:kept].sum())
        self._model = {"mean": pca.mean_, "components": pca.components_[:kept] / scale}
        rows = self._project(rows)
        validation_rows = self._project(descriptors(validation, config.frame_step))
        validation_labels = validation.labels[:: config.frame_step]

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            models = list(
                pool.map(
                    lambda au: _fit_au(
                        rows,
                        labels[:, au],
                        validation_rows,
                        validation_labels[:, au],
                        config.costs,
                        self._context.seed(3),
                    ),
                    range(NUM_AUS),
                )
            )
        weights, bias, costs = zip(*models, strict=True)
        self._context.log.write(
            self._context.name("hog_svm"), 0, {"pca_components": kept, "retained_energy": energy[kept - 1]}
        )
        return {
            **self._model,
            "weights": np.stack(weights, 1).astype(np.float32),
            "bias": np.array(bias, np.float32),
            "costs": np.array(costs),
        }

    def _project(self, rows: np.ndarray) -> np.ndarray:
        return ((rows - self._model["mean"]) @ self._model["components"].T).astype(np.float32)


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


def _fit_au(
    rows: np.ndarray,
    labels: np.ndarray,
    validation_rows: np.ndarray,
    validation_labels: np.ndarray,
    costs: tuple[float, ...],
    seed: int,
) -> tuple[np.ndarray, float, float]:
    """The SVM of one AU: weights, bias and the cost chosen."""
    known = labels != 0
    if len(np.unique(labels[known])) < 2:
        # Nothing to separate: the sign of the only class, or absent where there is no label.
        sign = float(labels[known][0]) if known.any() else -1.0
        return np.zeros(rows.shape[1], np.float32), sign, float("nan")
    best = None
    for cost in costs:
        # scikit-learn documents dual as "auto" or bool; its type is inferred from the default alone.
        svm = LinearSVC(C=cost, dual=False, tol=1e-3, max_iter=300, random_state=seed)  # pyright: ignore[reportArgumentType]
        with warnings.catch_warnings():
            # A cost at the far end of the grid may stop at max_iter; validation judges it all the same.
            warnings.simplefilter("ignore", ConvergenceWarning)
            svm.fit(rows[known], labels[known])
        scores = svm.decision_function(validation_rows)
        value = metrics.f1(metrics.counts(validation_labels[:, None], scores[:, None]))[0]
        if best is None or np.nan_to_num(value) > best[0]:
            best = (np.nan_to_num(value), svm.coef_[0], float(cast(np.ndarray, svm.intercept_)[0]), cost)
    assert best is not None
    return best[1:]
