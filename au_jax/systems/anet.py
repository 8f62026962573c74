"""ANet: the multi-label CNN alone (paper section III-A)."""

import math
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Key

from au_jax import files
from au_jax.config import Config, check_optimizer, replace
from au_jax.data import input_pipeline
from au_jax.data.dataset import FaceDataset, FaceSet
from au_jax.data.input_pipeline import make_input_pipeline
from au_jax.errors import ConfigError
from au_jax.explain.activation import filter_pictures
from au_jax.labels import listed
from au_jax.models.cnn import AlexNet
from au_jax.models.hybrid import cnn_forward, make_cnn, subtract_mean
from au_jax.run_dir import fold_name
from au_jax.systems import BUILT_IN
from au_jax.systems.base import (
    FoldContext,
    System,
    building,
    check_finite,
    checkpoint_bytes,
    train_spec,
    validation_metrics,
)
from au_jax.training import losses, parallel
from au_jax.training.trainer import train

SHOWN_CROPS = 16
"""Training crops that TensorBoard shows."""


class ANet(System):
    """The CNN, trained on single frames.

    Example:
      >>> from au_jax.config import Config
      >>> ANet.label, round(ANet.disk_bytes(Config(), frames=100_000, folds=1, aus=12) / 1e6)  # MB at most
      ('ANet', 1997)
    """

    name = "anet"
    label, colour, marker, line = BUILT_IN[name].look

    def __init__(self, context: FoldContext):
        super().__init__(context)
        self._model = make_cnn(context.config.cnn, len(context.aus))
        self._params: Any = None
        self._mean: np.ndarray | None = None
        self._forward = parallel.make_forward(partial(cnn_forward, self._model))

    @classmethod
    def check(cls, config: Config) -> None:
        """Refuses a network that cannot be made."""
        cnn = config.cnn
        sizes = {f"config.cnn.{name}": getattr(cnn, name) for name in ("variant", "width", "groups")}
        with building({**sizes, "config.data.crop_size": config.data.crop_size}):
            cls.disk_bytes(config, 1, 1, len(config.data.aus))

    @classmethod
    def check_fold(
        cls, config: Config, index: int, train: FaceSet, validation: FaceSet, further: Mapping[str, FaceDataset]
    ) -> None:
        """Refuses a training without frames, and a schedule that does not fit its steps."""
        steps = input_pipeline.steps_per_epoch(train, config.cnn)
        if not steps:
            if config.cnn.frame_step > 1 and input_pipeline.steps_per_epoch(train, replace(config.cnn, frame_step=1)):
                raise ConfigError(
                    f"config.cnn.frame_step is {config.cnn.frame_step}, which leaves an epoch of {fold_name(index)} without "
                    "a labelled frame; give a smaller one"
                )
            raise ConfigError(
                f"{fold_name(index)}: no training frame has a label of AU {listed(train.aus)} (config.data.aus); name "
                "AUs that the recordings have codes of"
            )
        check_optimizer(config, "cnn", steps, config.cnn.epochs)

    @classmethod
    def plan_line(cls, config: Config, train: FaceSet) -> str:
        rows = int(input_pipeline.training_rows(train, config.cnn.frame_step, 0).sum())
        steps = math.ceil(rows / config.cnn.batch_size)
        return f"CNN, {config.cnn.epochs} epochs of about {steps} steps ({config.cnn.batch_size} frames)"

    @classmethod
    def disk_bytes(cls, config: Config, frames: int, folds: int, aus: int) -> float:
        network = make_cnn(config.cnn, aus), config.data.crop_size
        mean = 4.0 * 3 * config.data.image_size**2
        return folds * (mean + checkpoint_bytes(initial_params, network, config.cnn.optimizer))

    def fit(self, train_faces: FaceSet, validation: FaceSet) -> None:
        """Trains by masked cross-entropy; keeps the epoch that `config.cnn.monitor` finds best."""
        context, config = self._context, self._context.config
        name = context.name("anet/cnn")
        self._mean = self._fit_mean(train_faces)
        pipeline = make_input_pipeline(train_faces, config, context.seed(1))

        def batches(epoch: int) -> Iterator[parallel.Batch]:
            for number, batch in enumerate(pipeline.batches(epoch)):
                constants = pipeline.epoch_constants(0) if epoch == number == 0 else {}
                # One of several processes cannot look at frames that lie on the devices of all.
                if epoch == number == 0 and (not constants or jax.process_count() == 1):
                    shown = {key: jnp.asarray(rows[:SHOWN_CROPS]) for key, rows in batch.items()}
                    crops = jax.vmap(pipeline.example, in_axes=(None, 0))(constants, shown)["image"]
                    context.log.write_images(name, 0, "crops", np.asarray(crops))
                yield batch

        def watch(epoch: int, params: Any) -> None:
            kernels = np.asarray(params["conv1"]["kernel"])
            context.log.write_images(name, epoch, "filters of conv1", filter_pictures(kernels))

        def validate(params: Any) -> dict[str, float]:
            logits, _ = self._run(params, validation)
            loss = partial(losses.cross_entropy, label_reduction=config.cnn.label_reduction)
            return validation_metrics(logits, validation.labels, loss, context.aus)

        def loss(params: Any, constants: Any, row: Any, key: jax.Array) -> tuple[jax.Array, jax.Array]:
            example = pipeline.example(constants, row)
            return example_loss(self._model, config.cnn.label_reduction, params, constants, example, key)

        stage = train_spec(
            context,
            "anet/cnn",
            config.cnn,
            directory=context.files.cnn,
            init=partial(initial_params, self._model, config.data.crop_size),
            loss=loss,
            constants={"mean": jnp.asarray(self._mean)},
            epoch_constants=pipeline.epoch_constants,
            batches=batches,
            steps_per_epoch=pipeline.steps_per_epoch,
            validate=validate,
            monitor=config.cnn.monitor,
            seed=2,
            watch=watch,
        )
        with context.costs.measure(stage.name, has_bar=True) as cost:
            self._params = train(stage, cost.noting(context.log.write))

    def score(self, faces: FaceSet) -> dict[str, Float32[np.ndarray, "_ A"]]:
        """The logits of fc8."""
        return faces.by_video(self.extract_features(faces)[0])

    def extract_features(self, faces: FaceSet) -> tuple[Float32[np.ndarray, "N A"], Float32[np.ndarray, "N D"]]:
        """The logits [N, A] and the L2-normalised fc7 [N, D] of every frame, float32.

        Raises:
          DataError: one of them is not finite; names fold, stage, frame and checkpoints.
        """
        logits, fc7 = self._run(self._params, faces)
        remedy = (
            f"the CNN is the best of {self._context.files.cnn / 'checkpoints'}; lower config.cnn.optimizer.learning_rate, in "
            "another --workdir"
        )
        check_finite(faces, logits, f"{self._context.name('anet')}: scores", remedy)
        check_finite(faces, fc7, f"{self._context.name('anet')}: features", remedy)
        return logits, fc7

    def _run(self, params: Any, faces: FaceSet) -> tuple[np.ndarray, np.ndarray]:
        config = self._context.config
        # Only the parameters change between batches; put them on the device once.
        params = jax.device_put(params)
        parts = []
        for batch in input_pipeline.ordered_batches(
            faces, batch_size=config.cnn.batch_size, crop_size=config.data.crop_size
        ):
            count = int(batch["mask"].sum())
            outputs = self._forward({"params": params, "mean": self._mean}, batch)
            parts.append(jax.tree.map(lambda rows, count=count: rows[:count], outputs))
        logits, fc7 = zip(*parts, strict=True)
        return np.concatenate(logits), np.concatenate(fc7)

    def _fit_mean(self, faces: FaceSet) -> np.ndarray:
        path = self._context.files.mean
        if not files.is_whole_npz(path):
            mean = input_pipeline.mean_image(faces)
            if self._context.config.cnn.mean == "channel":
                mean = np.broadcast_to(mean.mean((0, 1)), mean.shape)
            files.write_npz(path, {"mean": mean})
        return files.read_npz(path)["mean"]


def initial_params(model: AlexNet, crop_size: int, key: Key[Array, ""]) -> Any:
    """Draws the CNN's parameters.

    Args:
      model: of `make_cnn`.
      crop_size: side of its input in pixels.
      key: of the random numbers.

    Example:
      >>> sorted(jax.eval_shape(partial(initial_params, AlexNet("demo"), 36), jax.random.key(0)))[:2]
      ['conv1', 'conv2']
    """
    return model.init(key, jnp.zeros((1, crop_size, crop_size, 3)))["params"]


def example_loss(
    model: AlexNet,
    label_reduction: str,
    params: Any,
    constants: parallel.Example,
    example: parallel.Example,
    key: Key[Array, ""],
) -> parallel.LossAndCount:
    """Masked cross-entropy of one frame, and whether it counts (`parallel.ExampleLoss`).

    Args:
      model: of `make_cnn`.
      label_reduction: of `losses.cross_entropy`.
      params: of the model.
      constants: `mean` [S, S, 3], the training frames'.
      example: `image` [C, C, 3] uint8, a crop of a frame; `offset` [2] int32, where it lies in the frame; `flip` [] bool;
        `labels` [A] int8; `mask` [] float32.
      key: of dropout.

    Example:
      >>> model, key = AlexNet("demo"), jax.random.key(0)
      >>> params = jax.eval_shape(partial(initial_params, model, 36), key)
      >>> frame = {"image": jnp.zeros((36, 36, 3), jnp.uint8), "offset": jnp.zeros(2, jnp.int32), "flip": jnp.array(False)}
      >>> frame |= {"labels": jnp.ones(12, jnp.int8), "mask": jnp.float32(1.0)}
      >>> constants = {"mean": jnp.zeros((40, 40, 3))}
      >>> loss, counted = jax.eval_shape(partial(example_loss, model, "sum"), params, constants, frame, key)
      >>> loss.shape, counted.shape
      ((), ())
    """
    image = subtract_mean(example["image"], constants["mean"], example["offset"], example["flip"])
    logits, _ = model.apply({"params": params}, image[None], train=True, rngs={"dropout": key})
    return losses.masked_cross_entropy(logits[0], example["labels"], example["mask"], label_reduction)
