"""Movements of the face: every driver moves something, and both sides move alike."""

import numpy as np

from au_jax.faces.registration import TEMPLATE
from au_jax.synthfacs.expression import DRIVERS, LIP_FIELDS, lip_curves, movement_basis
from au_jax.synthfacs.presets import AUS


def test_drivers_are_the_aus_then_the_jaw_then_the_persons_shape():
    assert DRIVERS[: len(AUS)] == tuple(f"AU{au}" for au in AUS) and DRIVERS[len(AUS)] == "jaw"


def test_every_driver_moves_something_and_mirrors():
    basis = movement_basis(TEMPLATE.astype(float))
    for index, driver in enumerate(DRIVERS):
        assert np.abs(basis[index]).max() > 0.3, driver
    mirrored = movement_basis(TEMPLATE * [-1.0, 1.0] + [200.0, 0.0])
    np.testing.assert_allclose(mirrored[:, 1] * [-1, 1], basis[:, 0], atol=1e-9)


def test_the_curves_of_a_mouth_meet_at_its_corners_and_are_in_order_between():
    mouth = [60.0, 130.0, 140.0, 132.0, 1.0, 3.0, 3.0, 4.0, 5.0, 5.0, 6.0, 6.0, 0.0, 0.0, 0.0, 0.0]
    assert len(mouth) == len(LIP_FIELDS)
    s = np.linspace(0, 1, 21)
    curves = np.stack(lip_curves(mouth, s))
    np.testing.assert_allclose(curves[:, 0], 130.0)
    np.testing.assert_allclose(curves[:, -1], 132.0)
    assert (np.diff(curves, axis=0)[:, 1:-1] > 0).all()
