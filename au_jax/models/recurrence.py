"""An LSTM layer over time with a gradient of its own, for speed.

Differentiating `nn.scan` of a cell adds a [hidden, 4 hidden] product to the recurrent weights' gradient at every step back in
time, which on a CPU takes longer than the steps themselves. Here the gradient is written down (custom_vjp): a loop back in
time forms the gates' gradients, and one product each gives those of all weights and of the input. Everything stays batch
first, [B, T, ..], as it comes in: the loops read and write single steps in place, and nothing is transposed.

Mapped over examples, JAX would form each example's weight gradient and add them up. Under the axis name `EXAMPLES`, which the
training loop gives, the examples are therefore made one batch again (custom_vmap) before anything is computed.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap

EXAMPLES = "examples"
"""Name of the axis over which a loss of one example is mapped."""

State = tuple[jax.Array, jax.Array]
"""(cell state, output) of a layer, each [B, hidden]."""
Weights = tuple[jax.Array, jax.Array, jax.Array]
"""Input weights [D, 4 hidden], biases [4 hidden] and recurrent weights [hidden, 4 hidden] of the gates i, f, g, o."""


def run_layer(
    weights: Weights, inputs: jax.Array, carry: State, reset: jax.Array, cut: jax.Array, remat_chunk: int | None
) -> tuple[State, jax.Array]:
    """Runs an LSTM layer over time.

    Args:
      weights: see `Weights`.
      inputs: [B, T, D] float.
      carry: state before the first step.
      reset: [B, T] bool, the state is zeroed before the step.
      cut: [T] bool, the state passes to the step without its gradient.
      remat_chunk: number of steps whose inner values are computed again in the backward pass; None keeps them all.

    Returns:
      The state after the last step, and the outputs [B, T, hidden]. Tested against `LSTMChunk`, a plain `nn.scan`.
    """
    keep = 1.0 - reset[..., None].astype(inputs.dtype)
    passed = keep * (1.0 - cut[None, :, None].astype(inputs.dtype))
    run = partial(_in_chunks, min(remat_chunk, inputs.shape[1])) if remat_chunk else _steps
    if _mapped_over_examples():
        run = _one_batch(run)
    return run(weights, inputs, carry, keep, passed)


def _mapped_over_examples() -> bool:
    try:
        lax.axis_size(EXAMPLES)
    except NameError:
        return False
    return True


def _one_batch(run):
    """`run` such that vmap over examples, with the same weights, becomes one call with all their sequences."""
    mapped = custom_vmap(run)

    @mapped.def_vmap
    def _(count, batched, weights, *rows):
        if any(jax.tree.leaves(batched[0])):
            raise NotImplementedError("each example with weights of its own; map without the axis name of examples")

        def join(row, is_batched):
            row = row if is_batched else jnp.broadcast_to(row, (count, *row.shape))
            return row.reshape(-1, *row.shape[2:])

        outputs = run(weights, *jax.tree.map(join, rows, tuple(batched[1:])))
        parts = jax.tree.map(lambda rows: rows.reshape(count, -1, *rows.shape[1:]), outputs)
        return parts, jax.tree.map(lambda _: True, parts)

    return mapped


def _in_chunks(chunk: int, weights, inputs, carry, keep, passed):
    run = jax.checkpoint(_steps, prevent_cse=False)
    steps = inputs.shape[1]
    whole = steps // chunk * chunk

    def in_time(rows: jax.Array) -> jax.Array:
        return jnp.moveaxis(rows[:, :whole].reshape(rows.shape[0], -1, chunk, rows.shape[2]), 1, 0)

    rows = tuple(in_time(rows) for rows in (inputs, keep, passed))
    carry, outputs = lax.scan(lambda carry, rows: run(weights, rows[0], carry, *rows[1:]), carry, rows)
    outputs = jnp.moveaxis(outputs, 0, 1).reshape(inputs.shape[0], whole, outputs.shape[-1])
    if whole == steps:
        return carry, outputs
    carry, rest = run(weights, inputs[:, whole:], carry, keep[:, whole:], passed[:, whole:])
    return carry, jnp.concatenate([outputs, rest], axis=1)


@jax.custom_vjp
def _steps(weights: Weights, inputs: jax.Array, carry: State, keep: jax.Array, passed: jax.Array):
    """The steps; `keep` and `passed` [B, T, 1] multiply the state before a step, and its gradient."""
    del passed
    return _forward(weights, inputs, carry, keep, for_gradient=False)[:2]


def _forward(weights, inputs, carry, keep, for_gradient: bool):
    """(last state, outputs [B, T, hidden], kept cell states before each step [B, T, hidden], gates [B, T, 4 hidden])."""
    input_weights, bias, recurrent = weights
    batch, steps, _ = inputs.shape
    hidden = recurrent.shape[0]
    gates = (inputs.reshape(batch * steps, -1) @ input_weights + bias.reshape(1, -1)).reshape(batch, steps, -1)

    def step(time, loop):
        (c, h), outputs, cells, gates = loop
        c, h = c * _at(keep, time), h * _at(keep, time)
        i, f, g, o = jnp.split(_at(gates, time) + h @ recurrent, 4, axis=-1)
        i, f, g, o = _sigmoid(i), _sigmoid(f), jnp.tanh(g), _sigmoid(o)
        if for_gradient:
            # The gates take the place of their sums: fewer fresh pages to be had from the system.
            cells, gates = _put(cells, c, time), _put(gates, jnp.concatenate([i, f, g, o], axis=-1), time)
        c = f * c + i * g
        h = o * jnp.tanh(c)
        return (c, h), _put(outputs, h, time), cells, gates

    empty = jnp.zeros((batch, steps, hidden), gates.dtype)
    return lax.fori_loop(0, steps, step, (carry, empty, empty if for_gradient else empty[:, :0], gates))


def _steps_forward(weights, inputs, carry, keep, passed):
    last, outputs, cells, gates = _forward(weights, inputs, carry, keep, for_gradient=True)
    return (last, outputs), (weights, inputs, carry[1], outputs, cells, gates, keep, passed)


def _steps_backward(kept, gradients):
    (input_weights, _, recurrent), inputs, first, outputs, cells, gates, keep, passed = kept
    last, output_gradients = gradients
    batch, steps, _ = inputs.shape
    # Turned once, where XLA would turn it at every step; the barrier keeps it so.
    turned = lax.optimization_barrier(recurrent.T)

    def step(back, loop):
        (dc, dh), sums = loop
        time = steps - 1 - back
        c = _at(cells, time)
        i, f, g, o = jnp.split(_at(gates, time), 4, axis=-1)
        squeezed = jnp.tanh(f * c + i * g)
        dh = dh + _at(output_gradients, time)
        dc = dc + dh * o * (1.0 - squeezed * squeezed)
        di, df, dg = dc * g * i * (1.0 - i), dc * c * f * (1.0 - f), dc * i * (1.0 - g * g)
        do = dh * squeezed * o * (1.0 - o)
        sum_gradients = jnp.concatenate([di, df, dg, do], axis=-1)
        through = _at(passed, time)
        return (dc * f * through, (sum_gradients @ turned) * through), _put(sums, sum_gradients, time)

    first_gradients, sums = lax.fori_loop(0, steps, step, (last, jnp.zeros_like(gates)))
    sums = sums.reshape(batch * steps, -1)
    before = jnp.concatenate([first[:, None], outputs[:, :-1]], axis=1) * keep
    # Written as X^T G with the steps as the only contracted axis, XLA takes both as they lie in memory.
    over_steps = (((0,), (0,)), ((), ()))
    weight_gradients = (
        lax.dot_general(inputs.reshape(batch * steps, -1), sums, over_steps),
        sums.sum(0),
        lax.dot_general(before.reshape(batch * steps, -1), sums, over_steps),
    )
    input_gradients = lax.dot_general(sums, input_weights, (((1,), (1,)), ((), ()))).reshape(inputs.shape)
    return weight_gradients, input_gradients, first_gradients, None, None


_steps.defvjp(_steps_forward, _steps_backward)


def _at(rows: jax.Array, time: jax.Array) -> jax.Array:
    return lax.dynamic_index_in_dim(rows, time, axis=1, keepdims=False)


def _put(rows: jax.Array, row: jax.Array, time: jax.Array) -> jax.Array:
    return lax.dynamic_update_index_in_dim(rows, row, time, axis=1)


def _sigmoid(x: jax.Array) -> jax.Array:
    """The logistic function by tanh, which XLA computes faster on CPUs."""
    return 0.5 * jnp.tanh(0.5 * x) + 0.5
