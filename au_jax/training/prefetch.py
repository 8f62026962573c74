"""An epoch's first batch is made while the epoch before is validated: the accelerator does not wait for a stream's start.

How long the accelerator waits for data.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import jax

from au_jax.training.parallel import Batch

Item = TypeVar("Item")


def prefetch(items: Iterator[Item]) -> Iterator[Item]:
    """Makes items in a thread of their own, one ahead of the reader; what goes wrong there is raised at the reader.

    Example:
      >>> list(prefetch(iter("abc")))
      ['a', 'b', 'c']
    """
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="prefetch") as pool:
        following = pool.submit(next, items, end)
        while (item := following.result()) is not end:
            following = pool.submit(next, items, end)
            yield item  # type: ignore[misc]


class Prefetcher:
    """The batches of epochs, one of which may be begun ahead of time; the batches are the same either way.

    Args:
      batches: epoch -> its batches, made as they are asked for.
    """

    def __init__(self, batches: Callable[[int], Iterator[Batch]]):
        self._batches = batches
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._begun: tuple[int, Future[tuple[Batch | None, Iterator[Batch]]]] | None = None

    def begin(self, epoch: int) -> None:
        """Makes the first batch of an epoch in a thread, and goes no further."""
        self._begun = epoch, self._pool.submit(self._start, epoch)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch. What goes wrong in making them is raised here."""
        begun, self._begun = self._begun, None
        if begun is None or begun[0] != epoch:
            yield from self._batches(epoch)
            return
        first, others = begun[1].result()
        if first is not None:
            yield first
            yield from others

    def close(self) -> None:
        """Waits for a batch that is being made and will not be wanted."""
        self._pool.shutdown()
        self._begun = None

    def _start(self, epoch: int) -> tuple[Batch | None, Iterator[Batch]]:
        batches = iter(self._batches(epoch))
        return next(batches, None), batches


class StallTimer:
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
