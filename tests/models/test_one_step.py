"""One training step moves every parameter of every network: nothing is cut off from its loss."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from au_jax.models import cnn, fusion
from au_jax.models.cnn import AlexNet
from au_jax.models.fusion import Fusion
from au_jax.models.lstm import LSTMStack
from au_jax.training.losses import cross_entropy, max_margin
from au_jax.training.optimizers import caffe_sgd, torch_rmsprop

_LABELS = jnp.asarray(np.random.default_rng(0).choice([-1, 1], size=(4, 12)), jnp.int8)


def _random(model, inputs):
    """Parameters of the right shapes that keep the signal's size, drawn by NumPy (compiling `init` takes seconds)."""
    rng = np.random.default_rng(0)

    def draw(shape):
        fan_in = max(int(np.prod(shape.shape[:-1])), 1)
        return jnp.asarray(
            rng.normal(0, (2 / fan_in) ** 0.5 if len(shape.shape) > 1 else 0.1, shape.shape), jnp.float32
        )

    return jax.tree.map(draw, jax.eval_shape(model.init, jax.random.key(0), inputs)["params"])


def _unmoved(loss, params, tx):
    """Names of the parameter arrays of which no element changes in one step."""

    @jax.jit
    def moved(params):
        updates, _ = tx.update(jax.grad(loss)(params), tx.init(params), params)
        return optax.apply_updates(params, updates)

    same = jax.tree.map(lambda old, new: bool(np.array_equal(old, new)), params, moved(params))
    return [jax.tree_util.keystr(path) for path, value in jax.tree_util.tree_leaves_with_path(same) if value]


@pytest.mark.optax
@pytest.mark.parametrize("variant", cnn.CNN_VARIANTS)
def test_one_step_moves_every_parameter_of_the_cnn(variant):
    model = AlexNet(variant, width=1 / 16 if variant != "demo" else 1.0)
    images = jax.random.uniform(jax.random.key(2), (4, 67, 67, 3), minval=-2, maxval=2)
    params = _random(model, images)

    def loss(params):
        logits, _ = model.apply({"params": params}, images, train=True, rngs={"dropout": jax.random.key(1)})
        return jnp.mean(cross_entropy(logits, _LABELS, "sum"))

    tx = caffe_sgd(1.0, momentum=0.9, weight_decay=0.0, bias_multiplier=2.0)
    assert _unmoved(loss, params, tx) == []


@pytest.mark.optax
@pytest.mark.parametrize("options", [{}, {"bidirectional": True, "head": "hidden"}])
def test_one_step_moves_every_parameter_of_the_lstm(options):
    model = LSTMStack(layers=2, hidden=8, stop_gradient_step=1, **options)
    features = jax.random.normal(jax.random.key(2), (4, 5, 9))
    params = _random(model, features)
    labels = jnp.broadcast_to(_LABELS[:, None], (4, 5, 12))

    def loss(params):
        scores, _ = model.apply({"params": params}, features, train=True, rngs={"dropout": jax.random.key(1)})
        return jnp.mean(max_margin(scores, labels, 0.5, 1.0)[:, 1:])

    tx = torch_rmsprop(1e-3, decay=0.95, eps=1e-8, momentum=0.9)
    assert _unmoved(loss, params, tx) == []


@pytest.mark.optax
@pytest.mark.parametrize("variant", fusion.FUSION_VARIANTS)
def test_one_step_moves_every_parameter_of_the_fusion_network(variant):
    model = Fusion(variant)
    # Of a window of three frames, where the network sees one.
    shape = (4, 3, 12) if variant == "temporal" else (4, 12)
    cnn, lstm = jax.random.normal(jax.random.key(2), (2, *shape))
    params = jax.jit(model.init)(jax.random.key(0), cnn, lstm)["params"]

    def loss(params):
        logits = model.apply({"params": params}, cnn, lstm, train=True, rngs={"dropout": jax.random.key(1)})
        return jnp.mean(cross_entropy(logits, _LABELS, "sum"))

    assert _unmoved(loss, params, optax.adam(1e-3)) == []
