"""Where the landmarks are: at rest on the template, moved by each AU as FACS says."""

import numpy as np

from au_jax.faces.registration import TEMPLATE
from au_jax.synthfacs import AUS, scene
from au_jax.synthfacs.identity import draw_identity, expression_drive
from au_jax.synthfacs.motion import still_motion


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


def test_landmarks_of_lip_tightener_and_pressor_differ():
    before, tight = _points([{}, {23: 5.0}])
    _, press = _points([{}, {24: 5.0}])
    width = lambda p: p[37, 0] - p[31, 0]  # noqa: E731
    height = lambda p: p[40, 1] - p[34, 1]  # noqa: E731
    assert width(tight) < width(press) < width(before)
    assert height(press) < height(tight) < height(before)


def test_the_closed_form_of_registration_brings_landmarks_onto_the_template():
    rng = np.random.default_rng(0)
    seen = TEMPLATE[None] * 1.3 + rng.normal(0, 0.5, (4, 49, 2)) + 20.0
    matrices = scene.registrations(seen, 100)
    moved = scene.applied(matrices, seen)
    np.testing.assert_allclose(moved.mean(1), np.tile(TEMPLATE.mean(0) / 2, (4, 1)), atol=1e-6)
    assert np.abs(moved - TEMPLATE / 2).mean() < 0.5
    np.testing.assert_allclose(scene.applied(scene.inverted(matrices), moved), seen, atol=1e-9)


def test_rotations_turn_the_head_to_the_side_and_down():
    np.testing.assert_allclose(scene.rotations(np.zeros((2, 3))), np.tile(np.eye(3), (2, 1, 1)))
    yaw = scene.rotations(np.array([[np.pi / 2, 0.0, 0.0]]))[0]
    np.testing.assert_allclose(yaw @ [0, 0, 1], [1, 0, 0], atol=1e-12)
