"""The fusion network: sizes, what each variant computes, and gradients at zero scores."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from au_jax.models.fusion import FUSION_VARIANTS, Fusion

WINDOW = 5

# By hand: (24 or 12) x 64 + 64 + 64 x 12 + 12; features: (4096 + 256) x 64 + ..; mean: a scale and an offset, twice 12;
# temporal: twice the filter's weights more.
PARAMETERS = {"stacked": 2_380, "siamese": 1_612, "features": 279_372, "mean": 48, "temporal": 48 + 2 * WINDOW}


def _shapes(variant):
    return {"features": ((4096,), (256,)), "temporal": ((WINDOW, 12),) * 2}.get(variant, ((12,), (12,)))


@pytest.mark.parametrize("variant", PARAMETERS)
def test_number_of_parameters(variant):
    cnn, lstm = (jnp.zeros((1, *shape)) for shape in _shapes(variant))
    shapes = jax.eval_shape(Fusion(variant).init, jax.random.key(0), cnn, lstm)
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes["params"])) == PARAMETERS[variant]


def test_every_variant_has_a_row_in_the_table():
    assert set(PARAMETERS) == set(FUSION_VARIANTS)


def _scores(shape=(5, 12)):
    rng = np.random.default_rng(0)
    return (jnp.asarray(rng.normal(size=shape), jnp.float32), jnp.asarray(rng.uniform(-1, 1, shape), jnp.float32))


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("variant", ["stacked", "siamese"])
def test_logits_agree_with_numpy(variant, normalise):
    cnn, lstm = _scores()
    model = Fusion(variant, normalise=normalise)
    params = jax.jit(model.init)(jax.random.key(0), cnn, lstm)
    params = jax.tree.map(lambda leaf: leaf + 0.1, params)
    first, second = params["params"]["fc1"], params["params"]["fc2"]
    c, r = (np.asarray(s, np.float64) for s in (cnn, lstm))
    if normalise:
        c, r = c / np.linalg.norm(c, axis=1, keepdims=True), r / np.linalg.norm(r, axis=1, keepdims=True)
    w, b = np.asarray(first["kernel"], np.float64), np.asarray(first["bias"], np.float64)
    hidden = np.concatenate([c, r], 1) @ w + b if variant == "stacked" else (c @ w + b) + (r @ w + b)
    expected = np.maximum(hidden, 0) @ np.asarray(second["kernel"]) + np.asarray(second["bias"])
    np.testing.assert_allclose(jax.jit(model.apply)(params, cnn, lstm), expected, rtol=1e-4, atol=1e-5)


def test_mean_starts_as_the_plain_average_and_calibrates_per_au():
    cnn, lstm = _scores()
    model = Fusion("mean")
    params = jax.jit(model.init)(jax.random.key(0), cnn, lstm)
    np.testing.assert_allclose(jax.jit(model.apply)(params, cnn, lstm), 0.5 * (cnn + lstm), rtol=1e-6)
    params["params"]["cnn"]["scale"] = params["params"]["cnn"]["scale"].at[3].set(3.0)
    moved = jax.jit(model.apply)(params, cnn, lstm) - 0.5 * (cnn + lstm)
    np.testing.assert_allclose(moved[:, 3], cnn[:, 3], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(jnp.delete(moved, 3, axis=1), np.zeros((5, 11)), atol=1e-6)


def test_normalising_discards_the_magnitude_and_the_switch_keeps_it():
    cnn, lstm = _scores()
    for normalise, same in ((True, True), (False, False)):
        model = Fusion(normalise=normalise)
        params = jax.jit(model.init)(jax.random.key(0), cnn, lstm)
        louder = jax.jit(model.apply)(params, 10.0 * cnn, lstm)
        assert np.allclose(louder, jax.jit(model.apply)(params, cnn, lstm), atol=1e-5) == same


@pytest.mark.parametrize("variant", FUSION_VARIANTS)
def test_zero_scores_have_finite_gradients(variant):
    zeros = [jnp.zeros((2, 12)), jnp.zeros((2, 12))]
    model = Fusion(variant)
    params = jax.jit(model.init)(jax.random.key(0), *zeros)

    def loss(params, cnn, lstm):
        logits = jax.jit(model.apply)(params, cnn, lstm)
        return jnp.sum(logits**2 + logits)

    gradients = jax.jit(jax.grad(loss, argnums=(0, 1, 2)))(params, *zeros)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


@pytest.mark.parametrize("variant", FUSION_VARIANTS)
def test_any_leading_axes_give_the_same_logits(variant):
    row = (WINDOW, 12) if variant == "temporal" else (12,)
    cnn, lstm = _scores((2, 3, *row))
    model = Fusion(variant)
    params = jax.jit(model.init)(jax.random.key(0), cnn, lstm)
    flat = jax.jit(model.apply)(params, cnn.reshape(6, *row), lstm.reshape(6, *row))
    np.testing.assert_allclose(jax.jit(model.apply)(params, cnn, lstm).reshape(6, 12), flat, rtol=1e-5, atol=1e-6)


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="unknown fusion variant 'late'; choose from stacked, siamese"):
        Fusion("late").init(jax.random.key(0), *_scores())
    with pytest.raises(ValueError, match="needs scores of one width, got 12 from the CNN and 8 from the LSTM"):
        Fusion("siamese").init(jax.random.key(0), jnp.zeros((1, 12)), jnp.zeros((1, 8)))


def test_temporal_starts_as_the_mean_of_gaussian_averages_without_a_level():
    cnn, lstm = _scores((5, WINDOW, 12))
    model = Fusion("temporal", present=2, level=True)
    params = jax.jit(model.init)(jax.random.key(0), cnn, lstm)
    gaussian = np.exp(-np.array([4.0, 1.0, 0.0, 1.0]) / (2 * 1.5**2))
    gaussian /= gaussian.sum()
    averages = [np.einsum("nwa,w->na", rows[:, :4], gaussian) for rows in (cnn, lstm)]
    np.testing.assert_allclose(jax.jit(model.apply)(params, cnn, lstm), 0.5 * sum(averages), rtol=1e-4, atol=1e-5)
    alone = jax.jit(model.apply)(jax.jit(model.init)(jax.random.key(0), cnn, None), cnn, None)
    np.testing.assert_allclose(alone, averages[0], rtol=1e-4, atol=1e-5)


def test_temporal_weighs_the_window_for_all_aus_alike():
    cnn, _ = _scores((5, WINDOW, 12))
    model = Fusion("temporal", present=2)
    params = jax.jit(model.init)(jax.random.key(0), cnn, None)
    params["params"]["cnn"]["taps"] = jnp.array([0.5, 0.0, 0.0, 1.0, -2.0])
    expected = 0.5 * cnn[:, 0] + cnn[:, 3] - 2.0 * cnn[:, 4]
    np.testing.assert_allclose(jax.jit(model.apply)(params, cnn, None), expected, rtol=1e-4, atol=1e-5)


def test_only_temporal_does_without_the_lstm():
    with pytest.raises(ValueError, match="'mean' needs the LSTM's scores"):
        Fusion("mean").init(jax.random.key(0), jnp.zeros((1, 12)), None)
