"""Everybody in a video keeps a number: crossings, exits, cuts, newcomers; and nothing of those who left is kept.

The fast tests draw people as coloured patterns and put what a detector would see in the place of dlib.
"""

import dataclasses
import itertools

import numpy as np
import pytest
from PIL import Image

from au_jax.errors import CommandError
from au_jax.faces import people, tracking
from au_jax.faces.decoding import VideoFrame
from au_jax.faces.people import PeopleTracker, associate, parse_faces, register_faces, register_people
from au_jax.faces.registration import TEMPLATE
from au_jax.faces.tracking import INNER, FaceTracker, register_pictures

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


def test_a_lone_face_of_another_size_is_not_the_person_who_was_there():
    near, alike = np.array([[0.5, 0.4]]), np.array([[0.6, 0.9]])
    assert associate(near, alike, np.array([2.0])) == [(0, 1)]
    # A moment later looks of 0.6 do at the expected place, a second later they do not.
    assert associate(near[:, :1], alike[:, :1], np.array([2.0])) == [(0, 0)]
    assert associate(near[:, :1], alike[:, :1], np.array([30.0])) == []
    assert associate(np.array([[np.inf]]), np.array([[0.9]]), np.array([200.0])) == [(0, 0)]
    assert associate(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0)) == []


def test_the_whole_assignment_is_the_best_and_not_the_first_person_s():
    distances, likenesses = np.array([[0.1, 0.3], [0.2, 0.9]]), np.array([[0.9, 0.85], [0.9, 0.3]])
    assert associate(distances, likenesses, np.array([5.0, 5.0])) == [(0, 1), (1, 0)]


def test_three_people_who_keep_apart_keep_their_numbers(monkeypatch):
    persons = [Person(look, line(20 + 200 * look, 60 + 200 * look, 60, width=80 + 20 * look)) for look in range(3)]
    film = Film(monkeypatch, persons, 60)
    given, alive = film.track()
    assert switches(given) == 0 and all(len(rows) == 60 for rows in given.values())
    # From the largest on, in the first frame already.
    assert [given[number][0] for number in (2, 1, 0)] == [(0, 0), (0, 1), (0, 2)]
    assert set(alive) == {(0, 1, 2)}


def test_people_who_cross_keep_their_numbers(monkeypatch):
    ways = line(20, 500, 100), line(520, 40, 100, y=70), line(270, 280, 100, y=80)
    film = Film(monkeypatch, [Person(look, way) for look, way in enumerate(ways)], 100)
    given, _ = film.track()
    assert switches(given) == 0 and {rows[0][1] for rows in given.values()} == {0, 1, 2}
    assert len(given[2]) == 100 and min(len(given[0]), len(given[1])) > 60


def test_who_leaves_and_comes_back_elsewhere_has_the_number_of_before_and_others_have_new_ones(monkeypatch):
    def away(t):
        return (40, 60, 90) if t < 60 else (460, 80, 90) if t >= 110 else None

    ways = away, line(250, 260, 200), line(40, 50, 200, first=80)
    film = Film(monkeypatch, [Person(look, way) for look, way in enumerate(ways)], 160)
    given, _ = film.track()
    numbers = {who: {number for _, number in rows} for who, rows in given.items()}
    assert switches(given) == 0 and sorted(map(len, numbers.values())) == [1, 1, 1]
    assert numbers[2] == {2}
    # Newcomers are looked for at every fifth frame.
    assert min(t for t, _ in given[2]) <= 85 and min(t for t, _ in given[0] if t > 60) <= 115


def test_who_is_hidden_for_a_moment_is_taken_up_where_the_motion_leads(monkeypatch):
    hidden = range(30, 42)
    film = Film(monkeypatch, [Person(1, line(20, 480, 80))], 80, seen=lambda t, _: t not in hidden)
    given, alive = film.track()
    assert switches(given) == 0 and [t for t, _ in given[0]] == [t for t in range(80) if t not in hidden]
    assert set(alive) == {(0,)}


def test_everybody_ends_at_a_cut(monkeypatch):
    film = Film(monkeypatch, [Person(1, line(40, 60, 80, width=110))], 60)
    pictures = list(film)
    other = np.random.default_rng(9).integers(0, 256, (9, 16, 3), dtype=np.uint8)
    shot = np.asarray(Image.fromarray(other).resize((W, H), Image.Resampling.BICUBIC)).copy()
    shot[60:170, 300:410] = film.persons[0].picture(110)
    tracker, one = PeopleTracker(), FaceTracker()
    for film.now, picture in enumerate(pictures[:30]):
        assert list(tracker.find(picture)) == [0] and one.find(picture).person == 0
    film.persons = [Person(1, line(300, 300, 80, width=110))]
    for film.now in range(30, 60):
        # The same person: a number is of one shot.
        assert list(tracker.find(shot)) == [1] and one.find(shot).person == 1


def test_a_flash_a_fade_and_a_black_frame_are_no_cuts(monkeypatch):
    film = Film(
        monkeypatch, [Person(1, line(40, 60, 80, width=110)), Person(2, line(400, 380, 80))], 30, lambda t, _: t != 20
    )
    tracker = PeopleTracker()
    for number, picture in enumerate(film):
        bright = {10: 1.5, 15: 0.5, 20: 0.0}.get(number, 1.0)
        assert tuple(tracker.find(np.clip(picture * bright, 0, 255).astype(np.uint8))) == (0, 1)


def test_a_number_of_people_are_followed_and_the_next_one_has_the_place_of_who_leaves(monkeypatch):
    ways = line(20, 20, 9, width=90), line(220, 220, 9, width=100), line(420, 420, 9, width=110, last=40)
    film = Film(monkeypatch, [Person(look, way) for look, way in enumerate(ways)], 120)
    given, alive = film.track(most=2)
    assert [len(given[who]) for who in (1, 2)] == [120, 40] and switches(given) == 0
    # For a second the place of who left is kept.
    assert 60 <= given[0][0][0] <= 75 and given[0][0][1] == 2
    assert max(sum(t == frame for rows in given.values() for t, _ in rows) for frame in range(120)) == 2


def test_one_face_is_never_two_people(monkeypatch):
    # The second stands still behind the first's way, and is not seen while covered.
    film = Film(monkeypatch, [Person(2, line(250, 250, 9)), Person(1, line(20, 500, 120))], 120)
    tracker = PeopleTracker()
    for picture in film:
        boxes = [face.box for face in tracker.find(picture).values() if face is not None]
        assert all(tracking.overlap(a, b) < 0.5 for a, b in itertools.combinations(boxes, 2))
    assert tracker.people == 2


def test_rows_are_of_those_who_are_seen_and_a_frame_without_anybody_has_one(monkeypatch):
    persons = [Person(1, line(40, 40, 9, first=5, last=30)), Person(2, line(400, 400, 9, first=5, last=20))]
    frames = list(register_people(Film(monkeypatch, persons, 100).pictures(), 40))
    shown = [[(row.person, row.face is not None) for row in rows if row.shown] for rows in frames]
    assert shown[0] == [(0, False)] and not frames[0][0].alive
    assert shown[12] == [(0, True), (1, True)] and shown[25] == [(0, True)]
    assert shown[50] == [(0, False)]
    # Who is out of sight has frames as long as that person may come back, and none after that.
    assert [row.person for row in frames[25]] == [0, 1] and not any(row.alive for row in frames[99])
    hidden = frames[25][1]
    np.testing.assert_array_equal(hidden.image, frames[19][1].image)
    assert frames[25][0].reason == "" and frames[50][0].reason == "none"


def test_a_frame_that_cannot_be_read_ends_nobody(monkeypatch):
    pictures = list(Film(monkeypatch, [Person(1, line(40, 40, 9))], 9).pictures())
    pictures[4] = dataclasses.replace(pictures[4], image=None)
    frames = list(register_people(pictures, 40))
    assert [[row.person for row in rows] for rows in frames] == [[0]] * 9
    assert [rows[0].reason for rows in frames] == [""] * 4 + ["unreadable"] + [""] * 4


def test_alone_in_the_picture_everybody_is_the_largest(monkeypatch):
    def film():
        return Film(monkeypatch, [Person(1, line(40, 400, 60))], 60).pictures()

    alone, everybody = list(register_pictures(film(), 40)), list(register_faces(film(), 40, "all"))
    for one, rows in zip(alone, everybody, strict=True):
        (row,) = rows
        np.testing.assert_array_equal(one.image, row.image)
        np.testing.assert_array_equal(one.face.landmarks, row.face.landmarks)
        assert (one.person, one.alive, one.shown, one.reason) == (row.person, row.alive, row.shown, row.reason)


def test_the_largest_is_followed_until_it_leaves_and_another_has_another_number(monkeypatch):
    """P1 of the cases: a large face in frames 1 to 12, a smaller one beside it throughout."""
    persons = [Person(1, line(60, 60, 9, width=110, last=12)), Person(2, line(250, 250, 9, width=80))]
    rows = list(register_pictures(Film(monkeypatch, persons, 80).pictures(), 40))
    assert [row.person for row in rows[:12]] == [0] * 12 and all(row.face for row in rows[:12])
    first = next(number for number in range(12, 80) if rows[number].face is not None)
    # A second after the person was seen last.
    assert 35 <= first <= 40 and {row.person for row in rows[12:first]} == {0}
    assert {row.person for row in rows[first:]} == {1} and all(row.face for row in rows[first:])


def test_labels_mean_one_person_and_no_other(monkeypatch):
    persons = [Person(1, line(60, 60, 9, width=110, last=12)), Person(2, line(250, 250, 9, width=80))]
    rows = list(register_pictures(Film(monkeypatch, persons, 80).pictures(), 40, FaceTracker(alone=True)))
    assert [row.face is not None for row in rows] == [True] * 12 + [False] * 68
    assert {row.reason for row in rows[40:]} <= {"another person", "none"}


BOXES = ((400.0, 0.0, 240.0, 240.0), 2), ((0.0, 40.0, 150.0, 150.0), 0)


@pytest.mark.parametrize(("whose", "number"), [("left", 0), ("right", 2), ("largest", 1), *BOXES])
def test_the_person_who_is_meant_is_followed_among_three(monkeypatch, whose, number):
    """As in a group of GFT."""
    ways = [line(40 + 210 * place, 70 + 210 * place, 60, width=110 if place == 1 else 90) for place in range(3)]
    persons = [Person(look, way) for look, way in enumerate(ways)]
    film = Film(monkeypatch, persons, 60)
    tracker = FaceTracker(whose, alone=True)
    for picture in film:
        face = tracker.find(picture)
        assert face is not None and tracking.overlap(face.box, persons[number].box(film.now)) > 0.9


def test_a_box_waits_for_its_person(monkeypatch):
    persons = [Person(0, line(40, 40, 9)), Person(1, line(400, 400, 9, first=10))]
    rows = list(
        register_pictures(Film(monkeypatch, persons, 20).pictures(), 40, FaceTracker((390.0, 40.0, 130.0, 130.0)))
    )
    assert [row.face is not None for row in rows] == [False] * 10 + [True] * 10


def test_how_many_people_are_scored_is_a_word_or_a_number():
    assert [parse_faces(text) for text in ("all", "largest", "1", "12")] == [None, 1, 1, 12]
    for wrong in ("", "none", "-1", "0", "1.5", "9999"):
        with pytest.raises(CommandError, match="give all, largest, or how many"):
            parse_faces(wrong)


def test_memory_does_not_grow_with_people_who_come_and_go(monkeypatch):
    """Somebody new every 30 frames: those who left are forgotten."""
    times = range(0, 900, 30)
    persons = [Person(t, line(60 + 4 * (t % 100), 60, 10**6, first=t, last=t + 20)) for t in times]
    monkeypatch.setattr(people, "PATIENCE", 40)
    given, alive = Film(monkeypatch, persons, 900).track()
    assert switches(given) == 0 and max(map(len, alive)) <= 3
    assert len({number for rows in given.values() for _, number in rows}) == 30
