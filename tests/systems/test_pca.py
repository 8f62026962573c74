"""PCA keeps as few components as hold the energy asked for, and projects onto them."""

import numpy as np
import pytest

from au_jax.models.hybrid import project
from au_jax.systems.pca import fit_components


@pytest.fixture
def rows():
    # Variances 9, 4, 1 and 0 along the axes: shares 9/14, 13/14 and 1.
    scores = np.random.default_rng(0).normal(size=(200, 3))
    scores -= scores.mean(0)
    scores = np.linalg.qr(scores)[0] * np.sqrt(199) * [3.0, 2.0, 1.0]
    return np.concatenate([scores, np.zeros((200, 1))], 1).astype(np.float32) + np.float32(5.0)


@pytest.mark.parametrize(("energy", "most", "kept"), [(0.6, 4, 1), (0.9, 4, 2), (0.95, 4, 3), (0.95, 2, 2)])
def test_components_hold_the_energy_or_are_as_many_as_allowed(rows, energy, most, kept):
    components = fit_components(rows, energy, most)
    assert len(components.directions) == kept
    assert components.energy == pytest.approx(sum([9, 4, 1][:kept]) / 14, rel=1e-4)
    np.testing.assert_allclose(components.variances, [9, 4, 1][:kept], rtol=1e-4)


def test_projection_is_onto_the_axes_of_largest_variance(rows):
    components = fit_components(rows, 0.9, 4)
    projected = project(rows, components.mean, components.directions)
    assert projected.dtype == np.float32
    np.testing.assert_allclose(np.abs(projected), np.abs(rows[:, :2] - 5.0), atol=1e-4)
