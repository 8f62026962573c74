"""CPM's two problems, the confident pair and a person's own classifier, and Newton's method, which solves both.

    f(w) = sum over rows i and classifiers k of max(0, 1 - y_ik x_i'w_k)^2  +  <w, Q w>  -  2 <b, w>

Rows within the margin are active; while they stay the same, f is quadratic and a step of Newton's method solves it. Each
step's linear system is solved by conjugate gradients, so that many people's problems, which share most of their rows, share
their matrix products.

The own classifier is smooth over time: a person's neighbouring frames should be scored alike. W is the graph Laplacian of a
video's frames, each joined to those up to N frames away by Gaussian weights; edges to frames that look too different are cut.
CPM penalises f'Lf = |W f|^2, that is L = W'W = W W.

Source and symbols: see `au_jax.systems.cpm.model`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.sparse.linalg import cg
from jaxtyping import Array, Bool, Float32, Int32

from au_jax.config import CPMConfig

MOST_STEPS: int = 100
TOLERANCE: float = 1e-6
"""A relative decrease below this ends the iteration; float32 tells no smaller ones."""
CG_STEPS: int = 50
CG_TOLERANCE: float = 1e-3
SHORTEST: float = 2.0**-10

ALPHA: float = 2.5
"""Standard deviations of the Gaussian in its half width (MATLAB's gausswin)."""
FARTHEST: float = 1.5
"""Edges longer than this share of the mean squared distance between confident positives are cut."""


@dataclass(frozen=True)
class CPMSettings:
    """CPM's constants, as in `config.cpm`.

    Example:
      >>> CPMSettings.from_config(CPMConfig()).relabelling
      'localized'
    """

    gamma_s: float
    gamma_d: float
    gamma_t: float
    gamma_i: float
    gamma_tpn: float
    relabelling: str
    tau: float
    window: int
    iterations: int
    tolerance: float

    @classmethod
    def from_config(cls, config: CPMConfig) -> "CPMSettings":
        """The constants among the fields of `config.cpm`."""
        return cls(**{field.name: getattr(config, field.name) for field in fields(cls)})


class Subject(NamedTuple):
    """A test subject's frames in order: rows [m, D] float32; video [m] int32, -1 where there is no face.

    Example:
      >>> Subject(rows=jnp.ones((2, 3)), video=jnp.array([0, -1])).rows.shape
      (2, 3)
    """

    rows: jax.Array
    video: jax.Array


class _State(NamedTuple):
    weights: jax.Array
    scores: tuple[jax.Array, ...]
    value: jax.Array
    count: jax.Array
    done: jax.Array


def confident_pair(
    rows: Sequence[Float32[Array, "_ D"]],
    targets: Sequence[Float32[Array, "_ 2"]],
    start: Float32[Array, "2 D"],
    own: Float32[Array, " D"],
    tie: Float32[Array, ""],
    inverse: Float32[Array, "D D"],
    settings: CPMSettings,
) -> tuple[Float32[Array, "2 D"], Float32[Array, ""]]:
    """The pair that fits its targets, w+ near w-, and both near the person's own classifier.

        min gamma_s (|w+|^2 + |w-|^2) + gamma_d |w+ - w-|^2 + squared hinges + tie (|w+ - w_t|^2 + |w- - w_t|^2)

    Args:
      rows: parts [n, D].
      targets: of each part, [n, 2].
      start: [2, D], w+ and w-.
      own: w_t [D].
      tie: gamma_tpn, or 0 without w_t.
      inverse: see `minimise`.
      settings: constants.

    Returns:
      [2, D] and the objective.

    Example:
      >>> settings = CPMSettings.from_config(CPMConfig())
      >>> rows, zero = jnp.array([[1.0], [-1.0]]), jnp.zeros((2, 1))
      >>> targets = jnp.array([[1.0, 1.0], [-1.0, -1.0]])  # nothing is hard: both classifiers get the same labels
      >>> inverse = approximate_inverse(rows, 1.0)
      >>> pair, _ = confident_pair([rows], [targets], zero, zero[0], jnp.float32(0.0), inverse, settings)
      >>> bool((pair > 0).all()), bool(pair[0] == pair[1])
      (True, True)
    """

    def quadratic(pair: jax.Array) -> jax.Array:
        return (settings.gamma_s + tie) * pair + settings.gamma_d * (pair - pair[::-1])

    pair, value = minimise(rows, targets, start, quadratic, tie * jnp.stack([own, own]), inverse)
    return pair, value + 2.0 * tie * jnp.sum(jnp.square(own))


def own_classifier(
    subject: Subject,
    virtual: Float32[Array, " m"],
    pair: Float32[Array, "2 D"],
    start: Float32[Array, " D"],
    inverse: Float32[Array, "D D"],
    settings: CPMSettings,
) -> tuple[Float32[Array, " D"], Float32[Array, ""]]:
    """QSS: the person's classifier, from virtual labels of confident frames and smoothness over all frames.

        min gamma_t |w|^2 + squared hinges of E_t + gamma_tpn (|w - w+|^2 + |w - w-|^2) + gamma_i (X w)' L (X w)

    Args:
      subject: rows X.
      virtual: [m] float32 in {-1, 0, +1}.
      pair: [2, D].
      start: [D].
      inverse: see `minimise`.
      settings: constants.

    Returns:
      w [D] and the objective.

    Example:
      >>> settings = CPMSettings.from_config(CPMConfig(window=1))
      >>> person = Subject(rows=jnp.array([[1.0], [1.0], [-1.0]]), video=jnp.array([0, 0, 0]))
      >>> virtual, inverse = jnp.array([1.0, 0.0, -1.0]), approximate_inverse(person.rows, settings.gamma_t)
      >>> own, _ = own_classifier(person, virtual, jnp.zeros((2, 1)), jnp.zeros(1), inverse, settings)
      >>> bool(own[0] > 0)
      True
    """
    weights = edges(subject.rows, subject.video, virtual > 0, settings.window)
    # (X w)' L (X w) = |W X w|^2.
    rough = differences(weights, subject.rows)

    def quadratic(own: jax.Array) -> jax.Array:
        return (settings.gamma_t + 2.0 * settings.gamma_tpn) * own + settings.gamma_i * (own @ rough.T) @ rough

    linear = settings.gamma_tpn * pair.sum(0, keepdims=True)
    own, value = minimise([subject.rows], [virtual[:, None]], start[None], quadratic, linear, inverse)
    return own[0], value + settings.gamma_tpn * jnp.sum(jnp.square(pair))


def minimise(
    rows: Sequence[Float32[Array, "_ D"]],
    targets: Sequence[Float32[Array, "_ K"]],
    start: Float32[Array, "K D"],
    quadratic: Callable[[jax.Array], jax.Array],
    linear: Float32[Array, "K D"],
    inverse: Float32[Array, "D D"],
) -> tuple[Float32[Array, "K D"], Float32[Array, ""]]:
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

    Example:
      >>> rows, targets, zero = jnp.array([[1.0]]), jnp.array([[1.0]]), jnp.zeros((1, 1))
      >>> # (1 - w)^2 + w^2
      >>> weights, value = minimise([rows], [targets], zero, lambda w: w, zero, approximate_inverse(rows, 1.0))
      >>> float(weights[0, 0]), float(value)
      (0.5, 0.5)
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
    last = jax.lax.while_loop(lambda state: ~state.done & (state.count < MOST_STEPS), step, first)
    return last.weights, last.value


def approximate_inverse(rows: Float32[Array, "n D"], ridge: float) -> Float32[Array, "D D"]:
    """The inverse of f's curvature with every row active: (X'X + ridge I)^-1, [n, D] -> [D, D].

    Example:
      >>> approximate_inverse(jnp.array([[1.0], [1.0]]), ridge=2.0).tolist()
      [[0.25]]
    """
    inverse = jnp.linalg.inv(rows.T @ rows + ridge * jnp.eye(rows.shape[1], dtype=rows.dtype))
    return 0.5 * (inverse + inverse.T)


def window_weights(half_width: int) -> Float32[Array, " N"]:
    """Weights of neighbours 1 to N frames away, [N] float32; those of one side sum to 1/2.

    Example:
      >>> window_weights(1).tolist()
      [0.5]
    """
    offsets = jnp.arange(1, half_width + 1, dtype=jnp.float32)
    weights = jnp.exp(-0.5 * jnp.square(ALPHA * offsets / half_width))
    return 0.5 * weights / weights.sum()


def edges(
    rows: Float32[Array, "m D"], video: Int32[Array, " m"], positive: Bool[Array, " m"], half_width: int
) -> Float32[Array, "N m"]:
    """Weights of the edges forward in time.

    Args:
      rows: [m, D] float32, frames in order.
      video: [m] int32; frames of different videos are not joined, and those with -1 to none.
      positive: [m] bool, the confident positives; fewer than two of them cut no edge.
      half_width: N.

    Returns:
      [N, m]: [j - 1, i] is the weight between frames i and i + j, 0 where there is no edge.

    Example:
      >>> nobody = jnp.array([False, False, False])
      >>> edges(jnp.zeros((3, 1)), jnp.array([0, 0, 1]), nobody, half_width=1).tolist()
      [[0.5, 0.0, 0.0]]
    """
    farthest = FARTHEST * mean_squared_distance(rows, positive)
    weights = window_weights(half_width)
    return jnp.stack(
        [
            jnp.where(
                (video >= 0)
                & (video == _ahead(video, offset, -1))
                & (jnp.sum(jnp.square(rows - _ahead(rows, offset, 0.0)), 1) <= farthest),
                weights[offset - 1],
                0.0,
            )
            for offset in range(1, half_width + 1)
        ]
    )


def differences(weights: Float32[Array, "N m"], rows: Float32[Array, "m D"]) -> Float32[Array, "m D"]:
    """W X: every row less its neighbours, weighted; `edges`' weights [N, m], rows [m, D] -> [m, D].

    Example:
      >>> differences(jnp.array([[0.5, 0.0]]), jnp.array([[1.0], [3.0]])).tolist()
      [[-1.0], [1.0]]
    """
    total = jnp.zeros_like(rows)
    for offset, weight in enumerate(weights, 1):
        flow = weight[:, None] * (rows - _ahead(rows, offset, 0.0))
        # The last rows have no neighbour ahead: nothing flows around the end.
        total = total + flow - jnp.roll(flow, offset, 0)
    return total


def mean_squared_distance(rows: Float32[Array, "m D"], chosen: Bool[Array, " m"]) -> Float32[Array, ""]:
    """Mean squared distance between different chosen rows; infinite for fewer than two.

    Example:
      >>> float(mean_squared_distance(jnp.array([[0.0], [2.0], [9.0]]), jnp.array([True, True, False])))
      4.0
    """
    weight = chosen.astype(rows.dtype)
    count = weight.sum()
    mean = weight @ rows / jnp.maximum(count, 1.0)
    scatter = jnp.sum(weight * jnp.sum(jnp.square(rows - mean[None]), 1))
    # The mean over ordered pairs of different rows: 2 n scatter of n (n - 1).
    return jnp.where(count > 1, 2.0 * scatter / jnp.maximum(count - 1.0, 1.0), jnp.inf)


def _ahead(rows: jax.Array, offset: int, fill: float) -> jax.Array:
    """Row i + offset in the place of row i."""
    padding = [(0, offset)] + [(0, 0)] * (rows.ndim - 1)
    return jnp.pad(rows, padding, constant_values=fill)[offset:]
