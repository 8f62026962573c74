"""JPML: logistic classifiers on HOG that choose their facial patches and know which AUs go together (paper section IV-D)."""

import itertools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32

from au_jax import files
from au_jax.config import Config
from au_jax.data.dataset import FaceSet
from au_jax.evaluation import metrics
from au_jax.faces.registration import TEMPLATE
from au_jax.systems import BUILT_IN
from au_jax.systems.base import FoldContext, System, every_nth
from au_jax.systems.hog_svm import DESCRIPTOR_WIDTH, descriptors
from au_jax.systems.jpml import patch_learning

PATCHES: int = len(TEMPLATE)
"""One around each landmark."""


class Jpml(System):
    """Joint patch and multi-label learning (`patch_learning`) with its three weights chosen on validation subjects.

    Example:
      >>> from au_jax.config import Config
      >>> Jpml.label, round(Jpml.disk_bytes(Config(), frames=100_000, folds=3, aus=12) / 1e6)  # MB at most
      ('JPML', 1)
    """

    name = "jpml"
    label, colour, marker, line = BUILT_IN[name].look
    config_block = "JPMLConfig"

    def __init__(self, context: FoldContext):
        super().__init__(context)
        self._config = context.config.jpml
        self._model: dict[str, np.ndarray] = {}

    @classmethod
    def plan_line(cls, config: Config, train: FaceSet) -> str:
        return f"HOG, patches and relations on {every_nth(config.jpml.frame_step)}"

    @classmethod
    def disk_bytes(cls, config: Config, frames: int, folds: int, aus: int) -> float:
        return 4.0 * folds * (DESCRIPTOR_WIDTH + PATCHES + 2 * aus) * aus

    def fit(self, train: FaceSet, validation: FaceSet) -> None:
        """Fits on every n-th training frame; the weights with the best average validation F1-frame win."""
        path = self._context.files.model("jpml")
        if not files.is_whole_npz(path):
            with self._context.costs.measure(self._context.name("jpml/fit")):
                files.write_npz(path, self._fit(train, validation))
        self._model = files.read_npz(path)

    def score(self, faces: FaceSet) -> dict[str, Float32[np.ndarray, "_ A"]]:
        """The logits X W."""
        return faces.by_video(
            descriptors(faces, 1, lambda rows: rows @ self._model["weights"]) + self._model["constant"]
        )

    def _fit(self, train: FaceSet, validation: FaceSet) -> dict[str, np.ndarray]:
        config = self._config
        labels = train.labels[:: config.frame_step]
        counted = (labels != 0).any(-1)
        labels, rows = labels[counted], descriptors(train, config.frame_step)[counted]
        single = ~((labels > 0).any(0) & (labels < 0).any(0))
        # Nothing to separate: the sign of the only class, or absent where there is no label.
        constant = np.where(single, np.where((labels > 0).any(0), 1.0, -1.0), 0.0).astype(np.float32)
        labels = np.where(single, 0, labels)
        together, compete = patch_learning.relations(labels, config.together, config.compete)
        grid = list(itertools.product(config.alphas, config.betas_together, config.betas_compete))
        penalties = jnp.asarray(grid, jnp.float32).T
        problem = patch_learning.PatchProblem(
            jnp.asarray(rows), jnp.asarray(labels.astype(np.float32)), jnp.asarray(together), jnp.asarray(compete),
            *penalties,
        )  # fmt: skip
        solved = patch_learning.solve(problem, PATCHES, config.iterations, config.tolerance)
        best, value = self._choose(np.asarray(solved.weights), constant, validation)
        weights = np.asarray(solved.weights[best])
        norms = np.asarray(patch_learning.patch_norms(solved.weights[best], PATCHES))
        self._context.log.write(
            self._context.name("jpml"),
            0,
            {
                **dict(zip(("alpha", "beta_together", "beta_compete"), grid[best], strict=True)),
                "validation_f1": value,
                "objective": solved.objective[best],
                "iterations": solved.count[best],
                "patches_per_au": (norms > 0).sum() / weights.shape[1],
                "pairs_together": (together > 0).sum() / 2,
                "pairs_competing": (compete > 0).sum() / 2,
            },
        )
        return {
            "weights": weights, "constant": constant, "patch_norms": norms, "penalties": np.array(grid[best]),
            "together": together, "compete": compete,
        }  # fmt: skip

    def _choose(self, candidates: np.ndarray, constant: np.ndarray, validation: FaceSet) -> tuple[int, float]:
        """Which of the weights [G, D, A] has the best average F1-frame on every n-th validation frame, and that F1."""
        step = self._config.frame_step
        # A candidate's scores beside the next one's.
        columns = np.moveaxis(candidates, 0, 1).reshape(candidates.shape[1], -1)
        scores = descriptors(validation, step, lambda rows: rows @ columns)
        scores = scores.reshape(len(scores), len(candidates), len(constant)) + constant
        counts = [metrics.counts(validation.labels[::step], scores[:, number]) for number in range(len(candidates))]
        values = np.nan_to_num([metrics.average(metrics.f1(count))[0] for count in counts])
        best = int(values.argmax())
        return best, float(values[best])
