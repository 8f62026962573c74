"""The expected intensity of a cumulative logit, by its probabilities."""

import numpy as np
import pytest
from scipy.special import expit

from au_jax.models.ordinal import LETTER_COUNT, expected_intensity


def test_the_estimate_is_the_mean_of_the_distribution_over_intensities():
    generator = np.random.default_rng(0)
    features, weights = (
        generator.normal(size=(7, 3)).astype(np.float32),
        generator.normal(size=(3, 2)).astype(np.float32),
    )
    borders = np.sort(generator.normal(size=(LETTER_COUNT, 2)), 0).astype(np.float32)
    at_least = expit((features @ weights)[:, None] - borders)  # [N, 5, A]
    whole = np.concatenate([np.ones((7, 1, 2)), at_least, np.zeros((7, 1, 2))], 1)
    distribution = whole[:, :-1] - whole[:, 1:]  # of 0 to 5
    assert distribution.sum(1) == pytest.approx(np.ones((7, 2))) and (distribution > 0).all()
    expected = (np.arange(6)[:, None] * distribution).sum(1)
    np.testing.assert_allclose(expected_intensity(features, weights, borders), expected, atol=1e-5)


def test_letters_that_were_never_seen_are_never_said_and_an_au_without_any_has_none():
    borders = np.array([[0.0, np.nan]] + [[np.inf, np.nan]] * 4, np.float32)
    found = np.asarray(
        expected_intensity(np.array([[1000.0], [-1000.0]], np.float32), np.ones((1, 2), np.float32), borders)
    )
    assert found[:, 0].tolist() == [1.0, 0.0] and np.isnan(found[:, 1]).all()
