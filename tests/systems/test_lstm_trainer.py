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
