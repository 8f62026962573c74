"""CPM: linear classifiers on HOG that adapt to each test subject without that subject's labels (paper section IV-D)."""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32

from au_jax import files
from au_jax.config import Config
from au_jax.data.dataset import FaceDataset, FaceSet
from au_jax.models.hybrid import project
from au_jax.systems import BUILT_IN
from au_jax.systems.base import FoldContext, System, check_enough, every_nth
from au_jax.systems.cpm import model
from au_jax.systems.cpm.classifiers import CPMSettings
from au_jax.systems.hog_svm import DESCRIPTOR_WIDTH, descriptors
from au_jax.systems.pca import fit_components


class Cpm(System):
    """PCA on HOG, then the confidence-preserving machine (`au_jax.systems.cpm.model`), for every test subject and AU.

    What it learns of a test subject it learns while scoring, from frames without labels; so the training rows are kept.

    Example:
      >>> from au_jax.config import Config
      >>> Cpm.label, round(Cpm.disk_bytes(Config(), frames=100_000, folds=3, aus=12) / 1e6)  # MB at most
      ('CPM', 35)
    """

    name = "cpm"
    label, colour, marker, line = BUILT_IN[name].look
    config_block = "CPMConfig"

    def __init__(self, context: FoldContext):
        super().__init__(context)
        self._config = context.config.cpm
        self._settings = CPMSettings.from_config(self._config)
        self._model: dict[str, np.ndarray] = {}

    @classmethod
    def check_fold(
        cls, config: Config, index: int, train: FaceSet, validation: FaceSet, further: Mapping[str, FaceDataset]
    ) -> None:
        """Refuses fewer than two training frames."""
        check_enough(cls.name, index, train, config.cpm.frame_step)

    @classmethod
    def plan_line(cls, config: Config, train: FaceSet) -> str:
        return f"HOG, confident pair on {every_nth(config.cpm.frame_step)}, a classifier per test person"

    @classmethod
    def disk_bytes(cls, config: Config, frames: int, folds: int, aus: int) -> float:
        # Every n-th training frame is kept beside the components.
        rows = frames * (1 - 1 / folds) / config.cpm.frame_step
        return 4.0 * folds * (DESCRIPTOR_WIDTH + rows + 2 * aus) * config.cpm.pca_components

    def fit(self, train: FaceSet, validation: FaceSet) -> None:
        """Keeps every n-th training frame and fits the classifiers to start from. The constants are the authors'.

        So nothing is chosen on validation subjects.
        """
        path = self._context.files.model("cpm")
        if not files.is_whole_npz(path):
            with self._context.costs.measure(self._context.name("cpm/fit")):
                files.write_npz(path, self._fit(train))
        self._model = files.read_npz(path)

    def score(self, faces: FaceSet) -> dict[str, Float32[np.ndarray, "_ A"]]:
        """Decision values of each subject's own classifiers."""
        rows = descriptors(faces, 1, self._represent)
        subjects = self._gather(faces, rows)
        owner = np.repeat(np.arange(len(faces.subjects)), faces.lengths)
        pairs = self._model["pairs"]
        scores = np.empty((len(rows), len(pairs)), np.float32)
        rounds, personal = [], []
        for au, pair in enumerate(pairs):
            known = self._examples(au)
            if known is None:
                scores[:, au] = pair[0, -1]
                continue
            adapted = model.adapt(known, jnp.asarray(pair), subjects, self._settings)
            scores[:, au] = np.einsum("nd,nd->n", rows, np.asarray(adapted.weights)[owner])
            rounds.append(np.asarray(adapted.rounds))
            personal.append(np.asarray(adapted.personal))
        if rounds:
            scalars = {"rounds": float(np.mean(rounds)), "with_own_classifier": float(np.mean(personal))}
            self._context.log.write(self._context.name("cpm/adaptation"), 0, scalars)
        return faces.by_video(scores)

    def _fit(self, train: FaceSet) -> dict[str, np.ndarray]:
        step = self._config.frame_step
        labels = train.labels[::step]
        counted = (labels != 0).any(-1)
        rows, labels = descriptors(train, step)[counted], labels[counted]
        components = fit_components(rows, self._config.pca_energy, self._config.pca_components)
        self._context.log.write(
            self._context.name("cpm"),
            0,
            {"pca_components": len(components.directions), "retained_energy": components.energy, "frames": len(rows)},
        )
        self._model = {"mean": components.mean, "components": components.directions}
        # Rows without a label take no part.
        filling = [(0, _round_up(len(rows), 256) - len(rows)), (0, 0)]
        self._model["rows"] = np.pad(self._represent(rows), filling)
        self._model["labels"] = np.pad(labels, filling)
        self._model["pairs"] = np.stack([self._start(au) for au in range(labels.shape[1])])
        return self._model

    def _start(self, au: int) -> np.ndarray:
        """The pair to start from, [2, D]; for an AU with one class, or no label at all, what says so everywhere."""
        known = self._examples(au)
        if known is not None:
            return np.asarray(model.initial_pair(known, self._settings))
        constant = np.zeros((2, self._model["rows"].shape[1]), np.float32)
        constant[:, -1] = 1.0 if (self._model["labels"][:, au] > 0).any() else -1.0
        return constant

    def _examples(self, au: int) -> model.Examples | None:
        """The training frames of an AU; None if there are not both classes."""
        labels = self._model["labels"][:, au]
        if not ((labels > 0).any() and (labels < 0).any()):
            return None
        return model.examples(jnp.asarray(self._model["rows"]), jnp.asarray(labels.astype(np.float32)), self._settings)

    def _represent(self, rows: np.ndarray) -> np.ndarray:
        """Descriptors [N, 6272] as components of unit length and a column of ones, [N, D]."""
        reduced = project(rows, self._model["mean"], self._model["components"])
        reduced /= np.maximum(np.linalg.norm(reduced, axis=1, keepdims=True), 1e-12)
        return np.concatenate([reduced, np.ones((len(rows), 1), np.float32)], 1)

    def _gather(self, faces: FaceSet, rows: np.ndarray) -> model.Subject:
        """Every n-th frame of each subject, filled up to as many subjects and rows as make few different shapes."""
        step = self._config.adaptation_step
        video = np.repeat(np.arange(len(faces.videos)), [len(video) for video in faces.videos])
        video = np.where(faces.face_detected, video, -1).astype(np.int32)
        ends = np.cumsum(faces.lengths)[:-1]
        longest = max(-(-int(length) // step) for length in faces.lengths)
        shape = (_round_up(len(faces.subjects), 8), _round_up(longest, 8))
        gathered, places = np.zeros((*shape, rows.shape[1]), np.float32), np.full(shape, -1, np.int32)
        for number, (part, own) in enumerate(zip(np.split(rows, ends), np.split(video, ends), strict=True)):
            count = len(part[::step])
            gathered[number, :count], places[number, :count] = part[::step], own[::step]
        return model.Subject(jnp.asarray(gathered), jnp.asarray(places))


def _round_up(count: int, multiple: int) -> int:
    """Folds differ by a few frames and subjects; what has one shape is compiled once."""
    return -(-count // multiple) * multiple
