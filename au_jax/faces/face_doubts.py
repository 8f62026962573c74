"""Whether the faces that were found in a recording can be what they seem: most of all, whether the picture stands on its head.

The landmarks of a wrong or inverted face look as orderly as those of a right one, since they are a regression about a mean face;
what tells is the detector. On synthetic scenes it scores upright faces 1.2 in the median, inverted ones -0.4 and 0.56 at most,
which is enough to be taken for a face now and then. Frames without a sure face are therefore looked at in all four turns.
"""

import itertools
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
from jaxtyping import UInt8

from au_jax.faces.absence import DARK_LEVEL, better_turn, count_reasons
from au_jax.faces.tracking import SURE, Face, RegisteredFace

_LOOKS = 12  # frames of a recording that are, at most
_FEW = 0.5  # share of frames with a face below which a reason is given


class FaceDoubts:
    """Looks at the frames of one recording as they come, and says in the end what is doubtful.

    It is one of the writers of `au_jax.inference.streaming.predict`, and costs a second at the most.

    Example:
      >>> doubts = FaceDoubts()
      >>> for _ in range(3):
      ...     doubts.look(np.zeros((60, 80, 3), np.uint8), None)
      >>> doubts.lines()
      ['no face was found in 3 frames, which are nearly black']
    """

    def __init__(self, landmarks: str = "dlib"):
        self._landmarks = landmarks
        self._frames = self._found = self._unsure = self._looks = self._dark = 0
        self._votes: Counter[int] = Counter()
        self._confidences: list[float] = []
        self._reasons: Counter[str] = Counter()

    def look(self, image: UInt8[np.ndarray, "H W 3"] | None, face: Face | None, reason: str = "") -> None:
        """Takes the next frame, the face that was found in it (of several the least sure), and why none was."""
        self._frames += 1
        if reason:
            self._reasons[reason] += 1
        if face is not None:
            self._found += 1
            self._confidences.append(face.confidence)
        if image is None or (face is not None and face.confidence >= SURE):
            return
        self._unsure += 1
        # The 1st, 2nd, 4th, 8th ... doubtful frame: over the whole recording, however long it becomes.
        if self._looks < _LOOKS and self._unsure & (self._unsure - 1) == 0:
            self._looks += 1
            self._dark += bool(image[::4, ::4].mean() < DARK_LEVEL)
            if (turn := better_turn(image, self._landmarks)) is not None:
                self._votes[turn] += 1

    def lines(self) -> list[str]:
        """What is doubtful, a line each; none where nothing is."""
        lines = []
        turn, votes = self._votes.most_common(1)[0] if self._votes else (0, 0)
        share, without = self._unsure / max(self._frames, 1), self._frames - self._found
        if turn and votes > self._looks / 2 and share > _FEW / 2:
            how = "stands on its head" if turn == 180 else "lies on its side"
            lines.append(
                f"the picture {how}: turn it with --rotate={turn} (au-jax prepare: --config.data.rotate={turn})"
            )
        elif without > _FEW * self._frames and self._dark > self._looks / 2:
            lines.append(f"no face was found in {without} frames, which are nearly black")
        elif self._reasons:
            lines.append(f"no face was found in {without} of {self._frames} frames: {count_reasons(self._reasons)}")
        middle = float(np.median(self._confidences)) if self._confidences else 1.0
        if middle < SURE:
            lines.append(
                f"faces are uncertain: half of the {self._found} that were found have a confidence below {middle:.2f}; look at "
                "them (predict --overlay) before their AUs are used"
            )
        return lines

    def write(self, detections: Any, faces: Iterable[RegisteredFace]) -> None:
        """Takes the next frames, as `streaming.FrameWriter`."""
        for _, rows in itertools.groupby(faces, key=lambda row: row.number):
            row = min(rows, key=lambda row: 0.0 if row.face is None else row.face.confidence)
            self.look(row.picture, row.face, row.reason)

    def __enter__(self) -> "FaceDoubts":
        return self

    def __exit__(self, *_: object) -> None:
        pass
