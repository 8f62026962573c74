"""From faces to scores in parts, whatever computes them."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from au_jax.faces.decoding import VideoFrame
from au_jax.faces.tracking import Face, RegisteredFace
from au_jax.inference import scoring
from au_jax.inference.scoring import FaceScorer
from au_jax.inference.writers import concatenate

from ..faces import crowd
from ..faces.drawn import Film, Person, line


class Late(FaceScorer):
    """Gives the brightness of the frame before: a delay of one frame; what is behind the end counts as 99."""

    aus, systems, outputs, image_size, delay = (12,), ("anet",), ("anet",), 4, 1

    def _initial_carries(self):
        return [np.zeros(1, np.float32)]

    def _mean_scores(self, carries, faces, present):
        rows = np.where(present, faces.mean((1, 2, 3)), 99).astype(np.float32)
        joined = np.concatenate([carries[0], rows])
        return [joined[-1:]], {"anet": joined[:-1, None]}


@pytest.mark.parametrize("chunk", [1, 2, 3, 8])
def test_delayed_scores_come_back_in_their_rows(chunk):
    faces = np.arange(1, 6, dtype=np.uint8).reshape(5, 1, 1, 1) * np.ones((1, 4, 4, 3), np.uint8)
    assert Late().score(faces, chunk)["anet"][:, 0].tolist() == [1, 2, 3, 4, 5]


class Counting(Late):
    """Gives the sum of a person's brightness so far, one frame late: the state is told by the scores."""

    def _mean_scores(self, carries, faces, present):
        values = np.where(present, faces.mean((1, 2, 3)), 1000).astype(np.float32)
        (before, total) = carries[0] if carries[0].shape == (2,) else (np.float32(-1), np.float32(0))
        sums = total + np.cumsum(values)
        rows = np.concatenate([[before], sums[:-1]]).astype(np.float32)
        return [np.array([sums[-1], sums[-1]])], {"anet": rows[:, None]}


def rows_of(frames):
    """Rows of frames, which are told as person -> brightness, None where the person is out of sight."""
    for number, people in enumerate(frames, 1):
        rows = []
        for person, value in people.items():
            image = np.full((4, 4, 3), value or 0, np.uint8)
            face = None if value is None else Face((0.0, 0.0, 9.0, 9.0), 0.9, np.zeros((68, 2), np.float32))
            here = number, number / 25, None, image, np.zeros((49, 2), np.float32), face
            rows.append(RegisteredFace(*here, person=person, shown=value is not None or len(people) == 1))
        yield rows


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 32])
def test_every_person_has_a_state_that_begins_with_the_person(monkeypatch, chunk):
    """P2 of the cases: after a cut somebody else stands in the same place."""
    frames = [{0: 1}, {0: 2}, {0: 3, 1: 10}, {0: 4, 1: 20}, {1: 30}, {1: None}, {1: 40}, {2: 5}, {2: 6, 3: 7}]
    monkeypatch.setattr(scoring, "register_faces", lambda *_: rows_of(frames))
    table = concatenate(part for part, _ in Counting().stream([], chunk, "all"))
    found = [
        (int(f), int(p), float(s))
        for f, p, s in zip(table.frames, table.people, table.scores["anet"][:, 0], strict=True)
    ]
    assert [row for row in found if row[0] != 6] == [
        (1, 0, 1), (2, 0, 3), (3, 0, 6), (3, 1, 10), (4, 0, 10), (4, 1, 30), (5, 1, 60), (7, 1, 100), (8, 2, 5), (9, 2, 11),
        (9, 3, 7),
    ]  # fmt: skip
    # Frames out of sight are frames of the person all the same; they have no score.
    assert np.isnan(found[7][2]) and table.success.tolist().count(False) == 1


@pytest.mark.parametrize("count", [1, 31, 32, 33, 70])
def test_one_person_has_the_scores_of_the_faces_in_order(monkeypatch, count):
    values = np.random.default_rng(count).integers(1, 9, count)
    monkeypatch.setattr(scoring, "register_faces", lambda *_: rows_of([{0: int(value)} for value in values]))
    table = concatenate(part for part, _ in Late().stream([]))
    faces = np.broadcast_to(values.astype(np.uint8)[:, None, None, None], (count, 4, 4, 3))
    np.testing.assert_array_equal(table.scores["anet"], Late().score(faces)["anet"])


def test_frames_stay_whole_and_in_order_however_people_come_and_go(monkeypatch):
    random = np.random.default_rng(0)
    frames = [{person: 1 for person in range(8) if person == 0 or (t // (5 + person)) % 2} for t in range(100)]
    monkeypatch.setattr(scoring, "register_faces", lambda *_: rows_of(frames))
    numbers = []
    for part, faces in Counting().stream([], int(random.integers(2, 9)), "all"):
        assert part.frames.tolist() == [face.number for face in faces]
        assert not numbers or part.frames[0] > numbers[-1]  # no frame is in two parts
        numbers += part.frames.tolist()
    assert numbers == [t for t, people in enumerate(frames, 1) for _ in people]


def test_rows_before_anybody_has_come_have_no_score(monkeypatch):
    nothing = np.zeros((4, 4, 3), np.uint8), np.zeros((49, 2), np.float32), None
    blank = RegisteredFace(1, 0.0, None, *nothing, alive=False, reason="none")
    monkeypatch.setattr(scoring, "register_faces", lambda *_: iter([[blank]] * 3))
    table = concatenate(part for part, _ in Counting().stream([], 2))
    assert np.isnan(table.scores["anet"]).all() and table.reasons.tolist() == ["none"] * 3


def test_it_imports_without_jax():
    program = (
        "import sys\nsys.modules['jax'] = sys.modules['flax'] = None\nimport au_jax.inference.scoring, au_jax.predict"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.slow
def test_memory_is_flat_over_twenty_thousand_frames_of_three_people(monkeypatch):
    """A hundred frames again and again, in which one of three people leaves and comes back."""
    ways = line(40, 60, 100), line(250, 230, 100, first=0, last=70), line(460, 470, 100, y=80)
    film = Film(monkeypatch, [Person(look, way) for look, way in enumerate(ways)], 100)
    cycle = list(film)

    def frames(count):
        for number in range(count):
            film.now = number % 100
            yield VideoFrame(number + 1, number / 25, cycle[film.now].copy())

    # Faces are sought in another thread, which may be ahead of what the film shows.
    monkeypatch.setattr(scoring, "prefetch", lambda parts: parts)
    rows, people, resident = 0, set(), {}
    for part, _ in Counting().stream(frames(20_000), faces="all"):
        rows += len(part)
        people |= set(part.people.tolist())
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        resident[int(part.frames[-1]) // 1000] = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    assert people == {0, 1, 2} and 50_000 < rows < 54_500
    assert resident[20] - resident[4] < 5, resident  # MB


def rows_where(table, path):
    """Frame -> the row whose face is where a person of a crowd is."""
    found = {}
    for row in np.flatnonzero(table.success):
        frame, box = int(table.frames[row]), table.boxes[row]
        if (place := path(frame - 1)) is not None:
            away = float(np.linalg.norm(box[:2] + box[2:] / 2 - crowd.centre(place)))
            if away < min(60.0, found.get(frame, (60.0, 0))[0]):
                found[frame] = away, row
    return {frame: row for frame, (_, row) in found.items()}


@pytest.mark.slow
@pytest.mark.parametrize("scene, least, behind", [("easy", 0.95, 0.02), ("hard", 0.9, 0.1)])
def test_each_of_three_people_gets_the_decisions_that_the_person_gets_alone(finished, scene, least, behind, tmp_path):
    """Easy: as much as two encodings of one film agree. Hard: less, for who was covered is seen anew and in other frames.

    Frames in which one stands before another are not of both.
    """
    pytest.importorskip("dlib")
    from au_jax.faces.decoding import read_video
    from au_jax.faces.video_writer import VideoWriter
    from au_jax.inference.detector import Detector

    detector, frames = Detector.from_run(finished, folds=[0]), 80
    heads, paths = crowd.heads(frames), getattr(crowd, scene)(frames)

    def scored(pictures):
        numbered = (VideoFrame(number, number / 25, picture) for number, picture in enumerate(pictures, 1))
        return concatenate(part for part, _ in detector.stream(numbered, faces="all"))

    together, shares = scored(crowd.film(heads, paths)), []
    for person, path in enumerate(paths):
        film = list(crowd.film(heads, paths, person))
        with VideoWriter(tmp_path / "coded.mp4", 25, crowd.WIDTH, crowd.HEIGHT) as writer:
            for picture in film:
                writer.write(picture)
        tables = together, scored(film), scored(frame.image for frame in read_video(tmp_path / "coded.mp4"))
        rows = [rows_where(table, path) for table in tables]

        def apart(frame, path=path):
            others = [place for other in paths if other is not path and (place := other(frame - 1)) is not None]
            return all(np.linalg.norm(np.subtract(place, path(frame - 1))) > 90 for place in others)

        both = [frame for frame in rows[1] if frame in rows[0] and frame in rows[2] and apart(frame)]
        assert len(both) > 0.4 * len(rows[1])
        decided = [table.present[[row[frame] for frame in both]] for table, row in zip(tables, rows, strict=True)]
        shares.append([float((part == decided[1]).mean()) for part in (decided[0], decided[2])])
    for with_others, coded_anew in shares:
        assert with_others > least and with_others > coded_anew - behind, shares
