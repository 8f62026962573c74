"""A recording: one video of one subject with its frame-level AU codes, as every reader yields it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Faces:
    """Consecutive registered frames of a recording.

    Attributes:
      images: [T, S, S, 3] uint8 RGB, the registered faces.
      labels: [T, 12] int8 in {-1, 0, +1}; 0 in every column where no face was found.
      landmarks: [T, 49, 2] float32 pixels in the registered frame, x then y.
      frames: [T] int32 frame numbers of the recording, increasing.
      found: [T] bool; False where no face was found.
      problems: what was found out while these frames were read.
    """

    images: np.ndarray
    labels: np.ndarray
    landmarks: np.ndarray
    frames: np.ndarray
    found: np.ndarray
    problems: tuple["Problem", ...] = ()


@dataclass(frozen=True)
class Problem:
    """Something in raw recordings that a user should know of.

    Attributes:
      kind: what it is an instance of, such as "label without frame"; problems are counted by it.
      path: the file or folder.
      text: what was found there.
      count: how many frames, rows or files it concerns.
    """

    kind: str
    path: str
    text: str
    count: int = 1


@dataclass(frozen=True)
class RecordingId:
    """Names a recording: subject and video; the subject decides the fold."""

    subject: str
    video: str


class Reader(Protocol):
    """One raw layout.

    A reader is also a name for what it reads: two readers with the same `name` yield the same faces.
    """

    name: str
    """Identifier of the prepared dataset: letters, digits and underscores."""

    def recordings(self) -> list[RecordingId]:
        """All recordings in order."""
        ...

    def faces(self, recording: RecordingId) -> Iterator[Faces]:
        """The registered frames of a recording, in parts, so that memory does not grow with its length."""
        ...
