"""Why there is no face: too small, too dark, turned, somebody else's, unreadable, or nobody there (P4 of the cases)."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("dlib")

from au_jax.faces import absence, blazeface
from au_jax.faces.absence import Absence, count_reasons, why_no_face
from au_jax.faces.face_doubts import FaceDoubts
from au_jax.faces.tracking import FaceTracker


@pytest.fixture(scope="module")
def small():
    """A photograph of a person whose eyes are 19 pixels apart, at the size of a video."""
    photograph = pytest.importorskip("skimage.data").astronaut()
    side = round(512 * 19 / 43)
    picture = np.full((360, 640, 3), 110, np.uint8)
    picture[60 : 60 + side, 200 : 200 + side] = np.asarray(Image.fromarray(photograph).resize((side, side)))
    return picture


def test_a_face_that_is_too_small_is_the_reason(small):
    assert FaceTracker().find(small) is None and why_no_face(small) == "too small"


def test_a_dark_an_empty_and_a_turned_picture_have_their_reasons(small, scene):
    head = scene[0][0]
    assert why_no_face(head // 24) == "too dark"
    assert why_no_face(np.full((360, 640, 3), 110, np.uint8)) == "none"
    assert why_no_face(np.ascontiguousarray(np.rot90(head))) == "turned"


@pytest.mark.skipif(not blazeface.is_installed(), reason="the face mesh is not installed: make mesh")
def test_the_face_mesh_gives_the_same_reasons(scene):
    head, grey = scene[0][0], np.full((360, 640, 3), 110, np.uint8)
    assert why_no_face(head // 24, landmarks="mesh") == "too dark"
    # Nobody is not a face that is seen weakly.
    assert why_no_face(grey, landmarks="mesh") == "none"
    assert why_no_face(np.ascontiguousarray(np.rot90(head)), landmarks="mesh") == "turned"
    # Seen in parts of the picture only.
    grey[60:90, 200:230] = np.asarray(Image.fromarray(head).resize((30, 30)))
    assert why_no_face(grey, landmarks="mesh") == "too small"


def test_a_frame_with_a_face_has_no_reason_and_one_without_a_picture_is_unreadable(small):
    reasons = Absence()
    assert reasons.reason(small, True, (0.0, 0.0, 9.0, 9.0)) == ""
    assert reasons.reason(None, False) == "unreadable"
    assert reasons.reason(small, False, other=True) == "another person"


def test_few_frames_are_looked_at_and_the_others_have_the_reason_of_the_one_before(monkeypatch):
    looked = []
    monkeypatch.setattr(
        absence, "why_no_face", lambda image, near, landmarks: looked.append(1) or f"look {len(looked)}"
    )
    reasons, grey = Absence(), np.full((8, 8, 3), 90, np.uint8)
    told = [reasons.reason(grey, False) for _ in range(16)]
    assert [int(text.split()[1]) for text in told] == [1, 2, 2, 3, 3, 3, 3, *[4] * 8, 5]
    # A face that comes and goes costs no more than a look in fifty frames.
    for _ in range(1000):
        reasons.reason(grey, True)
        reasons.reason(grey, False)
    assert len(looked) <= 8 + 2016 // 50


def test_the_reasons_are_counted_in_one_line():
    doubts, grey = FaceDoubts(), np.full((60, 80, 3), 90, np.uint8)
    for reason in ("too small", "too small", "turned"):
        doubts.look(grey, None, reason)
    assert doubts.lines() == ["no face was found in 3 of 3 frames: 2 too small, 1 turned"]
    assert count_reasons(Counter(a=1, b=1)) == "1 a, 1 b"
