"""An epoch's first batch is made while the epoch before is validated: the accelerator does not wait for a stream's start."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from au_jax.training.parallel import Batch


class Ahead:
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
