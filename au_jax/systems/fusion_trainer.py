"""The hybrid's fusion network: two layers on the CNN's and the LSTM's scores of a frame (paper section III-C)."""

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Int8, Key

from au_jax.config import FusionConfig
from au_jax.models.fusion import Fusion
from au_jax.models.hybrid import fusion_forward, make_fusion
from au_jax.systems.base import FoldContext, train_spec, validation_metrics
from au_jax.training import losses, parallel
from au_jax.training.trainer import train

Branches = tuple[Float32[np.ndarray, "_ C"], Float32[np.ndarray, "_ L"]]
"""The CNN's and the LSTM's rows of the same frames, [N, ..] each."""


class FusionTrainer:
    """The fusion network of one fold.

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

    def __init__(self, context: FoldContext):
        self._context = context
        self._model = make_fusion(context.config.fusion, len(context.aus))
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
        known = np.flatnonzero((labels != 0).any(-1))
        steps = steps_per_epoch(config, labels)

        def batches(epoch: int) -> Iterator[parallel.Batch]:
            order = np.random.default_rng([context.seed(6), epoch]).permutation(known)
            for start in range(0, len(order), config.batch_size):
                rows = order[start : start + config.batch_size]
                missing = config.batch_size - len(rows)
                batch = {
                    "cnn": branches[0][rows],
                    "lstm": branches[1][rows],
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
            "hybrid/fusion",
            config,
            directory=context.files.fusion,
            init=partial(initial_params, self._model, branches[0].shape[1], branches[1].shape[1]),
            loss=partial(example_loss, self._model, config.label_reduction),
            batches=batches,
            steps_per_epoch=steps,
            validate=validate,
            monitor="loss",
            seed=7,
        )
        with context.costs.measure(stage.name, has_bar=True) as cost:
            self._params = train(stage, cost.noting(context.log.write))

    def logits(self, branches: Branches) -> Float32[np.ndarray, "N A"]:
        """Fused logits [N, A] float32."""
        return self._run(self._params, branches)

    def _run(self, params: Any, branches: Branches) -> np.ndarray:
        # A few thousand parameters: all frames at once, in one compiled shape per power of two.
        count = len(branches[0])
        padded = 1 << max(count - 1, 1).bit_length()
        cnn, lstm = (np.pad(rows, ((0, padded - count), (0, 0))) for rows in branches)
        return self._forward(params, {"cnn": cnn, "lstm": lstm})[:count]


def steps_per_epoch(config: FusionConfig, labels: np.ndarray) -> int:
    """Batches of an epoch: as many as hold the frames that have a label.

    Args:
      config: `config.fusion`.
      labels: of the frames to learn from, [N, A] int8.
    """
    return math.ceil(int((labels != 0).any(-1).sum()) / config.batch_size)


def initial_params(model: Fusion, cnn_width: int, lstm_width: int, key: Key[Array, ""]) -> Any:
    """Draws the fusion network's parameters.

    Args:
      model: of `make_fusion`.
      cnn_width, lstm_width: numbers of a frame from the CNN and from the LSTM.
      key: of the random numbers.

    Example:
      >>> from au_jax.config import FusionConfig
      >>> from jax import random, tree
      >>> model = make_fusion(FusionConfig(), 12)
      >>> tree.leaves(initial_params(model, 12, 12, random.key(0)))[0].dtype
      dtype('float32')
    """
    return model.init(key, jnp.zeros((1, cnn_width)), jnp.zeros((1, lstm_width)))["params"]


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
      >>> loss, counted = example_loss(model, "sum", initial_params(model, 12, 12, key), {}, example, key)
      >>> float(loss), float(counted)  # a frame without labels
      (0.0, 0.0)
    """
    del constants
    logits = model.apply(
        {"params": params}, example["cnn"][None], example["lstm"][None], train=True, rngs={"dropout": key}
    )
    return losses.masked_cross_entropy(logits[0], example["labels"], example["mask"], label_reduction)
