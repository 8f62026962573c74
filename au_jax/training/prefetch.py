"""Work in background threads: items made one ahead, an epoch's first batch during validation, and the time without data."""

import itertools
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any, TypeVar

import numpy as np

Batch = dict[str, np.ndarray]
T = TypeVar("T")


def prefetch(items: Iterator[T]) -> Generator[T, None, None]:
    """Makes items in a thread, one ahead of the reader; begins at once.

    Args:
      items: made as they are asked for; used in the thread only, until the reader has closed.

    Returns:
      The items, in order. What goes wrong in making them is raised here, in its place. Where the reader closes (or drops)
      the iterator, the thread ends with the item that it is making.

    Example:
      >>> list(prefetch(iter("abc")))
      ['a', 'b', 'c']
    """
    reader = _read_ahead(items)
    next(reader)  # Starts the thread.
    return reader


def _read_ahead(items: Iterator[Any]) -> Generator[Any, None, None]:
    ready: queue.Queue = queue.Queue(maxsize=1)
    closed = threading.Event()

    def put(entry: tuple[list[Any], BaseException | None]) -> None:
        while not closed.is_set():
            try:
                return ready.put(entry, timeout=0.1)
            except queue.Full:
                continue

    def work() -> None:
        try:
            for item in items:
                put(([item], None))
                if closed.is_set():
                    return
            put(([], None))
        except BaseException as error:
            put(([], error))

    thread = threading.Thread(target=work, name="prefetch", daemon=True)
    thread.start()
    try:
        yield None  # `prefetch` takes it.
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if not item:
                return
            yield item[0]
    finally:
        closed.set()
        thread.join()


class Prefetcher:
    """The batches of epochs, one of which may be begun ahead of time; the batches are the same either way.

    Args:
      batches: epoch -> its batches, made as they are asked for.

    Example:
      >>> import numpy as np
      >>> prefetcher = Prefetcher(lambda epoch: iter([{"x": np.full(2, epoch)}]))
      >>> prefetcher.begin(1)  # while epoch 0 is validated
      >>> [batch["x"].tolist() for batch in prefetcher.epoch(1)]
      [[1, 1]]
      >>> prefetcher.close()
    """

    def __init__(self, batches: Callable[[int], Iterator[Batch]]):
        self._batches = batches
        self._begun: tuple[int, Generator[Batch, None, None], Iterator[Batch]] | None = None

    def begin(self, epoch: int) -> None:
        """Makes the first batch of an epoch in a thread, and goes no further."""
        self.close()

        def batches() -> Iterator[Batch]:
            # The stream itself is made in the thread too: that takes a while.
            yield from self._batches(epoch)

        others = batches()
        self._begun = epoch, prefetch(itertools.islice(others, 1)), others

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch. What goes wrong in making them is raised here."""
        begun, self._begun = self._begun, None
        if begun is None or begun[0] != epoch:
            yield from self._batches(epoch)
            return
        _, first, others = begun
        yield from first
        yield from others

    def close(self) -> None:
        """Waits for a batch that is being made and will not be wanted."""
        if self._begun is not None:
            self._begun[1].close()
            self._begun = None


class StallTimer:
    """Hands on an epoch's batches and measures what share of its time the accelerator spent without one.

    Steps are queued: while one is still computed, the next batch may take its time. So the time blocked in `next` counts
    only where the last step's loss is ready when the batch comes; what was computed in that time counts too, so that the
    share is an upper bound. The first batch counts as a whole.

    Example:
      >>> import jax, numpy as np
      >>> timer = StallTimer(iter([{"x": np.zeros(2)}]))
      >>> for batch in timer:
      ...     timer.step_queued(jax.numpy.float32(0.5))
      >>> sorted(timer.metrics())
      ['data_wait', 'seconds']
    """

    def __init__(self, batches: Iterator[Batch]):
        self._batches = batches
        self._start = time.perf_counter()
        self._waited = 0.0
        self._last_loss: Any = None

    def __iter__(self) -> Iterator[Batch]:
        while True:
            asked = time.perf_counter()
            batch = next(self._batches, None)
            if self._last_loss is None or self._last_loss.is_ready():
                self._waited += time.perf_counter() - asked
            if batch is None:
                return
            yield batch

    def step_queued(self, loss: Any) -> None:
        """Takes note of the loss (a JAX array) of the step that was handed to the accelerator last."""
        self._last_loss = loss

    def metrics(self) -> dict[str, float]:
        """Seconds since the epoch began, and the share of them without data, `data_wait`, from 0 to 1."""
        seconds = time.perf_counter() - self._start
        return {"seconds": seconds, "data_wait": self._waited / seconds}
