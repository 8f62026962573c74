"""A step on two devices is the step on one."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from au_jax.training import parallel

pytestmark = pytest.mark.optax


def loss(params, constants, example, key):
    noise = jax.random.normal(key, example["x"].shape)
    error = jnp.sum((example["x"] + noise * constants["noise"]) * params["w"]) - example["y"]
    return error**2 * example["mask"], example["mask"]


def batch(count):
    generator = np.random.default_rng(0)
    return {
        "x": generator.normal(size=(count, 3)).astype(np.float32),
        "y": generator.normal(size=count).astype(np.float32),
        "mask": np.ones(count, np.float32),
    }


def step(rows, devices, noise=0.5):
    """One update; with fewer devices than there are, the others get masked examples only."""
    params = {"w": jnp.ones(3)}
    tx = optax.sgd(0.1)
    sharded = parallel.shard(rows, devices)
    if devices == 1:
        # The one device's block first, padding on the second.
        sharded = {name: np.concatenate([part, np.zeros_like(part)]) for name, part in sharded.items()}
    train_step = parallel.make_train_step(loss, tx)
    params, _, value = train_step(params, tx.init(params), {"noise": jnp.float32(noise)}, sharded, jax.random.key(0))
    return np.asarray(params["w"]), float(value)


def test_two_devices_make_the_update_of_one_dropout_included():
    assert jax.local_device_count() == 2
    rows = batch(6)
    one, two = step(rows, 1), step(rows, 2)
    np.testing.assert_allclose(one[0], two[0], atol=1e-6)
    np.testing.assert_allclose(one[1], two[1], rtol=1e-6)


def test_an_odd_batch_is_padded_with_masked_examples():
    rows = batch(5)
    weights, value = step(rows, 2, noise=0.0)
    errors = rows["x"].sum(1) - rows["y"]
    np.testing.assert_allclose(value, (errors**2).mean(), rtol=1e-5)
    np.testing.assert_allclose(weights, 1 - 0.1 * (2 * errors[:, None] * rows["x"]).mean(0), rtol=1e-5)


def test_every_device_draws_noise_of_its_own():
    params, tx = {"w": jnp.ones(3)}, optax.sgd(0.0)
    rows = {name: np.zeros_like(part) for name, part in batch(2).items()} | {"mask": np.ones(2, np.float32)}

    def noisy(params, constants, example, key):
        return jax.random.normal(key) * params["w"].sum() * example["mask"], example["mask"]

    train_step = parallel.make_train_step(noisy, tx)
    _, _, value = train_step(params, tx.init(params), {}, parallel.shard(rows), jax.random.key(0))
    keys = [jax.random.fold_in(jax.random.key(0), number) for number in range(2)]
    np.testing.assert_allclose(float(value), np.mean([3 * float(jax.random.normal(key)) for key in keys]), rtol=1e-5)


def test_forward_gives_back_the_rows_of_an_odd_batch():
    forward = parallel.make_forward(lambda params, rows: rows["x"] * params)
    rows = {"x": np.arange(5, dtype=np.float32)}
    np.testing.assert_array_equal(forward(jnp.float32(2.0), rows), 2 * rows["x"])
