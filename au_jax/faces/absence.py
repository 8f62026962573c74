"""Why no face was found in a frame, as far as the detector can tell.

    too dark         the picture is nearly black
    too small        a face is seen when the picture is drawn larger; it is too small for landmarks
    turned           a face is seen weakly (turned away or partly covered), or in another turn of the picture
    another person   a face is there, and is not that of the person who is followed
    unreadable       there is no picture
    none             nothing that looks like a face

Looking costs several detections, so it is done at the 1st, 2nd, 4th, 8th .. frame of a stretch without a face, and the frames
between have the reason of the one before.
"""

from collections import Counter
from collections.abc import Callable

import numpy as np
from jaxtyping import UInt8

from au_jax.faces.frame_pixels import QUARTERS, turned
from au_jax.faces.landmarks import Box, detect

DARK, SMALL, TURNED, OTHER, UNREADABLE, NONE = "too dark", "too small", "turned", "another person", "unreadable", "none"

REASONS: tuple[str, ...] = (DARK, SMALL, TURNED, OTHER, UNREADABLE, NONE)
"""What may be said of a frame without a face."""

DARK_LEVEL: int = 16
"""Mean grey level of 255 below which a picture is nearly black."""

_SIDE = 480  # long side at which a frame is looked at in all turns, pixels
_FACE_PIXELS = 90  # width to which a face is brought where it was last seen
_WEAK = -0.5  # score of a face that is there without being sure: no window without a face had it
_LEAST = 0.5  # score that a face has at least if it is upright
_MARGIN = 0.5  # by which it is better than as the picture stands
_MESH_UNIT = 20  # of the mesh's score, which is 20 times as wide as the detector's
_LARGEST = 1280  # long side at which faces are sought at most; small ones are looked for at twice the size
_FREE, _EVERY = 8, 50  # looks in any case, and frames for one more


class Absence:
    """Looks at the frames of a video that have no face, in order.

    Args:
      landmarks: of `backends.BACKENDS`, whose detector looks.

    Example:
      >>> absence, black = Absence(), np.zeros((60, 80, 3), np.uint8)
      >>> absence.reason(black, found=False), absence.reason(None, found=False), absence.reason(black, found=True)
      ('too dark', 'unreadable', '')
    """

    def __init__(self, landmarks: str = "dlib"):
        self._landmarks = landmarks
        self._frames = self._looks = self._gap = 0
        self._reason = NONE
        self._near: Box | None = None

    def reason(
        self,
        image: UInt8[np.ndarray, "H W 3"] | None,
        found: bool,
        near: Box | None = None,
        other: bool = False,
    ) -> str:
        """Why the next frame has no face; "" where it has.

        Args:
          image: [H, W, 3] uint8 RGB; None where it could not be read.
          found: whether a face was found.
          near: where; the place is kept for the frames that follow.
          other: whether somebody else's face was seen.
        """
        self._frames += 1
        if found:
            self._gap, self._near = 0, near or self._near
            return ""
        if image is None:
            return UNREADABLE
        if other:
            return OTHER
        if image[::4, ::4].mean() < DARK_LEVEL:
            return DARK
        self._gap += 1
        if self._gap & (self._gap - 1) == 0 and self._looks < _FREE + self._frames // _EVERY:
            self._looks += 1
            self._reason = why_no_face(image, self._near, self._landmarks)
        return self._reason


def why_no_face(image: UInt8[np.ndarray, "H W 3"], near: Box | None = None, landmarks: str = "dlib") -> str:
    """Why no face was found in a picture, of `REASONS`.

    Args:
      image: [H, W, 3] uint8 RGB.
      near: where a face was last seen, x, y, width and height; None: nowhere.
      landmarks: of `backends.BACKENDS`, whose detector looks.

    Raises:
      UserError: that is not installed.

    Example:
      >>> why_no_face(np.zeros((60, 80, 3), np.uint8)), why_no_face(np.full((60, 80, 3), 90, np.uint8))
      ('too dark', 'none')
    """
    height, width = image.shape[:2]
    sees = _DETECTORS[landmarks]
    if image[::4, ::4].mean() < DARK_LEVEL:
        return DARK
    if near is not None:
        x, y, side, tall = near
        if sees(image, (x - side / 2, y - tall / 2, 2 * side, 2 * tall), _FACE_PIXELS / side, -1.0):
            return TURNED
    scores = _scores_by_turn(image, landmarks)
    if scores[0] >= _WEAK or _better(scores) is not None:
        return TURNED
    larger = 2 * min(1.0, _LARGEST / max(height, width))
    return SMALL if sees(image, (0, 0, width, height), larger, 0.0) else NONE


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
    return _better(_scores_by_turn(image, landmarks))


def count_reasons(counts: Counter[str]) -> str:
    """Reasons with their numbers of frames, the most frequent first.

    Example:
      >>> count_reasons(Counter({"none": 3, "too small": 20}))
      '20 too small, 3 none'
    """
    return ", ".join(
        f"{count} {reason}" for reason, count in sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    )


def _scores_by_turn(image: np.ndarray, landmarks: str) -> dict[int, float]:
    """Degrees -> score of the best face that is upright then, in units of dlib's detector; -1 where there is none."""
    return {degrees: _SCORES[landmarks](turned(image, degrees)) for degrees in QUARTERS}


def _dlib_score(picture: np.ndarray) -> float:
    found = detect(picture, (0, 0, picture.shape[1], picture.shape[0]), _SIDE / max(picture.shape[:2]), -1.0)
    return found[0][1] if found else -1.0


def _mesh_score(picture: np.ndarray) -> float:
    from au_jax.faces.face_mesh import upright_score

    score = upright_score(picture)
    return score / _MESH_UNIT if score > 0 else -1.0


def _dlib_sees(image: np.ndarray, window: Box, scale: float, threshold: float) -> bool:
    return bool(detect(image, window, scale, threshold))


def _mesh_sees(image: np.ndarray, window: Box, scale: float, threshold: float) -> bool:
    from au_jax.faces.face_mesh import detect_faces

    return bool(detect_faces(image, window, scale, threshold))


_SCORES: dict[str, Callable[[np.ndarray], float]] = {"dlib": _dlib_score, "mesh": _mesh_score}
_DETECTORS: dict[str, Callable[[np.ndarray, Box, float, float], bool]] = {"dlib": _dlib_sees, "mesh": _mesh_sees}


def _better(scores: dict[int, float]) -> int | None:
    best = max(scores, key=lambda degrees: scores[degrees])
    return best if best and scores[best] >= _LEAST and scores[best] >= scores[0] + _MARGIN else None
