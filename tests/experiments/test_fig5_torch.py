"""The ascent in PyTorch and in JAX: the same network, the same climb, so that their speeds may be compared."""

import jax
import numpy as np
import pytest

from au_jax.explain import activation
from au_jax.models.cnn import AlexNet
from au_jax.systems.anet import initial_params


@pytest.mark.parametrize(("variant", "side"), [("demo", 36), ("drml_alexnet", 83), ("bvlc_alexnet", 83)])
def test_both_networks_give_the_same_scores(variant, side):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    from experiments.fig5_torch import score_in_torch

    model = AlexNet(variant, width=1 / 16, num_outputs=12)
    params = jax.jit(initial_params, static_argnums=(0, 1))(model, side, jax.random.key(0))
    pictures = np.random.default_rng(0).uniform(-120, 120, (12, side, side, 3)).astype(np.float32)
    ours = np.asarray(jax.jit(model.apply)({"params": params}, pictures)[0])
    with torch.no_grad():
        theirs = score_in_torch(model, params)(torch.tensor(pictures.transpose(0, 3, 1, 2).copy())).numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4 * np.abs(theirs).max())
    assert ours.std(0).min() > 0


@pytest.mark.parametrize("preset", ["paper", "yosinski4"])
def test_both_climb_alike(preset):
    pytest.importorskip("torch").set_num_threads(1)
    from experiments.fig5_torch import ascend_in_torch, score_in_torch

    model = AlexNet("demo", width=1 / 8, num_outputs=12)
    params = jax.jit(initial_params, static_argnums=(0, 1))(model, 20, jax.random.key(1))
    mean = np.random.default_rng(0).uniform(80, 160, (20, 20, 3)).astype(np.float32)
    settings = activation.AscentSettings(
        **{**vars(activation.ASCENT_PRESETS[preset]), "iterations": 6, "largest_rate": 100.0}
    )
    begin = activation.random_start(jax.random.key(0), 12, 20, 20)
    *_, climb = activation.ascend(lambda x: model.apply({"params": params}, x)[0], mean, settings, begin)
    pictures, scores = ascend_in_torch(score_in_torch(model, params), mean, settings, np.asarray(begin.picture))
    np.testing.assert_allclose(climb.best_score, scores, rtol=1e-3, atol=1e-4)
    # A pixel at a percentile may fall to either side.
    apart = np.abs(np.asarray(climb.best) - pictures).max(-1) > 1e-2
    assert apart.mean() < 0.01
