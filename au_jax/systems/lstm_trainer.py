"""The hybrid's temporal network: stacked LSTMs on frame features, and their training (paper section III-B)."""

import math
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int8, Key, Shaped

from au_jax.config import LSTMConfig, replace
from au_jax.data import sequences
from au_jax.models.hybrid import lstm_forward, lstm_inputs, make_lstm
from au_jax.models.lstm import LSTMStack
from au_jax.systems.base import FoldContext, train_spec, validation_metrics
from au_jax.training import losses, parallel
from au_jax.training.trainer import train

VideoRows = Mapping[str, Shaped[np.ndarray, "_ _"]]
"""Video key -> features or labels of its frames."""


class LSTMTrainer:
    """The LSTM stack of one fold.

    Example:
      >>> import pathlib, tempfile
      >>> from au_jax.config import Config
      >>> from au_jax.logs import Costs, RunLog
      >>> folder = pathlib.Path(tempfile.mkdtemp())
      >>> trainer = LSTMTrainer(FoldContext(Config(), 0, folder / "fold_00", RunLog(folder), Costs(folder)))
      >>> trainer.fit(rows, labels, others, labels_of_others)  # doctest: +SKIP
      >>> scores, hidden = trainer.outputs(others)["S001/T1"]  # doctest: +SKIP
    """

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
        train_rows, rows = self._inputs(train_rows), self._inputs(rows)
        videos = sequences.training_videos(train_rows, train_labels, config.concatenate)
        steps = steps_per_epoch(config, sum(len(video) for video in videos))
        dimension = videos[0].features.shape[1]
        noise = config.noise * np.std(np.concatenate([video.features for video in videos]), 0)

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
                sampling=config.sampling,
            )
            return map(parallel.take_process_rows, subsequences)

        truth = np.concatenate(list(labels.values()))

        def validate(params: Any) -> dict[str, float]:
            scores = np.concatenate([scores for scores, _ in self._run(params, rows).values()])
            loss = partial(frame_loss, replace(config, grad_threshold=-1.0))
            return validation_metrics(scores, truth, loss, context.aus)

        stage = train_spec(
            context,
            "hybrid/lstm",
            config,
            directory=context.files.lstm,
            init=partial(initial_params, self._model, dimension),
            loss=partial(example_loss, self._model, config),
            constants={"noise": noise} if config.noise else {},
            batches=batches,
            steps_per_epoch=steps,
            validate=validate,
            monitor="f1",
            seed=5,
        )
        with context.costs.measure(stage.name, has_bar=True) as cost:
            self._params = train(stage, cost.noting(context.log.write))

    def outputs(self, rows: VideoRows) -> dict[str, tuple[Float32[np.ndarray, "_ A"], Float32[np.ndarray, "_ H"]]]:
        """Per video: scores [T, A] in [-1, 1] and the last layer's hidden output [T, hidden], float32."""
        return self._run(self._params, self._inputs(rows))

    def _inputs(self, rows: VideoRows) -> VideoRows:
        """What the LSTM sees of every video's features."""
        config = self._context.config.lstm
        if not config.level:
            return rows
        stacked, lengths = sequences.whole_videos(rows, config.sequence_length)
        present = np.arange(stacked.shape[1]) < lengths[:, None]
        inputs = np.asarray(lstm_inputs(config, stacked, present)[0])
        return {key: part[:length] for key, part, length in zip(rows, inputs, lengths, strict=True)}

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

    Example:
      >>> steps_per_epoch(LSTMConfig(steps_per_epoch=0, batch_size=2, sequence_length=100), frames=1000)
      5
    """
    return config.steps_per_epoch or math.ceil(frames / (config.batch_size * config.sequence_length))


def frame_loss(
    config: LSTMConfig, scores: Float[Array | np.ndarray, "*N A"], labels: Int8[Array | np.ndarray, "*N A"]
) -> Float[Array, "*N"]:
    """The loss of every frame that `config.lstm.loss` names.

    Args:
      config: `config.lstm`; a negative `grad_threshold` stands for the margin itself.
      scores: [.., A] float32, of the LSTM.
      labels: [.., A] in {-1, 0, +1}.

    Example:
      >>> labels = np.array([[1, -1]], np.int8)
      >>> frame_loss(LSTMConfig(loss="cross_entropy"), np.zeros((1, 2), np.float32), labels).round(2).tolist()
      [0.6899999976158142]
    """
    if config.loss == "cross_entropy":
        return losses.cross_entropy(scores, labels, "mean_labelled")
    threshold = None if config.grad_threshold < 0 else config.grad_threshold
    return losses.max_margin(scores, labels, config.margin, threshold)


def initial_params(model: LSTMStack, dimension: int, key: Key[Array, ""]) -> Any:
    """Draws the LSTM stack's parameters.

    Args:
      model: of `make_lstm`.
      dimension: of its input features.
      key: of the random numbers.

    Example:
      >>> model = make_lstm(LSTMConfig(hidden=4), 12)
      >>> jax.tree.leaves(jax.eval_shape(partial(initial_params, model, 3), jax.random.key(0)))[0].dtype
      dtype('float32')
    """
    return model.init(key, jnp.zeros((1, 1, dimension)))["params"]


def example_loss(
    model: LSTMStack,
    config: LSTMConfig,
    params: Any,
    constants: parallel.Example,
    example: parallel.Example,
    key: Key[Array, ""],
) -> parallel.LossAndCount:
    """Loss of one subsequence, summed over frames, and how many count (`parallel.ExampleLoss`).

    Args:
      model: of `make_lstm`.
      config: `config.lstm`; its loss and noise.
      params: of the model.
      constants: `noise` [D] float32, the deviation of each feature's noise, where `config.lstm.noise` is not 0.
      example: `features` [T, D] float32; `reset` [T] bool; `labels` [T, A] int8; `mask` [T] float32, 0 where burnt in or
        filled up.
      key: of dropout and noise.

    Example:
      >>> model, key, config = make_lstm(LSTMConfig(hidden=4), 12), jax.random.key(0), LSTMConfig(hidden=4)
      >>> example = {"features": jnp.zeros((5, 3)), "reset": jnp.zeros(5, bool), "labels": jnp.ones((5, 12), jnp.int8)}
      >>> example |= {"mask": jnp.array([0.0, 0.0, 1.0, 1.0, 1.0])}
      >>> params = jax.eval_shape(partial(initial_params, model, 3), key)
      >>> loss, counted = jax.eval_shape(partial(example_loss, model, config), params, {}, example, key)
      >>> loss.shape, counted.shape
      ((), ())
    """
    features = example["features"]
    if config.noise:
        noise = constants["noise"]
        # Dropout must not share its key.
        features = features + (noise * jax.random.normal(jax.random.fold_in(key, 1), noise.shape))[None]
    scores, _ = model.apply(
        {"params": params}, features[None], example["reset"][None], train=True, rngs={"dropout": key}
    )
    counted = losses.labelled(example["labels"]) * example["mask"]
    return (frame_loss(config, scores[0], example["labels"]) * counted).sum(), counted.sum()


def forward(
    model: LSTMStack, params: Any, batch: dict[str, jax.Array]
) -> tuple[Float[Array, "B T A"], Float[Array, "B T H"]]:
    """Scores [B, T, A] and the last layer's hidden output [B, T, hidden] of whole videos.

    Args:
      model: of `make_lstm`.
      params: of the model.
      batch: `features` [B, T, D] float32.

    Example:
      >>> model = make_lstm(LSTMConfig(hidden=4), 12)
      >>> params = jax.eval_shape(partial(initial_params, model, 3), jax.random.key(0))
      >>> [part.shape for part in jax.eval_shape(partial(forward, model), params, {"features": jnp.zeros((2, 5, 3))})]
      [(2, 5, 12), (2, 5, 4)]
    """
    scores, hidden, _ = lstm_forward(model, params, batch["features"])
    return scores, hidden
