"""Recomputing steps in the backward pass changes nothing but the memory."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from au_jax.config import get_config
from au_jax.systems import lstm_trainer

STEPS, WIDTH = 200, 8


def compiled(remat):
    """The compiled gradient of a batch's loss, dropout included, and its arguments."""
    config = get_config().lstm
    config.remat, config.hidden, config.layers, config.grad_threshold = remat, 64, 1, -1.0
    model = lstm_trainer.make_lstm(config, 12)
    generator = np.random.default_rng(0)
    batch = {
        "features": generator.normal(size=(4, STEPS, WIDTH)).astype(np.float32),
        "labels": generator.choice(np.array([-1, 0, 1], np.int8), size=(4, STEPS, 12)),
        "reset": np.zeros((4, STEPS), bool),
        "mask": np.ones((4, STEPS), np.float32),
    }
    loss = partial(lstm_trainer.example_loss, model, config)

    def total(params, batch, keys):
        losses, weights = jax.vmap(loss, in_axes=(None, None, 0, 0))(params, {}, batch, keys)
        return losses.sum() / weights.sum()

    arguments = (
        lstm_trainer.initial_params(model, WIDTH, jax.random.key(0)),
        jax.tree.map(jnp.asarray, batch),
        jax.random.split(jax.random.key(1), 4),
    )
    return jax.jit(jax.grad(total)).lower(*arguments).compile(), arguments


@pytest.mark.optax
def test_remat_keeps_the_gradients_and_takes_less_memory():
    plain, arguments = compiled(0)
    saving, _ = compiled(30)
    for one, other in zip(*(jax.tree.leaves(step(*arguments)) for step in (plain, saving)), strict=True):
        largest = np.abs(one).max()
        assert largest > 0
        np.testing.assert_allclose(one / largest, other / largest, atol=1e-6)
    assert saving.memory_analysis().temp_size_in_bytes < 0.8 * plain.memory_analysis().temp_size_in_bytes


@pytest.mark.optax
def test_noise_moves_all_frames_of_a_subsequence_alike_and_none_leaves_them(monkeypatch):
    config = get_config().lstm
    config.hidden, config.layers, config.dropout, config.loss = 4, 1, 0.0, "cross_entropy"
    model, seen = lstm_trainer.make_lstm(config, 12), []
    rng = np.random.default_rng(0)
    features = jnp.asarray(rng.normal(size=(6, WIDTH)), jnp.float32)
    example = {
        "features": features,
        "labels": jnp.asarray(rng.choice(np.array([-1, 1], np.int8), size=(6, 12))),
        "reset": jnp.zeros(6, bool),
        "mask": jnp.ones(6, jnp.float32),
    }
    params = lstm_trainer.initial_params(model, WIDTH, jax.random.key(0))
    apply = type(model).apply

    def watched(self, variables, inputs, *arguments, **options):
        seen.append(inputs[0])
        return apply(self, variables, inputs, *arguments, **options)

    monkeypatch.setattr(type(model), "apply", watched)
    config.noise = 0.5
    deviation = jnp.arange(WIDTH, dtype=jnp.float32)
    lstm_trainer.example_loss(model, config, params, {"noise": deviation}, example, jax.random.key(1))
    moved = np.asarray(seen[0] - features)
    np.testing.assert_allclose(moved, np.broadcast_to(moved[:1], moved.shape), atol=1e-6)
    # The first feature's deviation is 0, the others' are not.
    assert np.abs(moved[:, 0]).max() == 0 and (np.abs(moved[0, 1:]) > 1e-3).all()
    config.noise = 0.0
    lstm_trainer.example_loss(model, config, params, {}, example, jax.random.key(1))
    np.testing.assert_array_equal(seen[1], features)
