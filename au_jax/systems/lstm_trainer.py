"""The hybrid's temporal network: stacked LSTMs on frame features, trained with the max-margin loss (paper section III-B)."""

import math
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from au_jax.config import LSTMConfig, to_dict
from au_jax.data import sequences
from au_jax.models.hybrid import lstm_forward, make_lstm
from au_jax.models.lstm import LSTMStack
from au_jax.systems.base import FoldContext, validation_metrics
from au_jax.training import losses, parallel
from au_jax.training.optimizers import make_optimizer
from au_jax.training.trainer import Plateau, TrainSpec, train

VideoRows = Mapping[str, np.ndarray]


class LSTMTrainer:
    """The LSTM stack of one fold."""

    def __init__(self, context: FoldContext):
        self._context = context
        self._model = make_lstm(context.config.lstm, len(context.aus))
        self._params: Any = None
        self._forward = parallel.make_forward(partial(forward, self._model))

    def fit(self, train_rows: VideoRows, train_labels: VideoRows, rows: VideoRows, labels: VideoRows) -> None:
        """Trains on subsequences of the training videos; keeps the epoch with the best F1-frame on whole validation videos.

        Args:
          train_rows: video key -> features [T, D] of the training subjects.
          train_labels: video key -> labels [T, A].
          rows, labels: those of the validation subjects.
        """
        context, config = self._context, self._context.config.lstm
        videos = sequences.training_videos(train_rows, train_labels, config.concatenate)
        steps = steps_per_epoch(config, sum(len(video) for video in videos))
        dimension = videos[0].features.shape[1]

        def batches(epoch: int) -> Iterator[parallel.Batch]:
            subsequences = sequences.subsequence_batches(
                videos,
                seed=context.seed(4),
                epoch=epoch,
                steps=steps,
                batch_size=config.batch_size,
                length=config.sequence_length,
                burn_in=config.burn_in,
                min_active=config.min_active,
            )
            return map(parallel.take_process_rows, subsequences)

        truth = np.concatenate(list(labels.values()))

        def validate(params: Any) -> dict[str, float]:
            scores = np.concatenate([scores for scores, _ in self._run(params, rows).values()])
            loss = partial(losses.max_margin, margin=config.margin, grad_threshold=None)
            return validation_metrics(scores, truth, loss, context.aus)

        stage = TrainSpec(
            name=context.name("hybrid/lstm"),
            directory=context.files.lstm,
            init=partial(initial_params, self._model, dimension),
            loss=partial(example_loss, self._model, config.margin, grad_threshold(config)),
            constants={},
            batches=batches,
            steps_per_epoch=steps,
            epochs=config.epochs,
            optimizer=make_optimizer(config.optimizer, steps, steps * config.epochs),
            validate=validate,
            monitor="f1",
            maximise=True,
            patience=config.patience,
            plateau=Plateau(**to_dict(config.plateau)),
            seed=context.seed(5),
            folds_to_go=context.folds_to_go,
        )
        with context.costs.measure(stage.name, has_bar=True) as cost:
            self._params = train(stage, cost.noting(context.log.write))

    def outputs(self, rows: VideoRows) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Per video: scores [T, A] in [-1, 1] and the last layer's hidden output [T, hidden], float32."""
        return self._run(self._params, rows)

    def _run(self, params: Any, rows: VideoRows) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        config = self._context.config.lstm
        params = jax.device_put(params)
        stacked, lengths = sequences.whole_videos(rows, config.sequence_length)
        results = {}
        keys = list(rows)
        for start in range(0, len(keys), config.batch_size):
            part = slice(start, start + config.batch_size)
            missing = config.batch_size - len(keys[part])
            features = np.pad(stacked[part], ((0, missing), (0, 0), (0, 0)))
            scores, hidden = self._forward(params, {"features": features})
            for index, key in enumerate(keys[part]):
                length = lengths[start + index]
                results[key] = scores[index, :length], hidden[index, :length]
        return results


def steps_per_epoch(config: LSTMConfig, frames: int) -> int:
    """Batches of an epoch: `config.lstm.steps_per_epoch`, or, where that is 0, as many as hold all training frames.

    Args:
      config: `config.lstm`.
      frames: of the training subjects.
    """
    return config.steps_per_epoch or math.ceil(frames / (config.batch_size * config.sequence_length))


def grad_threshold(config: LSTMConfig) -> float | None:
    """The loss's gradient threshold; a negative one in the config stands for the margin itself."""
    return None if config.grad_threshold < 0 else config.grad_threshold


def initial_params(model: LSTMStack, dimension: int, key: jax.Array) -> Any:
    """Draws the LSTM stack's parameters."""
    return model.init(key, jnp.zeros((1, 1, dimension)))["params"]


def example_loss(
    model: LSTMStack,
    margin: float,
    threshold: float | None,
    params: Any,
    constants: dict[str, jax.Array],
    example: dict[str, jax.Array],
    key: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Max-margin loss of one subsequence, summed over frames, and how many count (`parallel.ExampleLoss`)."""
    del constants
    scores, _ = model.apply(
        {"params": params}, example["features"][None], example["reset"][None], train=True, rngs={"dropout": key}
    )
    counted = losses.labelled(example["labels"]) * example["mask"]
    loss = losses.max_margin(scores[0], example["labels"], margin, threshold)
    return (loss * counted).sum(), counted.sum()


def forward(model: LSTMStack, params: Any, batch: dict[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
    """Scores [B, T, A] and the last layer's hidden output [B, T, hidden] of whole videos."""
    scores, hidden, _ = lstm_forward(model, params, batch["features"])
    return scores, hidden
