"""The CNN's input pipeline: from the dataset's records to shuffled, cropped and flipped batches of registered frames.

`make_input_pipeline` gives training its batches, from where `config.data.cache` keeps the frames: `HostInputPipeline` streams
them through tf.data (`training_batches`), `device_cache.DeviceInputPipeline` looks them up in the accelerators' memory.
Scoring and everything else reads frames once and in order (`ordered_batches`, `read_frames`, `mean_image`).

Order, crops and flips of an epoch are a pure function of (seed, epoch), so that a run that was killed goes on at the start of
an epoch with the very batches that it would have seen.
"""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
import tensorflow as tf
from jaxtyping import Bool, Float32, Shaped, UInt8

from au_jax.config import CNNConfig, Config
from au_jax.data import device_cache
from au_jax.data.balanced_sampling import balanced_rows
from au_jax.data.dataset import FaceSet
from au_jax.data.device_cache import DeviceInputPipeline
from au_jax.data.tfrecord_index import TFRecordIndex, no_autograph, read_stream
from au_jax.training import parallel
from au_jax.training.prefetch import Batch

SAMPLINGS: tuple[str, ...] = ("shuffle", "momu")
"""Orders of training frames: each once per epoch, or multi-label balanced batches."""

JPEG: dict[str, Any] = {"channels": 3, "dct_method": "INTEGER_ACCURATE"}
"""How faces are decoded: to the pixel as Pillow and FFmpeg do. TensorFlow's own default is a faster, coarser transform."""


def make_input_pipeline(faces: FaceSet, config: Config, seed: int) -> "HostInputPipeline | DeviceInputPipeline":
    """The batches that the CNN trains on; nothing is read before the first epoch asks for it.

    Args:
      faces: training subjects.
      config: `data.cache`, `data.crop_size`, `data.shuffle_buffer`, and of `cnn` batch_size, frame_step and sampling.
      seed: decides order, crops and flips, together with the epoch.

    Raises:
      ConfigError: in the first epoch, where the frames do not fit into the memory that `config.data.cache` names.

    Example:
      >>> from au_jax.data.preparation import load_dataset
      >>> from au_jax.run_dir import load_run
      >>> config = load_run(run_folder).config
      >>> pipeline = make_input_pipeline(FaceSet(load_dataset(config.data), ("S001",)), config, seed=0)
      >>> len(list(pipeline.batches(0))) == pipeline.steps_per_epoch
      True
    """
    if config.data.cache == "device":
        step = config.cnn.frame_step
        usable = np.stack([training_rows(faces, step, epoch) for epoch in range(step)])
        return DeviceInputPipeline(faces.labels, usable, partial(decode_all, faces, "device"), config, seed)
    return HostInputPipeline(faces, config, seed)


def steps_per_epoch(faces: FaceSet, config: CNNConfig) -> int:
    """Batches in an epoch of the CNN's training; with a frame_step, epochs have as many as the shortest.

    Args:
      faces: training subjects.
      config: `config.cnn`.

    Returns:
      0 where an epoch would have no frame with a label.

    Example:
      >>> from au_jax.data.preparation import load_dataset
      >>> from au_jax.run_dir import load_run
      >>> faces = FaceSet(load_dataset(load_run(run_folder).config.data), ("S001",))
      >>> labelled = (faces.labels != 0).any(-1).sum()
      >>> steps_per_epoch(faces, CNNConfig(batch_size=4)) == math.ceil(labelled / 4)
      True
    """
    if config.frame_step > max(faces.lengths):
        # An epoch that starts behind the last frame has none; the steps may be too many to count.
        return 0
    counts = [int(training_rows(faces, config.frame_step, epoch).sum()) for epoch in range(config.frame_step)]
    return min(math.ceil(count / config.batch_size) for count in counts)


class HostInputPipeline:
    """Batches that the host makes, of frames from the dataset's files or from its own memory; see `make_input_pipeline`.

    Attributes:
      steps_per_epoch: batches in an epoch; with a frame_step, epochs have as many as the shortest.

    Example:
      >>> from au_jax.data.preparation import load_dataset
      >>> from au_jax.run_dir import load_run
      >>> config = load_run(run_folder).config
      >>> pipeline = HostInputPipeline(FaceSet(load_dataset(config.data), ("S001",)), config, seed=0)
      >>> next(pipeline.batches(0))["image"].shape == (config.cnn.batch_size, *[config.data.crop_size] * 2, 3)
      True
    """

    def __init__(self, faces: FaceSet, config: Config, seed: int):
        self._faces, self._config, self._seed = faces, config, seed
        self._cached_frames: np.ndarray | None = None
        self.steps_per_epoch = steps_per_epoch(faces, config.cnn)

    def batches(self, epoch: int) -> Iterator[Batch]:
        """This process's rows of an epoch's batches, as `training_batches` makes them."""
        config = self._config
        if config.data.cache == "host" and self._cached_frames is None:
            self._cached_frames = decode_all(self._faces, "host")
        batches = training_batches(
            self._faces,
            seed=self._seed,
            epoch=epoch,
            batch_size=config.cnn.batch_size,
            crop_size=config.data.crop_size,
            frame_step=config.cnn.frame_step,
            shuffle_buffer=config.data.shuffle_buffer,
            sampling=config.cnn.sampling,
            momu_draw=config.cnn.momu_draw,
            cached_frames=self._cached_frames,
            process_rows=parallel.process_rows(config.cnn.batch_size) if jax.process_count() > 1 else None,
        )
        for _, batch in zip(range(self.steps_per_epoch), batches, strict=False):
            yield batch

    def epoch_constants(self, epoch: int) -> dict[str, jax.Array]:
        """What the steps of an epoch need on the devices besides: nothing."""
        return {}

    def example(self, constants: dict[str, jax.Array], row: dict[str, jax.Array]) -> dict[str, jax.Array]:
        """The training example that a row of a batch stands for, within the training step: the row itself."""
        return row


def training_rows(faces: FaceSet, frame_step: int, epoch: int) -> Bool[np.ndarray, " N"]:
    """Marks the frames that an epoch trains on: every n-th of a subject, and only those with a label.

    Args:
      faces: training subjects.
      frame_step: n; an epoch starts at frame `epoch` % n of each subject.
      epoch: number of the epoch.

    Example:
      >>> from au_jax.data.preparation import load_dataset
      >>> from au_jax.run_dir import load_run
      >>> faces = FaceSet(load_dataset(load_run(run_folder).config.data), ("S001",))
      >>> rows = np.flatnonzero(training_rows(faces, frame_step=2, epoch=1))
      >>> set((rows % 2).tolist())  # the second epoch has the frames in between
      {1}
    """
    numbers = np.concatenate([np.arange(length) for length in faces.lengths])
    return (numbers % frame_step == epoch % frame_step) & (faces.labels != 0).any(-1)


@no_autograph
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
    cached_frames: UInt8[np.ndarray, "N S S 3"] | None = None,
    process_rows: slice | None = None,
) -> Iterator[Batch]:
    """Streams one epoch of randomly cropped and flipped frames (section IV-B).

    Args:
      faces: training subjects.
      seed: decides order, crops and flips, together with `epoch`.
      epoch: number of the epoch.
      batch_size: frames in a batch.
      crop_size: side of the crop in pixels.
      frame_step: see `training_rows`.
      shuffle_buffer: "shuffle": number of encoded frames in the buffer.
      sampling: "shuffle" shows every frame of `training_rows` once; "momu" samples as many in balanced batches
        (`au_jax.data.balanced_sampling`).
      momu_draw: "momu": frames sampled from one AU at a time.
      cached_frames: all frames of `faces`, decoded (`decode_all`); None reads them from the files. The batches are the same.
      process_rows: rows of every batch to make, for a process that trains on these; the others are not decoded. None = all.

    Returns:
      Dicts of image [B, crop, crop, 3] uint8, labels [B, A] int8, offset [B, 2] int32 (y, x of the crop), flip [B]
      bool, mask [B] float32. The last batch is padded with mask 0.

    Raises:
      DataError: while iterating, a record is damaged; names the file.

    Example:
      >>> from au_jax.data.preparation import load_dataset
      >>> from au_jax.run_dir import load_run
      >>> faces = FaceSet(load_dataset(load_run(run_folder).config.data), ("S001",))
      >>> batches = training_batches(faces, seed=0, epoch=0, batch_size=4, crop_size=32, frame_step=1, shuffle_buffer=100)
      >>> next(batches)["image"].shape
      (4, 32, 32, 3)
    """
    generator = np.random.default_rng([seed, epoch])
    crop_seed, shuffle_seed = (int(value) for value in generator.integers(2**31 - 1, size=2))
    usable = training_rows(faces, frame_step, epoch)
    process_rows = process_rows or slice(0, batch_size)

    # 1. The frames in the order of the epoch: their rows in the set where they are cached, else their serialized records.
    if sampling == "momu":
        rows = np.flatnonzero(usable)
        sample = balanced_rows(
            faces.labels[rows],
            seed=shuffle_seed,
            epoch=epoch,
            batches=-(-len(rows) // batch_size),
            batch_size=batch_size,
            draw=momu_draw,
        )
        balanced = (int(rows[number]) for number in sample)
        if cached_frames is None:
            frames = _records(faces, balanced)
        else:
            frames = tf.data.Dataset.from_generator(lambda: balanced, output_signature=tf.TensorSpec((), tf.int64))
    else:
        order = generator.permutation(len(faces.subjects))
        frames = _subjects_in_turn(faces, order, usable, as_records=cached_frames is None)
        frames = frames.shuffle(shuffle_buffer, seed=shuffle_seed)

    # 2. Crop and flip follow from a frame's number in the epoch, whichever process makes it.
    def crop_and_flip(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        uniform = tf.random.stateless_uniform([3], seed=tf.stack([tf.constant(crop_seed, tf.int64), number]))
        places = faces.dataset.image_size - crop_size + 1
        return tf.cast(uniform[:2] * places, tf.int32), uniform[2] < 0.5

    def decode_record(number: tf.Tensor, record: tf.Tensor) -> dict[str, tf.Tensor]:
        example = faces.dataset.parse(record)
        offset, flip = crop_and_flip(number)
        # Decoding the crop alone saves the rest of the image's work.
        window = tf.concat([offset, [crop_size, crop_size]], 0)
        image = tf.io.decode_and_crop_jpeg(example["image"], window, **JPEG)
        image = tf.cond(flip, lambda: tf.reverse(image, [1]), lambda: image)
        image = tf.ensure_shape(image, [crop_size, crop_size, 3])
        return {"image": image, "labels": example["labels"], "offset": offset, "flip": flip, "mask": tf.constant(1.0)}

    def look_up_row(number: tf.Tensor, row: tf.Tensor) -> dict[str, tf.Tensor]:
        offset, flip = crop_and_flip(number)
        labels = tf.gather(faces.labels, row)
        return {"row": row, "labels": labels, "offset": offset, "flip": flip, "mask": tf.constant(1.0)}

    def belongs_to_process(number: tf.Tensor, frame: tf.Tensor) -> tf.Tensor:
        place = tf.math.floormod(number, batch_size)
        return tf.logical_and(place >= process_rows.start, place < process_rows.stop)

    numbered = frames.enumerate()
    if process_rows != slice(0, batch_size):
        numbered = numbered.filter(belongs_to_process)  # pyright: ignore[reportArgumentType]
    examples = numbered.map(
        decode_record if cached_frames is None else look_up_row, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    stream = examples.batch(max(min(process_rows.stop, batch_size) - process_rows.start, 1))
    if cached_frames is not None:
        cut = partial(cut_crops, cached_frames, crop_size)

        def cut_batch(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            where = (batch.pop("row"), batch["offset"], batch["flip"])
            return {"image": tf.numpy_function(cut, where, tf.uint8), **batch}

        stream = stream.map(cut_batch)
    batches = read_stream(stream.prefetch(4), faces.shards())

    # 3. The last batch is filled up, that of a process without frames in it as well.
    def filled() -> Iterator[Batch]:
        count, made = process_rows.stop - process_rows.start, 0
        for batch in batches:
            yield pad(batch, count)
            made += 1
        total = int(usable.sum()) if sampling == "shuffle" else made * batch_size
        while made * batch_size < total and process_rows.start >= min(batch_size, total - made * batch_size):
            yield {
                "image": np.zeros((count, crop_size, crop_size, 3), np.uint8),
                "labels": np.zeros((count, faces.labels.shape[-1]), np.int8),
                "offset": np.zeros((count, 2), np.int32),
                "flip": np.zeros(count, bool),
                "mask": np.zeros(count, np.float32),
            }
            made += 1

    return filled()


def _subjects_in_turn(faces: FaceSet, order: np.ndarray, usable: np.ndarray, as_records: bool) -> tf.data.Dataset:
    """The frames of `usable`, one of each of eight subjects in turn: their serialized records, or their rows in the set."""
    bounds = np.cumsum([0, *faces.lengths])
    starts, stops = bounds[:-1][order], bounds[1:][order]
    frames: Any  # TensorFlow's annotations do not know that pairs are handed on as two arguments.

    def records(names: tf.Tensor, start: tf.Tensor) -> tf.data.Dataset:
        numbered = tf.data.TFRecordDataset(names).enumerate(start)
        # Rows are known before: nothing is parsed that is not wanted.
        wanted = numbered.filter(lambda row, record: tf.gather(usable, row))  # pyright: ignore[reportArgumentType]
        return wanted.map(lambda row, record: record)  # pyright: ignore[reportArgumentType]

    def rows(start: tf.Tensor, stop: tf.Tensor) -> tf.data.Dataset:
        return tf.data.Dataset.range(start, stop).filter(lambda row: tf.gather(usable, row))

    if as_records:
        shards = tf.ragged.constant([faces.dataset.shards(faces.subjects[index]) for index in order])
        subjects, frames = tf.data.Dataset.from_tensor_slices((shards, starts)), records
    else:
        subjects, frames = tf.data.Dataset.from_tensor_slices((starts, stops)), rows
    return subjects.interleave(frames, cycle_length=8, num_parallel_calls=2, deterministic=True)


def _records(faces: FaceSet, rows: Iterator[int] | Sequence[int]) -> tf.data.Dataset:
    """The serialized records of these rows of the set, in this order."""
    index = TFRecordIndex(faces.shards())
    return tf.data.Dataset.from_generator(lambda: index.read(rows), output_signature=tf.TensorSpec((), tf.string))


@no_autograph
def ordered_batches(faces: FaceSet, *, batch_size: int, crop_size: int | None, frame_step: int = 1) -> Iterator[Batch]:
    """Streams every n-th frame exactly once, in order of (subject, video, frame), centre-cropped or whole.

    Args:
      faces: whose frames.
      batch_size: frames in a batch.
      crop_size: side of the crop in pixels; None = whole frames.
      frame_step: n.

    Returns:
      Dicts of image [B, crop, crop, 3] uint8, offset [B, 2] int32, flip [B] bool (False), mask [B] float32. The last batch
      is padded with mask 0.

    Raises:
      DataError: while iterating, a record is damaged; names the file.

    Example:
      >>> from au_jax.data.preparation import load_dataset
      >>> from au_jax.run_dir import load_run
      >>> faces = FaceSet(load_dataset(load_run(run_folder).config.data), ("S001",))
      >>> batch = next(ordered_batches(faces, batch_size=4, crop_size=32))
      >>> batch["image"].shape, batch["offset"][0].tolist()  # the middle of 40 pixels
      ((4, 32, 32, 3), [4, 4])
    """
    size = faces.dataset.image_size
    crop_size = crop_size or size
    start = (size - crop_size) // 2

    def decode(record: tf.Tensor) -> tf.Tensor:
        image = faces.dataset.parse(record)["image"]
        image = tf.io.decode_and_crop_jpeg(image, [start, start, crop_size, crop_size], **JPEG)
        return tf.ensure_shape(image, [crop_size, crop_size, 3])

    records = tf.data.TFRecordDataset(faces.shards()).shard(frame_step, 0)
    images = records.map(decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    stream = images.batch(batch_size).prefetch(4)

    def padded() -> Iterator[Batch]:
        for images in read_stream(stream, faces.shards()):
            batch = {
                "image": images,
                "offset": np.full((len(images), 2), start, np.int32),
                "flip": np.zeros(len(images), bool),
                "mask": np.ones(len(images), np.float32),
            }
            yield pad(batch, batch_size)

    return padded()


@no_autograph
def read_frames(faces: FaceSet, rows: Sequence[int]) -> Iterator[UInt8[np.ndarray, "S S 3"]]:
    """The whole frames of these rows of the set, in this order; no other frame is read.

    Raises:
      DataError: a file is damaged; names it.

    Example:
      >>> from au_jax.data.preparation import load_dataset
      >>> from au_jax.run_dir import load_run
      >>> faces = FaceSet(load_dataset(load_run(run_folder).config.data), ("S001",))
      >>> [frame.shape for frame in read_frames(faces, [5, 0])]
      [(40, 40, 3), (40, 40, 3)]
    """

    def decode(record: tf.Tensor) -> tf.Tensor:
        return tf.io.decode_jpeg(faces.dataset.parse(record)["image"], **JPEG)

    return read_stream(_records(faces, rows).map(decode), faces.shards())


def decode_all(faces: FaceSet, cache: str) -> UInt8[np.ndarray, "N S S 3"]:
    """All frames of the set, for `config.data.cache` "host" or "device".

    Raises:
      ConfigError: they do not fit into the memory of that cache.
      DataError: a file is damaged; names it.

    Example:
      >>> from au_jax.data.preparation import load_dataset
      >>> from au_jax.run_dir import load_run
      >>> faces = FaceSet(load_dataset(load_run(run_folder).config.data), ("S001",))
      >>> decode_all(faces, "host").shape == (len(faces), 40, 40, 3)
      True
    """
    size = faces.dataset.image_size
    device_cache.check_room(cache, len(faces), size, jax.local_device_count())
    return device_cache.collect_frames(len(faces), size, ordered_batches(faces, batch_size=256, crop_size=None))


def mean_image(faces: FaceSet) -> Float32[np.ndarray, "S S 3"]:
    """The mean of all frames, in 0..255.

    Raises:
      DataError: a file is damaged; names it.

    Example:
      >>> from au_jax.data.preparation import load_dataset
      >>> from au_jax.run_dir import load_run
      >>> faces = FaceSet(load_dataset(load_run(run_folder).config.data), ("S001",))
      >>> bool(np.allclose(mean_image(faces), decode_all(faces, "host").mean(0), atol=1e-3))
      True
    """
    total = np.zeros((faces.dataset.image_size, faces.dataset.image_size, 3), np.float64)
    for batch in ordered_batches(faces, batch_size=256, crop_size=None):
        total += batch["image"].sum(0, dtype=np.float64)  # Padding is black and adds nothing.
    return (total / len(faces)).astype(np.float32)


def cut_crops(
    frames: UInt8[np.ndarray, "N S S 3"],
    size: int,
    rows: Shaped[np.ndarray, " B"],
    offsets: Shaped[np.ndarray, "B 2"],
    flips: Bool[np.ndarray, " B"],
) -> UInt8[np.ndarray, "B size size 3"]:
    """Cuts square crops of `size` pixels out of cached frames: of `rows`, at `offsets` (y, x), mirrored where `flips`.

    Example:
      >>> frames = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
      >>> cut_crops(frames, 1, np.array([0]), np.array([[1, 0]]), np.array([False])).tolist()
      [[[[6, 7, 8]]]]
    """
    crops = np.empty((len(rows), size, size, 3), frames.dtype)
    for crop, row, (y, x), flip in zip(crops, rows, offsets, flips, strict=True):
        window = frames[row, y : y + size, x : x + size]
        crop[:] = window[:, ::-1] if flip else window
    return crops


def pad(batch: Batch, batch_size: int) -> Batch:
    """Fills the rows of a last batch up with zeros: mask 0, label missing.

    Example:
      >>> pad({"mask": np.ones(1, np.float32)}, 2)["mask"].tolist()
      [1.0, 0.0]
    """
    missing = batch_size - len(batch["mask"])
    if missing == 0:
        return batch
    return {name: np.pad(rows, [(0, missing)] + [(0, 0)] * (rows.ndim - 1)) for name, rows in batch.items()}
