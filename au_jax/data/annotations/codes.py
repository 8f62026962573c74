"""Codes per frame: what every annotation format makes of a recording's label files."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Int8, Int32

from au_jax.data.recordings import Problem


@dataclass(frozen=True)
class Facts:
    """What the check of a copy tells of a label file.

    Attributes:
      kind: such as "ELAN" or "frame table".
      clock: what its frames or times count.
      offset: seconds that are added to its times.
      begin, end: first and last frame with a code.
      events: how many, of the AUs asked for.

    Example:
      >>> facts = Facts("ELAN", "seconds of the player", offset=0.0, begin=1, end=250, events=7)
      >>> f"{facts.kind}: {facts.events} events in frames {facts.begin} to {facts.end}"
      'ELAN: 7 events in frames 1 to 250'
    """

    kind: str
    clock: str
    offset: float
    begin: int
    end: int
    events: int


@dataclass(frozen=True)
class Codes:
    """The codes of one recording.

    Attributes:
      frames: [N] int32 numbers of the frames that have a row, sorted and unique.
      labels: [N, A] int8 in {-1, 0, +1}, a column for each AU that was asked for (`config.data.aus`), in that order.
      aus: those of these AUs that the files have codes for.
      unused: names of columns or files of other AUs, lower case.
      graded: a column that does not say whether it holds occurrence or intensity has a code above 1.
      problems: what was found in the files.
      intensities: [N, A] int8 0 to 5, -1 where a file does not say; None: no file says any.
      facts: what the check tells of the file; None: of a dataset whose files are all alike.

    Example:
      >>> codes = Codes(np.array([1, 2], np.int32), np.array([[1, 0], [-1, 0]], np.int8), aus=(6,), unused=("au30",))
      >>> codes.labels[:, 0].tolist()
      [1, -1]
    """

    frames: Int32[np.ndarray, " N"]
    labels: Int8[np.ndarray, "N A"]
    aus: tuple[int, ...]
    unused: tuple[str, ...] = ()
    graded: bool = False
    problems: tuple[Problem, ...] = ()
    intensities: Int8[np.ndarray, "N A"] | None = None
    facts: Facts | None = None


def known_intensities(codes: Codes) -> Int8[np.ndarray, "N A"] | None:
    """The intensities of those AUs that a recording has intensities of; None: of none.

    Where an AU is present and no intensity is told, only its zeros were known: whoever learned from them would learn that it
    never comes.

    Returns:
      [N, A] int8 0 to 5; -1 where it is not known, and throughout for an AU that is coded as present and never graded.

    Example:
      >>> labels, grades = np.array([[1, 1], [-1, -1]], np.int8), np.array([[3, -1], [0, 0]], np.int8)
      >>> codes = Codes(np.array([1, 2], np.int32), labels, aus=(6, 12), intensities=grades)
      >>> known_intensities(codes).tolist()  # AU 12 was coded without
      [[3, -1], [0, -1]]
    """
    if codes.intensities is None:
        return None
    without = (codes.labels > 0).any(0) & ~(codes.intensities > 0).any(0)
    kept = np.where(without, np.int8(-1), codes.intensities).astype(np.int8)
    return kept if (kept >= 0).any() else None


def spans(numbers: Int[np.ndarray, " N"], most: int = 5) -> str:
    """Sorted whole numbers as text, and how many more there are after `most` spans.

    Example:
      >>> spans(np.array([3, 7, 8, 9, 12])), spans(np.array([1, 3, 5, 6]), most=2)
      ('3, 7 to 9, 12', '1, 3 and 2 more')
    """
    if not len(numbers):
        return "none"
    parts = np.split(numbers, np.flatnonzero(np.diff(numbers) != 1) + 1)
    named = [str(part[0]) if len(part) == 1 else f"{part[0]} to {part[-1]}" for part in parts[:most]]
    more = sum(len(part) for part in parts[most:])
    return ", ".join(named) + (f" and {more} more" if more else "")
