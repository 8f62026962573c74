"""The fused recurrence against the plain scan of the cell: same parameters, scores, carry and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from au_jax.models.lstm import LSTMStack
from au_jax.models.lstm_kernel import EXAMPLES, run_layer

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


@pytest.mark.parametrize("axis", [None, EXAMPLES])
def test_gradient_mapped_over_examples_is_that_of_the_scan(axis):
    params, features, reset, _ = _inputs(_stack("scan"))

    def gradient(kernel):
        def loss(params, features, reset):
            return jnp.sum(jnp.square(_stack(kernel, remat_chunk=4).apply(params, features[None], reset[None])[0]))

        mapped = jax.vmap(loss, (None, 0, 0), axis_name=axis)
        return jax.jit(jax.grad(lambda params: mapped(params, features, reset).sum()))(params)

    _assert_close(gradient("fused"), gradient("scan"))


def test_several_folds_of_mapped_examples_are_those_one_by_one():
    params, features, reset, _ = _inputs(_stack("scan"))
    folds = jax.tree.map(lambda leaf: jnp.stack([leaf, 0.5 * leaf]), params)

    def gradient(params):
        def loss(params, features, reset):
            return jnp.sum(jnp.square(_stack("fused").apply(params, features[None], reset[None])[0]))

        return jax.grad(lambda p: jax.vmap(loss, (None, 0, 0), axis_name=EXAMPLES)(p, features, reset).sum())(params)

    together = jax.jit(jax.vmap(gradient))(folds)
    for fold in range(2):
        _assert_close(
            jax.tree.map(lambda leaf, fold=fold: leaf[fold], together),
            jax.jit(gradient)(jax.tree.map(lambda leaf, fold=fold: leaf[fold], folds)),
        )


def test_each_weight_gets_one_product_even_when_mapped_over_examples():
    # 3 examples of 5 steps with 7 inputs and 6 units: the input's product, one in each loop, and three after them.
    weights, inputs = (jnp.ones((7, 24)), jnp.ones(24), jnp.ones((6, 24))), jnp.ones((3, 1, 5, 7))
    zero = (jnp.zeros((1, 6)), jnp.zeros((1, 6)))

    def loss(weights, inputs):
        def one(inputs):
            return run_layer(weights, inputs, zero, jnp.zeros((1, 5), bool), jnp.zeros(5, bool), None)[1].sum()

        return jax.vmap(one, axis_name=EXAMPLES)(inputs).sum()

    text = jax.jit(jax.grad(loss, (0, 1))).lower(weights, inputs).as_text()
    products = [line for line in text.splitlines() if "dot_general" in line]
    shapes = sorted(line.split("->")[-1].split("tensor<")[1].split(">")[0] for line in products)
    assert shapes == ["15x24xf32", "15x7xf32", "3x24xf32", "3x6xf32", "6x24xf32", "7x24xf32"]


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
