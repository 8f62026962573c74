"""Linear SVMs on frame features, one per AU: the classifier of HOG+SVM and of ANet-T (paper section IV-D)."""

import concurrent.futures
import os
import warnings
from collections.abc import Callable
from typing import cast

import numpy as np
from jaxtyping import Float32, Int8
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from au_jax import files
from au_jax.config import HogSvmConfig
from au_jax.evaluation import metrics
from au_jax.systems.base import FoldContext
from au_jax.systems.pca import fit_components, project

Examples = tuple[Float32[np.ndarray, "N D"], Int8[np.ndarray, "N A"]]
"""Features and labels of the same frames."""


class LinearSvms:
    """PCA, then scikit-learn's linear SVM per AU with its cost chosen on validation subjects."""

    def __init__(self, context: FoldContext, system: str, config: HogSvmConfig):
        self._context, self._system, self._config = context, system, config
        self._model: dict[str, np.ndarray] = {}

    def fit(self, train: Callable[[], Examples], validation: Callable[[], Examples]) -> None:
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
        rows = project(rows, self._model["mean"], self._model["components"])
        return rows @ self._model["weights"] + self._model["bias"]

    def _fit(
        self, rows: np.ndarray, labels: np.ndarray, validation_rows: np.ndarray, validation_labels: np.ndarray
    ) -> dict[str, np.ndarray]:
        config = self._config
        components = fit_components(rows, config.pca_energy, config.pca_components)
        # One scale for all components keeps PCA's geometry and makes the costs comparable between datasets.
        scale = np.sqrt(components.variances.sum())
        mean, directions = components.mean, components.directions / scale
        rows, validation_rows = project(rows, mean, directions), project(validation_rows, mean, directions)
        seed = self._context.seed(3)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
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
