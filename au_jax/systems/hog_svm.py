"""HOG+SVM: a linear SVM per AU on the 128-D SIFT/HOG descriptors at 49 landmarks (paper section IV-D).

The SVMs (`LinearSvms`) serve ANet-T as well.
"""

import concurrent.futures
import warnings
from collections.abc import Callable, Mapping
from typing import cast

import numpy as np
from jaxtyping import Float, Float32, Int8
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from au_jax import files
from au_jax.config import Config, HogSvmConfig
from au_jax.cores import usable_cores
from au_jax.data import input_pipeline
from au_jax.data.dataset import FaceDataset, FaceSet
from au_jax.descriptors.hog import hog
from au_jax.evaluation import metrics
from au_jax.models.hybrid import project
from au_jax.systems import BUILT_IN
from au_jax.systems.base import FoldContext, System, check_enough, check_finite, every_nth
from au_jax.systems.pca import fit_components

BATCH = 128
DESCRIPTOR_WIDTH = 49 * 128
"""Numbers of a frame's descriptor."""
LabelledFeatures = tuple[Float32[np.ndarray, "N D"], Int8[np.ndarray, "N A"]]
"""Features and labels of the same frames."""


class HogSvm(System):
    """PCA on the descriptors of training subjects, then a linear SVM per AU.

    Example:
      >>> from au_jax.config import Config
      >>> HogSvm.label, round(HogSvm.disk_bytes(Config(), frames=100_000, folds=3, aus=12) / 1e6)  # MB at most
      ('HOG+SVM', 75)
    """

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
        return 4.0 * folds * DESCRIPTOR_WIDTH * config.hog_svm.pca_components

    def fit(self, train: FaceSet, validation: FaceSet) -> None:
        """Fits PCA and SVMs on every n-th training frame; the cost with the best validation F1-frame wins, per AU."""
        self._svms.fit(
            lambda: (descriptors(train, self._step), train.labels[:: self._step]),
            lambda: (descriptors(validation, self._step), validation.labels[:: self._step]),
        )

    def score(self, faces: FaceSet) -> dict[str, Float32[np.ndarray, "_ A"]]:
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

    Example:
      >>> from au_jax.data.preparation import load_dataset
      >>> from au_jax.run_dir import load_run
      >>> dataset = load_dataset(load_run(run_folder).config.data)
      >>> descriptors(FaceSet(dataset, dataset.subjects[:1]), frame_step=10).shape[1]
      6272
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


class LinearSvms:
    """PCA, then scikit-learn's linear SVM per AU with its cost chosen on validation subjects.

    Args:
      context: of the fold.
      system: whose SVMs they are; names the file that keeps them.
      config: `config.hog_svm` or `config.anet_transfer`.

    Example:
      >>> import pathlib, tempfile
      >>> from au_jax.logs import Costs, RunLog
      >>> folder = pathlib.Path(tempfile.mkdtemp())
      >>> context = FoldContext(Config(), 0, folder / "fold_00", RunLog(folder), Costs(folder))
      >>> rows, labels = np.array([[-1.0, 0.0], [-2.0, 1.0], [1.0, 0.0], [2.0, 1.0]], np.float32), np.int8([[-1], [-1], [1], [1]])
      >>> svms = LinearSvms(context, "mine", HogSvmConfig())
      >>> svms.fit(lambda: (rows, labels), lambda: (rows, labels))
      >>> (svms.score(rows) > 0).ravel().tolist()
      [False, False, True, True]
    """

    def __init__(self, context: FoldContext, system: str, config: HogSvmConfig):
        self._context, self._system, self._config = context, system, config
        self._model: dict[str, np.ndarray] = {}

    def fit(self, train: Callable[[], LabelledFeatures], validation: Callable[[], LabelledFeatures]) -> None:
        """Fits, or reads what an earlier start fitted, without asking for the examples then.

        Args:
          train: makes the training examples.
          validation: makes the examples that choose the cost.
        """
        path = self._context.files.model(self._system)
        if not files.is_whole_npz(path):
            with self._context.costs.measure(self._context.name(f"{self._system}/fit")):
                files.write_npz(path, self._fit(*train(), *validation()))
        self._model = files.read_npz(path)

    def score(self, rows: Float32[np.ndarray, "N D"]) -> Float32[np.ndarray, "N A"]:
        """Decision values [N, A] of features [N, D]."""
        rows = np.asarray(project(rows, self._model["mean"], self._model["components"]))
        return rows @ self._model["weights"] + self._model["bias"]

    def _fit(
        self, rows: np.ndarray, labels: np.ndarray, validation_rows: np.ndarray, validation_labels: np.ndarray
    ) -> dict[str, np.ndarray]:
        config = self._config
        components = fit_components(rows, config.pca_energy, config.pca_components)
        # One scale for all components keeps PCA's geometry and makes the costs comparable between datasets.
        scale = np.sqrt(components.variances.sum())
        mean, directions = components.mean, components.directions / scale
        rows, validation_rows = (np.asarray(project(part, mean, directions)) for part in (rows, validation_rows))
        seed = self._context.seed(3)
        with concurrent.futures.ThreadPoolExecutor(usable_cores()) as pool:
            models = list(
                pool.map(
                    lambda au: _fit_au(
                        rows, labels[:, au], validation_rows, validation_labels[:, au], config.costs, seed
                    ),
                    range(labels.shape[1]),
                )
            )
        weights, bias, costs = zip(*models, strict=True)
        self._context.log.write(
            self._context.name(self._system),
            0,
            {"pca_components": len(components.directions), "retained_energy": components.energy},
        )
        return {
            "mean": mean,
            "components": directions,
            "weights": np.stack(weights, 1).astype(np.float32),
            "bias": np.array(bias, np.float32),
            "costs": np.array(costs),
        }


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
