"""Whether the faces that were found in a recording can be what they seem: most of all, whether the picture stands on its head.

The landmarks of a wrong or inverted face look as orderly as those of a right one, since they are a regression about a mean face;
what tells is the detector. On synthetic scenes it scores upright faces 1.2 in the median, inverted ones -0.4 and 0.56 at most,
which is enough to be taken for a face now and then. Frames without a sure face are therefore looked at in all four turns.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
from jaxtyping import UInt8

from au_jax.faces.frame_pixels import QUARTERS, turned
from au_jax.faces.landmarks import detect
from au_jax.faces.tracking import Face, RegisteredFace

SURE: float = 0.8
"""Confidence from which a face is taken as it is."""

_SIDE = 480  # long side at which a frame is looked at, pixels
_LOOKS = 12  # frames of a recording that are, at most
_LEAST = 0.5  # score that a face has at least if it is upright
_MARGIN = 0.5  # by which it is better than as the picture stands
_MESH_UNIT = 20  # of the mesh's score, which is 20 times as wide as the detector's
_DARK = 16  # grey levels of 255: a picture that is nearly black
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

    def look(self, image: UInt8[np.ndarray, "H W 3"] | None, face: Face | None) -> None:
        """Takes the next frame, and the face that was found in it."""
        self._frames += 1
        if face is not None:
            self._found += 1
            self._confidences.append(face.confidence)
        if image is None or (face is not None and face.confidence >= SURE):
            return
        self._unsure += 1
        # The 1st, 2nd, 4th, 8th ... doubtful frame: over the whole recording, however long it becomes.
        if self._looks < _LOOKS and self._unsure & (self._unsure - 1) == 0:
            self._looks += 1
            self._dark += bool(image[::4, ::4].mean() < _DARK)
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
        middle = float(np.median(self._confidences)) if self._confidences else 1.0
        if middle < SURE:
            lines.append(
                f"faces are uncertain: half of the {self._found} that were found have a confidence below {middle:.2f}; look at "
                "them (predict --overlay) before their AUs are used"
            )
        return lines

    def write(self, detections: Any, faces: Iterable[RegisteredFace]) -> None:
        """Takes the next frames, as `streaming.FrameWriter`."""
        for row in faces:
            self.look(row.picture, row.face)

    def __enter__(self) -> "FaceDoubts":
        return self

    def __exit__(self, *_: object) -> None:
        pass


def better_turn(image: UInt8[np.ndarray, "H W 3"], landmarks: str = "dlib") -> int | None:
    """Degrees, clockwise, by which a picture has to be turned for its face to be upright; None where it is, or shows none.

    Args:
      image: [H, W, 3] uint8 RGB.
      landmarks: of `backends.BACKENDS`, whose detector looks.

    Raises:
      UserError: that is not installed.

    Example:
      >>> better_turn(np.zeros((60, 80, 3), np.uint8)) is None
      True
    """
    score = _SCORES[landmarks]
    scores = {degrees: score(turned(image, degrees)) for degrees in QUARTERS}
    best = max(scores, key=lambda degrees: scores[degrees])
    return best if best and scores[best] >= _LEAST and scores[best] >= scores[0] + _MARGIN else None


def _dlib_score(picture: np.ndarray) -> float:
    found = detect(picture, (0, 0, picture.shape[1], picture.shape[0]), _SIDE / max(picture.shape[:2]), -1.0)
    return found[0][1] if found else -1.0


def _mesh_score(picture: np.ndarray) -> float:
    from au_jax.faces.face_mesh import upright_score

    return upright_score(picture) / _MESH_UNIT


_SCORES = {"dlib": _dlib_score, "mesh": _mesh_score}
