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
from typing import ClassVar

import numpy as np
from jaxtyping import Float32, UInt8

from au_jax.faces.absence import Absence
from au_jax.faces.decoding import VideoFrame
from au_jax.faces.identity import ALIKE, DIFFERENT, Appearance, CutDetector, Look, asked_for, face_look
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
_LEFT = 25  # frames without a person after which another one is followed
SURE: float = 0.8
"""Confidence from which a face is taken as it is."""
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
      person: whose it is, from 0 in the order in which people came.

    Example:
      >>> face = Face((10.0, 20.0, 80.0, 80.0), 0.5, np.zeros((68, 2), np.float32))
      >>> face.box[2:], face.seen
      ((80.0, 80.0), 1)
    """

    box: Box
    confidence: float
    landmarks: Float32[np.ndarray, "68 2"]
    seen: int = 1
    person: int = 0


@dataclass(frozen=True)
class RegisteredFace:
    """A face on the template, and where it comes from.

    Attributes:
      number, timestamp, named: as in `VideoFrame`.
      picture: [H, W, 3] uint8 RGB, the whole frame as an image; None where it could not be read.
      image: [size, size, 3] uint8 RGB; where no face was found the last registered face again, black before the first.
      landmarks: [49, 2] float32, x then y, in `image`; the template before the first face.
      face: where it is in `picture`; None where no face was found.
      person: whose face it is, or was when it was last seen.
      alive: whether this person has been seen and may still be: frames without the face are frames of the same person.
      shown: whether the frame has a row of this face; of several people those who are out of sight have none.
      reason: why no face was found, of `absence.REASONS`; "" where one was.

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
    person: int = 0
    alive: bool = True
    shown: bool = True
    reason: str = ""


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
    """Follows one person: whom `person` names in the first frame with a face, and then as long as that face is there.

    One tracker for every video. Detection in a whole frame takes many times as long as landmarks, so it is run near
    the known face only, on few frames; a lost face is sought in the frame shrunk to at most 480 pixels, and at every
    fifth frame in more detail, at most 1280 pixels. Faces narrower than 72 pixels there are not found. The longer a
    face is lost the further away it may reappear, and the more it must look like itself, so that a neighbour is not taken
    for a person hidden for a moment.

    A second after a person has left, the largest face is followed, under another number; at a cut at once.

    Args:
      person: `largest`, `left` or `right` of the first frame with any face, or the face in a box, which is waited for.
        `anyone`: faces are not compared, and the nearest one is taken.
      alone: nobody else is ever followed, cuts or no cuts.

    Attributes:
      landmarks: by which it finds faces, of `backends.BACKENDS`.
      person: number of the person who is followed, from 0; -1 before the first.
      refused: whether the last frame showed a face that is somebody else's, and none that is the person's.

    Example:
      >>> tracker = FaceTracker()
      >>> tracker.find(np.zeros((120, 160, 3), np.uint8)) is None, tracker.person  # nobody has come yet
      (True, -1)
    """

    landmarks: ClassVar[str] = "dlib"

    def __init__(self, person: str | Box = "largest", *, alone: bool = False):
        self.person = -1
        self.refused = False
        self._whose, self._alone = person, alone
        self._compares = person != "anyone"
        self._cuts = CutDetector()
        self._appearance: Appearance | None = None
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
        self.refused = False
        if self._compares and not self._alone and self._cuts.look(image) and self.moved(image):
            self._appearance = self._face = self._last = None
            self._lost = 0
        face = self.follow(image) or self._search(image)
        if face is not None:
            self._last, self._lost = face.box, 0
            return replace(face, person=self.person)
        self._lost += 1
        return None

    def moved(self, image: UInt8[np.ndarray, "H W 3"]) -> bool:
        """Whether the face of the frame before is not in its place; True where there was none."""
        return self._face is None or _correlation(image, self._face.box, self._look) < _ALIKE

    def follow(self, image: UInt8[np.ndarray, "H W 3"]) -> Face | None:
        """The face of the frame before in the next one; None where it is not there, or somebody else's face is."""
        if self._face is None:
            return None
        face = self._follow(image, self._face) or self._check(image, self._face.box)
        if face is not None and self._unchecked == 0 and not self._is_same(image, face, DIFFERENT):
            self.refused, face = True, None
        self._face = face
        return face

    def likeness(self, look: Look) -> float:
        """How much a face, by its look, is like the person who is followed; 1 where there is nobody yet."""
        return 1.0 if self._appearance is None else self._appearance.likeness(look)

    def begin(self, image: UInt8[np.ndarray, "H W 3"], box: Box, score: float) -> Face:
        """The face in a box that the detector saw, with the landmarks that are found when it looks closely."""
        # From afar the detector's box is too coarse to start from.
        face = self._check(image, box) or self._checked(image, box, score)
        if self._appearance is None and self._compares:
            self._appearance = Appearance(look_of(image, face))
        self._face = face
        return face

    def lose(self) -> None:
        """The face of the last frame was not this person's."""
        self._face = None

    @staticmethod
    def detect_faces(
        image: UInt8[np.ndarray, "H W 3"], window: Box, scale: float, threshold: float
    ) -> list[tuple[Box, float]]:
        """All faces in a part of an image with the detector's scores, best first; see `landmarks.detect`."""
        return detect(image, window, scale, threshold)

    @staticmethod
    def face_in(image: UInt8[np.ndarray, "H W 3"], box: Box, score: float) -> Face:
        """The face in a box that `detect_faces` gave this score, with its landmarks."""
        return landmarked(image, box, confidence_of(score))

    def _is_same(self, image: np.ndarray, face: Face, least: float) -> bool:
        """Whether a face is the person's; what a sure one looks like is kept. One that is not sure has the benefit of doubt."""
        if not self._compares or self._appearance is None:
            return True
        look = look_of(image, face)
        alike = self._appearance.likeness(look)
        if face.confidence < SURE and least < ALIKE:
            return alike >= DIFFERENT or self._lost == 0
        if alike >= least:
            self._appearance.learn(look)
        return alike >= least

    def _follow(self, image: np.ndarray, before: Face) -> Face | None:
        """The face of the frame before, unless the detector should look whether it is still there."""
        if self._unchecked + 1 >= _CHECK_EVERY or _correlation(image, before.box, self._look) < _ALIKE:
            return None
        face = landmarked(image, before.box, before.confidence)
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
        shared, seen, score = max(((overlap(box, seen), seen, score) for seen, score in found), default=(0.0, box, 0.0))
        if shared < 0.2:
            return None
        # The landmarks' own box is the steadier one, unless they have slipped.
        return self._checked(image, box if shared > _STEADY else seen, score)

    def _search(self, image: np.ndarray) -> Face | None:
        """The nearest face within reach that looks like the person's, or somebody new where there is nobody any more."""
        height, width = image.shape[:2]
        sides = (_SMALL, _LARGE) if self._lost % _LARGE_EVERY == 0 else (_SMALL,)
        scales = dict.fromkeys(min(1.0, side / max(height, width)) for side in sides)
        searches = (self._seen(image, scale) for scale in scales)
        last = self._last
        if last is None:
            looks = list(searches)
            meant = _meant([*itertools.chain(*looks)], self._whose)
            return None if meant is None else self._meet(image, meant, looks)
        reach, looks = last[2] * (1 + _REACH * self._lost), []
        for found in searches:
            looks.append(found)
            near = [each for each in found if _distance(each[0], last) <= reach]
            for each in sorted(near, key=lambda each: _distance(each[0], last)):
                face = self.begin(image, *each)
                if self._is_same(image, face, asked_for(self._lost)):
                    return replace(face, seen=len(found))
                self.lose()
                self.refused = True
            if near:
                break
        if self._alone or self._lost < _LEFT:
            return None
        # The person has left, or comes back from afar.
        for each in sorted(itertools.chain(*looks), key=lambda each: -each[0][2]):
            face = self.begin(image, *each)
            if self._is_same(image, face, ALIKE):
                return replace(face, seen=max(map(len, looks)))
            self.lose()
        meant = _meant([*itertools.chain(*looks)], "largest")
        return None if meant is None else self._meet(image, meant, looks)

    def _meet(self, image: np.ndarray, found: tuple[Box, float], looks: list[list[tuple[Box, float]]]) -> Face:
        """Somebody new, who is followed from now on."""
        self.person += 1
        self.refused, self._appearance = False, None
        face = self.begin(image, *found)
        return replace(face, seen=max(map(len, looks)))

    def _seen(self, image: np.ndarray, scale: float) -> list[tuple[Box, float]]:
        """Faces in the whole picture, drawn larger by a factor, with the detector's scores, best first."""
        return self.detect_faces(image, (0, 0, image.shape[1], image.shape[0]), scale, 0.0)

    def _checked(self, image: np.ndarray, box: Box, score: float) -> Face:
        face = self.face_in(image, box, score)
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
    absence = Absence(tracker.landmarks)
    image, landmarks = np.zeros((size, size, 3), np.uint8), TEMPLATE * np.float32(size / TEMPLATE_SIZE)
    person = -1
    for frame in pictures:
        face, near = None, None
        if frame.image is not None:
            face = tracker.find(frame.image)
            if face is not None:
                image, landmarks = register(frame.image, inner_landmarks(face.landmarks), size)
                person, near = face.person, face.box
        reason = absence.reason(frame.image, face is not None, near, tracker.refused)
        yield RegisteredFace(
            frame.number, frame.timestamp, frame.image, image, landmarks, face, frame.named, max(person, 0), person >= 0,
            reason=reason,
        )  # fmt: skip


def look_of(image: UInt8[np.ndarray, "H W 3"], face: Face) -> Look:
    """A coarse picture of a face in an image, by which it is compared (`identity.face_look`).

    Example:
      >>> face = landmarked(np.zeros((100, 100, 3), np.uint8), (10.0, 10.0, 80.0, 80.0), 0.9)
      >>> look_of(np.zeros((100, 100, 3), np.uint8), face).shape
      (2, 432)
    """
    return face_look(image, inner_landmarks(face.landmarks))


def _meant(found: list[tuple[Box, float]], whose: str | Box) -> tuple[Box, float] | None:
    """The detected face that is meant; of equals the first."""
    if not isinstance(whose, str):
        x, y, width, height = whose

        def inside(box: Box) -> bool:
            return 0 <= box[0] + box[2] / 2 - x <= width and 0 <= box[1] + box[3] / 2 - y <= height

        return max((each for each in found if inside(each[0])), key=lambda each: overlap(each[0], whose), default=None)
    middle = {"left": -1, "right": 1}.get(whose)
    if middle is not None:
        return max(found, key=lambda each: middle * (each[0][0] + each[0][2] / 2), default=None)
    return max(found, key=lambda each: each[0][2], default=None)


def landmarked(image: UInt8[np.ndarray, "H W 3"], box: Box, confidence: float) -> Face:
    """The face in a box, with its landmarks and the box that they imply.

    Args:
      image: [H, W, 3] uint8 RGB.
      box: as the detector draws it.
      confidence: that the face gets.

    Raises:
      UserError: dlib or its landmark model is not installed.

    Example:
      >>> landmarked(np.zeros((100, 100, 3), np.uint8), (10.0, 10.0, 80.0, 80.0), 0.9).landmarks.shape
      (68, 2)
    """
    landmarks = find_landmarks(image, box)
    return Face(box_around(landmarks), confidence, landmarks)


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


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes.

    Example:
      >>> overlap((0.0, 0.0, 4.0, 4.0), (2.0, 0.0, 4.0, 4.0))
      0.3333333333333333
    """
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(0.0, width) * max(0.0, height)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def _distance(a: Box, b: Box) -> float:
    return math.hypot(a[0] + a[2] / 2 - b[0] - b[2] / 2, a[1] + a[3] / 2 - b[1] - b[3] / 2)
