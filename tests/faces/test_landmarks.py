"""dlib's detector in parts of an image, and what is said where it is not installed."""

import importlib.util
import sys

import numpy as np
import pytest

from au_jax.errors import UserError
from au_jax.faces import landmarks


def test_a_part_of_no_size_has_no_face():
    assert landmarks.detect(np.zeros((10, 10, 3), np.uint8), (20.0, 20.0, 5.0, 5.0), 1.0, 0.0) == []
    assert landmarks.detect(np.zeros((10, 10, 3), np.uint8), (0.0, 0.0, 4.0, 4.0), 0.01, 0.0) == []


def test_a_face_is_found_where_it_is_in_whichever_part_and_size_is_looked_at(scene):
    pytest.importorskip("dlib")
    image = scene[0][0]
    [(whole, score), *_] = landmarks.detect(image, (0.0, 0.0, 240.0, 240.0), 1.0, 0.0)
    assert score > 0 and 40 < whole[2] < 240
    [(larger, _), *_] = landmarks.detect(image, (0.0, 0.0, 240.0, 240.0), 2.0, 0.0)
    # The same face on a margin of 60 pixels: a window that reaches beyond the image is cut.
    padded = np.pad(image, ((60, 0), (60, 0), (0, 0)))
    [(moved, _), *_] = landmarks.detect(padded, (60.0, 60.0, 500.0, 500.0), 1.0, 0.0)
    np.testing.assert_allclose(np.array(larger), np.array(whole), atol=0.2 * whole[2])
    np.testing.assert_allclose(np.array(moved) - [60, 60, 0, 0], np.array(whole), atol=1)
    assert landmarks.detect(image, (0.0, 0.0, 240.0, 240.0), 1.0, score + 1) == []


def test_landmarks_lie_in_and_around_the_box_with_brows_above_the_mouth(scene):
    pytest.importorskip("dlib")
    if importlib.util.find_spec("face_recognition_models") is None:
        pytest.skip("face_recognition_models is not installed")
    image = scene[0][0]
    box = landmarks.detect(image, (0.0, 0.0, 240.0, 240.0), 1.0, 0.0)[0][0]
    points = landmarks.find_landmarks(image, box)
    assert points.shape == (68, 2) and points.dtype == np.float32 and (points == points.round()).all()
    brows, eyes, mouth = points[17:27], points[36:48], points[48:68]
    assert brows[:, 1].mean() < eyes[:, 1].mean() < mouth[:, 1].mean()
    # iBUG-68 begins with the eye that is on the left of the picture.
    assert points[36:42, 0].mean() < points[42:48, 0].mean()


def test_without_dlib_the_line_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(UserError, match=r"of which dlib is missing; make video, or pip install 'au_jax\[video\]'"):
        landmarks.find_landmarks(np.zeros((9, 9, 3), np.uint8), (0.0, 0.0, 5.0, 5.0))
