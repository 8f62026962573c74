"""Dropout by bits: how many numbers are zeroed, the scale of the rest, and masks shared along an axis."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from au_jax.models.lstm import BitDropout


def _drop(rate, x, deterministic=False, **options):
    return np.asarray(BitDropout(rate, **options).apply({}, x, deterministic, rngs={"dropout": jax.random.key(0)}))


@pytest.mark.parametrize(("rate", "kept"), [(0.5, 128), (0.25, 192), (0.8125, 48), (0.2, 205), (0.9, 26)])
def test_share_and_scale_of_what_is_kept(rate, kept):
    dropped = _drop(rate, jnp.full((101, 333), 3.0))
    share = kept / 256
    assert share == pytest.approx(1 - rate, abs=1 / 512)
    # Five standard deviations of a binomial of 33,633 draws.
    assert np.mean(dropped > 0) == pytest.approx(share, abs=5 * (share * (1 - share) / dropped.size) ** 0.5)
    np.testing.assert_allclose(dropped[dropped > 0], 3.0 / share, rtol=1e-6)


def test_neighbours_are_independent():
    mask = _drop(0.5, jnp.ones((64, 1000))).reshape(-1) > 0
    for lag in (1, 2, 3, 4, 8, 31, 32, 33, 1000):
        assert np.corrcoef(mask[:-lag], mask[lag:])[0, 1] == pytest.approx(0, abs=5 / mask.size**0.5)


def test_nothing_and_everything():
    x = jnp.asarray([[1.0, 2.0, 3.0]])
    np.testing.assert_array_equal(_drop(0.0, x), x)
    np.testing.assert_array_equal(_drop(0.5, x, deterministic=True), x)
    np.testing.assert_array_equal(_drop(1.0, x), jnp.zeros_like(x))


def test_one_mask_along_an_axis():
    dropped = _drop(0.5, jnp.ones((2, 9, 50)), broadcast_dims=(1,))
    np.testing.assert_array_equal(dropped, np.broadcast_to(dropped[:, :1], dropped.shape))
    assert 0 < (dropped[:, 0] == 0).mean() < 1
