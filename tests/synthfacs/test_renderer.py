"""The drawn face: what each AU does to pixels, and pixels to their landmarks."""

import functools

import numpy as np
import pytest

from au_jax.faces.registration import TEMPLATE
from au_jax.synthfacs import AUS, draw_face, draw_faces

SIZE = 40
PEOPLE = (5, 7, 11)


@functools.cache
def _faces():
    """Per person: pictures [13, S, S, 3] float (neutral, then each AU at intensity D+)."""
    expressions = [{}, *({au: 4.5} for au in AUS)]
    return [draw_faces(person, expressions, SIZE, steady=True)[0].astype(float) for person in PEOPLE]


# Rows of the registered face (of 200) in which most of the change lies.
REGION = {1: (0, 62), 2: (0, 62), 4: (15, 75), 6: (45, 125), 7: (45, 95), 10: (85, 160), 12: (80, 160), 14: (110, 155)}
REGION |= {15: (115, 165), 17: (120, 185), 23: (105, 160), 24: (105, 160)}


def test_each_au_changes_pixels_mainly_where_its_muscle_is():
    for pictures in _faces():
        for k, au in enumerate(AUS):
            change = np.abs(pictures[1 + k] - pictures[0]).mean(2)
            assert change.max() > 20, f"AU {au} is invisible"
            first, last = (int(row / 200 * SIZE) for row in REGION[au])
            assert change[first : last + 1].sum() > 0.85 * change.sum(), f"AU {au}"


def test_lip_tightener_and_pressor_look_different():
    for pictures in _faces():
        tight, press = pictures[1 + AUS.index(23)], pictures[1 + AUS.index(24)]
        assert np.abs(tight - press)[23:31, 13:27].mean() > 5


def test_registered_faces_lie_on_the_template():
    _, landmarks = draw_face(5, {12: 3.0}, SIZE, yaw=0.2)
    scaled = TEMPLATE * (SIZE / 200)
    np.testing.assert_allclose(landmarks.mean(0), scaled.mean(0), atol=1e-3)
    assert np.abs(landmarks - scaled).mean() < 1.2


def test_pixels_move_with_their_landmarks_when_the_head_turns():
    # The dark iris is drawn where the eye landmarks say the eye is, whatever the pose.
    for yaw in (-0.3, 0.0, 0.3):
        picture, landmarks = draw_face(5, {}, SIZE, yaw=yaw)
        for eye in (slice(19, 25), slice(25, 31)):
            x, y = landmarks[eye].mean(0).round().astype(int)
            patch = picture[y - 2 : y + 3, x - 4 : x + 5].mean(2)
            row, column = np.unravel_index(np.argmin(patch), patch.shape)
            assert abs(row - 2) <= 1 and abs(column - 4) <= 2, yaw


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="cannot draw AU 5"):
        draw_faces(1, [{5: 3.0}], SIZE)
    with pytest.raises(ValueError, match="no view 'side'"):
        draw_face(1, {}, SIZE, "side")
