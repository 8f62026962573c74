"""CNN and LSTM of one fold: the two streams of scores that the fusion network merges (sections III-A and III-B)."""

from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA

from au_jax import files
from au_jax.data.dataset import FaceSet
from au_jax.systems.anet import ANet
from au_jax.systems.base import FoldContext
from au_jax.systems.merging import Streams
from au_jax.systems.temporal import Temporal


class TwoStreams:
    """The CNN and, on its PCA-reduced fc7, the LSTM stack."""

    def __init__(self, context: FoldContext):
        self._context = context
        self._anet = ANet(context)
        self._temporal = Temporal(context)
        self._folder = context.directory / "hybrid" / "features"
        self._pca: dict[str, np.ndarray] = {}

    def fit(self, train: FaceSet, validation: FaceSet) -> None:
        """Trains CNN, PCA and LSTM stack on training subjects; validation subjects choose the best epochs."""
        self._anet.fit(train, validation)
        with self._context.costs.measure(self._context.name("hybrid/features")):
            self._keep_features(train, fit=True)
            self._keep_features(validation, fit=False)
        self._temporal.fit(
            train.by_video(self._features(train)[0]),
            train.by_video(train.labels),
            validation.by_video(self._features(validation)[0]),
            validation.by_video(validation.labels),
        )

    def streams(self, faces: FaceSet) -> Streams:
        """The CNN's and the LSTM's rows of every frame: scores, or features for the fusion variant that joins those."""
        rows, cnn = self._features(faces)
        outputs = self._temporal.outputs(faces.by_video(rows)).values()
        if self._context.config.fusion.variant == "features":
            return rows, np.concatenate([hidden for _, hidden in outputs])
        return cnn, np.concatenate([scores for scores, _ in outputs])

    def _paths(self, faces: FaceSet) -> list[Path]:
        return [self._folder / f"{subject}.npz" for subject in faces.subjects]

    def _keep_features(self, faces: FaceSet, fit: bool) -> None:
        """Writes the features of training and validation subjects into the fold's folder, for this and the next start."""
        paths, pca = self._paths(faces), self._folder / "pca.npz"
        if not all(files.is_whole_npz(path) for path in (pca, *paths)):
            cnn, fc7 = self._anet.represent(faces)
            if fit:
                files.write_npz(pca, self._fit_pca(fc7))
            self._pca = files.read_npz(pca)
            ends = np.cumsum(faces.lengths)[:-1]
            for path, part, scores in zip(paths, np.split(self._project(fc7), ends), np.split(cnn, ends), strict=True):
                files.write_npz(path, {"features": part, "cnn_scores": scores})
        self._pca = files.read_npz(pca)

    def _features(self, faces: FaceSet) -> tuple[np.ndarray, np.ndarray]:
        """PCA-reduced fc7 [N, D] and CNN logits [N, 12], read where they were kept."""
        paths = self._paths(faces)
        if all(path.exists() for path in paths):
            parts = [files.read_npz(path) for path in paths]
            rows, cnn = (np.concatenate([part[name] for part in parts]) for name in ("features", "cnn_scores"))
            return rows, cnn
        cnn, fc7 = self._anet.represent(faces)
        return self._project(fc7), cnn

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
