"""Pictures that stand on their heads, lie on their side or are nearly black are told, and others are not."""

import numpy as np
import pytest

pytest.importorskip("dlib")

from au_jax.faces import blazeface
from au_jax.faces.absence import better_turn
from au_jax.faces.face_doubts import FaceDoubts
from au_jax.faces.tracking import FaceTracker


def lines_of(pictures):
    doubts, tracker = FaceDoubts(), FaceTracker()
    for picture in pictures:
        doubts.look(picture, tracker.find(picture))
    return doubts.lines()


@pytest.mark.parametrize(("turns", "rotate"), [(1, 90), (2, 180), (3, 270)])
def test_a_picture_that_does_not_stand_upright_is_told_with_the_flag_that_mends_it(scene, turns, rotate):
    # np.rot90 turns counter-clockwise, --rotate clockwise.
    pictures = [np.ascontiguousarray(np.rot90(picture, turns)) for picture in scene[0][::9]]
    assert {better_turn(picture) for picture in pictures} == {rotate}
    (line, *_) = lines_of(pictures)
    assert line.startswith("the picture " + ("stands on its head" if rotate == 180 else "lies on its side"))
    assert f"--rotate={rotate} " in line and f"--config.data.rotate={rotate}" in line


def test_an_upright_picture_is_not_doubted(scene):
    assert [better_turn(picture) for picture in scene[0][::8]] == [None] * len(scene[0][::8])
    assert lines_of(scene[0][::9]) == []


def test_nobody_in_the_picture_is_no_reason_to_turn_it():
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    assert better_turn(noise) is None and lines_of([noise] * 3) == []


def test_nearly_black_frames_are_the_reason(scene):
    dark = [(picture // 24).astype(np.uint8) for picture in scene[0][:4]]
    doubts = FaceDoubts()
    for picture in dark:
        doubts.look(picture, None)
    assert doubts.lines() == ["no face was found in 4 frames, which are nearly black"]


def test_uncertain_faces_are_told_with_their_confidence(scene):
    from au_jax.faces.tracking import Face

    doubts = FaceDoubts()
    for confidence in (0.41, 0.5, 0.66):
        doubts.look(scene[0][0], Face((10.0, 10.0, 80.0, 80.0), confidence, np.zeros((68, 2), np.float32)))
    (line,) = doubts.lines()
    assert "half of the 3 that were found have a confidence below 0.50" in line


def test_few_frames_are_looked_at_however_long_the_recording_is(monkeypatch):
    from au_jax.faces import face_doubts

    looked = []
    monkeypatch.setattr(face_doubts, "better_turn", lambda image, landmarks: looked.append(1))
    doubts = FaceDoubts()
    for _ in range(5000):
        doubts.look(np.zeros((8, 8, 3), np.uint8), None)
    assert len(looked) == 12


@pytest.mark.skipif(not blazeface.is_installed(), reason="the face mesh is not installed: make mesh")
@pytest.mark.parametrize(("turns", "rotate"), [(0, None), (1, 90), (2, 180), (3, 270)])
def test_the_face_mesh_tells_the_same_turns(scene, turns, rotate):
    for picture in scene[0][::12]:
        assert better_turn(np.ascontiguousarray(np.rot90(picture, turns)), "mesh") == rotate
