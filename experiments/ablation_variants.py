"""What the ablations vary, one thing at a time, and how a variant of the hybrid is trained on a finished fold's CNN."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float32

from au_jax import files
from au_jax.config import Config, replace
from au_jax.data.dataset import FaceSet
from au_jax.evaluation.thresholds import POLICIES
from au_jax.logs import Costs
from au_jax.models.hybrid import make_fusion, make_lstm, project
from au_jax.run_dir import FoldDir
from au_jax.systems import fusion_trainer, lstm_trainer
from au_jax.systems.anet import ANet
from au_jax.systems.base import FoldContext, decide
from au_jax.systems.fusion_trainer import Branches, FusionTrainer
from au_jax.systems.lstm_trainer import LSTMTrainer
from au_jax.systems.pca import fit_number_of_components
from experiments.end_to_end import EndToEndHybrid

STAGES: tuple[str, ...] = ("lstm", "end_to_end", "fusion")
"""What a variant may have to train."""

MOTION_COMPONENTS = 32
"""Components of the landmarks' motion that stand beside fc7."""


@dataclass(frozen=True)
class Variant:
    """One thing that is otherwise than in the hybrid of the run.

    Attributes:
      name: of its folder.
      group: what is varied.
      title: for readers.
      changes: fields of the config.
      joins: which branches the fusion network joins: "both", "lstm" (the LSTM's scores alone go through it), or "" (there
        is none: the LSTM's scores are the system's).
      motion: whether the LSTM sees the landmarks' motion beside fc7.
      together: "cnn" or "scratch": CNN and LSTM learn in one go (`end_to_end`), from the run's CNN or from the start; "": in
        stages, as the run.
    """

    name: str
    group: str
    title: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    joins: str = "both"
    motion: bool = False
    together: str = ""

    @property
    def trains_lstm(self) -> bool:
        """Whether its LSTM is another than the run's."""
        return self.motion or bool(self.together) or any(name.startswith("lstm.") for name in self.changes)


VARIANTS: tuple[Variant, ...] = (
    # A control: it has to give the run's scores again. Its cost is the hybrid's.
    Variant("again", "nothing", "the hybrid again"),
    Variant("bidirectional", "direction", "bidirectional", {"lstm.bidirectional": True}),
    Variant("margin", "loss", "margin loss", {"lstm.loss": "margin"}),
    Variant("two_layers", "depth", "2 layers", {"lstm.layers": 2}),
    Variant("three_layers", "depth", "3 layers", {"lstm.layers": 3}),
    Variant("no_level", "input", "no level taken off", {"lstm.level": 0.0}),
    Variant("no_noise", "input", "no noise on the features", {"lstm.noise": 0.0}),
    Variant("motion", "input", "landmarks' motion beside fc7", motion=True),
    Variant("lstm_alone", "fusion", "none: the LSTM alone", joins=""),
    Variant("lstm_filter", "fusion", "the LSTM alone, filtered", joins="lstm"),
    Variant("mean", "fusion", "mean, no filter", {"fusion.variant": "mean"}),
    Variant("stacked", "fusion", "stacked scores (paper), no filter", {"fusion.variant": "stacked"}),
    Variant("features", "fusion", "fc7 and hidden output, no filter", {"fusion.variant": "features"}),
    Variant("causal", "fusion", "filter without frames to come", {"fusion.lookahead": 0}),
    Variant(
        "causal_hysteresis",
        "fusion",
        "the same with hysteresis 0.1",
        {"fusion.lookahead": 0, "fusion.hysteresis": 0.1},
    ),
    Variant("no_opening", "fusion", "filter that does not know the opening", {"fusion.level_frames": 0}),
    # A third of the rate for half the epochs: the CNN is trained already.
    Variant(
        "one_go_from_cnn",
        "training",
        "in one go, from the CNN",
        {"cnn.optimizer.learning_rate": 5e-4, "cnn.epochs": 2},
        together="cnn",
    ),
    Variant("one_go", "training", "in one go, from scratch", together="scratch"),
)
"""The variants of the hybrid, in the order of the table."""


@dataclass(frozen=True)
class SharedFiles(FoldDir):
    """A variant's files in a folder of its own, but the LSTM of the run where that is the same.

    Attributes:
      run: the run's files of the fold.
      shares_lstm: the variant's LSTM is the run's.
    """

    run: FoldDir = FoldDir(Path())
    shares_lstm: bool = False

    @property
    def lstm(self) -> Path:
        """The folder of the LSTM stack's checkpoints."""
        return self.run.lstm if self.shares_lstm else super().lstm


@dataclass(frozen=True)
class VariantContext(FoldContext):
    """The context of a variant of a finished fold."""

    shared: SharedFiles | None = None

    @property
    def files(self) -> FoldDir:
        """The names of the variant's files."""
        return self.shared or super().files


def variant_config(config: Config, variant: Variant) -> Config:
    """The run's config with what the variant changes."""
    return replace(config, **variant.changes) if variant.changes else config


Groups = tuple[FaceSet, FaceSet, FaceSet]
"""Training, validation and test subjects of a fold."""


def keep_test_features(context: FoldContext, groups: Groups, folder: Path) -> None:
    """Writes the features of a finished fold's test subjects, of whom a run keeps none, into a folder of the ablations."""
    train, validation, test = groups
    if all(files.is_whole_npz(folder / f"{subject}.npz") for subject in test.subjects):
        return
    anet = ANet(context)
    # It is finished, and read.
    anet.fit(train, validation)
    logits, fc7 = anet.extract_features(test.without_labels())
    pca = files.read_npz(context.files.pca)
    rows, ends = project(fc7, pca["mean"], pca["components"]), np.cumsum(test.lengths)[:-1]
    for subject, part, scores in zip(test.subjects, np.split(rows, ends), np.split(logits, ends), strict=True):
        files.write_npz(folder / f"{subject}.npz", {"features": np.asarray(part), "cnn_scores": scores})


class FoldFeatures:
    """The features of a fold's subjects: those that the run keeps, and those of test subjects that the ablations keep.

    Args:
      run: the run's files of the fold.
      folder: of `keep_test_features`.
    """

    def __init__(self, run: FoldDir, folder: Path):
        self._run, self._folder = run, folder

    def __call__(self, faces: FaceSet) -> tuple[Float32[np.ndarray, "N D"], Float32[np.ndarray, "N A"]]:
        """The PCA-reduced fc7 [N, D] and the CNN's logits [N, A] of all frames."""
        paths = [self._run.features(subject) for subject in faces.subjects]
        kept = [path if path.exists() else self._folder / path.name for path in paths]
        parts = [files.read_npz(path) for path in kept]
        rows, cnn = (np.concatenate([part[name] for part in parts]) for name in ("features", "cnn_scores"))
        return rows, cnn


def landmark_motion(faces: FaceSet, opening: int) -> Float32[np.ndarray, "N 196"]:
    """How the landmarks of every frame moved: from the frame before, and from the video's opening, in pixels.

    Causal, as the features are: the opening is the mean of the first `opening` frames as far as they have been seen. Where no
    face was found, in this frame or before, nothing moves.

    Args:
      faces: of which frames.
      opening: in frames.
    """
    detected, parts = faces.by_video(faces.face_detected), []
    for key, points in faces.by_video(faces.landmarks).items():
        points = np.where(detected[key][:, None, None], points, np.nan).reshape(len(points), -1)
        step = np.diff(points, axis=0, prepend=points[:1])
        seen = np.minimum(np.arange(len(points)), opening - 1)
        known = np.cumsum(np.isfinite(points[:opening]), 0)
        level = np.cumsum(np.nan_to_num(points[:opening]), 0) / np.maximum(known, 1)
        parts.append(np.concatenate([step, points - np.where(known > 0, level, np.nan)[seen]], 1))
    return np.nan_to_num(np.concatenate(parts)).astype(np.float32)


class AblatedHybrid:
    """The hybrid of a variant, on features that are there already.

    Args:
      context: of the variant; its config is the variant's.
      variant: what is otherwise.
      features: of the fold.
    """

    def __init__(self, context: VariantContext, variant: Variant, features: FoldFeatures):
        self._context, self._variant, self._features = context, variant, features
        self._lstm, self._fusion = LSTMTrainer(context), FusionTrainer(context)
        self._motion: tuple[np.ndarray, np.ndarray] | None = None
        self.parameters = 0

    def fit(self, train: FaceSet, validation: FaceSet) -> None:
        """Trains the LSTM, where it is another than the run's, and the fusion network, as the run does."""
        if self._variant.motion:
            self._fit_motion(train)
        self._lstm.fit(
            train.by_video(self._rows(train)[0]),
            train.by_video(train.labels),
            validation.by_video(self._rows(validation)[0]),
            validation.by_video(validation.labels),
        )
        branches = self._branches(validation)
        if self._variant.joins:
            self._fusion.fit_on_validation(branches, validation)
        self.parameters = self._count(self._rows(validation)[0].shape[1], branches)

    def score(self, faces: FaceSet) -> dict[str, np.ndarray]:
        """Scores [T, A] of every video."""
        branches = self._branches(faces)
        return faces.by_video(self._fusion.logits(branches) if self._variant.joins else branches[-1])

    def _rows(self, faces: FaceSet) -> tuple[np.ndarray, np.ndarray]:
        rows, cnn = self._features(faces)
        if self._motion is not None:
            motion = project(landmark_motion(faces, self._context.config.lstm.level_frames), *self._motion)
            rows = np.concatenate([rows, np.asarray(motion)], 1)
        return rows, cnn

    def _fit_motion(self, train: FaceSet) -> None:
        motion = landmark_motion(train, self._context.config.lstm.level_frames)
        parts = fit_number_of_components(motion, MOTION_COMPONENTS)
        # Of the scale that config.lstm.standardise gives the features.
        self._motion = parts.mean, parts.directions / np.sqrt(parts.variances.mean())

    def _branches(self, faces: FaceSet) -> Branches:
        rows, cnn = self._rows(faces)
        outputs = list(self._lstm.outputs(faces.by_video(rows)).values())
        scores, hidden = (np.concatenate(parts) for parts in zip(*outputs, strict=True))
        fusion = self._context.config.fusion
        if self._variant.joins and fusion.variant == "features":
            return rows, hidden
        branches = {"both": (cnn, scores)}.get(self._variant.joins, (scores,))
        if not self._variant.joins or fusion.variant != "temporal":
            return branches
        lengths = [len(video) for video in faces.videos]
        return tuple(fusion_trainer.temporal_rows(fusion, branch, lengths) for branch in branches)

    def _count(self, width: int, branches: Branches) -> int:
        """Parameters of LSTM and fusion network."""
        config, aus, key = self._context.config, len(self._context.aus), jax.random.key(0)
        lstm = make_lstm(config.lstm, aus)
        trees = [jax.eval_shape(lambda key: lstm_trainer.initial_params(lstm, width, key), key)]
        if self._variant.joins:
            fusion, shapes = make_fusion(config.fusion, aus), [branch.shape[1:] for branch in branches]
            first, second, *_ = (*shapes, None)
            trees.append(jax.eval_shape(lambda key: fusion_trainer.initial_params(fusion, first, second, key), key))
        return sum(int(leaf.size) for leaf in jax.tree.leaves(trees))


def keep_scores(
    context: FoldContext, system: AblatedHybrid | EndToEndHybrid, validation: FaceSet, test: FaceSet, path: Path
) -> None:
    """Writes a system's scores of test subjects as a run does: minus the thresholds that its validation subjects give."""
    policy = context.config.protocol.threshold
    thresholds = np.zeros(len(context.aus), np.float32)
    if policy != "zero":
        scores = system.score(validation.without_labels())
        rows = np.concatenate([scores[video.key] for video in validation.videos])
        thresholds = POLICIES[policy](validation.labels, rows)
    scores = decide(system.score(test.without_labels()), thresholds, context.config.fusion.hysteresis)
    labels, numbers = test.by_video(test.labels), test.by_video(test.frame_numbers)
    arrays = {"thresholds": thresholds}
    for key in labels:
        arrays[f"{key}/scores"] = scores[key]
        arrays[f"{key}/labels"], arrays[f"{key}/frames"] = labels[key], numbers[key]
    files.write_npz(path, arrays)


def run_variant(context: FoldContext, variant: Variant, folder: Path, test_features: Path, groups: Groups) -> Path:
    """Trains a variant on a finished fold, unless that has been done, and writes its scores and cost.

    Args:
      context: of the run's fold; its costs are those of the ablations.
      variant: what is otherwise.
      folder: of the variant.
      test_features: folder of `keep_test_features`.
      groups: training, validation and test subjects.

    Returns:
      The path of the scores; in the fold's folder lies cost.json: parameters, and seconds of the training loops, those of the
      run's LSTM included where it is the run's.
    """
    run = context.files
    shared = SharedFiles(folder / context.directory.name, run=run, shares_lstm=not variant.trains_lstm)
    path = shared.scores(variant.name)
    if files.is_whole_npz(path) and (shared.path / "cost.json").exists():
        return path
    own = {one.name: getattr(context, one.name) for one in dataclasses.fields(context)}
    own |= {"config": variant_config(context.config, variant), "directory": shared.path, "parents": (variant.name,)}
    ours = VariantContext(**own, shared=shared)
    train, validation, test = groups
    system = (
        EndToEndHybrid(ours, run, from_cnn=variant.together == "cnn")
        if variant.together
        else AblatedHybrid(ours, variant, FoldFeatures(run, test_features))
    )
    system.fit(train, validation)
    keep_scores(ours, system, validation, test, path)
    seconds = loop_seconds(ours.costs, *(ours.name(f"hybrid/{part}") for part in STAGES))
    if shared.shares_lstm:
        seconds += loop_seconds(Costs(context.directory.parent), context.name("hybrid/lstm"))
    files.write_json(shared.path / "cost.json", {"parameters": system.parameters, "seconds": round(seconds, 2)})
    return path


def loop_seconds(costs: Costs, *stages: str) -> float:
    """Seconds of stages' training loops, without their compiling, as the costs have them."""
    found = costs.stages
    return sum(found.get(stage, {}).get("training_seconds", 0.0) for stage in stages)
