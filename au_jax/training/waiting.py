"""How long the accelerator waits for data."""

import time
from collections.abc import Iterator

import jax

from au_jax.training.parallel import Batch


class Waiting:
    """Hands on an epoch's batches and measures what of its time the accelerator spent without one.

    Steps are queued: while one is still computed, the next batch may take its time. So the time blocked in `next` counts
    only where the last step's loss is ready when the batch comes; what was computed in that time counts too, so that the
    share is an upper bound. The first batch counts as a whole.
    """

    def __init__(self, batches: Iterator[Batch]):
        self._batches = batches
        self._start = time.perf_counter()
        self._waited = 0.0
        self._last: jax.Array | None = None

    def __iter__(self) -> Iterator[Batch]:
        while True:
            asked = time.perf_counter()
            batch = next(self._batches, None)
            if self._last is None or self._last.is_ready():
                self._waited += time.perf_counter() - asked
            if batch is None:
                return
            yield batch

    def queued(self, loss: jax.Array) -> None:
        """Tells of the step that was handed to the accelerator last."""
        self._last = loss

    def figures(self) -> dict[str, float]:
        """Seconds since the epoch began, and the share of them without data, `data_wait`, from 0 to 1."""
        seconds = time.perf_counter() - self._start
        return {"seconds": seconds, "data_wait": self._waited / seconds}
