"""An LSTM layer over time (section III-B) with a gradient of its own, for speed.

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
from jaxtyping import Array, Bool, Float

EXAMPLES = "examples"
"""Name of the axis over which a loss of one example is mapped."""

State = tuple[jax.Array, jax.Array]
"""(cell state, output) of a layer, each [B, hidden]."""
Weights = tuple[jax.Array, jax.Array, jax.Array]
"""Input weights [D, 4 hidden], biases [4 hidden] and recurrent weights [hidden, 4 hidden] of the gates i, f, g, o."""


def run_layer(
    weights: Weights,
    inputs: Float[Array, "B T D"],
    carry: State,
    reset: Bool[Array, "B T"],
    cut: Bool[Array, " T"],
    remat_chunk: int | None,
) -> tuple[State, Float[Array, "B T H"]]:
    """Runs an LSTM layer over time.

    Args:
      weights: see `Weights`.
      inputs: [B, T, D] float.
      carry: state before the first step.
      reset: [B, T] bool, the state is zeroed before the step.
      cut: [T] bool, the state passes to the step without its gradient.
      remat_chunk: number of steps whose inner values are computed again in the backward pass; None keeps them all.

    Returns:
      The state after the last step, and the outputs [B, T, hidden]. Tested against `lstm.LSTMChunk`, a plain `nn.scan`.

    Raises:
      NotImplementedError: mapped under the axis name `EXAMPLES` with weights that differ between examples.

    Example:
      >>> weights = jnp.ones((3, 8)), jnp.zeros(8), jnp.ones((2, 8))
      >>> state = jnp.zeros((1, 2)), jnp.zeros((1, 2))
      >>> never, nowhere = jnp.zeros((1, 5), bool), jnp.zeros(5, bool)
      >>> (cell, output), outputs = run_layer(weights, jnp.zeros((1, 5, 3)), state, never, nowhere, None)
      >>> outputs.shape, float(abs(outputs).max())  # no input, no bias: the state stays at zero
      ((1, 5, 2), 0.0)
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
    """(last state, outputs [B, T, hidden]) and, for the gradient, what each step's gradient is multiplied by:

    that of the output on its way to the cell state, and that of the cell state on its way to the one before, both
    [B, T, hidden]; and those of cell state (i, f, g) and output (o) on their way to the gates' sums, [B, T, 4 hidden].
    """
    input_weights, bias, recurrent = weights
    batch, steps, _ = inputs.shape
    hidden = recurrent.shape[0]
    sums = (inputs.reshape(batch * steps, -1) @ input_weights + bias.reshape(1, -1)).reshape(batch, steps, -1)
    # The logistic function is 0.5 tanh(0.5 x) + 0.5: one tanh for all gates at once, scaled by 0.5 for i, f and o. Gate by
    # gate, XLA's loop over a CPU's numbers takes five times as long.
    scale = jnp.array([0.5, 0.5, 1.0, 0.5], sums.dtype).repeat(hidden).reshape(1, -1)

    def step(time, loop):
        (c, h), outputs, h_to_c, c_to_c, sums = loop
        c, h = c * _at(keep, time), h * _at(keep, time)
        gates = scale * jnp.tanh(scale * (_at(sums, time) + h @ recurrent)) + (1.0 - scale)
        i, f, g, o = jnp.split(lax.optimization_barrier(gates), 4, axis=-1)
        before, c = c, f * c + i * g
        squeezed = jnp.tanh(c)
        h = o * squeezed
        if for_gradient:
            to_sums = [g * i * (1.0 - i), before * f * (1.0 - f), i * (1.0 - g * g), squeezed * o * (1.0 - o)]
            # They take the place of the sums: fewer fresh pages to be had from the system.
            sums = _put(sums, jnp.concatenate(to_sums, axis=-1), time)
            h_to_c, c_to_c = _put(h_to_c, o - h * squeezed, time), _put(c_to_c, f, time)
        return (c, h), _put(outputs, h, time), h_to_c, c_to_c, sums

    empty = jnp.zeros((batch, steps, hidden), sums.dtype)
    kept = empty if for_gradient else empty[:, :0]
    return lax.fori_loop(0, steps, step, (carry, empty, kept, kept, sums))


def _steps_forward(weights, inputs, carry, keep, passed):
    last, outputs, *slopes = _forward(weights, inputs, carry, keep, for_gradient=True)
    return (last, outputs), (weights, inputs, carry[1], outputs, slopes, keep, passed)


def _steps_backward(kept, gradients):
    (input_weights, _, recurrent), inputs, first, outputs, (h_to_c, c_to_c, to_sums), keep, passed = kept
    last, output_gradients = gradients
    batch, steps, _ = inputs.shape
    hidden = recurrent.shape[0]
    # Turned once, where XLA would turn it at every step; the barrier keeps it so.
    turned = lax.optimization_barrier(recurrent.T)
    is_output_gate = jnp.array([False, False, False, True]).reshape(1, 4, 1)

    def step(back, loop):
        (dc, dh), sums = loop
        time = steps - 1 - back
        dh = dh + _at(output_gradients, time)
        dc = dc + dh * _at(h_to_c, time)
        sum_gradients = jnp.where(is_output_gate, dh[:, None], dc[:, None]) * _at(sums, time).reshape(batch, 4, hidden)
        # Written where their factors stood, in lines that the processor has at hand, and read again: used directly, they
        # would be computed twice and the whole array copied.
        sums = _put(sums, sum_gradients.reshape(batch, -1), time)
        through = _at(passed, time)
        return (dc * _at(c_to_c, time) * through, (_at(sums, time) @ turned) * through), sums

    first_gradients, sums = lax.fori_loop(0, steps, step, (last, to_sums))
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
