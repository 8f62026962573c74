"""Training frames in the accelerators' memory: shuffled, cropped and flipped there, without TensorFlow.

A batch is the numbers of its frames in the epoch and nothing else. The order is drawn on the device at the epoch's start; crop
and flip of a frame follow from seed, epoch and its number, within the training step. So a run that was killed goes on at an
epoch's start with the very batches that it would have seen. Every device holds all frames: that a batch is the same on any
number of devices is worth more than the memory.

Training frames that are decoded once and kept, `config.data.cache`: in the host's memory, or in the accelerators'.

- none: read, decoded and cropped anew in every epoch (`au_jax.data.input_pipeline`).
- host: all training frames lie decoded in the host's memory; the batches are those of `none`, to the byte.
- device: they lie in the memory of every accelerator, which shuffles, crops and flips them itself
  (`au_jax.data.device_cache`); order, crops and flips are other draws of the same distributions.
"""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from au_jax.errors import UserError

Batch = dict[str, np.ndarray]


def number_batches(count: int, batch_size: int) -> Iterator[Batch]:
    """An epoch's batches of `count` frames: number [B] int32 and mask [B] float32, 0 behind the last frame."""
    for start in range(0, count, batch_size):
        numbers = np.arange(start, start + batch_size, dtype=np.int32)
        yield {"number": numbers, "mask": (numbers < count).astype(np.float32)}


def epoch_key(seed: int, epoch: int) -> jax.Array:
    """What an epoch's order, crops and flips are drawn with."""
    return jax.random.fold_in(jax.random.key(seed), epoch)


@partial(jax.jit, static_argnames="length")
def shuffled(key: jax.Array, usable: jax.Array, length: int) -> jax.Array:
    """A random order of the usable rows, filled up with 0 to `length`, so that epochs of other sizes have the same shape.

    Args:
      key: of the epoch.
      usable: [N] bool.
      length: at least N.

    Returns:
      [length] int32; the first `usable.sum()` are the usable rows.
    """
    # No frame has this number.
    order = jax.random.permutation(jax.random.fold_in(key, 2**32 - 1), len(usable))
    order = order[jnp.argsort(~usable[order], stable=True)]
    return jnp.pad(order, (0, length - len(usable)))


def augmented(constants: dict[str, jax.Array], drawn: dict[str, jax.Array], crop_size: int) -> dict[str, jax.Array]:
    """Looks up one frame of an epoch and crops and flips it at random, as `frames.training_batches` does.

    Args:
      constants: frames [N, S, S, 3] uint8, labels [N, 12] int8, order [length] int32 (`shuffled`) and the epoch's key.
      drawn: number int32 in the epoch, and mask.
      crop_size: side of the crop in pixels.

    Returns:
      image [c, c, 3] uint8, labels [12] int8, offset [2] int32 (y, x, each uniform over all places), flip bool (in half of
      the frames), mask.
    """
    frames, number = constants["frames"], drawn["number"]
    row = constants["order"][number]
    place, side = jax.random.split(jax.random.fold_in(constants["key"], number))
    offset = jax.random.randint(place, (2,), 0, frames.shape[1] - crop_size + 1)
    flip = jax.random.bernoulli(side)
    start = (row, offset[0], offset[1], jnp.zeros_like(row))
    image = jax.lax.dynamic_slice(frames, start, (1, crop_size, crop_size, 3))[0]
    return {
        "image": jnp.where(flip, image[:, ::-1], image),
        "labels": constants["labels"][row],
        "offset": offset,
        "flip": flip,
        "mask": drawn["mask"],
    }


CACHES: tuple[str, ...] = ("none", "host", "device")
"""Choices of `config.data.cache`."""

SHARE = 0.8
"""Of the free memory that the frames may take: networks and batches need some too."""


def check_room(cache: str, frames: int, size: int, devices: int) -> None:
    """Refuses a cache that will not fit, before anything is allocated.

    Args:
      cache: "host" or "device".
      frames: to keep, of 3 bytes a pixel.
      size: side of a frame in pixels.
      devices: local accelerators; every one holds all frames.

    Raises:
      UserError: says what is needed and what is free.
    """
    needed = frames * size * size * 3
    places = [("the host", needed, free_on_host())]
    if cache == "device":
        free = free_on_device()
        # Devices that do not tell are CPUs: their memory is the host's.
        places = [("the host", needed * (devices + 1), free_on_host())] if free is None else places
        places += [] if free is None else [("an accelerator", needed, free)]
    for place, taken, free in places:
        if taken > SHARE * free:
            raise UserError(
                f"config.data.cache {cache} needs {taken / 2**30:.2f} GiB on {place} for {frames} training frames of {size} "
                f"pixels, of which {free / 2**30:.2f} GiB are free ({SHARE:.0%} of them may be taken); choose "
                + ("none" if cache == "host" else "host or none")
            )


def collect(frames: int, size: int, batches: Iterator[dict[str, np.ndarray]]) -> np.ndarray:
    """All frames of batches of whole frames, [N, S, S, 3] uint8; written into place, so that there is no second copy."""
    held = np.empty((frames, size, size, 3), np.uint8)
    start = 0
    for batch in batches:
        images = batch["image"][batch["mask"] > 0]
        held[start : start + len(images)] = images
        start += len(images)
    if start != frames:
        raise RuntimeError(f"{start} frames were read where there are {frames}")
    return held


def crops(held: np.ndarray, size: int, rows: np.ndarray, offsets: np.ndarray, flips: np.ndarray) -> np.ndarray:
    """Cuts crops [B, c, c, 3] out of frames [N, S, S, 3]: rows [B], offsets [B, 2] (y, x), mirrored where flips [B]."""
    out = np.empty((len(rows), size, size, 3), held.dtype)
    for crop, row, (y, x), flip in zip(out, rows, offsets, flips, strict=True):
        window = held[row, y : y + size, x : x + size]
        crop[:] = window[:, ::-1] if flip else window
    return out


def free_on_host() -> int:
    """Bytes of memory that can be taken without swapping."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))) * 1024
    except OSError:
        # Not Linux: half of all there is.
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def free_on_device() -> int | None:
    """Bytes that can be allocated on the fullest local device; None where devices do not tell, as CPUs."""
    stats = [device.memory_stats() for device in jax.local_devices()]
    return min(one["bytes_limit"] - one["bytes_in_use"] for one in stats) if all(stats) else None
