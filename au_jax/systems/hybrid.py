"""The hybrid: CNN, LSTMs on its PCA-reduced fc7, and the fusion of both (paper section III; "Ours" in the tables)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from au_jax import files
from au_jax.config import Config, check_optimizer
from au_jax.data.dataset import FaceDataset, FaceSet
from au_jax.errors import ConfigError
from au_jax.models.hybrid import make_fusion, make_lstm, project
from au_jax.run_dir import fold_name
from au_jax.systems import BUILT_IN, fusion_trainer, lstm_trainer
from au_jax.systems.anet import ANet
from au_jax.systems.base import FoldContext, System, building, check_enough, checkpoint_bytes, fold_seed
from au_jax.systems.fusion_trainer import Branches, FusionTrainer
from au_jax.systems.lstm_trainer import LSTMTrainer
from au_jax.systems.pca import fit_number_of_components


class Hybrid(System):
    """The whole system; its CNN is the fold's ANet, trained here where that has not been done.

    Example:
      >>> from au_jax.config import Config
      >>> Hybrid.label, round(Hybrid.disk_bytes(Config(), frames=100_000, folds=3, aus=12) / 1e9, 1)  # GB at most
      ('Hybrid', 1.3)
    """

    name = "hybrid"
    label, colour, marker, line = BUILT_IN[name].look

    def __init__(self, context: FoldContext):
        super().__init__(context)
        self._cnn_lstm = CnnLstm(context)
        self._fusion = FusionTrainer(context)

    @property
    def hysteresis(self) -> float:
        """`config.fusion.hysteresis`."""
        return self._context.config.fusion.hysteresis

    @classmethod
    def check(cls, config: Config) -> None:
        """Refuses networks that cannot be made."""
        ANet.check(config)
        sizes = {f"config.lstm.{name}": getattr(config.lstm, name) for name in ("pca_components", "layers", "hidden")}
        with building({**sizes, "config.fusion.hidden": config.fusion.hidden}):
            cls.disk_bytes(config, 1, 2, len(config.data.aus))

    @classmethod
    def check_fold(
        cls, config: Config, index: int, train: FaceSet, validation: FaceSet, further: Mapping[str, FaceDataset]
    ) -> None:
        """Refuses what `ANet.check_fold` does, and the same of the LSTM stack, the fusion network and the inner folds."""
        sets = [train]
        if config.fusion.train_on == "out_of_fold":
            if len(train.subjects) < 2:
                raise ConfigError(
                    f"{fold_name(index)} has one training subject, and config.fusion.train_on out_of_fold needs two; take "
                    "config.fusion.train_on=validation, or more subjects"
                )
            sets += [
                train.select(others) for _, others in _inner_folds(config, fold_seed(config, index, 9), train.subjects)
            ]
        for faces in sets:
            check_enough(cls.name, index, faces)
            ANet.check_fold(config, index, faces, validation, further)
            check_optimizer(config, "lstm", lstm_trainer.steps_per_epoch(config.lstm, len(faces)), config.lstm.epochs)
        if config.fusion.train_on == "validation":
            fusion_trainer.check_validation(config, index, validation)
            return
        steps = fusion_trainer.steps_per_epoch(config.fusion, train.labels)
        check_optimizer(config, "fusion", steps, config.fusion.epochs)

    @classmethod
    def plan_line(cls, config: Config, train: FaceSet) -> str:
        cnn = "the CNN of ANet" if "anet" in config.systems else ANet.plan_line(config, train)
        steps = lstm_trainer.steps_per_epoch(config.lstm, len(train))
        inner = f", {config.fusion.inner_folds} times more on parts" if config.fusion.train_on == "out_of_fold" else ""
        return (
            f"{cnn}; LSTM, {config.lstm.epochs} epochs of {steps} steps; fusion, {config.fusion.epochs} epochs{inner}"
        )

    @classmethod
    def disk_bytes(cls, config: Config, frames: int, folds: int, aus: int) -> float:
        width = config.lstm.pca_components
        shapes: tuple[tuple[int, ...], ...] = ((aus,), (aus,))
        if config.fusion.variant == "features":
            shapes = ((width,), (config.lstm.hidden * (1 + config.lstm.bidirectional),))
        if config.fusion.variant == "temporal":
            shapes = (fusion_trainer.temporal_shape(config.fusion, aus),) * 2
        lstm = make_lstm(config.lstm, aus), width
        fusion = make_fusion(config.fusion, aus), *shapes
        features = 4.0 * frames * (1 - 1 / folds) * (width + aus)
        networks = checkpoint_bytes(lstm_trainer.initial_params, lstm, config.lstm.optimizer)
        networks += checkpoint_bytes(fusion_trainer.initial_params, fusion, config.fusion.optimizer)
        inner = config.fusion.inner_folds if config.fusion.train_on == "out_of_fold" else 0
        # ANet counts the fold's own CNN.
        cnns = inner + ("anet" not in config.systems)
        return folds * (1 + inner) * (networks + features) + cnns * ANet.disk_bytes(config, frames, folds, aus)

    def fit(self, train: FaceSet, validation: FaceSet) -> None:
        """Trains CNN, PCA and LSTM stack on training subjects, then the fusion network (paper section III-C).

        The branches' scores of their own training frames are over-fitted; a fusion network that learned from them would
        trust the CNN alone. It learns from `config.fusion.train_on`: "validation" subjects, a share of which it does
        not see and which chooses its best epoch; "out_of_fold" scores of the training subjects, by branches that were
        trained without them; or, to show the difference, the "train" scores themselves. For the latter two all
        validation subjects choose the best epoch.
        """
        self._cnn_lstm.fit(train, validation)
        choice = self._context.config.fusion.train_on
        if choice == "validation":
            self._fusion.fit_on_validation(self._cnn_lstm.branches(validation), validation)
            return
        if choice == "out_of_fold":
            branches, labels = self._out_of_fold(train, validation)
        else:
            branches, labels = self._cnn_lstm.branches(train), train.labels
        self._fusion.fit(branches, labels, self._cnn_lstm.branches(validation), validation.labels)

    def score(self, faces: FaceSet) -> dict[str, Float32[np.ndarray, "_ A"]]:
        """The fusion network's logits."""
        return faces.by_video(self._fusion.logits(self._cnn_lstm.branches(faces)))

    def _out_of_fold(self, train: FaceSet, validation: FaceSet) -> tuple[Branches, np.ndarray]:
        """Branches and labels of all training subjects, each scored by networks that were trained on other parts."""
        branches, labels = [], []
        folds = _inner_folds(self._context.config, self._context.seed(9), train.subjects)
        for number, (left_out, others) in enumerate(folds):
            inner = CnnLstm(self._context.part(f"inner_{number:02d}", number))
            inner.fit(train.select(others), validation)
            branches.append(inner.branches(train.select(left_out)))
            labels.append(train.select(left_out).labels)
        cnn, lstm = zip(*branches, strict=True)
        return (np.concatenate(cnn), np.concatenate(lstm)), np.concatenate(labels)


def _inner_folds(config: Config, seed: int, subjects: Sequence[str]) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """The subjects that are left out of each inner fold, and the others."""
    order = np.random.default_rng(seed).permutation(len(subjects))
    folds = []
    for chunk in np.array_split(order, min(config.fusion.inner_folds, len(subjects))):
        left_out = tuple(sorted(subjects[int(index)] for index in chunk))
        folds.append((left_out, tuple(subject for subject in subjects if subject not in left_out)))
    return folds


class CnnLstm:
    """The two branches of a fold: the CNN (paper section III-A) and, on its PCA-reduced fc7, the LSTMs (III-B).

    Example:
      >>> import pathlib, tempfile
      >>> from au_jax.config import Config
      >>> from au_jax.logs import Costs, RunLog
      >>> folder = pathlib.Path(tempfile.mkdtemp())
      >>> branches = CnnLstm(FoldContext(Config(), 0, folder / "fold_00", RunLog(folder), Costs(folder)))
      >>> # branches.fit(train, validation), then branches.branches(test): rows of CNN and LSTM, [N, A] each
    """

    def __init__(self, context: FoldContext):
        self._context = context
        self._anet = ANet(context)
        self._lstm = LSTMTrainer(context)
        self._pca: dict[str, np.ndarray] = {}

    def fit(self, train: FaceSet, validation: FaceSet) -> None:
        """Trains CNN, PCA and LSTM stack on training subjects; validation subjects choose the best epochs."""
        self._anet.fit(train, validation)
        with self._context.costs.measure(self._context.name("hybrid/features")):
            self._keep_features(train, fit=True)
            self._keep_features(validation, fit=False)
        self._lstm.fit(
            train.by_video(self._features(train)[0]),
            train.by_video(train.labels),
            validation.by_video(self._features(validation)[0]),
            validation.by_video(validation.labels),
        )

    def branches(self, faces: FaceSet) -> Branches:
        """The CNN's and the LSTM's rows of every frame: scores, or what else the fusion variant joins."""
        rows, cnn = self._features(faces)
        outputs = self._lstm.outputs(faces.by_video(rows)).values()
        fusion = self._context.config.fusion
        if fusion.variant == "features":
            return rows, np.concatenate([hidden for _, hidden in outputs])
        branches = cnn, np.concatenate([scores for scores, _ in outputs])
        if fusion.variant == "temporal":
            return tuple(
                fusion_trainer.temporal_rows(fusion, branch, [len(video) for video in faces.videos])
                for branch in branches
            )
        return branches

    def _paths(self, faces: FaceSet) -> list[Path]:
        return [self._context.files.features(subject) for subject in faces.subjects]

    def _keep_features(self, faces: FaceSet, fit: bool) -> None:
        """Writes the features of training and validation subjects into the fold's folder, for this and the next start."""
        paths, pca = self._paths(faces), self._context.files.pca
        if not all(files.is_whole_npz(path) for path in (pca, *paths)):
            cnn, fc7 = self._anet.extract_features(faces)
            if fit:
                files.write_npz(pca, self._fit_pca(fc7))
            self._pca = files.read_npz(pca)
            ends = np.cumsum(faces.lengths)[:-1]
            rows = project(fc7, self._pca["mean"], self._pca["components"])
            for path, part, scores in zip(paths, np.split(rows, ends), np.split(cnn, ends), strict=True):
                files.write_npz(path, {"features": part, "cnn_scores": scores})
        self._pca = files.read_npz(pca)

    def _features(self, faces: FaceSet) -> tuple[np.ndarray, np.ndarray]:
        """PCA-reduced fc7 [N, D] and CNN logits [N, A], read where they were kept."""
        paths = self._paths(faces)
        if all(path.exists() for path in paths):
            parts = [files.read_npz(path) for path in paths]
            rows, cnn = (np.concatenate([part[name] for part in parts]) for name in ("features", "cnn_scores"))
            return rows, cnn
        cnn, fc7 = self._anet.extract_features(faces)
        return np.asarray(project(fc7, self._pca["mean"], self._pca["components"])), cnn

    def _fit_pca(self, fc7: np.ndarray) -> dict[str, np.ndarray]:
        config = self._context.config.lstm
        components = fit_number_of_components(fc7, config.pca_components)
        self._context.log.write(
            self._context.name("hybrid/pca"),
            0,
            {"components": len(components.directions), "retained_energy": components.energy},
        )
        scale = np.sqrt(components.variances.mean()) if config.standardise else 1.0
        return {"mean": components.mean, "components": components.directions / scale}
