"""Everybody in a video keeps a number: crossings, exits, cuts, newcomers; and nothing of those who left is kept.

The fast tests draw people as coloured patterns and put what a detector would see in the place of dlib (`drawn`).
"""

import dataclasses
import importlib.util
import itertools

import numpy as np
import pytest
from PIL import Image

from au_jax.errors import CommandError
from au_jax.faces import blazeface, people, tracking
from au_jax.faces.people import PeopleTracker, associate, parse_faces, register_faces, register_people
from au_jax.faces.tracking import FaceTracker, register_pictures

from . import crowd
from .drawn import Film, H, Person, W, line, switches


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


def test_who_has_been_away_longest_is_forgotten_when_there_are_too_many(monkeypatch):
    times = range(0, 400, 40)
    persons = [Person(t, line(60 + 10 * (t % 41), 60, 10**6, first=t, last=t + 30)) for t in times]
    film = Film(monkeypatch, persons, 400)
    assert max(map(len, film.track()[1])) == 2
    monkeypatch.setattr(people, "_MOST", 1)
    given, alive = film.track()
    assert switches(given) == 0 and max(map(len, alive)) == 1
    assert [rows[0][1] for rows in given.values()] == list(range(10))


needs_models = pytest.mark.skipif(not blazeface.is_installed(), reason="the face mesh is not installed: make mesh")


@needs_models
@pytest.mark.parametrize("turns", [0, 1])
def test_two_people_are_followed_by_the_face_mesh_also_where_one_lies_on_the_side(scene, turns):
    from au_jax.faces.face_mesh import MeshFace, MeshTracker

    # Somebody else: mirrored, and in a warmer light.
    other = np.rot90((scene[0][:, :, ::-1] * np.array([1.0, 0.85, 0.6])).astype(np.uint8), turns, axes=(1, 2))
    away = range(6, 9)
    tracker, alone, numbers = PeopleTracker(landmarks="mesh"), MeshTracker(), {}
    for t in range(16):
        right = np.full_like(other[t], 90) if t in away else np.ascontiguousarray(other[t])
        faces = {n: face for n, face in tracker.find(np.concatenate([scene[0][t], right], 1)).items() if face}
        assert all(isinstance(face, MeshFace) for face in faces.values())
        for number, face in faces.items():
            numbers.setdefault(face.box[0] + face.box[2] / 2 > 240, []).append((t, number))
        apart = [np.abs(face.landmarks - [240, 0] - single.landmarks).mean() for face in faces.values()
                 if face.box[0] > 200 and (single := alone.find(right))] if t < 6 else []  # fmt: skip
        assert all(pixels < 1.5 for pixels in apart) and len(apart) == (t < 6)
    assert [t for t, _ in numbers[False]] == list(range(16))
    assert [t for t, _ in numbers[True]] == [t for t in range(16) if t not in away]
    assert sorted({number for _, number in rows} for rows in numbers.values()) == [{0}, {1}] and tracker.people == 2


@needs_models
def test_a_small_face_is_not_hidden_from_the_face_mesh_by_a_large_one(scene):
    picture = np.full((480, 640, 3), 110, np.uint8)
    picture[:, :480] = np.asarray(Image.fromarray(scene[0][0]).resize((480, 480)))
    picture[30:90, 560:620] = np.asarray(Image.fromarray(scene[0][20]).resize((60, 60)))
    faces = PeopleTracker(landmarks="mesh").find(picture)
    assert sorted(face.box[0] > 480 for face in faces.values() if face) == [False, True]


def follow(film, paths):
    """Person of a crowd -> (frame, number given), of faces that are where the person is."""
    tracker, given = PeopleTracker(), {number: [] for number in range(len(paths))}
    for t, picture in enumerate(film):
        for number, face in tracker.find(picture).items():
            if face is None:
                continue
            middle = np.array(face.box[:2]) + np.array(face.box[2:]) / 2
            away = {
                who: np.linalg.norm(middle - crowd.centre(place))
                for who, path in enumerate(paths)
                if (place := path(t))
            }
            who = min(away, key=away.get)
            assert away[who] < 60
            given[who].append((t, number))
    return given


@pytest.mark.slow
@pytest.mark.parametrize(("scene", "most"), [("easy", 0), ("hard", 1)])
def test_three_filmed_people_keep_their_numbers(scene, most):
    if importlib.util.find_spec("face_recognition_models") is None:
        pytest.skip("face_recognition_models is not installed")
    pytest.importorskip("dlib")
    frames = 150
    paths = getattr(crowd, scene)(frames)
    given = follow(crowd.film(crowd.heads(frames), paths), paths)
    assert switches(given) <= most
    for who, path in enumerate(paths):
        there = sum(path(t) is not None for t in range(frames))
        assert len(given[who]) > 0.8 * there
