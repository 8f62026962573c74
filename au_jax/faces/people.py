"""Everybody in a video: every face with the number of the person whose it is.

Each person is followed from frame to frame as one person is (`tracking.FaceTracker`). Who is lost is expected where the motion
leads, and joined with the faces that the detector sees by the assignment of least cost (Hungarian algorithm; the idea of SORT,
Bewley et al., ICIP 2016: constant velocity, overlap, one detection for one track), within reach by motion first, from afar and
later by looks (DeepSORT's idea, ICIP 2017). Weak detections renew who is known and begin nobody (ByteTrack's, Zhang et al.,
ECCV 2022). At a cut everybody ends. Who is out of sight for long ends too, and leaves nothing in memory.
"""

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float, UInt8

from au_jax.errors import CommandError
from au_jax.faces import tracking
from au_jax.faces.absence import Absence
from au_jax.faces.backends import make_tracker
from au_jax.faces.decoding import VideoFrame
from au_jax.faces.identity import ALIKE, CutDetector, asked_for
from au_jax.faces.landmarks import Box
from au_jax.faces.registration import TEMPLATE, TEMPLATE_SIZE, register
from au_jax.faces.tracking import Face, FaceTracker, RegisteredFace, inner_landmarks, register_pictures

ALL, LARGEST = "all", "largest"
"""Values of `predict --faces`, beside a number."""

PATIENCE: int = 250
"""Frames out of sight after which a person has left for good; who was seen for a moment only is waited for as briefly."""

_SEARCH_EVERY, _LARGE_EVERY = 5, 25  # frames between looks for newcomers, in the shrunk frame and in more detail
_SMALL, _LARGE = 480, 1280  # long side of the frame then, pixels
_CLOSE = 90  # width to which a person's expected place is brought
_CLOSELY = 25  # frames for which a lost person's expected place is looked at
_COASTING = 15  # frames for which a lost person is taken to move on
_SMOOTH = 0.3  # share of the newest step in the velocity
_REACH = 0.25  # a person reappears one face width from the expected place, and this many more with every frame
_SCALE = 2.0  # times as large or small as when last seen
_SAME_PLACE = 0.4  # overlap of two people's faces that can only be one face
_KNOWN = 0.3  # overlap of a detection with a face that is followed
_WEAK, _SURE = -0.5, 0.0  # scores of detections that renew somebody, and that begin somebody
# A face where a lost person is expected begins nobody yet for so many frames, unless it is unlike; nor, for longer, while it
# touches another face, behind which it comes forth.
_HESITATION, _NOT_UNLIKE, _BEHIND = 12, 0.3, 50
_BESIDE = 0.75  # widths between the centres of two faces of which one covers the other's head
_MOST = 64  # people who are remembered
_FORBIDDEN = 1e6


def associate(
    distances: Float[np.ndarray, "L D"], likenesses: Float[np.ndarray, "L D"], lost: Float[np.ndarray, " L"]
) -> list[tuple[int, int]]:
    """Which detected face is which lost person's: the assignment of least cost among those that are possible.

    Args:
      distances: [L, D] from where a person is expected, in units of how far that person can have come.
      likenesses: [L, D] of the person and the face, -1 to 1.
      lost: [L] frames that the person has been out of sight.

    Returns:
      (person, face), in order of persons; either may be left over.

    Example:
      >>> near, alike = np.array([[0.2, 0.9], [0.8, 0.1]]), np.array([[0.9, 0.2], [0.1, 0.9]])
      >>> associate(near, alike, np.array([3.0, 3.0]))
      [(0, 0), (1, 1)]
      >>> associate(np.array([[5.0]]), np.array([[0.7]]), np.array([3.0]))  # too far for looks that may be anybody's
      []
    """
    # Needed with several people only, and slow to import.
    from scipy.optimize import linear_sum_assignment

    least = np.array([asked_for(int(frames)) for frames in lost])[:, None]
    possible = ((distances <= 1) & (likenesses >= least)) | (likenesses >= ALIKE)
    costs = np.where(possible, 0.5 * np.minimum(distances, 2.0) + 1 - likenesses, _FORBIDDEN)
    rows, columns = linear_sum_assignment(costs)
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if possible[row, column]]


@dataclass(eq=False)
class _Track:
    """A person who has been seen."""

    person: int
    tracker: FaceTracker
    face: Face | None
    box: Box  # when last seen
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(2))  # pixels a frame
    lost: int = 0  # frames
    seen: int = 0  # frames

    def expected(self) -> Box:
        """Where the face is now, if it moves on; the frame being looked at is counted."""
        x, y = np.array(self.box[:2]) + self.velocity * min(self.lost + 1, _COASTING)
        return float(x), float(y), self.box[2], self.box[3]

    def update(self, face: Face | None) -> None:
        self.face = face
        if face is None:
            self.lost += 1
            return
        step = (_centre(face.box) - _centre(self.box)) / (self.lost + 1)
        self.velocity = (1 - _SMOOTH) * self.velocity + _SMOOTH * step
        self.box, self.lost, self.seen = face.box, 0, self.seen + 1

    def has_left(self) -> bool:
        return self.lost > min(PATIENCE, 10 + self.seen)


class PeopleTracker:
    """Follows all people of a video, or so many at a time; one tracker for every video.

    Args:
      most: people who are followed at a time, the largest first; None: all.
      landmarks: by which faces are found, of `backends.BACKENDS`.

    Attributes:
      people: how many there have been.

    Example:
      >>> tracker = PeopleTracker()
      >>> tracker.find(np.zeros((120, 160, 3), np.uint8)), tracker.people
      ({}, 0)
    """

    def __init__(self, most: int | None = None, landmarks: str = "dlib"):
        self.people = 0
        self._most, self._landmarks = most, landmarks
        self._finder = make_tracker(landmarks)  # of those whom nobody follows yet
        self._tracks: list[_Track] = []
        self._cuts = CutDetector()
        self._frame = 0

    def find(self, image: UInt8[np.ndarray, "H W 3"]) -> dict[int, Face | None]:
        """The faces in the next frame of the video.

        Args:
          image: [H, W, 3] uint8 RGB.

        Returns:
          Person -> face, in order of persons; None of those who are out of sight and may come back. Who is not there any
          more has left for good, and no number is given twice.

        Raises:
          UserError: what finds faces is not installed.
        """
        if self._cuts.look(image) and all(track.tracker.moved(image) for track in self._tracks if track.face):
            self._tracks = []
        faces = {track.person: track.tracker.follow(image) for track in self._tracks if track.face is not None}
        self._settle(image, faces)
        for track, found in self._reappeared(image, faces):
            faces[track.person] = track.tracker.begin(image, *found)
        for track in self._tracks:
            track.update(faces.get(track.person))
        self._tracks = [track for track in self._tracks if not track.has_left()]
        self._frame += 1
        together = sum(track.face is not None for track in self._tracks)
        return {
            track.person: None if track.face is None else replace(track.face, seen=together, person=track.person)
            for track in self._tracks
        }

    def _settle(self, image: np.ndarray, faces: dict[int, Face | None]) -> None:
        """Of two people who are seen in one place one is hidden: the one who looks less like what is seen."""
        seen = [track for track in self._tracks if faces.get(track.person) is not None]
        for one, other in itertools.combinations(seen, 2):
            a, b = faces[one.person], faces[other.person]
            if a is not None and b is not None and tracking.overlap(a.box, b.box) > _SAME_PLACE:
                likenesses = [
                    track.tracker.likeness(tracking.look_of(image, face)) for track, face in ((one, a), (other, b))
                ]
                hidden = one if likenesses[0] < likenesses[1] else other
                faces[hidden.person] = None
                hidden.tracker.lose()

    def _reappeared(self, image: np.ndarray, faces: dict[int, Face | None]) -> list[tuple[_Track, tuple[Box, float]]]:
        """Who is seen again, or for the first time, and where; newcomers are added to the tracks."""
        lost = [track for track in self._tracks if faces.get(track.person) is None]
        boxes = [face.box for face in faces.values() if face is not None]
        pool = [each for each in self._detections(image, lost, bool(boxes)) if _is_free(each[0], boxes)]
        if not pool:
            return []
        likenesses, distances = np.zeros((len(lost), len(pool))), np.zeros((len(lost), len(pool)))
        for column, (box, score) in enumerate(pool):
            look = tracking.look_of(image, self._finder.face_in(image, box, score))
            for row, track in enumerate(lost):
                likenesses[row, column] = track.tracker.likeness(look)
                distances[row, column] = _distance(track, box)
        pairs = associate(distances, likenesses, np.array([float(track.lost) for track in lost]))
        if self._most is not None:
            pairs = pairs[: max(0, self._most - len(boxes))]
        renewed = [(lost[row], pool[column]) for row, column in pairs]
        boxes += [box for _, (box, _) in renewed]
        taken = {column for _, column in pairs}
        found_again = {row for row, _ in pairs}
        missed = [(row, track.lost) for row, track in enumerate(lost) if row not in found_again]
        # For a second the place of somebody who left is kept.
        expected = sum(frames < _CLOSELY for _, frames in missed)
        for column, (box, score) in sorted(enumerate(pool), key=lambda each: -each[1][0][2]):
            touches = any(
                np.linalg.norm(_centre(box) - _centre(other)) < _BESIDE * (box[2] + other[2]) for other in boxes
            )
            doubtful = any(
                distances[row, column] <= 1
                and (touches and frames < _BEHIND or frames < _HESITATION and likenesses[row, column] >= _NOT_UNLIKE)
                for row, frames in missed
            )
            if column in taken or score < _SURE or doubtful or not _is_free(box, boxes):
                continue
            if self._most is None or len(boxes) + expected < self._most:
                self._make_room({track.person for track, _ in renewed})
                track = _Track(self.people, make_tracker(self._landmarks), None, box)
                self.people += 1
                self._tracks.append(track)
                renewed.append((track, (box, score)))
                boxes.append(box)
        return renewed

    def _make_room(self, seen: set[int]) -> None:
        """Forgets who has been out of sight longest, where there are too many."""
        gone = [track for track in self._tracks if track.lost and track.person not in seen]
        if len(self._tracks) >= _MOST and gone:
            self._tracks.remove(max(gone, key=lambda track: track.lost))

    def _detections(self, image: np.ndarray, lost: list[_Track], anybody: bool) -> list[tuple[Box, float]]:
        """What the detector sees where lost people are expected, and at times in the whole frame; best first, each face once."""
        height, width = image.shape[:2]
        found: list[tuple[Box, float]] = []
        for track in lost:
            if track.lost < _CLOSELY:
                x, y, side, tall = track.expected()
                window = (x - side / 2, y - tall / 2, 2 * side, 2 * tall)
                found += self._finder.detect_faces(image, window, _CLOSE / side, _WEAK)
        if self._frame % _SEARCH_EVERY == 0 or not anybody:
            in_detail = self._frame % (_LARGE_EVERY if anybody else _SEARCH_EVERY) == 0
            scales = dict.fromkeys(
                min(1.0, side / max(height, width)) for side in ((_SMALL, _LARGE) if in_detail else (_SMALL,))
            )
            for scale in scales:
                found += self._finder.detect_faces(image, (0, 0, width, height), scale, _SURE)
        kept: list[tuple[Box, float]] = []
        for box, score in sorted(found, key=lambda each: -each[1]):
            if _is_free(box, [other for other, _ in kept]):
                kept.append((box, score))
        return kept


def register_people(
    pictures: Iterable[VideoFrame], size: int = TEMPLATE_SIZE, most: int | None = None, landmarks: str = "dlib"
) -> Iterator[list[RegisteredFace]]:
    """Follows all people through a video and registers their faces in every frame; memory does not grow with its length.

    Args:
      pictures: the video's frames, in order.
      size: side of the registered faces in pixels.
      most: people who are followed at a time, the largest first; None: all.
      landmarks: by which faces are found, of `backends.BACKENDS`.

    Yields:
      Of every frame the faces, in order of persons. Those of people who are out of sight and may come back are not `shown`, and
      repeat their last image. Of a frame in which nobody is seen one is shown, that of the person who was seen last.

    Raises:
      UserError: as `pictures` does; what finds faces is not installed.

    Example:
      >>> (rows,) = register_people([VideoFrame(1, 0.0, None)], size=40)  # a frame that could not be read
      >>> [(row.person, row.face, row.alive, row.shown, row.reason) for row in rows]
      [(0, None, False, True, 'unreadable')]
    """
    tracker, absence = PeopleTracker(most, landmarks), Absence(landmarks)
    blank = np.zeros((size, size, 3), np.uint8), TEMPLATE * np.float32(size / TEMPLATE_SIZE)
    kept: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    last = 0
    for frame in pictures:
        # Of a frame that cannot be read nothing is known: all are where they were.
        faces = dict.fromkeys(kept) if frame.image is None else tracker.find(frame.image)
        seen = {person: face for person, face in faces.items() if face is not None}
        for person, face in seen.items():
            assert frame.image is not None
            kept[person] = register(frame.image, inner_landmarks(face.landmarks), size)
        kept = {person: kept[person] for person in faces}
        if seen and last not in seen:
            last = next(iter(seen))
        largest = max(seen.values(), key=lambda face: face.box[2], default=None)
        reason = absence.reason(frame.image, bool(seen), None if largest is None else largest.box)
        rows = [
            _row(frame, *kept[person], face, person, face is not None or (not seen and person == last), reason)
            for person, face in faces.items()
        ]
        if not any(row.shown for row in rows):
            rows.append(replace(_row(frame, *blank, None, last, True, reason), alive=False))
        yield rows


def register_faces(
    pictures: Iterable[VideoFrame], size: int, faces: str = LARGEST, landmarks: str = "dlib"
) -> Iterator[list[RegisteredFace]]:
    """The registered faces of every frame of a video, of one person or several.

    Args:
      pictures: the video's frames, in order.
      size: side of the registered faces in pixels.
      faces: of `parse_faces`.
      landmarks: by which faces are found, of `backends.BACKENDS`.

    Yields:
      As `register_people`; of the largest face one a frame.

    Example:
      >>> [len(rows) for rows in register_faces([VideoFrame(1, 0.0, None)], 40, "largest")]
      [1]
    """
    most = parse_faces(faces)
    if most == 1:
        return ([row] for row in register_pictures(pictures, size, make_tracker(landmarks)))
    return register_people(pictures, size, most, landmarks)


def parse_faces(text: str) -> int | None:
    """How many people `predict --faces` asks for at a time: None: all; `largest` is one.

    Raises:
      CommandError: something else.

    Example:
      >>> parse_faces("all"), parse_faces("largest"), parse_faces("3")
      (None, 1, 3)
      >>> parse_faces("0")
      Traceback (most recent call last):
      au_jax.errors.CommandError: --faces is '0'; give all, largest, or how many people are scored at a time
    """
    word = text.strip().lower()
    if word in (ALL, LARGEST):
        return None if word == ALL else 1
    if not word.isdecimal() or not 0 < int(word) < 1000:
        raise CommandError(f"--faces is {text!r}; give {ALL}, {LARGEST}, or how many people are scored at a time")
    return int(word)


def _row(
    frame: VideoFrame,
    image: np.ndarray,
    landmarks: np.ndarray,
    face: Face | None,
    person: int,
    shown: bool,
    reason: str,
) -> RegisteredFace:
    return RegisteredFace(
        frame.number, frame.timestamp, frame.image, image, landmarks, face, frame.named, person, shown=shown,
        reason="" if face is not None else reason,
    )  # fmt: skip


def _centre(box: Box) -> np.ndarray:
    return np.array([box[0] + box[2] / 2, box[1] + box[3] / 2])


def _distance(track: _Track, box: Box) -> float:
    """How far a face is from where a person is expected, in units of how far that person can have come."""
    if not 1 / _SCALE < box[2] / track.box[2] < _SCALE:
        return math.inf
    away = float(np.linalg.norm(_centre(box) - _centre(track.expected())))
    return away / (track.box[2] * (1 + _REACH * track.lost))


def _is_free(box: Box, others: Iterable[Box]) -> bool:
    return all(tracking.overlap(box, other) <= _KNOWN for other in others)
