"""Following one face through a video, and registering it in every frame.

Landmarks are sought in the box that the landmarks of the frame before imply. On synthetic scenes with true landmarks that is
as accurate as a box of the detector (median error 0.057 of the inter-ocular distance against 0.055, 0.068 against 0.070 with
turned heads), jitters less (0.030 against 0.050 between frames of turned heads), keeps heads that are turned too far for the
detector (it sees 75 % of those frames), and leaves the detector to check every fifth frame, or at once where the face looks
different.
"""

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, UInt8

from au_jax.faces.decoding import VideoFrame
from au_jax.faces.landmarks import Box, detect, find_landmarks
from au_jax.faces.registration import TEMPLATE, TEMPLATE_SIZE, register

_CHECK_EVERY = 5  # frames
_FACE_PIXELS = 90  # width to which a known face is brought for the detector, a little above the least that it sees
_SMALL, _LARGE = 480, 1280  # long side of the frame in which a lost face is sought, usually and at times, pixels
_LARGE_EVERY = 5  # frames without the face
# Least score near the face of the frame before. Of 182 windows without a face none came over -0.6; at the detector's
# own threshold of 0, one frame in four of people who turn their heads is lost.
_NEARBY_THRESHOLD = -0.5
_ALIKE = 0.6  # correlation of the looks: true tracks mostly stay above (98 % above 0.55 on the hardest video)
_STEADY = 0.7  # overlap with the detector's box: on true tracks 0.72 to 0.93, where landmarks had slipped for good 0.65
_REACH = 0.25  # a lost face is looked for one box width away, and by this many more with every frame
# The detector's box in the units of the landmarks: how far its centre is from theirs (x, y) and its width, in standard
# deviations of the 68 landmarks; means over three synthetic videos, where they vary by 0.1, 0.1 and 0.2.
_BOX_OFFSET, _BOX_WIDTH = np.array([0.0, -0.12]), 2.97
# Logistic regression of "the mean error of the 49 landmarks is below 8 % of the distance of the outer eye corners" on the
# detector's score: 584 checks of 200 synthetic frames with true landmarks (50 people; turned heads, noise, blur, occlusion).
_SLOPE, _INTERCEPT = 1.6, 0.88
INNER: tuple[int, ...] = (*range(17, 60), 61, 62, 63, 65, 66, 67)
"""Which of the 68 landmarks of iBUG are the 49 of `au_jax.faces.registration`, in its order."""


@dataclass(frozen=True)
class Face:
    """A face in a frame.

    Attributes:
      box: x, y, width, height in pixels of the frame, as the detector would draw it around these landmarks.
      confidence: 0..1, as `confidence_of` has it of the detector's score at its last check.
      landmarks: [68, 2] float32, iBUG-68 order, x then y, pixels of the frame.
      seen: faces that the detector saw in the whole frame; 1 where only the face's surroundings were looked at.

    Example:
      >>> face = Face((10.0, 20.0, 80.0, 80.0), 0.5, np.zeros((68, 2), np.float32))
      >>> face.box[2:], face.seen
      ((80.0, 80.0), 1)
    """

    box: Box
    confidence: float
    landmarks: Float32[np.ndarray, "68 2"]
    seen: int = 1


@dataclass(frozen=True)
class RegisteredFace:
    """A face on the template, and where it comes from.

    Attributes:
      number, timestamp, named: as in `VideoFrame`.
      picture: [H, W, 3] uint8 RGB, the whole frame as an image; None where it could not be read.
      image: [size, size, 3] uint8 RGB; where no face was found the last registered face again, black before the first.
      landmarks: [49, 2] float32, x then y, in `image`; the template before the first face.
      face: where it is in `picture`; None where no face was found.

    Example:
      >>> (row,) = register_pictures([VideoFrame(7, 0.24, None)], size=40)  # a frame that could not be read
      >>> row.number, row.image.shape, row.landmarks.shape, row.face
      (7, (40, 40, 3), (49, 2), None)
    """

    number: int
    timestamp: float
    picture: np.ndarray | None
    image: np.ndarray
    landmarks: np.ndarray
    face: Face | None
    named: bool = False


def inner_landmarks(landmarks68: Float32[np.ndarray, "68 2"]) -> Float32[np.ndarray, "49 2"]:
    """The [49, 2] landmarks, in the order of `au_jax.faces.registration`, out of [68, 2].

    Example:
      >>> places = np.arange(68, dtype=np.float32).repeat(2).reshape(68, 2)
      >>> inner_landmarks(places)[[0, -1], 0].tolist()  # the first of the brow, the last of the inner lip
      [17.0, 67.0]
    """
    return landmarks68[list(INNER)]


def confidence_of(score: float) -> float:
    """How likely the landmarks of a face are right, by the detector's score.

    Right is a mean error below 8 % of the distance of the outer eye corners, the usual bound of 300-W. Measured on synthetic
    scenes: 0.8 stands for a score of 0.3, 0.9 for one of 0.8, and the detector's own threshold of 0 for 0.71.

    Example:
      >>> [round(confidence_of(score), 2) for score in (-0.5, 0.0, 0.31, 0.82)]
      [0.52, 0.71, 0.8, 0.9]
    """
    return 1 / (1 + math.exp(-(_SLOPE * score + _INTERCEPT)))


class FaceTracker:
    """Follows one face: the largest of the first frame with any, then the one nearest to where it was.

    One tracker for every video. Detection in a whole frame takes many times as long as landmarks, so it is run near
    the known face only, on few frames; a lost face is sought in the frame shrunk to at most 480 pixels, and at every
    fifth frame in more detail, at most 1280 pixels. Faces narrower than 72 pixels there are not found. The longer a
    face is lost the further away it may reappear, so that a neighbour is not taken for a person hidden for a moment.

    Example:
      >>> tracker = FaceTracker()
      >>> tracker.find(np.zeros((120, 160, 3), np.uint8)) is None  # nobody has come yet
      True
    """

    def __init__(self):
        self._face: Face | None = None  # of the frame before
        self._last: Box | None = None  # where the face was when last seen
        self._look = np.zeros((16, 16))  # of the face at its last check
        self._unchecked = 0  # frames since
        self._lost = 0  # frames since the face was seen

    def find(self, image: UInt8[np.ndarray, "H W 3"]) -> Face | None:
        """The face in the next frame of the video, None where there is none.

        Args:
          image: [H, W, 3] uint8 RGB.

        Raises:
          UserError: dlib or its landmark model is not installed.
        """
        face = None
        if self._face is not None:
            face = self._follow(image, self._face) or self._check(image, self._face.box)
        self._face = face = face or self._search(image)
        if face is not None:
            self._last, self._lost = face.box, 0
        else:
            self._lost += 1
        return face

    def _follow(self, image: np.ndarray, before: Face) -> Face | None:
        """The face of the frame before, unless the detector should look whether it is still there."""
        if self._unchecked + 1 >= _CHECK_EVERY or _correlation(image, before.box, self._look) < _ALIKE:
            return None
        face = _landmarked(image, before.box, before.confidence)
        x, y = face.box[0] + face.box[2] / 2, face.box[1] + face.box[3] / 2
        inside = 0 <= x < image.shape[1] and 0 <= y < image.shape[0]
        if not inside or not 0.7 < face.box[2] / before.box[2] < 1.3:
            return None
        self._unchecked += 1
        return face

    def _check(self, image: np.ndarray, box: Box) -> Face | None:
        """The face in a box, where the detector sees one there when it looks closely."""
        x, y, width, height = box
        window = (x - width / 2, y - height / 2, 2 * width, 2 * height)
        found = detect(image, window, _FACE_PIXELS / width, _NEARBY_THRESHOLD)
        overlap, seen, score = max(
            ((_overlap(box, seen), seen, score) for seen, score in found), default=(0.0, box, 0.0)
        )
        if overlap < 0.2:
            return None
        # The landmarks' own box is the steadier one, unless they have slipped.
        return self._checked(image, box if overlap > _STEADY else seen, score)

    def _search(self, image: np.ndarray) -> Face | None:
        """The nearest face within reach, or the largest where none has been seen yet."""
        height, width = image.shape[:2]
        sides = (_SMALL, _LARGE) if self._lost % _LARGE_EVERY == 0 else (_SMALL,)
        scales = dict.fromkeys(min(1.0, side / max(height, width)) for side in sides)
        searches = (self._seen(image, scale) for scale in scales)
        last = self._last
        if last is None:
            looks = list(searches)
            best = max(itertools.chain(*looks), key=lambda each: each[0][2], default=None)
        else:
            reach = last[2] * (1 + _REACH * self._lost)
            looks = [next((found for found in searches if any(_distance(box, last) <= reach for box, _ in found)), [])]
            best = min(looks[0], key=lambda each: _distance(each[0], last), default=None)
        if best is None:
            return None
        # From afar the detector's box is too coarse to start from.
        face = self._check(image, best[0]) or self._checked(image, *best)
        return replace(face, seen=max(len(found) for found in looks))

    def _seen(self, image: np.ndarray, scale: float) -> list[tuple[Box, float]]:
        """Faces in the whole picture, drawn larger by a factor, with the detector's scores, best first."""
        return detect(image, (0, 0, image.shape[1], image.shape[0]), scale, 0.0)

    def _checked(self, image: np.ndarray, box: Box, score: float) -> Face:
        face = _landmarked(image, box, confidence_of(score))
        self._look, self._unchecked = _look(image, face.box), 0
        return face


def register_pictures(
    pictures: Iterable[VideoFrame], size: int = TEMPLATE_SIZE, tracker: FaceTracker | None = None
) -> Iterator[RegisteredFace]:
    """Follows a face through a video and registers it in every frame; memory does not grow with the video's length.

    Args:
      pictures: the video's frames, in order.
      size: side of the registered faces in pixels.
      tracker: goes on from where it is; a new one where None.

    Yields:
      RegisteredFace, one for every frame.

    Raises:
      UserError: as `pictures` does; dlib or its landmark model is not installed.

    Example:
      >>> faces = register_pictures([VideoFrame(1, 0.0, None)], size=100)  # a frame that could not be read
      >>> [(face.number, face.image.shape, face.face) for face in faces]
      [(1, (100, 100, 3), None)]
    """
    tracker = tracker or FaceTracker()
    image, landmarks = np.zeros((size, size, 3), np.uint8), TEMPLATE * np.float32(size / TEMPLATE_SIZE)
    for frame in pictures:
        face = None
        if frame.image is not None:
            face = tracker.find(frame.image)
            if face is not None:
                image, landmarks = register(frame.image, inner_landmarks(face.landmarks), size)
        yield RegisteredFace(frame.number, frame.timestamp, frame.image, image, landmarks, face, frame.named)


def box_around(landmarks: Float32[np.ndarray, "68 2"]) -> Box:
    """The box that dlib's detector would draw around landmarks.

    Example:
      >>> landmarks = np.array([[0, 50], [100, 50]], np.float32).repeat(34, axis=0)
      >>> [round(value, 2) for value in box_around(landmarks)]  # 148.5 = 2.97 x 50
      [-24.25, -30.25, 148.5, 148.5]
    """
    centre = landmarks.mean(0)
    spread = float(np.sqrt(((landmarks - centre) ** 2).sum(1).mean()))
    x, y = centre + _BOX_OFFSET * spread
    width = _BOX_WIDTH * spread
    return (float(x) - width / 2, float(y) - width / 2, width, width)


def _landmarked(image: np.ndarray, box: Box, confidence: float) -> Face:
    landmarks = find_landmarks(image, box)
    return Face(box_around(landmarks), confidence, landmarks)


def _look(image: np.ndarray, box: Box) -> np.ndarray:
    """[16, 16] float64: the green values at the points of a grid over the box, less their mean, of length 1."""
    x, y, width, height = box
    grid = (np.arange(16) + 0.5) / 16
    columns = np.clip(x + grid * width, 0, image.shape[1] - 1).astype(int)
    rows = np.clip(y + grid * height, 0, image.shape[0] - 1).astype(int)
    values = image[rows[:, None], columns, 1].astype(np.float64)
    values -= values.mean()
    return values / max(float(np.linalg.norm(values)), 1.0)


def _correlation(image: np.ndarray, box: Box, look: np.ndarray) -> float:
    return float((_look(image, box) * look).sum())


def _overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(0.0, width) * max(0.0, height)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def _distance(a: Box, b: Box) -> float:
    return math.hypot(a[0] + a[2] / 2 - b[0] - b[2] / 2, a[1] + a[3] / 2 - b[1] - b[3] / 2)
