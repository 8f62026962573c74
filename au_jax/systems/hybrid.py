"""The hybrid: CNN, LSTMs on its fc7, and the fusion of both (paper section III; "Ours" in the tables)."""

import numpy as np
from sklearn.decomposition import PCA

from au_jax import files
from au_jax.data.dataset import FaceSet
from au_jax.systems.anet import ANet
from au_jax.systems.base import FoldContext
from au_jax.systems.merging import Merging, Streams
from au_jax.systems.temporal import Temporal


class Hybrid:
    """The whole system; its CNN is the fold's ANet, trained here where that has not been done."""

    def __init__(self, context: FoldContext):
        self._context = context
        self._anet = ANet(context)
        self._temporal = Temporal(context)
        self._merging = Merging(context)
        self._pca: dict[str, np.ndarray] = {}

    def fit(self, train: FaceSet, validation: FaceSet) -> None:
        """Trains the CNN, PCA and LSTMs on training subjects, and the fusion network on validation subjects.

        The CNN's scores of its own training frames are over-fitted; a fusion network that learned from them would trust
        the CNN alone (notes section 3).
        """
        self._anet.fit(train, validation)
        with self._context.costs.measure(self._context.name("hybrid/features")):
            train_rows, _ = self._features(train, fit=True)
            rows, cnn = self._features(validation, fit=False)
        self._temporal.fit(
            train.by_video(train_rows),
            train.by_video(train.labels),
            validation.by_video(rows),
            validation.by_video(validation.labels),
        )
        streams = self._streams(validation, rows, cnn)
        held = self._held_out(validation)
        learn = ~held if held.any() else np.ones_like(held)
        stop = held if held.any() else learn
        self._merging.fit(
            _rows(streams, learn), validation.labels[learn], _rows(streams, stop), validation.labels[stop]
        )

    def score(self, faces: FaceSet) -> dict[str, np.ndarray]:
        """The fusion network's logits."""
        cnn, fc7 = self._anet.represent(faces)
        return faces.by_video(self._merging.logits(self._streams(faces, self._project(fc7), cnn)))

    def _features(self, faces: FaceSet, fit: bool) -> tuple[np.ndarray, np.ndarray]:
        """PCA-reduced fc7 [N, D] and CNN logits [N, 12], from the fold's folder where they were computed before."""
        folder = self._context.directory / "hybrid" / "features"
        paths = [folder / f"{subject}.npz" for subject in faces.subjects]
        if not (all(path.exists() for path in paths) and (folder / "pca.npz").exists()):
            cnn, fc7 = self._anet.represent(faces)
            if fit:
                files.write_npz(folder / "pca.npz", self._fit_pca(fc7))
            self._pca = files.read_npz(folder / "pca.npz")
            rows = self._project(fc7)
            ends = np.cumsum([len(faces.dataset.records(subject).frames) for subject in faces.subjects])
            for path, part, scores in zip(paths, np.split(rows, ends[:-1]), np.split(cnn, ends[:-1]), strict=True):
                files.write_npz(path, {"features": part, "cnn_scores": scores})
        self._pca = files.read_npz(folder / "pca.npz")
        parts = [files.read_npz(path) for path in paths]
        return np.concatenate([part["features"] for part in parts]), np.concatenate(
            [part["cnn_scores"] for part in parts]
        )

    def _fit_pca(self, fc7: np.ndarray) -> dict[str, np.ndarray]:
        config = self._context.config.lstm
        components = min(config.pca_components, *fc7.shape)
        pca = PCA(components, svd_solver="covariance_eigh" if fc7.shape[0] > fc7.shape[1] else "full")
        pca.fit(fc7)
        assert pca.components_ is not None
        self._context.log.write(
            self._context.name("hybrid/pca"),
            0,
            {"components": components, "retained_energy": float(pca.explained_variance_ratio_.sum())},
        )
        scale = np.sqrt(pca.explained_variance_.mean()) if config.standardise else 1.0
        return {"mean": pca.mean_, "components": pca.components_ / scale}

    def _project(self, fc7: np.ndarray) -> np.ndarray:
        return ((fc7 - self._pca["mean"]) @ self._pca["components"].T).astype(np.float32)

    def _streams(self, faces: FaceSet, rows: np.ndarray, cnn: np.ndarray) -> Streams:
        outputs = self._temporal.outputs(faces.by_video(rows)).values()
        if self._context.config.fusion.variant == "features":
            return rows, np.concatenate([hidden for _, hidden in outputs])
        return cnn, np.concatenate([scores for scores, _ in outputs])

    def _held_out(self, validation: FaceSet) -> np.ndarray:
        """Marks the frames of validation subjects that only tell the fusion network's best epoch, [N] bool."""
        count = round(self._context.config.fusion.holdout * len(validation.subjects))
        count = min(count, len(validation.subjects) - 1)
        order = np.random.default_rng(self._context.seed(8)).permutation(len(validation.subjects))
        held = {validation.subjects[index] for index in order[:count]}
        return np.concatenate([np.full(len(video), video.subject in held) for video in validation.videos])


def _rows(streams: Streams, chosen: np.ndarray) -> Streams:
    return streams[0][chosen], streams[1][chosen]
