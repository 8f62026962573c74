"""The hybrid: CNN, LSTMs on its fc7, and the fusion of both (paper section III; "Ours" in the tables).

CNN and LSTM of one fold: the two streams of scores that the fusion network merges (sections III-A and III-B).
"""

from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA

from au_jax import files
from au_jax.data.dataset import FaceSet
from au_jax.models.hybrid import project
from au_jax.systems.anet import ANet
from au_jax.systems.base import FoldContext
from au_jax.systems.fusion_trainer import FusionTrainer, Streams
from au_jax.systems.lstm_trainer import LSTMTrainer


class CnnLstm:
    """The CNN and, on its PCA-reduced fc7, the LSTM stack."""

    def __init__(self, context: FoldContext):
        self._context = context
        self._anet = ANet(context)
        self._temporal = LSTMTrainer(context)
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
            cnn, fc7 = self._anet.extract_features(faces)
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
        cnn, fc7 = self._anet.extract_features(faces)
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
        return project(fc7, self._pca["mean"], self._pca["components"])


TRAIN_ON: tuple[str, ...] = ("validation", "out_of_fold", "train")
"""Whose scores the fusion network learns from, by `config.fusion.train_on`."""


class Hybrid:
    """The whole system; its CNN is the fold's ANet, trained here where that has not been done."""

    def __init__(self, context: FoldContext):
        self._context = context
        self._streams = CnnLstm(context)
        self._merging = FusionTrainer(context)

    def fit(self, train: FaceSet, validation: FaceSet) -> None:
        """Trains CNN, PCA and LSTM stack on training subjects, then the fusion network (notes section 3).

        The streams' scores of their own training frames are over-fitted; a fusion network that learned from them would
        trust the CNN alone. It learns from `config.fusion.train_on`: "validation" subjects, a share of which it does
        not see and which tells its best epoch; "out_of_fold" scores of the training subjects, by streams that were
        trained without them; or, to show the difference, the "train" scores themselves. For the latter two all
        validation subjects tell the best epoch.
        """
        self._streams.fit(train, validation)
        choice = self._context.config.fusion.train_on
        if choice == "validation":
            streams = self._streams.streams(validation)
            stop = self._held_out(validation)
            learn = ~stop
            if not stop.any():
                stop = learn
            arguments = (_rows(streams, learn), validation.labels[learn], _rows(streams, stop), validation.labels[stop])
        elif choice == "out_of_fold":
            streams, labels = self._out_of_fold(train, validation)
            arguments = (streams, labels, self._streams.streams(validation), validation.labels)
        else:
            arguments = (
                self._streams.streams(train),
                train.labels,
                self._streams.streams(validation),
                validation.labels,
            )
        self._merging.fit(*arguments)

    def score(self, faces: FaceSet) -> dict[str, np.ndarray]:
        """The fusion network's logits."""
        return faces.by_video(self._merging.logits(self._streams.streams(faces)))

    def _out_of_fold(self, train: FaceSet, validation: FaceSet) -> tuple[Streams, np.ndarray]:
        """Streams and labels of all training subjects, each scored by networks that were trained on other parts."""
        parts = min(self._context.config.fusion.inner_folds, len(train.subjects))
        order = np.random.default_rng(self._context.seed(9)).permutation(len(train.subjects))
        streams, labels = [], []
        for number, chunk in enumerate(np.array_split(order, parts)):
            held = tuple(sorted(train.subjects[int(index)] for index in chunk))
            others = tuple(subject for subject in train.subjects if subject not in held)
            inner = CnnLstm(self._context.part(f"inner_{number:02d}", number))
            inner.fit(train.select(others), validation)
            streams.append(inner.streams(train.select(held)))
            labels.append(train.select(held).labels)
        cnn, lstm = zip(*streams, strict=True)
        return (np.concatenate(cnn), np.concatenate(lstm)), np.concatenate(labels)

    def _held_out(self, validation: FaceSet) -> np.ndarray:
        """Marks the frames of validation subjects that only tell the fusion network's best epoch, [N] bool."""
        count = round(self._context.config.fusion.holdout * len(validation.subjects))
        count = min(count, len(validation.subjects) - 1)
        order = np.random.default_rng(self._context.seed(8)).permutation(len(validation.subjects))
        held = {validation.subjects[index] for index in order[:count]}
        return np.concatenate([np.full(len(video), video.subject in held) for video in validation.videos])


def _rows(streams: Streams, chosen: np.ndarray) -> Streams:
    return streams[0][chosen], streams[1][chosen]
