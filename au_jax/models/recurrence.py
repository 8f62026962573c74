"""The steps of an LSTM layer with a derivative of its own: the recurrent weights' gradient is one product.

Differentiating `nn.scan` of a cell adds a [hidden, 4 hidden] product to the weights' gradient at every step back in time,
which on a CPU takes longer than the steps themselves. Here the derivative is written down: the weights' share of the
gates' tangents, `h_(t-1) dU`, is computed for all steps at once, before a linear scan of the tangents whose coefficients
are computed for all steps at once too. JAX transposes both: a linear scan back in time, and one product after it. The
tangents are stated, and not the gradients (custom_vjp), so that under `jax.vmap` over examples it is still one product.
"""

import jax
import jax.numpy as jnp

State = tuple[jax.Array, jax.Array]
"""(cell state, output) of a layer, each [B, hidden]."""


def run_layer(
    gates: jax.Array,
    kernel: jax.Array,
    carry: State,
    reset: jax.Array,
    cut: jax.Array,
    remat_chunk: int | None,
) -> tuple[State, jax.Array]:
    """Runs an LSTM layer over time.

    Args:
      gates: [T, B, 4 hidden] float, the input's share of the gates i, f, g, o: `W x_t + b`.
      kernel: [hidden, 4 hidden], the recurrent weights U.
      carry: state before the first step.
      reset: [T, B] bool, the state is zeroed before the step.
      cut: [T] bool, the state passes to the step without its gradient.
      remat_chunk: number of steps whose inner values are computed again in the backward pass; None keeps them all.

    Returns:
      The state after the last step, and the outputs [T, B, hidden]. Tested against `LSTMChunk`, a plain `nn.scan`.
    """
    if not remat_chunk:
        return _steps(gates, kernel, carry, reset, cut)

    chunk_of_steps = jax.checkpoint(_steps, prevent_cse=False)

    def run_chunk(carry: State, rows: tuple[jax.Array, ...]) -> tuple[State, jax.Array]:
        gates, reset, cut = rows
        return chunk_of_steps(gates, kernel, carry, reset, cut)

    steps = gates.shape[0]
    whole = steps // remat_chunk * remat_chunk
    rows = [row[:whole].reshape(-1, remat_chunk, *row.shape[1:]) for row in (gates, reset, cut)]
    carry, outputs = jax.lax.scan(run_chunk, carry, tuple(rows))
    outputs = outputs.reshape(whole, *outputs.shape[2:])
    if whole == steps:
        return carry, outputs
    carry, rest = chunk_of_steps(gates[whole:], kernel, carry, reset[whole:], cut[whole:])
    return carry, jnp.concatenate([outputs, rest])


@jax.custom_jvp
def _steps(
    gates: jax.Array, kernel: jax.Array, carry: State, reset: jax.Array, cut: jax.Array
) -> tuple[State, jax.Array]:
    del cut  # of the derivative only

    def step(state: State, row: tuple[jax.Array, jax.Array]) -> tuple[State, jax.Array]:
        gates, keep = row
        _, _, _, new = _step(gates, kernel, state, keep)
        return new, new[1]

    return jax.lax.scan(step, carry, (gates, _keep(reset, gates)))


@_steps.defjvp
def _steps_jvp(primals, tangents):
    gates, kernel, carry, reset, cut = primals
    gate_tangents, kernel_tangent, carry_tangent, _, _ = tangents
    keep = _keep(reset, gates)
    passed = keep * (1.0 - cut[:, None, None].astype(gates.dtype))

    def step(state: State, row: tuple[jax.Array, ...]) -> tuple[State, tuple[jax.Array, ...]]:
        gates, keep, passed = row
        (c, h), (i, f, g, o), squeezed, new = _step(gates, kernel, state, keep)
        by_gates = [g * i * (1.0 - i), c * f * (1.0 - f), i * (1.0 - g * g), squeezed * o * (1.0 - o)]
        return new, (new[1], h, jnp.concatenate(by_gates, axis=-1), f * passed, o * (1.0 - squeezed * squeezed))

    last, (outputs, old_outputs, *derivatives) = jax.lax.scan(step, carry, (gates, keep, passed))
    # Turned once for the way back in time, where XLA would turn it at every step; the barrier keeps it so.
    turned = jax.lax.optimization_barrier(kernel.T)

    def tangent_step(state: State, row: tuple[jax.Array, ...]) -> tuple[State, jax.Array]:
        gates, by_gates, by_cell, output_by_cell, passed = row
        c, h = state
        recurrent = jax.lax.dot_general(passed * h, turned, (((1,), (1,)), ((), ())))
        i, f, g, o = jnp.split(by_gates * (gates + recurrent), 4, axis=-1)
        c = by_cell * c + (i + f + g)
        h = output_by_cell * c + o
        return (c, h), h

    rows = (gate_tangents + old_outputs @ kernel_tangent, *derivatives, passed)
    last_tangent, output_tangents = jax.lax.scan(tangent_step, carry_tangent, rows)
    return (last, outputs), (last_tangent, output_tangents)


def _step(
    gates: jax.Array, kernel: jax.Array, state: State, keep: jax.Array
) -> tuple[State, list[jax.Array], jax.Array, State]:
    """One step: the old state that it sees, the gates i, f, g, o, the squeezed cell state, and the new state."""
    c, h = state[0] * keep, state[1] * keep
    i, f, g, o = jnp.split(gates + h @ kernel, 4, axis=-1)
    i, f, g, o = _sigmoid(i), _sigmoid(f), jnp.tanh(g), _sigmoid(o)
    new_c = f * c + i * g
    squeezed = jnp.tanh(new_c)
    return (c, h), [i, f, g, o], squeezed, (new_c, o * squeezed)


def _sigmoid(x: jax.Array) -> jax.Array:
    """The logistic function by tanh, which XLA computes faster on CPUs."""
    return 0.5 * jnp.tanh(0.5 * x) + 0.5


def _keep(reset: jax.Array, gates: jax.Array) -> jax.Array:
    """[T, B, 1], 0 where the state is zeroed and 1 elsewhere."""
    return 1.0 - reset[..., None].astype(gates.dtype)
