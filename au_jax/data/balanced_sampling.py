"""Multi-label balanced sampling (MOMU) of frames for the CNN's batches."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int8


def balanced_rows(
    labels: Int8[np.ndarray, "N A"], *, seed: int, epoch: int, batches: int, batch_size: int, draw: int
) -> Iterator[int]:
    """Samples frames so that every batch holds as many of a rare AU as of a frequent one, as far as this can be had.

    A frame belongs to the class of each of its AUs, or to the neutral class where it has none. Every batch starts with the
    rarest class; `draw` frames are taken from the current class without replacement, leave the pools of all their
    classes, and the class that the batch has least of is next. A pool with fewer than `draw` frames left is filled again.
    Source: the sampler that Chu et al. (Image and Vision Computing 2019) describe, as a public re-implementation has it.

    Args:
      labels: in {-1, 0, +1}; frames without any label are never sampled.
      seed: decides every choice, together with `epoch` and the labels.
      epoch: number of the epoch.
      batches: number of batches.
      batch_size: frames in each.
      draw: frames taken from a class at a time.

    Yields:
      Row numbers, `batches` x `batch_size` of them.

    Example:
      >>> labels = np.array([[1, -1], [-1, 1], [-1, 1], [-1, 1], [-1, -1], [0, 0]], np.int8)
      >>> rows = list(balanced_rows(labels, seed=0, epoch=0, batches=2, batch_size=3, draw=1))
      >>> rows.count(0), 5 in rows
      (2, False)
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
    """The frames of a class that have not been sampled since it was last filled."""

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
            # Otherwise it was sampled as a member of another of its classes.
            if row in self._left:
                rows.append(row)
        return rows

    def remove(self, row: int) -> None:
        self._left.discard(row)
