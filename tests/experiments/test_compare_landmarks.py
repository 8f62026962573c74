"""The comparison of landmarks measures what it says: errors, jitter, found frames, and how far confidence can be trusted."""

import numpy as np
import pytest
from PIL import Image

from au_jax.faces.backends import BACKENDS
from au_jax.faces.registration import TEMPLATE
from au_jax.faces.tracking import INNER, Face
from experiments import compare_landmarks
from experiments.compare_landmarks import calibration, errors, jitter, measure, report, turned_head

EYES = float(np.linalg.norm(TEMPLATE[19] - TEMPLATE[28]))


def _videos(frames=4):
    """Two videos whose true landmarks move by two pixels a frame."""
    truth = TEMPLATE + 2 * np.arange(frames, dtype=np.float32)[:, None, None]
    return [(np.full((frames, 8, 8, 3), number, np.uint8), truth) for number in (10, 20)]


class _Tracker:
    """Sees the true landmarks of `_videos`, off by `off` pixels to the right in every other frame; misses frames of number 2."""

    def __init__(self, off, misses=False):
        self.off, self.misses, self.frame = off, misses, -1

    def find(self, image):
        self.frame += 1
        if self.misses and self.frame == 2:
            return None
        points = np.zeros((68, 2), np.float32)
        points[list(INNER)] = TEMPLATE + np.float32(2 * self.frame) + np.float32([self.off * (self.frame % 2), 0])
        return Face((0.0, 0.0, 9.0, 9.0), 0.85, points)


def test_errors_are_percent_of_the_distance_of_the_outer_eye_corners():
    apart = errors(TEMPLATE[None] + np.array([3.0, 4.0]), TEMPLATE[None].astype(np.float64))
    np.testing.assert_allclose(apart, np.full((1, 49), 500 / EYES), rtol=1e-5)


def test_jitter_is_what_landmarks_move_beyond_the_face():
    truth = np.stack([TEMPLATE, TEMPLATE + 10, TEMPLATE + 20]).astype(np.float64)
    off = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0]])[:, None]
    np.testing.assert_allclose(jitter(truth + off, truth), [100 / EYES, 0], atol=1e-6)


def test_a_row_has_each_backends_own_figures(monkeypatch):
    trackers = {"dlib": lambda: _Tracker(4.0, misses=True), "mesh": lambda: _Tracker(2.0)}
    monkeypatch.setattr(compare_landmarks, "make_tracker", lambda name: trackers[name]())
    rows = measure(_videos())
    assert (rows["dlib"]["found"], rows["mesh"]["found"]) == (0.75, 1.0)
    # Of the four frames every second is off, and each of the three steps is one of that size.
    assert rows["mesh"]["error"] == pytest.approx(100 / EYES, rel=1e-5) and rows["mesh"]["jitter"] == pytest.approx(
        200 / EYES
    )
    assert rows["mesh"]["error_p90"] == pytest.approx(200 / EYES) and set(rows["mesh"]["parts"]) == set(
        compare_landmarks.PARTS
    )
    # Off in the second and the fourth of three frames that were found; without the third only the first step is known.
    assert rows["dlib"]["error"] == pytest.approx(400 / EYES) and rows["dlib"]["jitter"] == pytest.approx(400 / EYES)
    whole, confidence = rows["dlib"].pop("raw")
    assert np.isnan(whole[[2, 6]]).all() and np.isfinite(confidence).sum() == 6
    result = {
        "tables": {"Scenes": {"drawn": rows}},
        "calibration": {name: calibration(whole, confidence) for name in BACKENDS},
    }
    text = report(result)
    assert (
        "| drawn | dlib | 75.0 |" in text and "| drawn | mesh | 100.0 |" in text and "| mesh | 0.8 to 0.9 | 6 |" in text
    )


def test_confidence_is_compared_with_how_often_landmarks_are_right():
    rows = calibration(np.array([1.0, 9.0, 2.0, 20.0]), np.array([0.95, 0.92, 0.85, 0.2]))
    assert [(row["frames"], row["right"]) for row in rows] == [(1, 0.0), (0, None), (1, 1.0), (2, 0.5)]


def test_a_rolled_head_has_its_landmarks_turned_with_the_picture(monkeypatch):
    point = np.array([70.0, 40.0])

    def draw_faces(person, expressions, size, view, world):
        picture = np.full((1, size, size, 3), 9, np.uint8)
        picture[0, 38:43, 68:73] = 255
        return picture, np.tile(point, (1, 49, 1)).astype(np.float32)

    monkeypatch.setattr(compare_landmarks, "draw_faces", draw_faces)
    for degrees in (30, 90, 180):
        pictures, landmarks = turned_head("roll", degrees, 1)
        assert pictures.shape == (2, 256, 256, 3) and landmarks.shape == (2, 49, 2)
        x, y = landmarks[0, 0].round().astype(int)
        assert pictures[0, y, x].min() > 200


def test_pictures_are_looked_at_by_both_and_drawn_side_by_side(monkeypatch, tmp_path):
    Image.new("RGB", (60, 50), (40, 40, 40)).save(tmp_path / "a.png")
    (tmp_path / "notes.txt").write_text("no picture")
    trackers = {"dlib": lambda: _Tracker(0.0), "mesh": lambda: _Tracker(0.0)}
    monkeypatch.setattr(compare_landmarks, "make_tracker", lambda name: trackers[name]())
    (row,), sheet = compare_landmarks.look(tmp_path)
    assert row["picture"] == "a.png" and row["apart"] == 0 and row["mesh"] == {"confidence": 0.85, "faces": 1}
    assert sheet.size == (800, 400)


def test_recordings_are_such_as_prepare_reads(monkeypatch, tmp_path):
    pytest.importorskip("av")
    from types import SimpleNamespace

    from au_jax.config import DataConfig
    from au_jax.data.readers import make_reader

    labels = np.tile(np.array([[1], [-1], [0]], np.int8), (1, 12))
    chunk = SimpleNamespace(frames=np.zeros((3, 224, 224, 3), np.uint8), labels=labels)
    monkeypatch.setattr(compare_landmarks, "render_video", lambda *options: iter([chunk]))
    compare_landmarks.write_recordings(tmp_path / "raw", 2)
    reader = make_reader(DataConfig(source="folder", raw=str(tmp_path / "raw"), aus=(1, 12), landmarks="mesh"))
    first, second = reader.recordings()
    assert (first.subject, second.subject, first.video) == ("S001", "S002", "T1")
    assert reader.codes(first).labels.tolist() == [[1, 1], [-1, -1], [0, 0]]
