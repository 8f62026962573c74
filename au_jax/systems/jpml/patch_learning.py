"""Joint patch and multi-label learning (JPML): which facial patches tell an AU, and which AUs go together or compete.

    min over W of  sum over AUs l of  mean over labelled rows of log(1 + exp(-y_l F_l))
                   + alpha * sum over AUs l and patches p of |W_l^p|
                   + beta_together * mean over rows of 1/2 sum over pairs that go together of phi_ij (F_i - F_j)^2
                   + beta_compete  * mean over rows of 1/2 sum over competing pairs of (|F_i| + |F_j|)^2,      F = X W

The group lasso drops whole patches. The last term counts |F| as sqrt(F^2 + epsilon), so that all but the group lasso is
smooth: one proximal gradient problem, solved by FISTA with backtracking and with a restart wherever a step would raise the
objective. Zhao, Chu, De la Torre, Cohn & Zhang, "Joint patch and multi-label learning for facial action unit detection",
CVPR 2015 and IEEE TIP 2016, solve it by ADMM. FISTA: Beck & Teboulle 2009; restarts: O'Donoghue & Candes 2015.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

EPSILON: float = 1e-4
"""Of |F| as sqrt(F^2 + epsilon): scores below 0.01 count as none."""
ROUND_OFF: float = 2e-6
"""Share of the objective that float32 cannot tell; backtracking does not act on less."""


class Problem(NamedTuple):
    """What is minimised.

    Attributes:
      rows: [n, D] float32, patch by patch.
      labels: [n, L] float32 in {-1, 0, +1}; 0 does not count.
      together: [L, L] float32, symmetric, phi of pairs that go together, else 0.
      compete: [L, L] float32, symmetric, 1 for competing pairs.
      alpha, beta_together, beta_compete: [] float32, the weights of the three penalties.
    """

    rows: jax.Array
    labels: jax.Array
    together: jax.Array
    compete: jax.Array
    alpha: jax.Array
    beta_together: jax.Array
    beta_compete: jax.Array


class State(NamedTuple):
    """Where FISTA is: weights [D, L] and scores [n, L] of this step and the last, and what they are worth."""

    weights: jax.Array
    scores: jax.Array
    last_weights: jax.Array
    last_scores: jax.Array
    objective: jax.Array
    momentum: jax.Array
    curvature: jax.Array
    count: jax.Array
    done: jax.Array


def relations(labels: np.ndarray, together: float, compete: float) -> tuple[np.ndarray, np.ndarray]:
    """Which AUs go together and which compete, from training labels.

    Args:
      labels: [N, L] in {-1, 0, +1}; of a pair, frames count in which both are labelled.
      together: phi coefficient from which a pair goes together.
      compete: phi coefficient down to which a pair competes.

    Returns:
      `Problem.together` and `Problem.compete`. A pair whose phi is undefined has no relation.
    """
    truth, known = labels.astype(np.float64), (labels != 0).astype(np.float64)
    number = np.maximum(known.T @ known, 1.0)
    # Of each pair (i, j): the mean of AU i where j is labelled too. Labels are +-1, so squares are 1.
    mean = truth.T @ known / number
    covariance = truth.T @ truth / number - mean * mean.T
    spread = np.sqrt((1.0 - mean**2) * (1.0 - mean.T**2))
    defined = (spread > 1e-12) & (known.T @ known > 0) & ~np.eye(len(mean), dtype=bool)
    phi = np.where(defined, covariance / np.where(defined, spread, 1.0), 0.0)
    return np.where(phi >= together, phi, 0.0).astype(np.float32), (phi <= compete).astype(np.float32)


def smooth_part(scores: jax.Array, problem: Problem) -> jax.Array:
    """The objective without the group lasso, of scores F [n, L]."""
    counted = jnp.abs(problem.labels)
    losses = counted * jax.nn.softplus(-problem.labels * scores)
    logistic = (losses.sum(0) / jnp.maximum(counted.sum(0), 1.0)).sum()
    sizes = jnp.sqrt(jnp.square(scores) + EPSILON)
    # Sums over pairs as quadratic forms: the graph Laplacian of one relation, the signless Laplacian of the other.
    apart = jnp.diag(problem.together.sum(0)) - problem.together
    both = jnp.diag(problem.compete.sum(0)) + problem.compete
    together = 0.5 * jnp.sum((scores @ apart) * scores) / len(scores)
    compete = 0.5 * jnp.sum((sizes @ both) * sizes) / len(scores)
    return logistic + problem.beta_together * together + problem.beta_compete * compete


def patch_norms(weights: jax.Array, patches: int) -> jax.Array:
    """|W_l^p|: weights [D, L] -> [patches, L]."""
    squares = jnp.square(weights).reshape(patches, -1, weights.shape[1]).sum(1)
    # The square root has no gradient at 0, and none is asked for there.
    return jnp.sqrt(squares)


def shrink(weights: jax.Array, amount: jax.Array, patches: int) -> jax.Array:
    """The group lasso's proximal step: every patch's weights lose `amount` of their length, down to 0."""
    norms = patch_norms(weights, patches)
    factors = jnp.maximum(1.0 - amount / jnp.maximum(norms, 1e-30), 0.0)
    return weights * jnp.repeat(factors, weights.shape[0] // patches, 0)


def objective(weights: jax.Array, problem: Problem, patches: int) -> jax.Array:
    """What is minimised, of weights [D, L]."""
    return smooth_part(problem.rows @ weights, problem) + problem.alpha * patch_norms(weights, patches).sum()


def start(problem: Problem) -> State:
    """FISTA's state before the first step, at W = 0."""
    weights = jnp.zeros((problem.rows.shape[1], problem.labels.shape[1]), jnp.float32)
    scores = jnp.zeros(problem.labels.shape, jnp.float32)
    one = jnp.ones((), jnp.float32)
    return State(
        weights, scores, weights, scores, smooth_part(scores, problem), one, one, jnp.int32(0), jnp.array(False)
    )


def step(state: State, problem: Problem, patches: int, tolerance: float) -> State:
    """One step of FISTA; the objective never rises.

    A step that would raise it is not taken: the next one starts from the same place without momentum. The state is done
    when the weights change by less than `tolerance` of their length, or a step without momentum gains nothing.
    """
    momentum = 0.5 * (1.0 + jnp.sqrt(1.0 + 4.0 * jnp.square(state.momentum)))
    ahead = (state.momentum - 1.0) / momentum
    place = state.weights + ahead * (state.weights - state.last_weights)
    scores = state.scores + ahead * (state.scores - state.last_scores)
    value, slope = jax.value_and_grad(smooth_part)(scores, problem)
    gradient = problem.rows.T @ slope

    def propose(curvature: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        weights = shrink(place - gradient / curvature, problem.alpha / curvature, patches)
        scores = problem.rows @ weights
        move = weights - place
        bound = value + jnp.vdot(gradient, move) + 0.5 * curvature * jnp.sum(jnp.square(move))
        smooth = smooth_part(scores, problem)
        return weights, scores, smooth, smooth > bound + ROUND_OFF * jnp.abs(value)

    def backtrack(carry):
        curvature = 2.0 * carry[0]
        return curvature, propose(curvature)

    curvature, (weights, scores, smooth, _) = jax.lax.while_loop(
        lambda carry: carry[1][3], backtrack, (state.curvature, propose(state.curvature))
    )
    reached = smooth + problem.alpha * patch_norms(weights, patches).sum()
    better = reached <= state.objective
    length = jnp.sqrt(jnp.sum(jnp.square(weights)))
    small = jnp.sqrt(jnp.sum(jnp.square(weights - state.weights))) <= tolerance * length
    taken = State(weights, scores, state.weights, state.scores, reached, momentum, curvature, state.count + 1, small)
    refused = state._replace(
        last_weights=state.weights,
        last_scores=state.scores,
        momentum=jnp.ones_like(momentum),
        curvature=curvature,
        count=state.count + 1,
        done=state.momentum == 1.0,
    )
    return jax.tree.map(lambda new, old: jnp.where(better, new, old), taken, refused)


@partial(jax.jit, static_argnames=("patches", "steps", "tolerance"))
def solve(problem: Problem, patches: int, steps: int, tolerance: float) -> State:
    """Takes steps from W = 0 until the state is done, `steps` at most.

    Args:
      problem: one problem, or a grid of them: alpha, beta_together and beta_compete [G] each.
      patches: how many groups the D columns of the rows make, D / patches in each.
      steps: at most.
      tolerance: see `step`.

    Returns:
      The last state; of a grid, with a leading axis G.
    """

    def one(alpha: jax.Array, beta_together: jax.Array, beta_compete: jax.Array) -> State:
        own = problem._replace(alpha=alpha, beta_together=beta_together, beta_compete=beta_compete)
        return jax.lax.while_loop(
            lambda state: ~state.done & (state.count < steps),
            lambda state: step(state, own, patches, tolerance),
            start(own),
        )

    penalties = (problem.alpha, problem.beta_together, problem.beta_compete)
    return jax.vmap(one)(*penalties) if problem.alpha.ndim else one(*penalties)
