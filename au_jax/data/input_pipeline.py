"""Streams of registered frames with tf.data: shuffled, cropped and flipped for training, once and in order for scoring.

The order, crops and flips of an epoch are a pure function of (seed, epoch), so that a run that was killed goes on at the
start of an epoch with the very batches that it would have seen.

What every stream of tf.data needs: to be built as it is written, and errors that name the damaged file.

Multi-label balanced sampling (MOMU) of frames for the CNN's batches.

How the CNN gets its training frames, by `config.data.cache`.
"""

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tensorflow as tf

from au_jax.config import Config
from au_jax.data import device_cache
from au_jax.data.dataset import FaceSet
from au_jax.data.device_cache import crops
from au_jax.data.tfrecord_index import TFRecordIndex, as_written, read
from au_jax.labels import NUM_AUS
from au_jax.training import parallel


def balanced_rows(
    labels: np.ndarray, *, seed: int, epoch: int, batches: int, batch_size: int, draw: int
) -> Iterator[int]:
    """Draws frames so that every batch holds about as many of a rare AU as of a frequent one can be had with it.

    A frame belongs to the class of each of its AUs, or to the neutral class where it has none. Every batch starts with the
    rarest class; `draw` frames are taken from the current class without replacement, leave the pools of all their
    classes, and the class that the batch has least of is next. A pool with fewer than `draw` frames left is filled again.
    Source: the sampler that Chu et al. (Image and Vision Computing 2019) describe, as a public re-implementation has it.

    Args:
      labels: [N, 12] int8; frames without any label are never drawn.
      seed: with `epoch` and the labels decides every draw.
      epoch: number of the epoch.
      batches: to draw.
      batch_size: frames in each.
      draw: frames taken from a class at a time.

    Yields:
      Row numbers, `batches` x `batch_size` of them.
    """
    generator = np.random.default_rng([seed, epoch])
    present, labelled = labels > 0, (labels != 0).any(-1)
    classes = np.column_stack([present, labelled & ~present.any(-1)])
    classes = classes[:, classes.any(0)]
    # From rare to frequent: of classes that a batch has equally little of, the rarest is next.
    classes = classes[:, np.argsort(classes.sum(0), kind="stable")]
    pools = [_Pool(np.flatnonzero(column), generator) for column in classes.T]
    for _ in range(batches):
        counts = np.zeros(len(pools), int)
        missing = batch_size
        while missing:
            rows = pools[int(counts.argmin())].take(min(draw, missing))
            counts += classes[rows].sum(0)
            for row in rows:
                for number in np.flatnonzero(classes[row]):
                    pools[number].remove(row)
            missing -= len(rows)
            yield from rows


class _Pool:
    """The frames of a class that have not been drawn since it was last filled."""

    def __init__(self, members: np.ndarray, generator: np.random.Generator):
        self._members, self._generator = members.tolist(), generator
        self._left: set[int] = set()
        self._order: list[int] = []

    def take(self, count: int) -> list[int]:
        count = min(count, len(self._members))
        if len(self._left) < count:
            self._left = set(self._members)
            self._order = self._generator.permutation(self._members).tolist()
        rows = []
        while len(rows) < count:
            row = self._order.pop()
            # Drawn by way of another of its classes.
            if row in self._left:
                rows.append(row)
        return rows

    def remove(self, row: int) -> None:
        self._left.discard(row)


Batch = dict[str, np.ndarray]

SAMPLINGS: tuple[str, ...] = ("shuffle", "momu")
"""Orders of training frames: each once per epoch, or multi-label balanced batches."""


def training_rows(faces: FaceSet, frame_step: int, epoch: int) -> np.ndarray:
    """Marks the frames that an epoch trains on, [N] bool: every n-th of a subject, and only those with a label."""
    numbers = np.concatenate([np.arange(length) for length in faces.lengths])
    return (numbers % frame_step == epoch % frame_step) & (faces.labels != 0).any(-1)


@as_written
def training_batches(
    faces: FaceSet,
    *,
    seed: int,
    epoch: int,
    batch_size: int,
    crop_size: int,
    frame_step: int,
    shuffle_buffer: int,
    sampling: str = "shuffle",
    momu_draw: int = 4,
    held: np.ndarray | None = None,
    part: slice | None = None,
) -> Iterator[Batch]:
    """Streams one epoch of randomly cropped and flipped frames (paper section IV-B).

    Args:
      faces: training subjects.
      seed, epoch: decide order, crops and flips.
      batch_size: frames in a batch.
      crop_size: side of the crop in pixels.
      frame_step: see `training_rows`.
      shuffle_buffer: "shuffle": frames held, encoded.
      sampling: "shuffle" shows every frame of `training_rows` once; "momu" draws as many in balanced batches
        (`au_jax.data.input_pipeline`).
      momu_draw: "momu": frames drawn from one AU at a time.
      held: all frames of `faces`, decoded (`au_jax.data.device_cache`), [N, S, S, 3] uint8; None reads them from the files. The
        batches are the same.
      part: rows of every batch to make, for a process that trains on these; the others are not decoded. None = all.

    Returns:
      Dicts of image [B, crop, crop, 3] uint8, labels [B, 12] int8, offset [B, 2] int32 (y, x of the crop), flip [B]
      bool, mask [B] float32. The last batch is padded with mask 0.
    """
    generator = np.random.default_rng([seed, epoch])
    stream_seed, shuffle_seed = (int(value) for value in generator.integers(2**31 - 1, size=2))
    room = faces.dataset.image_size - crop_size
    usable = training_rows(faces, frame_step, epoch)
    part = part or slice(0, batch_size)

    def draw(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        drawn = tf.random.stateless_uniform([3], seed=tf.stack([tf.constant(stream_seed, tf.int64), number]))
        return tf.cast(drawn[:2] * (room + 1), tf.int32), drawn[2] < 0.5

    def mine(number: tf.Tensor, frame: tf.Tensor) -> tf.Tensor:
        place = tf.math.floormod(number, batch_size)
        return tf.logical_and(place >= part.start, place < part.stop)

    def decode(number: tf.Tensor, record: tf.Tensor) -> dict[str, tf.Tensor]:
        example = faces.dataset.parse(record)
        offset, flip = draw(number)
        # Decoding the crop alone saves the rest of the picture's work.
        window = tf.concat([offset, [crop_size, crop_size]], 0)
        image = tf.io.decode_and_crop_jpeg(example["image"], window, channels=3)
        image = tf.cond(flip, lambda: tf.reverse(image, [1]), lambda: image)
        image = tf.ensure_shape(image, [crop_size, crop_size, 3])
        return {"image": image, "labels": example["labels"], "offset": offset, "flip": flip, "mask": tf.constant(1.0)}

    def look_up(number: tf.Tensor, row: tf.Tensor) -> dict[str, tf.Tensor]:
        offset, flip = draw(number)
        labels = tf.gather(faces.labels, row)
        return {"row": row, "labels": labels, "offset": offset, "flip": flip, "mask": tf.constant(1.0)}

    if sampling == "momu":
        rows = np.flatnonzero(usable)
        drawn = balanced_rows(
            faces.labels[rows],
            seed=shuffle_seed,
            epoch=epoch,
            batches=-(-len(rows) // batch_size),
            batch_size=batch_size,
            draw=momu_draw,
        )
        chosen = (int(rows[number]) for number in drawn)
        frames = _rows_in_order(chosen) if held is not None else _records_in_order(faces, chosen)
    else:
        order = generator.permutation(len(faces.subjects))
        frames = (
            _shuffled_rows(faces, order, usable) if held is not None else _shuffled_records(faces, order, usable)
        ).shuffle(shuffle_buffer, seed=shuffle_seed)
    numbered = frames.enumerate()
    if part != slice(0, batch_size):
        numbered = numbered.filter(mine)  # pyright: ignore[reportArgumentType]
    stream = numbered.map(
        decode if held is None else look_up, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    ).batch(max(min(part.stop, batch_size) - part.start, 1))
    if held is not None:
        stream = stream.map(partial(_cut, held, crop_size))
    batches = read(stream.prefetch(4), faces.shards())
    return _filled(batches, int(usable.sum()) if sampling == "shuffle" else None, batch_size, crop_size, part)


def _filled(
    batches: Iterator[Batch], count: int | None, batch_size: int, crop_size: int, part: slice
) -> Iterator[Batch]:
    """Pads these batches, and adds one without frames where all rows of a last one are other processes'.

    Args:
      count: frames of the epoch; None where all its batches are full.
    """
    made = 0
    for batch in batches:
        yield pad(batch, part.stop - part.start)
        made += 1
    total = made * batch_size if count is None else count
    while made * batch_size < total and part.start >= min(batch_size, total - made * batch_size):
        yield _no_frames(part.stop - part.start, crop_size)
        made += 1


def _shuffled_records(faces: FaceSet, order: np.ndarray, usable: np.ndarray) -> tf.data.Dataset:
    """The serialized frames of `training_rows`, with the subjects' files interleaved."""
    shards = tf.ragged.constant([faces.dataset.shards(faces.subjects[index]) for index in order])
    starts = np.cumsum([0, *faces.lengths])[order]

    def records(names: tf.Tensor, start: tf.Tensor) -> tf.data.Dataset:
        # Rows are known before: nothing is parsed that is not wanted.
        numbered = tf.data.TFRecordDataset(names).enumerate(start)
        # TensorFlow's annotations do not know that pairs are handed on as two arguments.
        return numbered.filter(lambda row, record: tf.gather(usable, row))  # pyright: ignore[reportArgumentType]

    return _interleaved((shards, starts), records).map(lambda row, record: record)


def _shuffled_rows(faces: FaceSet, order: np.ndarray, usable: np.ndarray) -> tf.data.Dataset:
    """The rows of the set that `_shuffled_records` reads, in its order."""
    bounds = np.cumsum([0, *faces.lengths])

    def rows(start: tf.Tensor, stop: tf.Tensor) -> tf.data.Dataset:
        return tf.data.Dataset.range(start, stop).filter(lambda row: tf.gather(usable, row))

    return _interleaved((bounds[:-1][order], bounds[1:][order]), rows)


def _interleaved(subjects: tuple[Any, ...], stream: Callable[..., tf.data.Dataset]) -> tf.data.Dataset:
    """The streams of all subjects, a frame of each of eight in turn."""
    return tf.data.Dataset.from_tensor_slices(subjects).interleave(
        stream, cycle_length=8, num_parallel_calls=2, deterministic=True
    )


def _cut(held: np.ndarray, crop_size: int, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    choice = (batch.pop("row"), batch["offset"], batch["flip"])
    return {"image": tf.numpy_function(partial(crops, held, crop_size), choice, tf.uint8), **batch}


def _rows_in_order(rows: Iterator[int]) -> tf.data.Dataset:
    return tf.data.Dataset.from_generator(lambda: rows, output_signature=tf.TensorSpec((), tf.int64))


def _records_in_order(faces: FaceSet, rows: Iterable[int]) -> tf.data.Dataset:
    """The serialized frames of these rows of the set."""
    files = TFRecordIndex(faces.shards())
    return tf.data.Dataset.from_generator(lambda: files.read(rows), output_signature=tf.TensorSpec((), tf.string))


def ordered_batches(faces: FaceSet, *, batch_size: int, crop_size: int | None, frame_step: int = 1) -> Iterator[Batch]:
    """Streams every n-th frame exactly once, in order of (subject, video, frame), centre-cropped or whole.

    Yields:
      Dicts of image [B, crop, crop, 3] uint8, offset [B, 2] int32, flip [B] bool (False), mask [B] float32. The last batch
      is padded with mask 0.
    """
    size = faces.dataset.image_size
    crop_size = crop_size or size
    start = (size - crop_size) // 2

    stream = _cropped(faces, start, crop_size, frame_step).batch(batch_size).prefetch(4)
    for images in read(stream, faces.shards()):
        count = len(images)
        batch = {
            "image": images,
            "offset": np.full((count, 2), start, np.int32),
            "flip": np.zeros(count, bool),
            "mask": np.ones(count, np.float32),
        }
        yield pad(batch, batch_size)


@as_written
def _cropped(faces: FaceSet, start: int, crop_size: int, frame_step: int) -> tf.data.Dataset:
    """Every n-th frame, decoded from `start` on in y and x."""

    def cut(record: tf.Tensor) -> tf.Tensor:
        image = faces.dataset.parse(record)["image"]
        image = tf.io.decode_and_crop_jpeg(image, [start, start, crop_size, crop_size], channels=3)
        return tf.ensure_shape(image, [crop_size, crop_size, 3])

    return (
        tf.data.TFRecordDataset(faces.shards())
        .shard(frame_step, 0)
        .map(cut, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    )


def pictures(faces: FaceSet, rows: Sequence[int]) -> Iterator[np.ndarray]:
    """The whole pictures of these rows of the set, in this order, [S, S, 3] uint8 each; no other frame is read."""
    yield from read(_decoded(faces, rows), faces.shards())


@as_written
def _decoded(faces: FaceSet, rows: Sequence[int]) -> tf.data.Dataset:
    def decode(record: tf.Tensor) -> tf.Tensor:
        return tf.io.decode_jpeg(faces.dataset.parse(record)["image"], channels=3)

    return _records_in_order(faces, rows).map(decode)


def mean_image(faces: FaceSet) -> np.ndarray:
    """The mean picture of all frames, [S, S, 3] float32 in 0..255."""
    total = np.zeros((faces.dataset.image_size, faces.dataset.image_size, 3), np.float64)
    for batch in ordered_batches(faces, batch_size=256, crop_size=None):
        total += batch["image"].sum(0, dtype=np.float64)  # Padding is black and adds nothing.
    return (total / len(faces)).astype(np.float32)


def pad(batch: Batch, batch_size: int) -> Batch:
    """Fills the rows of a last batch up with zeros: mask 0, label missing."""
    missing = batch_size - len(batch["mask"])
    if missing == 0:
        return batch
    return {name: np.pad(rows, [(0, missing)] + [(0, 0)] * (rows.ndim - 1)) for name, rows in batch.items()}


def _no_frames(count: int, crop_size: int) -> Batch:
    return {
        "image": np.zeros((count, crop_size, crop_size, 3), np.uint8),
        "labels": np.zeros((count, NUM_AUS), np.int8),
        "offset": np.zeros((count, 2), np.int32),
        "flip": np.zeros(count, bool),
        "mask": np.zeros(count, np.float32),
    }


Constants = dict[str, Any]
Example = dict[str, jax.Array]


@dataclass(frozen=True)
class InputPipeline:
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


def make_input_pipeline(faces: FaceSet, config: Config, seed: int) -> InputPipeline:
    """The feed of `faces`; its first epoch reads them where `config.data.cache` keeps them.

    Raises:
      UserError: then, where they do not fit into memory.
    """
    kind, batch_size, step = config.data.cache, config.cnn.batch_size, config.cnn.frame_step
    # With a frame_step, epochs differ in length; all have as many steps as the shortest.
    counts = [int(training_rows(faces, step, epoch).sum()) for epoch in range(step)]
    steps_per_epoch = min(math.ceil(count / batch_size) for count in counts)
    part = parallel.own_rows(batch_size) if jax.process_count() > 1 else None

    # Read when training asks for it: what is trained to its end needs no frames.
    @functools.cache
    def held() -> np.ndarray:
        size = faces.dataset.image_size
        device_cache.check_room(kind, len(faces), size, jax.local_device_count())
        whole = ordered_batches(faces, batch_size=256, crop_size=None)
        return device_cache.collect(len(faces), size, whole)

    if kind == "device":

        @functools.cache
        def on_devices() -> Constants:
            return parallel.replicate({"frames": held.__wrapped__(), "labels": faces.labels})

        return InputPipeline(
            steps_per_epoch,
            lambda epoch: _first(
                steps_per_epoch,
                map(parallel.own, device_cache.number_batches(counts[epoch % step], batch_size)),
            ),
            lambda epoch: {**on_devices(), **_epoch_constants(faces, config, seed, epoch)},
            functools.partial(device_cache.augmented, crop_size=config.data.crop_size),
        )

    def batches(epoch: int) -> Iterator[Batch]:
        stream = training_batches(
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

    return InputPipeline(steps_per_epoch, batches, lambda epoch: {}, lambda constants, example: example)


def _epoch_constants(faces: FaceSet, config: Config, seed: int, epoch: int) -> Constants:
    """The order of an epoch's frames and the key of its crops and flips."""
    key, batch_size = device_cache.epoch_key(seed, epoch), config.cnn.batch_size
    usable = training_rows(faces, config.cnn.frame_step, epoch)
    length = math.ceil(len(faces) / batch_size) * batch_size
    if config.cnn.sampling == "shuffle":
        return {"key": key, "order": device_cache.shuffled(key, jnp.asarray(usable), length)}
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
