"""ANet intensity: the fold's CNN, and an ordinal head per AU on its fc7 that says how strong an AU is (`models.ordinal`).

Where frames of training subjects have intensities, the head learns them, and presence with them: the AU is present from the
intensity on that the labels say. Of an AU that nobody graded it learns presence alone. Not in the paper.
"""

import concurrent.futures
from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float32, Int8
from scipy.optimize import minimize
from scipy.special import expit

from au_jax import files
from au_jax.config import Config
from au_jax.cores import usable_cores
from au_jax.data.dataset import FaceDataset, FaceSet
from au_jax.errors import ConfigError
from au_jax.evaluation.intensity import intensity_counts, intensity_icc
from au_jax.models.cnn import FC7_WIDTH
from au_jax.models.hybrid import project
from au_jax.models.ordinal import LETTER_COUNT, expected_intensity
from au_jax.run_dir import fold_name
from au_jax.systems import BUILT_IN
from au_jax.systems.anet import ANet
from au_jax.systems.base import FoldContext, System, check_enough, every_nth
from au_jax.systems.pca import fit_components

_LARGEST = 30.0
"""Scores beyond this logit say no more."""


class AnetIntensity(System):
    """The fold's ANet, trained here where that has not been done, and a cumulative logit per AU on its fc7.

    Example:
      >>> AnetIntensity.label, round(AnetIntensity.disk_bytes(Config(systems=("anet",)), 100_000, folds=3, aus=12) / 1e6)
      ('ANet intensity', 21)
    """

    name = "anet_intensity"
    label, colour, marker, line = BUILT_IN[name].look
    config_block = "IntensityConfig"

    def __init__(self, context: FoldContext):
        super().__init__(context)
        self._anet = ANet(context)
        self._model: dict[str, np.ndarray] = {}
        self._last: tuple[tuple[str, ...], np.ndarray] = (), np.zeros((0, 0))

    @classmethod
    def check(cls, config: Config) -> None:
        """Refuses a network that cannot be made."""
        ANet.check(config)

    @classmethod
    def check_fold(
        cls, config: Config, index: int, train: FaceSet, validation: FaceSet, further: Mapping[str, FaceDataset]
    ) -> None:
        """Refuses training subjects without intensities, and what `ANet.check_fold` does."""
        check_enough(cls.name, index, train, config.anet_intensity.frame_step)
        if not (train.intensities > 0).any():
            raise ConfigError(
                f"{fold_name(index)}: no training frame has an intensity, A to E, which {cls.name} learns from; leave it out of "
                "config.systems, or prepare recordings that have them (a dataset of an earlier version: au-jax prepare)"
            )
        ANet.check_fold(config, index, train, validation, further)

    @classmethod
    def plan_line(cls, config: Config, train: FaceSet) -> str:
        cnn = "the CNN of ANet" if {"anet", "hybrid"} & set(config.systems) else ANet.plan_line(config, train)
        graded = int((train.intensities > 0).any(0).sum())
        frames = every_nth(config.anet_intensity.frame_step)
        return f"{cnn}; {train.labels.shape[1]} ordinal heads on {frames}, {graded} of them of intensities"

    @classmethod
    def disk_bytes(cls, config: Config, frames: int, folds: int, aus: int) -> float:
        heads = 4.0 * folds * config.anet_intensity.pca_components * (FC7_WIDTH + aus)
        cnn = not {"anet", "hybrid"} & set(config.systems)
        # Of every frame: estimates float32 and codes int8.
        return heads + 5.0 * frames * aus + cnn * ANet.disk_bytes(config, frames, folds, aus)

    def fit(self, train: FaceSet, validation: FaceSet) -> None:
        """Trains the CNN, then PCA and heads on every n-th training frame; the penalty of best validation ICC wins, per AU.

        Of an AU without intensities the penalty of the best validation likelihood wins.
        """
        context = self._context
        self._anet.fit(train, validation)
        path = context.files.model(self.name)
        if not files.is_whole_npz(path):
            with context.costs.measure(context.name(f"{self.name}/fit")):
                files.write_npz(path, self._fit(train, validation))
        self._model = files.read_npz(path)

    def score(self, faces: FaceSet) -> dict[str, Float32[np.ndarray, "_ A"]]:
        """Logits of presence: of an intensity from which labels say that the AU is present."""
        scores = self._rows(faces) @ self._model["weights"] - self._model["present"]
        return faces.by_video(np.clip(scores, -_LARGEST, _LARGEST).astype(np.float32))

    def estimate_intensities(self, faces: FaceSet) -> dict[str, Float32[np.ndarray, "_ A"]]:
        """Expected intensities, 0 to 5; NaN for an AU without any among the training subjects."""
        rows = jnp.asarray(self._rows(faces))
        return faces.by_video(np.asarray(expected_intensity(rows, self._model["weights"], self._model["borders"])))

    def _rows(self, faces: FaceSet) -> np.ndarray:
        """PCA-reduced fc7; kept for the next call, which asks for the same faces."""
        if self._last[0] != faces.subjects:
            fc7 = self._anet.extract_features(faces)[1]
            rows = np.asarray(project(fc7, self._model["mean"], self._model["components"]))
            self._last = faces.subjects, rows
        return self._last[1]

    def _fit(self, train: FaceSet, validation: FaceSet) -> dict[str, np.ndarray]:
        context, config = self._context, self._context.config.anet_intensity
        step = config.frame_step
        fc7 = self._anet.extract_features(train)[1][::step]
        components = fit_components(fc7, config.pca_energy, config.pca_components)
        # One scale for all components keeps PCA's geometry and makes the penalties comparable between datasets.
        mean, directions = components.mean, components.directions / np.sqrt(components.variances.sum())
        rows = np.asarray(project(fc7, mean, directions))
        others = np.asarray(project(self._anet.extract_features(validation)[1], mean, directions))
        labels, grades = train.labels[::step], train.intensities[::step]

        def fit(au: int) -> "_Head":
            return _fit_au(
                (rows, labels[:, au], grades[:, au]),
                (others, validation.labels[:, au], validation.intensities[:, au]),
                config.penalties,
            )

        with concurrent.futures.ThreadPoolExecutor(usable_cores()) as pool:
            heads = list(pool.map(fit, range(labels.shape[1])))
        weights, borders, present, penalties = zip(*heads, strict=True)
        context.log.write(
            context.name(self.name),
            0,
            {"pca_components": len(components.directions), "retained_energy": components.energy},
        )
        return {
            "mean": mean,
            "components": directions.astype(np.float32),
            "weights": np.stack(weights, 1).astype(np.float32),
            "borders": np.stack(borders, 1).astype(np.float32),
            "present": np.array(present, np.float32),
            "penalties": np.array(penalties),
        }


_Examples = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Features [N, K], labels [N] and intensities [N] of one AU."""

_Head = tuple[np.ndarray, np.ndarray, float, float]
"""Weights [K], borders [5], the border of presence, and the penalty that was chosen."""


def _fit_au(train: _Examples, validation: _Examples, penalties: tuple[float, ...]) -> _Head:
    rows, labels, grades = train
    graded = bool((grades > 0).any() and (grades == 0).any())
    # Without intensities an AU has two steps, absent and present.
    steps, known = (grades, grades >= 0) if graded else (np.where(labels > 0, 1, 0), labels != 0)
    if len(np.unique(steps[known])) < 2:
        sign = float(np.sign(labels[labels != 0].sum())) if (labels != 0).any() else -1.0
        return np.zeros(rows.shape[1]), np.full(LETTER_COUNT, np.nan), -sign, float("nan")
    rows, steps = rows[known].astype(np.float64), steps[known].astype(np.int64)
    best: tuple[float, _Head] | None = None
    weights, borders = None, None
    # From the strongest penalty on, each fit begins where the one before ended.
    for penalty in sorted(penalties, reverse=True):
        weights, borders = fit_ordinal(rows, steps, penalty, weights, borders)
        shown = borders if graded else np.full(LETTER_COUNT, np.nan)
        head = weights, shown, _border_of_presence(borders, labels[known], steps, graded), penalty
        value = _validation_figure(head, borders, validation)
        if best is None or np.nan_to_num(value, nan=-np.inf) > best[0]:
            best = np.nan_to_num(value, nan=-np.inf), head
    assert best is not None
    return best[1]


def _border_of_presence(borders: np.ndarray, labels: np.ndarray, steps: np.ndarray, graded: bool) -> float:
    """The border of the least intensity that is coded as present; infinite where none is."""
    if not graded:
        return float(borders[0])
    present = steps[(labels > 0) & (steps > 0)]
    return float(borders[present.min() - 1]) if len(present) else float("inf")


def _validation_figure(head: _Head, borders: np.ndarray, validation: _Examples) -> float:
    """ICC of intensities where the AU has any there; else the mean log-likelihood of presence."""
    rows, labels, grades = validation
    weights, shown, present, _ = head
    places = rows.astype(np.float64) @ weights
    if not np.isnan(shown).any() and (grades > 0).any():
        estimates = expit(places[:, None] - borders).sum(1)
        return float(intensity_icc(intensity_counts(grades[:, None].astype(np.int8), estimates[:, None]))[0])
    known = labels != 0
    return float(-np.logaddexp(0, -labels[known] * (places[known] - present)).mean()) if known.any() else float("nan")


def fit_ordinal(
    rows: Float[np.ndarray, "N K"],
    steps: Int8[np.ndarray, " N"] | np.ndarray,
    penalty: float,
    weights: Float[np.ndarray, " K"] | None = None,
    borders: Float[np.ndarray, " 5"] | None = None,
) -> tuple[Float[np.ndarray, " K"], Float[np.ndarray, " 5"]]:
    """Fits a cumulative logit: for every step k the logistic regression of "at least k", all with the same weights.

    The sum of these regressions' losses (the "all-threshold" loss of Rennie & Srebro, 2005) is convex, and its borders come out
    in order.

    Args:
      rows: [N, K] float64 features.
      steps: [N] whole numbers, 0 to 5, of two values at least.
      penalty: ridge penalty on the weights, per frame.
      weights, borders: where to begin; None: at nothing.

    Returns:
      Weights [K] and borders [5]; those above the highest step that is there are infinite.

    Example:
      >>> rows, steps = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 1, 1, 2])
      >>> weights, borders = fit_ordinal(rows, steps, penalty=1e-3)
      >>> bool(weights[0] > 0), (borders / weights[0]).round(1).tolist()  # halfway between the steps' frames
      (True, [0.5, 2.5, inf, inf, inf])
    """
    count, width = rows.shape
    levels = np.arange(1, steps.max() + 1)
    reached = (steps[:, None] >= levels).astype(np.float64)
    start = np.zeros(width + len(levels))
    if weights is not None:
        start[:width] = weights
    start[width:] = -np.log(reached.mean(0) / (1 - reached.mean(0))) if borders is None else borders[: len(levels)]

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        logits = (rows @ parameters[:width])[:, None] - parameters[width:]
        value = (np.logaddexp(0, logits) - reached * logits).sum() / count
        residual = (expit(logits) - reached) / count
        gradient = rows.T @ residual.sum(1) + penalty * parameters[:width]
        ridge = penalty / 2 * parameters[:width] @ parameters[:width]
        return value + ridge, np.concatenate([gradient, -residual.sum(0)])

    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 200, "ftol": 1e-9, "gtol": 1e-6}).x
    return found[:width], np.concatenate([found[width:], np.full(LETTER_COUNT - len(levels), np.inf)])
