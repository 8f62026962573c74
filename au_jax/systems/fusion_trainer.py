"""The hybrid's fusion network: two layers on the CNN's and the LSTM's scores of a frame (paper section III-C)."""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float32, Int8, Key

from au_jax.config import Config, FusionConfig, check_optimizer, replace
from au_jax.data.dataset import FaceSet
from au_jax.errors import ConfigError
from au_jax.models.fusion import Fusion
from au_jax.models.hybrid import fusion_carry, fusion_forward, fusion_rows, make_fusion
from au_jax.run_dir import fold_name
from au_jax.systems.base import FoldContext, fold_seed, train_spec, validation_metrics
from au_jax.training import losses, parallel
from au_jax.training.trainer import train

Branches = tuple[Float32[np.ndarray, "_ ..."], ...]
"""The CNN's and the LSTM's rows of the same frames, [N, ..] each; the CNN's alone for ANet + filter."""

NAMES = ("cnn", "lstm")
"""What `fusion_forward` calls the branches, in their order."""


class FusionTrainer:
    """The fusion network of one fold.

    Args:
      context: of the fold.
      system: whose network it is; its folder and its stage have this name.
      variant: of the network; "" is `config.fusion.variant`.

    Example:
      >>> import pathlib, tempfile
      >>> from au_jax.config import Config
      >>> from au_jax.logs import Costs, RunLog
      >>> folder = pathlib.Path(tempfile.mkdtemp())
      >>> trainer = FusionTrainer(FoldContext(Config(), 0, folder / "fold_00", RunLog(folder), Costs(folder)))
      >>> trainer.fit(branches, labels, others, labels_of_others)  # doctest: +SKIP
      >>> trainer.logits(others).shape  # doctest: +SKIP
      (1000, 12)
    """

    def __init__(self, context: FoldContext, system: str = "hybrid", variant: str = ""):
        self._context, self._system = context, system
        fusion = context.config.fusion
        self._model = make_fusion(replace(fusion, variant=variant or fusion.variant), len(context.aus))
        self._params: Any = None
        self._forward = parallel.make_forward(partial(fusion_forward, self._model))

    def fit(
        self,
        branches: Branches,
        labels: Int8[np.ndarray, "_ A"],
        validation_branches: Branches,
        validation_labels: Int8[np.ndarray, "_ A"],
    ) -> None:
        """Trains by masked cross-entropy; keeps the epoch of the lowest loss on other frames.

        Args:
          branches: of the frames to learn from.
          labels: of these frames, [N, A] int8.
          validation_branches, validation_labels: of the frames that choose the epoch.
        """
        context, config = self._context, self._context.config.fusion
        # Of ANet + filter there is no LSTM.
        cnn_shape, lstm_shape, *_ = (*(branch.shape[1:] for branch in branches), None)
        known = np.flatnonzero((labels != 0).any(-1))
        steps = steps_per_epoch(config, labels)

        def batches(epoch: int) -> Iterator[parallel.Batch]:
            order = np.random.default_rng([context.seed(6), epoch]).permutation(known)
            for start in range(0, len(order), config.batch_size):
                rows = order[start : start + config.batch_size]
                missing = config.batch_size - len(rows)
                batch = {
                    **{name: branch[rows] for name, branch in zip(NAMES, branches, strict=False)},
                    "labels": labels[rows],
                    "mask": np.ones(len(rows), np.float32),
                }
                yield parallel.take_process_rows(
                    {name: np.pad(part, [(0, missing)] + [(0, 0)] * (part.ndim - 1)) for name, part in batch.items()}
                )

        def validate(params: Any) -> dict[str, float]:
            logits = self._run(params, validation_branches)
            loss = partial(losses.cross_entropy, label_reduction=config.label_reduction)
            return validation_metrics(logits, validation_labels, loss, context.aus)

        stage = train_spec(
            context,
            f"{self._system}/fusion",
            config,
            directory=context.files.fusion_of(self._system),
            init=partial(initial_params, self._model, cnn_shape, lstm_shape),
            loss=partial(example_loss, self._model, config.label_reduction),
            batches=batches,
            steps_per_epoch=steps,
            validate=validate,
            monitor="loss",
            seed=7,
        )
        with context.costs.measure(stage.name, has_bar=True) as cost:
            self._params = train(stage, cost.noting(context.log.write))

    def fit_on_validation(self, branches: Branches, validation: FaceSet) -> None:
        """As `fit`, on validation subjects, a share of whom (`config.fusion.holdout`) only chooses the best epoch.

        Args:
          branches: of all their frames.
          validation: the subjects.
        """
        labels = validation.labels
        chooses = chooses_epoch(self._context.config.fusion, self._context.seed(8), validation)
        learns = ~chooses
        if not chooses.any():
            chooses = learns
        taught, choosing = (tuple(rows[those] for rows in branches) for those in (learns, chooses))
        self.fit(taught, labels[learns], choosing, labels[chooses])

    def logits(self, branches: Branches) -> Float32[np.ndarray, "N A"]:
        """Fused logits [N, A] float32."""
        return self._run(self._params, branches)

    def _run(self, params: Any, branches: Branches) -> np.ndarray:
        # A few thousand parameters: all frames at once, in one compiled shape per power of two.
        count = len(branches[0])
        padded = 1 << max(count - 1, 1).bit_length()
        batch = {
            name: np.pad(rows, [(0, padded - count)] + [(0, 0)] * (rows.ndim - 1))
            for name, rows in zip(NAMES, branches, strict=False)
        }
        return self._forward(params, batch)[:count]


def steps_per_epoch(config: FusionConfig, labels: np.ndarray) -> int:
    """Batches of an epoch: as many as hold the frames that have a label.

    Args:
      config: `config.fusion`.
      labels: of the frames to learn from, [N, A] int8.

    Example:
      >>> labels = np.int8([[1, 0], [0, 0], [-1, 1], [0, 1]])  # the second frame has no label
      >>> steps_per_epoch(FusionConfig(batch_size=2), labels)
      2
    """
    return math.ceil(int((labels != 0).any(-1).sum()) / config.batch_size)


def chooses_epoch(config: FusionConfig, seed: int, validation: FaceSet) -> Bool[np.ndarray, " N"]:
    """Marks the frames of validation subjects that only choose the fusion network's best epoch.

    Args:
      config: `config.fusion`; `holdout` is their share.
      seed: of the draw.
      validation: the subjects.

    Example:
      >>> from au_jax.run_dir import RunDir, TrainedFold
      >>> people = RunDir(run_folder).split()["folds"][0]["validation"]
      >>> faces = FaceSet(TrainedFold(run_folder, 0).dataset, tuple(people))
      >>> chooses_epoch(FusionConfig(holdout=0.0), 0, faces).any()  # nobody is held out
      np.False_
    """
    count = round(config.holdout * len(validation.subjects))
    count = min(count, len(validation.subjects) - 1)
    order = np.random.default_rng(seed).permutation(len(validation.subjects))
    choosing = {validation.subjects[index] for index in order[:count]}
    return np.concatenate([np.full(len(video), video.subject in choosing) for video in validation.videos])


def check_validation(config: Config, index: int, validation: FaceSet) -> None:
    """Makes sure that a fold's fusion network can learn from its validation subjects.

    Args:
      config: of the run.
      index: of the fold.
      validation: its validation subjects.

    Raises:
      ConfigError: none of the frames to learn from has a label, or the schedule does not fit their number.

    Example:
      >>> from au_jax.run_dir import RunDir, TrainedFold
      >>> people = RunDir(run_folder).split()["folds"][0]["validation"]
      >>> check_validation(RunDir(run_folder).config(), 0, FaceSet(TrainedFold(run_folder, 0).dataset, tuple(people)))
    """
    learns = ~chooses_epoch(config.fusion, fold_seed(config, index, 8), validation)
    labels = validation.labels[learns]
    if not (labels != 0).any():
        raise ConfigError(
            f"{fold_name(index)}: no validation frame that fusion learns from has a label; raise "
            "config.protocol.validation, lower config.fusion.holdout, or take config.fusion.train_on=out_of_fold"
        )
    check_optimizer(config, "fusion", steps_per_epoch(config.fusion, labels), config.fusion.epochs)


def temporal_shape(config: FusionConfig, aus: int) -> tuple[int, int]:
    """The shape of a frame's rows of `temporal_rows`.

    Example:
      >>> temporal_shape(FusionConfig(lookback=6, lookahead=2, level_frames=4), 12)
      (10, 12)
    """
    return config.lookback + 1 + config.lookahead + bool(config.level_frames), aus


def temporal_rows(config: FusionConfig, rows: np.ndarray, lengths: Sequence[int]) -> np.ndarray:
    """What the variant "temporal" sees of a branch, of all frames of several videos.

    Args:
      config: `config.fusion`.
      rows: [N, A] float32, scores of the videos' frames, video after video.
      lengths: frames of each video.

    Returns:
      [N, W, A] float32, as `hybrid.fusion_rows` gives them for each video.

    Example:
      >>> rows = np.array([[1.0], [3.0], [8.0]], np.float32)
      >>> temporal_rows(FusionConfig(lookback=1), rows, [1, 2])[:, :, 0].tolist()
      [[1.0, 1.0], [3.0, 3.0], [3.0, 8.0]]
    """
    videos = np.split(rows, np.cumsum(lengths)[:-1])
    steps = int(max(lengths)) + config.lookahead
    stacked = np.stack([np.pad(video, ((0, steps - len(video)), (0, 0))) for video in videos]).astype(np.float32)
    present = np.arange(steps) < np.asarray(lengths)[:, None]
    around, _ = fusion_rows(config, stacked, present, fusion_carry(config, len(videos), rows.shape[1]))
    late = np.asarray(around)[:, config.lookahead :]
    return np.concatenate([video[:length] for video, length in zip(late, lengths, strict=True)])


def initial_params(
    model: Fusion, cnn_shape: tuple[int, ...], lstm_shape: tuple[int, ...] | None, key: Key[Array, ""]
) -> Any:
    """Draws the fusion network's parameters.

    Args:
      model: of `make_fusion`.
      cnn_shape, lstm_shape: of a frame's numbers from the CNN and from the LSTM; None without an LSTM.
      key: of the random numbers.

    Example:
      >>> from jax import random, tree
      >>> model = make_fusion(FusionConfig(), 12)
      >>> tree.leaves(initial_params(model, (12,), (12,), random.key(0)))[0].dtype
      dtype('float32')
    """
    lstm = None if lstm_shape is None else jnp.zeros((1, *lstm_shape))
    return model.init(key, jnp.zeros((1, *cnn_shape)), lstm)["params"]


def example_loss(
    model: Fusion,
    label_reduction: str,
    params: Any,
    constants: parallel.Example,
    example: parallel.Example,
    key: Key[Array, ""],
) -> parallel.LossAndCount:
    """Masked cross-entropy of one frame, and whether it counts (`parallel.ExampleLoss`).

    Args:
      model: of `make_fusion`.
      label_reduction: of `losses.cross_entropy`.
      params: of the model.
      constants: none.
      example: `cnn` and `lstm`, the branches' numbers of the frame, float32; `labels` [A] int8; `mask` [] float32.
      key: of dropout.

    Example:
      >>> from au_jax.config import FusionConfig
      >>> from jax import random
      >>> model, key = make_fusion(FusionConfig(), 12), random.key(0)
      >>> example = {"cnn": jnp.zeros(12), "lstm": jnp.zeros(12), "labels": jnp.zeros(12, jnp.int8), "mask": jnp.float32(1)}
      >>> loss, counted = example_loss(model, "sum", initial_params(model, (12,), (12,), key), {}, example, key)
      >>> float(loss), float(counted)  # a frame without labels
      (0.0, 0.0)
    """
    del constants
    lstm = example["lstm"][None] if "lstm" in example else None
    logits = model.apply({"params": params}, example["cnn"][None], lstm, train=True, rngs={"dropout": key})
    return losses.masked_cross_entropy(logits[0], example["labels"], example["mask"], label_reduction)
