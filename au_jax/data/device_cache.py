"""Training frames that are decoded once and kept in memory (`config.data.cache`), those of the accelerators above all.

- none: frames are read, decoded and cropped anew in every epoch (`au_jax.data.input_pipeline`).
- host: all frames lie decoded in the host's memory; the batches are those of `none`, to the byte.
- device: all frames lie in the memory of every accelerator (`DeviceInputPipeline`), which shuffles, crops and flips them
  within the training step, without TensorFlow. Order, crops and flips are other samples of the same distributions.

With `device` a batch is the numbers of its frames in the epoch and nothing else. The order is drawn on the device at the
epoch's start; crop and flip of a frame follow from seed, epoch and its number. So a run that was killed goes on at an epoch's
start with the very batches that it would have seen. Every device holds all frames: that a batch is the same on any number of
devices is worth more than the memory.
"""

import math
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int8, Int32, Key, UInt8

from au_jax.config import Config
from au_jax.data.balanced_sampling import balanced_rows
from au_jax.errors import ConfigError
from au_jax.training import parallel
from au_jax.training.prefetch import Batch

CACHES: tuple[str, ...] = ("none", "host", "device")
"""Choices of `config.data.cache`."""

MEMORY_SHARE = 0.8
"""Of the free memory that the frames may take: networks and batches need some too."""


class DeviceInputPipeline:
    """Batches of training frames that lie in the accelerators' memory; the same methods as `input_pipeline.HostInputPipeline`.

    Args:
      labels: of all frames, in {-1, 0, +1}.
      usable: `input_pipeline.training_rows` of the epochs 0 to frame_step - 1; later epochs repeat them.
      read_frames: reads and decodes all frames; called once, by the first epoch.
      config: batch size, crop size and sampling.
      seed: decides order, crops and flips, together with the epoch.

    Attributes:
      steps_per_epoch: batches in an epoch; with a frame_step, epochs have as many as the shortest.

    Example:
      >>> from au_jax.config import replace
      >>> config = replace(Config(), **{"data.crop_size": 2, "cnn.batch_size": 2})
      >>> frames, labels = np.zeros((3, 4, 4, 3), np.uint8), np.ones((3, 1), np.int8)
      >>> pipeline = DeviceInputPipeline(labels, np.ones((1, 3), bool), lambda: frames, config, seed=0)
      >>> constants, first = pipeline.epoch_constants(0), next(pipeline.batches(0))
      >>> jax.vmap(pipeline.example, in_axes=(None, 0))(constants, jax.tree.map(jnp.asarray, first))["image"].shape
      (2, 2, 2, 3)
    """

    def __init__(
        self,
        labels: Int8[np.ndarray, "N A"],
        usable: Bool[np.ndarray, "E N"],
        read_frames: Callable[[], UInt8[np.ndarray, "N S S 3"]],
        config: Config,
        seed: int,
    ):
        self._labels, self._usable, self._read_frames = labels, usable, read_frames
        self._crop_size, self._seed = config.data.crop_size, seed
        self._batch_size, self._cnn = config.cnn.batch_size, config.cnn
        self._on_devices: dict[str, Any] = {}
        self.steps_per_epoch = min(math.ceil(count / self._batch_size) for count in usable.sum(1).tolist())

    def batches(self, epoch: int) -> Iterator[Batch]:
        """This process's rows of an epoch's batches: number [B] int32 and mask [B] float32."""
        count = int(self._usable[epoch % len(self._usable)].sum())
        for _, batch in zip(range(self.steps_per_epoch), number_batches(count, self._batch_size), strict=False):
            yield parallel.take_process_rows(batch)

    def epoch_constants(self, epoch: int) -> dict[str, Any]:
        """What the steps of an epoch need on the devices besides: see `augmented`."""
        if not self._on_devices:
            self._on_devices = parallel.replicate_on_devices({"frames": self._read_frames(), "labels": self._labels})
        key, usable = epoch_key(self._seed, epoch), self._usable[epoch % len(self._usable)]
        length = math.ceil(len(usable) / self._batch_size) * self._batch_size
        if self._cnn.sampling == "shuffle":
            order = shuffled(key, jnp.asarray(usable), length)
        else:
            # The balanced order follows from counts of labels, one frame after the other, and is made on the host.
            rows = np.flatnonzero(usable)
            batches = math.ceil(len(rows) / self._batch_size)
            sample = balanced_rows(
                self._labels[rows],
                seed=self._seed,
                epoch=epoch,
                batches=batches,
                batch_size=self._batch_size,
                draw=self._cnn.momu_draw,
            )
            balanced = rows[np.fromiter(sample, np.int64)].astype(np.int32)
            order = jnp.asarray(np.pad(balanced, (0, length - len(balanced))))
        return {**self._on_devices, "key": key, "order": order}

    def example(self, constants: dict[str, jax.Array], row: dict[str, jax.Array]) -> dict[str, jax.Array]:
        """One frame, cropped and flipped within the training step: `augmented`."""
        return augmented(constants, row, self._crop_size)


def number_batches(count: int, batch_size: int) -> Iterator[Batch]:
    """An epoch's batches of `count` frames: number [B] int32 and mask [B] float32, 0 behind the last frame.

    Example:
      >>> [batch["mask"].tolist() for batch in number_batches(3, batch_size=2)]
      [[1.0, 1.0], [1.0, 0.0]]
    """
    for start in range(0, count, batch_size):
        numbers = np.arange(start, start + batch_size, dtype=np.int32)
        yield {"number": numbers, "mask": (numbers < count).astype(np.float32)}


def epoch_key(seed: int, epoch: int | Int32[Array, ""]) -> Key[Array, ""]:
    """The random key of an epoch's order, crops and flips.

    Example:
      >>> bool(epoch_key(0, 1) == epoch_key(0, 2))
      False
    """
    return jax.random.fold_in(jax.random.key(seed), epoch)


@partial(jax.jit, static_argnames="length")
def shuffled(key: Key[Array, ""], usable: Bool[Array, " N"], length: int) -> Int32[Array, " length"]:
    """A random order of the usable rows, filled up with 0 to `length`, so that epochs of other sizes have the same shape.

    Args:
      key: of the epoch.
      usable: rows that the epoch trains on.
      length: at least N.

    Returns:
      Row numbers; the first `usable.sum()` are the usable rows, each once.

    Example:
      >>> order = shuffled(epoch_key(0, 0), jnp.array([True, False, True]), length=4)
      >>> sorted(order[:2].tolist()), order.shape
      ([0, 2], (4,))
    """
    # No frame has this number.
    order = jax.random.permutation(jax.random.fold_in(key, 2**32 - 1), len(usable))
    order = order[jnp.argsort(~usable[order], stable=True)]
    return jnp.pad(order, (0, length - len(usable)))


def augmented(constants: dict[str, jax.Array], row: dict[str, jax.Array], crop_size: int) -> dict[str, jax.Array]:
    """Looks up one frame of an epoch and crops and flips it at random, as `input_pipeline.training_batches` does (section IV-B).

    Args:
      constants: frames [N, S, S, 3] uint8, labels [N, A] int8, order [length] int32 (`shuffled`) and the epoch's key.
      row: of a batch: number int32 in the epoch, and mask.
      crop_size: side of the crop in pixels.

    Returns:
      image [c, c, 3] uint8, labels [A] int8, offset [2] int32 (y, x, each uniform over all places), flip bool (in half of
      the frames), mask.

    Example:
      >>> constants = {"frames": jnp.zeros((1, 4, 4, 3), jnp.uint8), "labels": jnp.ones((1, 2), jnp.int8)}
      >>> constants |= {"order": jnp.zeros(1, jnp.int32), "key": epoch_key(0, 0)}
      >>> augmented(constants, {"number": jnp.int32(0), "mask": jnp.float32(1)}, crop_size=3)["image"].shape
      (3, 3, 3)
    """
    frames, number = constants["frames"], row["number"]
    frame = constants["order"][number]
    place, side = jax.random.split(jax.random.fold_in(constants["key"], number))
    offset = jax.random.randint(place, (2,), 0, frames.shape[1] - crop_size + 1)
    flip = jax.random.bernoulli(side)
    start = (frame, offset[0], offset[1], jnp.zeros_like(frame))
    image = jax.lax.dynamic_slice(frames, start, (1, crop_size, crop_size, 3))[0]
    return {
        "image": jnp.where(flip, image[:, ::-1], image),
        "labels": constants["labels"][frame],
        "offset": offset,
        "flip": flip,
        "mask": row["mask"],
    }


def check_room(cache: str, frames: int, size: int, devices: int) -> None:
    """Refuses a cache that will not fit, before anything is allocated.

    Args:
      cache: "host" or "device".
      frames: number of frames to keep, of 3 bytes a pixel.
      size: side of a frame in pixels.
      devices: number of local accelerators; every one holds all frames.

    Raises:
      ConfigError: says what is needed and what is free.

    Example:
      >>> check_room("host", frames=10, size=200, devices=1)
    """
    needed = frames * size * size * 3
    places = [("the host", needed, free_on_host())]
    if cache == "device":
        free = free_on_device()
        # Devices that do not tell are CPUs: their memory is the host's.
        places = [("the host", needed * (devices + 1), free_on_host())] if free is None else places
        places += [] if free is None else [("an accelerator", needed, free)]
    for place, taken, free in places:
        if taken > MEMORY_SHARE * free:
            raise ConfigError(
                f"config.data.cache {cache} needs {taken / 2**30:.2f} GiB on {place} for {frames} training frames of {size} "
                f"pixels, of which {free / 2**30:.2f} GiB are free ({MEMORY_SHARE:.0%} of them may be taken); choose "
                + ("none" if cache == "host" else "host or none")
            )


def collect_frames(count: int, size: int, batches: Iterator[Batch]) -> UInt8[np.ndarray, "N S S 3"]:
    """All frames of batches of whole frames in one array; written into place, so that there is no second copy.

    Args:
      count: number of frames.
      size: side of a frame in pixels.
      batches: dicts of image [B, S, S, 3] uint8 and mask [B], 0 for padding.

    Raises:
      RuntimeError: there are more or fewer frames.

    Example:
      >>> batch = {"image": np.ones((2, 1, 1, 3), np.uint8), "mask": np.array([1.0, 0.0])}
      >>> collect_frames(1, 1, iter([batch])).shape
      (1, 1, 1, 3)
    """
    frames = np.empty((count, size, size, 3), np.uint8)
    start = 0
    for batch in batches:
        images = batch["image"][batch["mask"] > 0]
        frames[start : start + len(images)] = images
        start += len(images)
    if start != count:
        raise RuntimeError(f"{start} frames were read where there are {count}")
    return frames


def free_on_host() -> int:
    """Bytes of memory that can be taken without swapping.

    Example:
      >>> free_on_host() > 2**20  # more than a megabyte
      True
    """
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))) * 1024
    except OSError:
        # Not Linux: half of all there is.
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def free_on_device() -> int | None:
    """Bytes that can be allocated on the fullest local device; None where devices do not tell, as CPUs.

    Example:
      >>> free = free_on_device()
      >>> free is None or free >= 0
      True
    """
    stats = [device.memory_stats() for device in jax.local_devices()]
    return min(one["bytes_limit"] - one["bytes_in_use"] for one in stats) if all(stats) else None
