"""Training frames that are decoded once and kept, `config.data.cache`: in the host's memory, or in the accelerators'.

- none: read, decoded and cropped anew in every epoch (`au_jax.data.frames`).
- host: all training frames lie decoded in the host's memory; the batches are those of `none`, to the byte.
- device: they lie in the memory of every accelerator, which shuffles, crops and flips them itself
  (`au_jax.data.resident`); order, crops and flips are other draws of the same distributions.
"""

from collections.abc import Iterator

import numpy as np

from au_jax.errors import UserError
from au_jax.memory import free_on_device, free_on_host

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
