"""LSTM training in other ways, for `experiments.benchmark` on a GPU: cuDNN's, and several folds in one program.

cuDNN's parts need an NVIDIA GPU and have not been measured yet; the folds' run anywhere.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import rnn

from au_jax.models.lstm import LSTMStack
from au_jax.models.lstm_kernel import EXAMPLES
from au_jax.training import losses
from experiments.benchmark_parts import Part, Sizes, sequence_loss, sequences

_UNIT = "steps x sequences/s"


def folds_part(sizes: Sizes) -> Part:
    """Gradients of the LSTMs of `sizes.folds` folds, each with sequences of its own, as one program."""
    model = LSTMStack(sizes.layers, sizes.hidden)
    rng = np.random.default_rng(0)
    batches = jax.tree.map(lambda *rows: np.stack(rows), *(sequences(sizes, rng) for _ in range(sizes.folds)))
    keys = jax.random.split(jax.random.key(0), sizes.folds)
    params = jax.jit(jax.vmap(lambda key: model.init(key, jnp.zeros((1, 1, sizes.inputs)))["params"]))(keys)

    def gradient(params, batch, key):
        def total(params):
            examples = jax.random.split(key, sizes.sequences)
            return mapped_loss(model)(params, {}, batch, examples)[0].sum()

        return jax.grad(total)(params)

    together = jax.jit(jax.vmap(gradient))
    frames = sizes.folds * sizes.sequences * sizes.steps
    weights = sum(leaf[0].size for leaf in jax.tree.leaves(params) if leaf.ndim == 3)
    return Part(
        f"LSTM gradients, {sizes.folds} folds",
        _UNIT,
        frames,
        6.0 * frames * weights,
        "product",
        lambda: jax.block_until_ready(together(params, batches, keys)),
    )


def cudnn_part(sizes: Sizes) -> Part:
    """Gradients of one fold's LSTM by cuDNN (`jax.experimental.rnn`), with its own dropout between layers."""
    batch = sequences(sizes, np.random.default_rng(0))
    call, arguments = cudnn_gradient(sizes)
    frames = sizes.sequences * sizes.steps
    compiled = jax.jit(call)
    return Part(
        "LSTM gradients, cuDNN",
        _UNIT,
        frames,
        6.0 * frames * (arguments[0].size + arguments[1].size),
        "product",
        lambda: jax.block_until_ready(compiled(*arguments, batch["features"], batch["labels"])),
    )


def mapped_loss(model: LSTMStack) -> Callable:
    """The loss of a batch as the training loop maps it."""
    return jax.vmap(partial(sequence_loss, model), in_axes=(None, None, 0, 0), axis_name=EXAMPLES)


def cudnn_gradient(sizes: Sizes) -> tuple[Callable[..., Any], tuple[jax.Array, jax.Array]]:
    """(weights, readout, features, labels) -> gradients of the margin loss, and weights and readout to begin with."""
    key = jax.random.key(0)
    weights = rnn.init_lstm_weight(key, sizes.inputs, sizes.hidden, sizes.layers, False)
    readout = 0.08 * jax.random.normal(key, (sizes.hidden, 12))
    zero = jnp.zeros((sizes.layers, sizes.sequences, sizes.hidden))
    lengths = jnp.full(sizes.sequences, sizes.steps, jnp.int32)

    def loss(weights, readout, features, labels):
        outputs = rnn.lstm(features, zero, zero, weights, lengths, sizes.inputs, sizes.hidden, sizes.layers, 0.5, False)
        hidden = cast(tuple[jax.Array, ...], outputs)[0]
        return losses.max_margin(jnp.tanh(hidden @ readout), labels, 0.5, 1.0).mean()

    return jax.grad(loss, argnums=(0, 1)), (weights, readout)
