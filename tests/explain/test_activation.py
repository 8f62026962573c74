"""Gradient ascent: each operator against SciPy, the loop against a plain transcription, and best pictures known beforehand; how
much of a filter is colour, on filters whose share is known.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from au_jax.explain import activation
from au_jax.explain.activation import ASCENT_PRESETS, AscentSettings

UNITS, SIDE = 3, 12
MEAN = np.random.default_rng(5).uniform(60, 190, (SIDE, SIDE, 3)).astype(np.float32)


@pytest.mark.parametrize("deviation", [0.5, 1.0, 2.3])
def test_blur_is_that_of_scipy(deviation):
    pictures = np.random.default_rng(0).normal(size=(2, 17, 14, 3)).astype(np.float32)
    expected = ndimage.gaussian_filter(pictures, (0, deviation, deviation, 0))
    np.testing.assert_allclose(activation.gaussian_blur(jnp.asarray(pictures), deviation), expected, atol=1e-6)


def test_small_pixels_are_cleared_and_others_left():
    picture = np.zeros((1, 5, 3), np.float32)
    picture[0, :, 0], picture[0, :, 1] = [3, 1, 0, 6, 2], [4, 0, 2, -8, 0]  # norms 5, 1, 2, 10, 2
    norms = jnp.linalg.norm(jnp.asarray(picture), axis=-1)
    # The 40th percentile of 1, 2, 2, 5, 10 is 2; what equals it stays.
    kept = np.asarray(activation.clear_below_percentile(jnp.asarray(picture), norms, 40.0))
    np.testing.assert_array_equal(kept[0, [0, 2, 3, 4]], picture[0, [0, 2, 3, 4]])
    np.testing.assert_array_equal(kept[0, 1], 0)


def curved_score(seed=1):
    """Scores w.x + q.sin(x / 40) with its gradient: what a loop in NumPy can follow without a network."""
    rng = np.random.default_rng(seed)
    shape = (UNITS, SIDE, SIDE, 3)
    linear, waved = rng.normal(size=shape) * 0.02, rng.normal(size=shape)
    # Blobs, so that the regularisers have something to keep.
    linear = ndimage.gaussian_filter(linear, (0, 1.5, 1.5, 0)).astype(np.float32)
    waved = ndimage.gaussian_filter(waved, (0, 1.0, 1.0, 0)).astype(np.float32)

    def score(pictures):
        flat = pictures.reshape(len(pictures), -1)
        return flat @ linear.reshape(UNITS, -1).T + jnp.sin(flat / 40.0) @ waved.reshape(UNITS, -1).T

    def score_and_gradient(picture, unit):
        value = (linear[unit] * picture + waved[unit] * np.sin(picture / 40.0)).sum()
        return value, linear[unit] + waved[unit] * np.cos(picture / 40.0) / 40.0

    return score, score_and_gradient


def transcription(score_and_gradient, picture, mean, unit, settings):
    """One unit's ascent, line by line in NumPy and SciPy (float64)."""
    best, best_score = None, -np.inf
    for iteration in range(settings.iterations):
        picture = np.clip(picture + mean, 0.0, 255.0) - mean
        score, gradient = score_and_gradient(picture, unit)
        if score > best_score:
            best, best_score = picture, score
        if iteration == settings.iterations - 1:
            return picture, score, best, best_score
        rate = settings.rate or min(settings.largest_rate, settings.progress / np.linalg.norm(gradient) ** 2)
        picture = (picture + rate * gradient) * (1 - settings.decay)
        if settings.blur and iteration % settings.blur_every == 0:
            picture = np.stack([ndimage.gaussian_filter(picture[..., c], settings.blur) for c in range(3)], -1)
        if settings.norm_percentile:
            norms = np.linalg.norm(picture, axis=-1)
            picture = picture * (norms >= np.percentile(norms, settings.norm_percentile))[..., None]
        if settings.contribution_percentile:
            contribution = np.abs((gradient * picture).sum(-1))
            picture = (
                picture * (contribution >= np.percentile(contribution, settings.contribution_percentile))[..., None]
            )
    raise AssertionError("the loop returns")


@pytest.mark.parametrize("name", ASCENT_PRESETS)
def test_every_preset_climbs_as_a_transcription_does(name):
    settings = AscentSettings(**{**vars(ASCENT_PRESETS[name]), "iterations": 14})
    score, score_and_gradient = curved_score()
    begin = activation.random_start(jax.random.key(0), UNITS, SIDE, SIDE)
    *_, climb = activation.ascend(score, MEAN, settings, begin)
    for unit in range(UNITS):
        last, last_score, best, best_score = transcription(
            score_and_gradient, np.asarray(begin.picture[unit], np.float64), MEAN.astype(np.float64), unit, settings
        )
        np.testing.assert_allclose(climb.picture[unit], last, atol=2e-3)
        np.testing.assert_allclose(climb.best[unit], best, atol=2e-3)
        np.testing.assert_allclose([climb.score[unit], climb.best_score[unit]], [last_score, best_score], rtol=1e-4)


def test_the_end_is_the_end_wherever_the_compiled_program_stops():
    settings = AscentSettings(decay=0.01, blur=0.5, norm_percentile=20.0, iterations=6)  # of 8 that are computed
    score, score_and_gradient = curved_score()
    begin = activation.random_start(jax.random.key(1), UNITS, SIDE, SIDE)
    *_, climb = activation.ascend(score, MEAN, settings, begin)
    last, *_ = transcription(score_and_gradient, np.asarray(begin.picture[0], np.float64), MEAN, 0, settings)
    np.testing.assert_allclose(climb.picture[0], last, atol=1e-3)
    after = activation.make_ascent(score, MEAN, settings)(climb, 8)
    jax.tree.map(np.testing.assert_array_equal, after, climb)


@pytest.mark.parametrize("percent", [0.0, 7.0, 20.0, 50.0, 90.0, 99.9])
def test_percentiles_are_those_of_numpy(percent):
    rng = np.random.default_rng(3)
    for values in (
        rng.exponential(size=201),
        np.round(rng.exponential(size=64), 1),
        np.zeros(9),
        np.array([3.0, 1e-30]),
    ):
        found = jax.jit(activation.percentile, static_argnums=1)(values.astype(np.float32), percent)
        np.testing.assert_allclose(found, np.percentile(values.astype(np.float32), percent), rtol=1e-6)


def test_a_linear_network_gets_the_picture_of_its_weights():
    weights = np.random.default_rng(2).choice([-1.0, 1.0], (UNITS, SIDE, SIDE, 3)).astype(np.float32)

    def score(pictures):
        return pictures.reshape(len(pictures), -1) @ weights.reshape(UNITS, -1).T

    settings = AscentSettings(rate=10.0, iterations=60)
    *_, climb = activation.ascend(score, MEAN, settings, activation.random_start(jax.random.key(0), UNITS, SIDE, SIDE))
    # Every pixel ends as bright or as dark as it can be.
    np.testing.assert_allclose(np.asarray(climb.best) + MEAN, np.where(weights > 0, 255.0, 0.0), atol=1e-3)
    assert (np.asarray(score(climb.best)).argmax(1) == np.arange(UNITS)).all()


def test_a_gradient_of_zero_leaves_the_picture():
    settings = AscentSettings(iterations=3)
    begin = activation.random_start(jax.random.key(0), UNITS, SIDE, SIDE)
    *_, climb = activation.ascend(lambda x: jnp.zeros((len(x), UNITS)), MEAN, settings, begin)
    np.testing.assert_array_equal(climb.picture, begin.picture)
    np.testing.assert_array_equal(climb.best_score, 0)


def test_the_start_is_noise_of_ten_grey_levels():
    picture = np.asarray(activation.random_start(jax.random.key(0), 2, 60, 60).picture)
    assert abs(picture.mean()) < 0.3 and abs(picture.std() - 10) < 0.3


def test_presets_are_those_of_the_sources():
    assert ASCENT_PRESETS["paper"].iterations == 10_000
    assert (ASCENT_PRESETS["yosinski1"].norm_percentile, ASCENT_PRESETS["yosinski1"].blur) == (50.0, 0.5)
    assert (ASCENT_PRESETS["yosinski2"].decay, ASCENT_PRESETS["yosinski2"].rate) == (0.3, 100.0)
    assert (ASCENT_PRESETS["yosinski3"].decay, ASCENT_PRESETS["yosinski3"].blur) == (1e-4, 1.0)
    assert (ASCENT_PRESETS["yosinski4"].contribution_percentile, ASCENT_PRESETS["yosinski4"].largest_rate) == (
        90.0,
        1e8,
    )


def test_region_is_where_the_change_is_and_energy_is_shared_out():
    movement = np.zeros((4, 4, 2))
    movement[0, 1], movement[3, 3], movement[2, 2, 0] = (-3, 4), (2, 0), 1  # squares 25, 4, 1
    region = activation.moved_region(movement, share=0.8)
    assert region.sum() == 1 and region[0, 1]
    assert activation.moved_region(movement, share=0.9).sum() == 2
    with pytest.raises(ValueError, match="nothing moves"):
        activation.moved_region(np.zeros((4, 4, 2)))

    pictures = np.zeros((2, 4, 4, 3))
    pictures[0, 0, 1, 0], pictures[0, 2, 2, 1] = 3.0, 1.0  # energy 9 inside, 1 outside
    pictures[1] = 1.0
    shares = activation.energy_shares(pictures, np.stack([region, ~region]))
    np.testing.assert_allclose(shares, [[0.9, 0.1], [1 / 16, 15 / 16]])


def test_grey_filters_have_no_colour_and_opponent_filters_nothing_else():
    pattern = np.random.default_rng(0).normal(size=(5, 5))
    grey = np.stack([pattern] * 3, -1)
    opponent = np.stack([pattern, -pattern, 0 * pattern], -1)
    blue = np.stack([0 * pattern, 0 * pattern, pattern], -1)
    shares = activation.chromatic_shares(np.stack([grey, opponent, blue, 0 * grey], -1))
    # One channel alone is a third grey: (b/3)^2 x 3 of b^2.
    np.testing.assert_allclose(shares[:3], [0.0, 1.0, 2 / 3], atol=1e-12)
    assert np.isnan(shares[3])


def test_large_filters_count_for_more():
    grey, colour = np.ones((2, 2, 3)), np.zeros((2, 2, 3))
    colour[..., 0], colour[..., 1] = 1.0, -1.0
    # Energies 12 x 9 grey and 8 chromatic.
    assert activation.chromatic_share(np.stack([3 * grey, colour], -1)) == pytest.approx(8 / 116)
    with pytest.raises(ValueError, match="all zero"):
        activation.chromatic_share(np.zeros((2, 2, 3, 4)))
    with pytest.raises(ValueError, match="found .2, 2, 1, 4."):
        activation.chromatic_share(np.zeros((2, 2, 1, 4)))


def test_untrained_filters_are_two_thirds_colour():
    kernels = np.random.default_rng(0).normal(size=(11, 11, 3, 96))
    assert activation.chromatic_share(kernels) == pytest.approx(activation.UNTRAINED_SHARE, abs=0.01)


def test_pictures_put_zero_at_mid_grey_and_fill_the_range():
    kernels = np.random.default_rng(0).normal(size=(3, 3, 3, 2)) * np.array([1.0, 1e-3])
    kernels[0, 0, 0] = 0.0
    pictures = activation.filter_pictures(kernels)
    assert pictures.shape == (2, 3, 3, 3)
    np.testing.assert_array_equal(pictures[:, 0, 0, 0], 0.5)
    np.testing.assert_allclose(np.abs(pictures - 0.5).max((1, 2, 3)), 0.5)
    np.testing.assert_allclose(pictures[1], 0.5 + 0.5 * kernels[..., 1] / np.abs(kernels[..., 1]).max())
