"""What moves beside the AUs: smooth processes, and things that pass in front of a face."""

import dataclasses

import numpy as np

from au_jax.synthfacs.motion import CAPSULES, KINDS, covered, draw_motion, drift, occluder_form, still_motion
from au_jax.synthfacs.presets import get_preset


def test_occluders_cover_what_they_pass():
    capsules = occluder_form("cup", 0.0, 1.0)
    points = np.array([[0.0, 0.0], [200.0, 0.0]])
    np.testing.assert_array_equal(covered(points, capsules), [True, False])
    assert not covered(points, np.zeros((CAPSULES, 6))).any()


def test_an_occluder_is_scaled_and_turned():
    for kind in KINDS:
        rows = occluder_form(kind, 0.0, 1.0)
        assert rows.shape == (CAPSULES, 6)
        np.testing.assert_allclose(occluder_form(kind, np.pi / 2, 2.0)[:, 0], -2 * rows[:, 1], atol=1e-9)
        np.testing.assert_allclose(occluder_form(kind, 0.7, 2.0)[:, [2, 5]], 2 * rows[:, [2, 5]])


def test_a_drift_is_smooth_and_of_unit_variance():
    wave = drift(np.random.default_rng(0), 20000, 0.4, 25.0)
    assert abs(wave.std() - 1) < 0.1 and np.diff(wave).std() < 0.2


def test_motion_is_drawn_for_every_frame_and_is_at_rest_where_it_is_asked_to_be():
    preset = dataclasses.replace(get_preset("tiny"), occlusion_rate=3.0)
    motion, rest = draw_motion(np.random.default_rng(1), 50, preset), still_motion(50)
    for field in dataclasses.fields(motion):
        assert getattr(motion, field.name).shape == getattr(rest, field.name).shape, field.name
    assert motion.occluder.any() and not rest.occluder.any()
    np.testing.assert_allclose(np.linalg.norm(motion.light, axis=1), 1.0)
    assert not rest.angles.any() and not rest.noise.any() and not rest.blink.any()
