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
from jaxtyping import Array, Float32, Int

EPSILON: float = 1e-4
"""Of |F| as sqrt(F^2 + epsilon): scores below 0.01 count as none."""
ROUND_OFF: float = 2e-6
"""Share of the objective that float32 cannot tell; backtracking does not act on less."""


class PatchProblem(NamedTuple):
    """What is minimised.

    Attributes:
      rows: [n, D] float32, patch by patch.
      labels: [n, L] float32 in {-1, 0, +1}; 0 does not count.
      together: [L, L] float32, symmetric, phi of pairs that go together, else 0.
      compete: [L, L] float32, symmetric, 1 for competing pairs.
      alpha, beta_together, beta_compete: [] float32, the weights of the three penalties.

    Example:
      >>> rows, labels = jnp.array([[1.0, 0.0], [-1.0, 0.0]]), jnp.array([[1.0], [-1.0]])
      >>> none, weight = jnp.zeros((1, 1)), jnp.float32(0.01)
      >>> problem = PatchProblem(rows, labels, none, none, weight, weight, weight)
      >>> problem.rows.shape
      (2, 2)
    """

    rows: jax.Array
    labels: jax.Array
    together: jax.Array
    compete: jax.Array
    alpha: jax.Array
    beta_together: jax.Array
    beta_compete: jax.Array


class FistaState(NamedTuple):
    """Where FISTA is: weights [D, L] and scores [n, L] of this step and the last, and what they are worth.

    Example:
      >>> rows, labels = jnp.array([[1.0, 0.0], [-1.0, 0.0]]), jnp.array([[1.0], [-1.0]])
      >>> none, weight = jnp.zeros((1, 1)), jnp.float32(0.01)
      >>> problem = PatchProblem(rows, labels, none, none, weight, weight, weight)
      >>> int(first_state(problem).count), bool(first_state(problem).done)
      (0, False)
    """

    weights: jax.Array
    scores: jax.Array
    last_weights: jax.Array
    last_scores: jax.Array
    objective: jax.Array
    momentum: jax.Array
    curvature: jax.Array
    count: jax.Array
    done: jax.Array


def relations(
    labels: Int[np.ndarray, "N L"], together: float, compete: float
) -> tuple[Float32[np.ndarray, "L L"], Float32[np.ndarray, "L L"]]:
    """Which AUs go together and which compete, from training labels.

    Args:
      labels: [N, L] in {-1, 0, +1}; of a pair, frames count in which both are labelled.
      together: phi coefficient from which a pair goes together.
      compete: phi coefficient down to which a pair competes.

    Returns:
      `PatchProblem.together` and `PatchProblem.compete`. A pair whose phi is undefined has no relation.

    Example:
      >>> labels = np.array([[1, 1, -1], [-1, -1, 1]])  # the first two AUs come together, the third without them
      >>> together, compete = relations(labels, together=0.3, compete=-0.3)
      >>> together[0].tolist(), compete[0].tolist()
      ([0.0, 1.0, 0.0], [0.0, 0.0, 1.0])
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


def smooth_part(scores: Float32[Array, "n L"], problem: PatchProblem) -> Float32[Array, ""]:
    """The objective without the group lasso, of scores F [n, L].

    Example:
      >>> rows, labels = jnp.array([[1.0, 0.0], [-1.0, 0.0]]), jnp.array([[1.0], [-1.0]])
      >>> none, weight = jnp.zeros((1, 1)), jnp.float32(0.01)
      >>> problem = PatchProblem(rows, labels, none, none, weight, weight, weight)
      >>> f"{smooth_part(jnp.zeros((2, 1)), problem):.4f}"  # log 2, and nothing of AUs that have no relation
      '0.6931'
    """
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


def patch_norms(weights: Float32[Array, "D L"], patches: int) -> Float32[Array, "P L"]:
    """|W_l^p|: weights [D, L] -> [patches, L].

    Example:
      >>> patch_norms(jnp.array([[3.0], [4.0], [0.0], [1.0]]), patches=2).tolist()
      [[5.0], [1.0]]
    """
    squares = jnp.square(weights).reshape(patches, -1, weights.shape[1]).sum(1)
    # The square root has no gradient at 0, and none is asked for there.
    return jnp.sqrt(squares)


def shrink(weights: Float32[Array, "D L"], amount: Float32[Array, ""], patches: int) -> Float32[Array, "D L"]:
    """The group lasso's proximal step: every patch's weights lose `amount` of their length, down to 0.

    Example:
      >>> shrink(jnp.array([[3.0], [4.0], [0.0], [1.0]]), jnp.float32(2.5), patches=2).tolist()
      [[1.5], [2.0], [0.0], [0.0]]
    """
    norms = patch_norms(weights, patches)
    factors = jnp.maximum(1.0 - amount / jnp.maximum(norms, 1e-30), 0.0)
    return weights * jnp.repeat(factors, weights.shape[0] // patches, 0)


def objective(weights: Float32[Array, "D L"], problem: PatchProblem, patches: int) -> Float32[Array, ""]:
    """What is minimised, of weights [D, L].

    Example:
      >>> rows, labels = jnp.array([[1.0, 0.0], [-1.0, 0.0]]), jnp.array([[1.0], [-1.0]])
      >>> none, weight = jnp.zeros((1, 1)), jnp.float32(0.01)
      >>> problem = PatchProblem(rows, labels, none, none, weight, weight, weight)
      >>> f"{objective(jnp.zeros((2, 1)), problem, patches=2):.4f}"
      '0.6931'
    """
    return smooth_part(problem.rows @ weights, problem) + problem.alpha * patch_norms(weights, patches).sum()


def first_state(problem: PatchProblem) -> FistaState:
    """FISTA's state before the first step, at W = 0.

    Example:
      >>> rows, labels = jnp.array([[1.0, 0.0], [-1.0, 0.0]]), jnp.array([[1.0], [-1.0]])
      >>> none, weight = jnp.zeros((1, 1)), jnp.float32(0.01)
      >>> problem = PatchProblem(rows, labels, none, none, weight, weight, weight)
      >>> first_state(problem).weights.tolist()
      [[0.0], [0.0]]
    """
    weights = jnp.zeros((problem.rows.shape[1], problem.labels.shape[1]), jnp.float32)
    scores = jnp.zeros(problem.labels.shape, jnp.float32)
    one = jnp.ones((), jnp.float32)
    return FistaState(
        weights, scores, weights, scores, smooth_part(scores, problem), one, one, jnp.int32(0), jnp.array(False)
    )


def step(state: FistaState, problem: PatchProblem, patches: int, tolerance: float) -> FistaState:
    """One step of FISTA; the objective never rises.

    A step that would raise it is not taken: the next one starts from the same place without momentum. The state is done
    when the weights change by less than `tolerance` of their length, or a step without momentum gains nothing.

    Example:
      >>> rows, labels = jnp.array([[1.0, 0.0], [-1.0, 0.0]]), jnp.array([[1.0], [-1.0]])
      >>> none, weight = jnp.zeros((1, 1)), jnp.float32(0.01)
      >>> problem = PatchProblem(rows, labels, none, none, weight, weight, weight)
      >>> begun = first_state(problem)
      >>> bool(step(begun, problem, patches=2, tolerance=1e-6).objective < begun.objective)
      True
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
    taken = FistaState(
        weights, scores, state.weights, state.scores, reached, momentum, curvature, state.count + 1, small
    )
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
def solve(problem: PatchProblem, patches: int, steps: int, tolerance: float) -> FistaState:
    """Takes steps from W = 0 until the state is done, `steps` at most.

    Args:
      problem: one problem, or a grid of them: alpha, beta_together and beta_compete [G] each.
      patches: how many groups the D columns of the rows make, D / patches in each.
      steps: at most.
      tolerance: see `step`.

    Returns:
      The last state; of a grid, with a leading axis G.

    Example:
      >>> rows, labels = jnp.array([[1.0, 0.0], [-1.0, 0.0]]), jnp.array([[1.0], [-1.0]])
      >>> none, weight = jnp.zeros((1, 1)), jnp.float32(0.01)
      >>> problem = PatchProblem(rows, labels, none, none, weight, weight, weight)
      >>> solved = solve(problem, patches=2, steps=500, tolerance=1e-6)
      >>> bool(solved.weights[0, 0] > 0), float(solved.weights[1, 0])  # the second patch tells nothing
      (True, 0.0)
    """

    def one(alpha: jax.Array, beta_together: jax.Array, beta_compete: jax.Array) -> FistaState:
        own = problem._replace(alpha=alpha, beta_together=beta_together, beta_compete=beta_compete)
        return jax.lax.while_loop(
            lambda state: ~state.done & (state.count < steps),
            lambda state: step(state, own, patches, tolerance),
            first_state(own),
        )

    penalties = (problem.alpha, problem.beta_together, problem.beta_compete)
    return jax.vmap(one)(*penalties) if problem.alpha.ndim else one(*penalties)
