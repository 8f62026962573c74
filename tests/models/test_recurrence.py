"""The fused recurrence against the plain scan of the cell: same parameters, scores, carry and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from au_jax.models.lstm import LSTMStack
from au_jax.models.recurrence import run_layer

_OPTIONS = {
    "plain": {},
    "burn-in": {"stop_gradient_step": 4},
    "bidirectional with burn-in": {"bidirectional": True, "stop_gradient_step": 4},
    "chunks with a remainder": {"remat_chunk": 4, "stop_gradient_step": 5},
    "exact chunks": {"remat_chunk": 11},
    "one chunk is too long": {"remat_chunk": 50},
}


def _stack(kernel, **options):
    return LSTMStack(layers=2, hidden=6, init_range=0.5, dropout=0.0, kernel=kernel, **options)


def _inputs(model):
    rng = np.random.default_rng(0)
    features = jnp.asarray(rng.normal(size=(3, 11, 7)), jnp.float32)
    reset = jnp.zeros((3, 11), bool).at[1, 4].set(True).at[2, 0].set(True).at[2, 10].set(True)
    shapes = jax.eval_shape(model.init, jax.random.key(0), features)
    params = jax.tree.map(lambda leaf: jnp.asarray(rng.uniform(-0.5, 0.5, leaf.shape), jnp.float32), shapes)
    carry = None
    if not model.bidirectional:
        carry = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32), model.initial_carry(3))
    return params, features, reset, carry


def _outputs_and_gradients(model, params, features, reset, carry):
    def loss(params, features, carry):
        scores, last = model.apply(params, features, reset, carry)
        weights = np.random.default_rng(1).normal(size=(3, 11, 12)).astype(np.float32)
        return jnp.sum(scores * weights) + sum(jnp.sum(leaf) for leaf in jax.tree.leaves(last)), (scores, last)

    differentiate = jax.value_and_grad(loss, argnums=(0, 1) if carry is None else (0, 1, 2), has_aux=True)
    return jax.jit(differentiate)(params, features, carry)


def _assert_close(ours, theirs):
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("case", _OPTIONS)
def test_scores_carry_and_gradients_are_those_of_the_scan(case):
    fused, scan = (_stack(kernel, **_OPTIONS[case]) for kernel in ("fused", "scan"))
    inputs = _inputs(scan)
    _assert_close(_outputs_and_gradients(fused, *inputs), _outputs_and_gradients(scan, *inputs))


def test_gradient_mapped_over_examples_is_that_of_the_scan():
    params, features, reset, _ = _inputs(_stack("scan"))

    def gradient(kernel):
        def loss(params, features, reset):
            return jnp.sum(jnp.square(_stack(kernel).apply(params, features[None], reset[None])[0]))

        return jax.jit(jax.grad(lambda params: jax.vmap(loss, (None, 0, 0))(params, features, reset).sum()))(params)

    _assert_close(gradient("fused"), gradient("scan"))


def test_the_recurrent_weights_get_one_product_even_when_mapped_over_examples():
    # The program has one product in the step of each scan and one outside of them, over all 5 x 3 rows.
    gates, reset, cut = jnp.ones((3, 5, 1, 24)), jnp.zeros((5, 1), bool), jnp.zeros(5, bool)
    zero = (jnp.zeros((1, 6)), jnp.zeros((1, 6)))

    def loss(kernel):
        return jax.vmap(lambda gates: run_layer(gates, kernel, zero, reset, cut, None)[1].sum())(gates).sum()

    text = jax.jit(jax.grad(loss)).lower(jnp.ones((6, 24))).as_text()
    products = [line for line in text.splitlines() if "dot_general" in line]
    shapes = sorted(line.split("->")[-1].split("tensor<")[1].split(">")[0] for line in products)
    assert shapes == ["24x6xf32", "3x1x24xf32", "3x1x6xf32"]


def test_initial_parameters_are_those_of_the_scan():
    fused, scan = (
        jax.jit(_stack(kernel).init)(jax.random.key(3), jnp.zeros((1, 1, 7))) for kernel in ("fused", "scan")
    )
    assert jax.tree.structure(fused) == jax.tree.structure(scan)
    for ours, theirs in zip(jax.tree.leaves(fused), jax.tree.leaves(scan), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_an_unknown_kernel_is_refused_with_the_choices():
    with pytest.raises(ValueError, match="unknown LSTM kernel 'cudnn'; choose from fused, scan"):
        LSTMStack(kernel="cudnn").init(jax.random.key(0), jnp.zeros((1, 2, 3)))
