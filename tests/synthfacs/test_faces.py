"""The drawn face: what each AU does to landmarks and pixels."""

import functools

import numpy as np
import pytest

from au_jax.faces.registration import TEMPLATE
from au_jax.synthfacs import AUS, draw_face, draw_faces, scene
from au_jax.synthfacs.expression import DRIVERS, movement_basis
from au_jax.synthfacs.identity import draw_identity, expression_drive
from au_jax.synthfacs.motion import covered, occluder_form, still_motion

SIZE = 40
PEOPLE = (5, 7, 11)


@functools.cache
def _faces():
    """Per person: pictures [13, S, S, 3] float (neutral, then each AU at intensity D+)."""
    expressions = [{}, *({au: 4.5} for au in AUS)]
    return [draw_faces(person, expressions, SIZE, steady=True)[0].astype(float) for person in PEOPLE]


def _points(intensities, spread=1.0, seed=0):
    """Landmarks in a camera that does not move, canonical units, [T, 49, 2]."""
    identity = draw_identity(np.random.default_rng(seed), spread)
    rows = np.zeros((len(intensities), len(AUS)))
    for row, expression in zip(rows, intensities, strict=True):
        for au, value in expression.items():
            row[AUS.index(au)] = value
    drive = expression_drive(identity, rows, 1.0, np.zeros(len(rows)))
    return scene.track(identity, drive, still_motion(len(rows))).landmarks


def test_the_mean_person_at_rest_lies_on_the_template():
    points = np.mean([_points([{}], spread=0.0, seed=seed)[0] for seed in range(20)], axis=0)
    assert np.abs(points + scene.PIVOT - TEMPLATE).max() < 2.0


def _moves(au):
    before, after = _points([{}, {au: 5.0}])
    return after - before


def test_landmarks_follow_the_brows():
    assert _moves(1)[[4, 5], 1].max() < -5 and abs(_moves(1)[[0, 9], 1]).max() < 2  # inner ends up, outer ends stay
    assert _moves(2)[[0, 1, 8, 9], 1].max() < -4 and abs(_moves(2)[[4, 5], 1]).max() < 3
    frown = _moves(4)
    assert frown[[3, 4, 5, 6], 1].min() > 3 and frown[4, 0] > 2 and frown[5, 0] < -2  # down and together


def test_landmarks_follow_the_lids():
    for au in (6, 7):
        move = _moves(au)
        assert move[[23, 24, 29, 30], 1].max() < -1.0  # lower lids up
    assert _moves(7)[[20, 21, 26, 27], 1].min() > 1.0  # upper lids down


def test_landmarks_follow_the_mouth():
    smile, sad, chin, narrow, press, lift = (_moves(au) for au in (12, 15, 17, 23, 24, 10))
    assert smile[[31, 37], 1].max() < -5 and smile[31, 0] < -5 and smile[37, 0] > 5  # corners up and out
    assert sad[[31, 37], 1].min() > 5
    assert chin[[39, 40, 41], 1].max() < -3
    assert narrow[31, 0] > 2 and narrow[37, 0] < -2
    assert press[34, 1] > 2 and press[40, 1] < -3  # red parts thinner from both sides
    assert lift[[33, 34, 35], 1].max() < -3


def test_every_driver_moves_something_and_mirrors():
    basis = movement_basis(TEMPLATE.astype(float))
    for index, driver in enumerate(DRIVERS):
        assert np.abs(basis[index]).max() > 0.3, driver
    mirrored = movement_basis(TEMPLATE * [-1.0, 1.0] + [200.0, 0.0])
    np.testing.assert_allclose(mirrored[:, 1] * [-1, 1], basis[:, 0], atol=1e-9)


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
    before, tight = _points([{}, {23: 5.0}])
    _, press = _points([{}, {24: 5.0}])
    width = lambda p: p[37, 0] - p[31, 0]  # noqa: E731
    height = lambda p: p[40, 1] - p[34, 1]  # noqa: E731
    assert width(tight) < width(press) < width(before)
    assert height(press) < height(tight) < height(before)


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


def test_occluders_cover_what_they_pass():
    capsules = occluder_form("cup", 0.0, 1.0)
    points = np.array([[0.0, 0.0], [200.0, 0.0]])
    np.testing.assert_array_equal(covered(points, capsules), [True, False])
    assert not covered(points, np.zeros((6, 6))).any()
