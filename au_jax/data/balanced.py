"""Multi-label balanced sampling (MOMU) of frames for the CNN's batches."""

from collections.abc import Iterator

import numpy as np


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
