"""Linear classifiers with the squared hinge loss, by Newton's method: the solver of CPM's two problems.

    f(w) = sum over rows i and classifiers k of max(0, 1 - y_ik x_i'w_k)^2  +  <w, Q w>  -  2 <b, w>

Rows within the margin are active; while they stay the same, f is quadratic and a step of Newton's method solves it. Each
step's linear system is solved by conjugate gradients, so that many people's problems, which share most of their rows, share
their matrix products.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.sparse.linalg import cg

STEPS: int = 100
TOLERANCE: float = 1e-6
"""A relative decrease below this ends the iteration; float32 tells no smaller ones."""
CG_STEPS: int = 50
CG_TOLERANCE: float = 1e-3
SHORTEST: float = 2.0**-10


class _State(NamedTuple):
    weights: jax.Array
    scores: tuple[jax.Array, ...]
    value: jax.Array
    count: jax.Array
    done: jax.Array


def minimise(
    rows: Sequence[jax.Array],
    targets: Sequence[jax.Array],
    start: jax.Array,
    quadratic: Callable[[jax.Array], jax.Array],
    linear: jax.Array,
    inverse: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Minimises f; no step raises it.

    Args:
      rows: parts [n, D] float32 of the data, such as training rows and a test subject's.
      targets: y of each part, [n, K] float32 in {-1, 0, +1}; 0 does not count.
      start: [K, D] float32.
      quadratic: w -> Q w, [K, D] -> [K, D], linear, symmetric, positive definite.
      linear: b, [K, D].
      inverse: [D, D], symmetric, about the inverse of f's curvature for one classifier (`approximate_inverse`); it
        preconditions the conjugate gradients.

    Returns:
      w [K, D] and f(w).

    Tested against SciPy's L-BFGS.
    """

    def score(weights: jax.Array) -> tuple[jax.Array, ...]:
        return tuple(part @ weights.T for part in rows)

    def pull(parts: Sequence[jax.Array]) -> jax.Array:
        """The transpose of `score`."""
        return sum((part.T @ x for part, x in zip(parts, rows, strict=True)), jnp.zeros_like(start))

    def slack(scores: Sequence[jax.Array]) -> tuple[jax.Array, ...]:
        return tuple(
            jnp.abs(target) * jnp.maximum(1.0 - target * part, 0.0)
            for target, part in zip(targets, scores, strict=True)
        )

    def value(scores: Sequence[jax.Array], weights: jax.Array) -> jax.Array:
        loss = sum(jnp.sum(jnp.square(part)) for part in slack(scores))
        return loss + jnp.vdot(weights, quadratic(weights) - 2.0 * linear)

    def step(state: _State) -> _State:
        slacks = slack(state.scores)
        active = [part > 0.0 for part in slacks]
        # Half the gradient, negative, and half the Hessian.
        descent = pull([target * part for target, part in zip(targets, slacks, strict=True)])
        descent = descent - quadratic(state.weights) + linear

        def curvature(vector: jax.Array) -> jax.Array:
            seen = [jnp.where(on, part, 0.0) for on, part in zip(active, score(vector), strict=True)]
            return pull(seen) + quadratic(vector)

        direction, _ = cg(curvature, descent, tol=CG_TOLERANCE, maxiter=CG_STEPS, M=lambda vector: vector @ inverse)
        change = score(direction)

        def moved(length: jax.Array) -> tuple[tuple[jax.Array, ...], jax.Array]:
            scores = tuple(old + length * new for old, new in zip(state.scores, change, strict=True))
            return scores, state.weights + length * direction

        def too_long(length: jax.Array) -> jax.Array:
            return (value(*moved(length)) > state.value) & (length > SHORTEST)

        length = jax.lax.while_loop(too_long, lambda length: 0.5 * length, jnp.float32(1.0))
        scores, weights = moved(length)
        reached = value(scores, weights)
        better = reached < state.value
        done = state.value - reached <= TOLERANCE * jnp.abs(state.value)
        moved_state = _State(weights, scores, reached, state.count, done)
        kept = jax.tree.map(lambda new, old: jnp.where(better, new, old), moved_state, state)
        return kept._replace(count=state.count + 1, done=done)

    scores = score(start)
    first = _State(start, scores, value(scores, start), jnp.int32(0), jnp.array(False))
    last = jax.lax.while_loop(lambda state: ~state.done & (state.count < STEPS), step, first)
    return last.weights, last.value


def approximate_inverse(rows: jax.Array, ridge: float) -> jax.Array:
    """The inverse of f's curvature with every row active: (X'X + ridge I)^-1, [n, D] -> [D, D]."""
    inverse = jnp.linalg.inv(rows.T @ rows + ridge * jnp.eye(rows.shape[1], dtype=rows.dtype))
    return 0.5 * (inverse + inverse.T)
