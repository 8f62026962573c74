"""How much of a filter is colour, on filters whose share is known."""

import numpy as np
import pytest

from au_jax.explain import filters


def test_grey_filters_have_no_colour_and_opponent_filters_nothing_else():
    pattern = np.random.default_rng(0).normal(size=(5, 5))
    grey = np.stack([pattern] * 3, -1)
    opponent = np.stack([pattern, -pattern, 0 * pattern], -1)
    blue = np.stack([0 * pattern, 0 * pattern, pattern], -1)
    shares = filters.chromatic_shares(np.stack([grey, opponent, blue, 0 * grey], -1))
    # One channel alone is a third grey: (b/3)^2 x 3 of b^2.
    np.testing.assert_allclose(shares[:3], [0.0, 1.0, 2 / 3], atol=1e-12)
    assert np.isnan(shares[3])


def test_large_filters_count_for_more():
    grey, colour = np.ones((2, 2, 3)), np.zeros((2, 2, 3))
    colour[..., 0], colour[..., 1] = 1.0, -1.0
    # Energies 12 x 9 grey and 8 chromatic.
    assert filters.chromatic_share(np.stack([3 * grey, colour], -1)) == pytest.approx(8 / 116)
    with pytest.raises(ValueError, match="all zero"):
        filters.chromatic_share(np.zeros((2, 2, 3, 4)))
    with pytest.raises(ValueError, match="found .2, 2, 1, 4."):
        filters.chromatic_share(np.zeros((2, 2, 1, 4)))


def test_untrained_filters_are_two_thirds_colour():
    kernels = np.random.default_rng(0).normal(size=(11, 11, 3, 96))
    assert filters.chromatic_share(kernels) == pytest.approx(filters.UNTRAINED_SHARE, abs=0.01)


def test_pictures_put_zero_at_mid_grey_and_fill_the_range():
    kernels = np.random.default_rng(0).normal(size=(3, 3, 3, 2)) * np.array([1.0, 1e-3])
    kernels[0, 0, 0] = 0.0
    pictures = filters.filter_pictures(kernels)
    assert pictures.shape == (2, 3, 3, 3)
    np.testing.assert_array_equal(pictures[:, 0, 0, 0], 0.5)
    np.testing.assert_allclose(np.abs(pictures - 0.5).max((1, 2, 3)), 0.5)
    np.testing.assert_allclose(pictures[1], 0.5 + 0.5 * kernels[..., 1] / np.abs(kernels[..., 1]).max())
