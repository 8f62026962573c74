"""People drawn as coloured patterns on paths, and what a detector would see of them in the place of dlib's."""

import dataclasses
import itertools

import numpy as np
from PIL import Image

from au_jax.faces import tracking
from au_jax.faces.decoding import VideoFrame
from au_jax.faces.people import PeopleTracker
from au_jax.faces.registration import TEMPLATE
from au_jax.faces.tracking import INNER

H, W = 240, 640


def shape68() -> np.ndarray:
    """68 landmarks whose box, as the tracker has it, is (0, 0, 1, 1)."""
    points = np.tile(TEMPLATE.mean(0), (68, 1))
    points[list(INNER)] = TEMPLATE
    points = points - points.mean(0)
    points /= np.sqrt((points**2).sum(1).mean()) * tracking._BOX_WIDTH
    return points + 0.5 - tracking._BOX_OFFSET / tracking._BOX_WIDTH


SHAPE = shape68()


@dataclasses.dataclass
class Person:
    """A pattern on a path: frame -> (x, y, width), None where the person is not there. Later people stand in front."""

    look: int
    path: object

    def box(self, frame):
        place = self.path(frame)
        return None if place is None else (float(place[0]), float(place[1]), float(place[2]), float(place[2]))

    def picture(self, width):
        pattern = np.random.default_rng(self.look).integers(20, 236, (9, 9, 3), dtype=np.uint8)
        return np.asarray(Image.fromarray(pattern).resize((width, width), Image.Resampling.BICUBIC))


class Film:
    """Draws people and stands in for dlib: sees whose face is open by two thirds, and finds landmarks of the nearest one."""

    def __init__(self, monkeypatch, persons, frames, seen=lambda frame, person: True):
        self.persons, self.frames, self.seen, self.now = persons, frames, seen, -1
        for name, stand_in in (("detect", self.detect), ("find_landmarks", self.landmarks)):
            monkeypatch.setattr(tracking, name, stand_in)
        monkeypatch.setattr("au_jax.faces.absence.detect", self.detect)

    def open(self):
        """Boxes of those who are to be seen now, by person."""
        owner = np.full((H, W), -1)
        boxes = {}
        for number, person in enumerate(self.persons):
            if (box := person.box(self.now)) is not None:
                x, y, width, _ = (round(value) for value in box)
                owner[max(0, y) : max(0, y + width), max(0, x) : max(0, x + width)] = number
                boxes[number] = box
        return {
            number: box
            for number, box in boxes.items()
            if (owner == number).sum() > 0.66 * box[2] ** 2 and self.seen(self.now, number)
        }

    def detect(self, image, window, scale, threshold):
        x, y, width, height = window
        return [
            (box, 2.0)
            for box in self.open().values()
            if x <= box[0] and y <= box[1] and box[0] + box[2] <= x + width and box[1] + box[3] <= y + height
        ]

    def landmarks(self, image, box):
        near = min(self.open().values(), key=lambda other: -tracking.overlap(box, other), default=box)
        near = near if tracking.overlap(box, near) > 0.2 else box
        return (SHAPE * near[2] + near[:2]).astype(np.float32)

    def __iter__(self):
        for now in range(self.frames):
            self.now = now
            picture = np.full((H, W, 3), 90, np.uint8)
            picture[::7, ::5] = 60
            for person in self.persons:
                if (box := person.box(self.now)) is not None:
                    x, y, width, _ = (round(value) for value in box)
                    whole = np.zeros((H + 400, W + 400, 3), np.uint8)
                    whole[200:-200, 200:-200] = picture
                    whole[200 + y : 200 + y + width, 200 + x : 200 + x + width] = person.picture(width)
                    picture = whole[200:-200, 200:-200].copy()
            yield picture

    def pictures(self):
        return (VideoFrame(number, number / 25, picture) for number, picture in enumerate(self, 1))

    def track(self, most=None):
        """Who was seen where: person of the film -> list of (frame, number given); and the numbers of every frame."""
        tracker = PeopleTracker(most)
        given, alive = {number: [] for number in range(len(self.persons))}, []
        for picture in self:
            faces = tracker.find(picture)
            alive.append(tuple(faces))
            for number, face in faces.items():
                if face is not None:
                    boxes = {who: box for who, person in enumerate(self.persons) if (box := person.box(self.now))}
                    whose = max(boxes, key=lambda who: tracking.overlap(face.box, boxes[who]))
                    given[whose].append((self.now, number))
        return given, alive


def switches(given):
    """How often somebody got another number, over all people."""
    return sum(a != b for rows in given.values() for (_, a), (_, b) in itertools.pairwise(rows))


def line(start, stop, frames, y=60, width=90, first=0, last=10**9):
    return lambda t: None if not first <= t < last else (start + (stop - start) * t / frames, y, width)
