"""How the CNN gets its training frames, by `config.data.cache`."""

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from au_jax.config import Config
from au_jax.data import cache, frames, resident
from au_jax.data.balanced import balanced_rows
from au_jax.data.dataset import FaceSet
from au_jax.training import parallel

Constants = dict[str, Any]
Example = dict[str, jax.Array]


@dataclass(frozen=True)
class Feed:
    """The training frames of a CNN.

    Attributes:
      steps_per_epoch: batches in an epoch.
      batches: epoch -> this process's rows of them.
      epoch_constants: epoch -> what its steps need on the devices besides.
      example: (these constants, one row of a batch) -> image, labels, offset, flip and mask, within the step.
    """

    steps_per_epoch: int
    batches: Callable[[int], Iterator[parallel.Batch]]
    epoch_constants: Callable[[int], Constants]
    example: Callable[[Constants, Example], Example]


def make_feed(faces: FaceSet, config: Config, seed: int) -> Feed:
    """The feed of `faces`; its first epoch reads them where `config.data.cache` keeps them.

    Raises:
      UserError: then, where they do not fit into memory.
    """
    kind, batch_size, step = config.data.cache, config.cnn.batch_size, config.cnn.frame_step
    # With a frame_step, epochs differ in length; all have as many steps as the shortest.
    counts = [int(frames.training_rows(faces, step, epoch).sum()) for epoch in range(step)]
    steps_per_epoch = min(math.ceil(count / batch_size) for count in counts)
    part = parallel.own_rows(batch_size) if jax.process_count() > 1 else None

    # Read when training asks for it: what is trained to its end needs no frames.
    @functools.cache
    def held() -> np.ndarray:
        size = faces.dataset.image_size
        cache.check_room(kind, len(faces), size, jax.local_device_count())
        whole = frames.ordered_batches(faces, batch_size=256, crop_size=None)
        return cache.collect(len(faces), size, whole)

    if kind == "device":

        @functools.cache
        def on_devices() -> Constants:
            return parallel.replicate({"frames": held.__wrapped__(), "labels": faces.labels})

        return Feed(
            steps_per_epoch,
            lambda epoch: _first(
                steps_per_epoch,
                map(parallel.own, resident.number_batches(counts[epoch % step], batch_size)),
            ),
            lambda epoch: {**on_devices(), **_epoch_constants(faces, config, seed, epoch)},
            functools.partial(resident.augmented, crop_size=config.data.crop_size),
        )

    def batches(epoch: int) -> Iterator[frames.Batch]:
        stream = frames.training_batches(
            faces,
            seed=seed,
            epoch=epoch,
            batch_size=batch_size,
            crop_size=config.data.crop_size,
            frame_step=step,
            shuffle_buffer=config.data.shuffle_buffer,
            sampling=config.cnn.sampling,
            momu_draw=config.cnn.momu_draw,
            held=None if kind == "none" else held(),
            part=part,
        )
        return _first(steps_per_epoch, stream)

    return Feed(steps_per_epoch, batches, lambda epoch: {}, lambda constants, example: example)


def _epoch_constants(faces: FaceSet, config: Config, seed: int, epoch: int) -> Constants:
    """The order of an epoch's frames and the key of its crops and flips."""
    key, batch_size = resident.epoch_key(seed, epoch), config.cnn.batch_size
    usable = frames.training_rows(faces, config.cnn.frame_step, epoch)
    length = math.ceil(len(faces) / batch_size) * batch_size
    if config.cnn.sampling == "shuffle":
        return {"key": key, "order": resident.shuffled(key, jnp.asarray(usable), length)}
    rows = np.flatnonzero(usable)
    # The balanced order follows from counts of labels, one frame after the other, and is drawn on the host.
    drawn = balanced_rows(
        faces.labels[rows],
        seed=seed,
        epoch=epoch,
        batches=math.ceil(len(rows) / batch_size),
        batch_size=batch_size,
        draw=config.cnn.momu_draw,
    )
    order = rows[np.fromiter(drawn, np.int64)].astype(np.int32)
    return {"key": key, "order": jnp.asarray(np.pad(order, (0, length - len(order))))}


def _first(count: int, batches: Iterator[parallel.Batch]) -> Iterator[parallel.Batch]:
    for _, batch in zip(range(count), batches, strict=False):
        yield batch
