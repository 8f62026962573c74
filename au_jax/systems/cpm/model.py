"""Confidence-preserving machine (CPM): classifiers that adapt to one person without that person's labels.

Two classifiers of an AU, the confident pair, agree on easy samples and get opposite labels for hard ones: the positive
one takes hard samples for positive, the negative one for negative. Where both call a test frame positive it is confidently
positive. From such frames of a test subject, the subject's own classifier is learned, smooth over time (QSS, the
quasi-semi-supervised classifier); frames that it confirms join the easy samples, and all is repeated (iterative CPM).

Zeng, Chu, De la Torre, Cohn & Xiong, "Confidence preserving machine for facial action unit detection", ICCV 2015 and IEEE
TIP 2016 (PMC5272912). Symbols: D training rows, E easy, H hard, w+ and w- the pair, w_t the person's own classifier.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float32

from au_jax.systems.cpm.classifiers import (
    CPMSettings,
    Subject,
    approximate_inverse,
    confident_pair,
    own_classifier,
)

RELABELLINGS: tuple[str, ...] = ("localized", "holistic")
PURITY: float = 1.9
"""Pairs within the rarer class to pairs with the other, at the radius that `class_radius` looks for."""


class Examples(NamedTuple):
    """An AU's training frames and what is computed of them once (`examples`): rows [n, D], labels [n], near [n, n], inverse.

    Example:
      >>> known = Examples(jnp.ones((2, 3)), jnp.array([1.0, -1.0]), near=jnp.eye(2), inverse=jnp.eye(3))
      >>> known.labels.tolist()
      [1.0, -1.0]
    """

    rows: jax.Array
    labels: jax.Array
    near: jax.Array
    inverse: jax.Array


class Adapted(NamedTuple):
    """What is known of a test subject and AU: w_t [D], rounds, and whether frames of both classes were confident.

    Example:
      >>> Adapted(weights=jnp.zeros(3), rounds=jnp.int32(2), personal=jnp.array(True)).weights.shape
      (3,)
    """

    weights: jax.Array
    rounds: jax.Array
    personal: jax.Array


class _State(NamedTuple):
    pair: jax.Array
    own: jax.Array
    virtual: jax.Array
    values: jax.Array
    rounds: jax.Array
    personal: jax.Array
    done: jax.Array


@partial(jax.jit, static_argnames="settings")
def examples(rows: Float32[Array, "n D"], labels: Float32[Array, " n"], settings: CPMSettings) -> Examples:
    """Gathers an AU's training frames.

    Args:
      rows: [n, D] float32, the last column being 1; the others are of unit length, which tau refers to.
      labels: [n] float32 in {-1, 0, +1}; 0 does not count.
      settings: constants; tau 0 stands for the radius of `class_radius`.

    Example:
      >>> from au_jax.config import CPMConfig
      >>> rows, labels = jnp.array([[1.0, 1.0], [-1.0, 1.0]]), jnp.array([1.0, -1.0])
      >>> examples(rows, labels, CPMSettings.from_config(CPMConfig())).near.shape
      (2, 2)
    """
    lengths = jnp.sum(jnp.square(rows), 1)
    squared = lengths[:, None] + lengths[None] - 2.0 * rows @ rows.T
    tau = settings.tau or class_radius(squared, labels)
    inverse = approximate_inverse(rows, settings.gamma_s + settings.gamma_d)
    return Examples(rows, labels, (squared <= tau).astype(rows.dtype), inverse)


@partial(jax.jit, static_argnames="settings")
def initial_pair(known: Examples, settings: CPMSettings) -> Float32[Array, "2 D"]:
    """The pair before anything is hard: one classifier twice, [2, D].

    Example:
      >>> from au_jax.config import CPMConfig
      >>> rows = jnp.array([[1.0, 1.0], [-1.0, 1.0]])
      >>> settings = CPMSettings.from_config(CPMConfig())
      >>> known = examples(rows, jnp.array([1.0, -1.0]), settings)
      >>> initial_pair(known, settings)[:, 0] > 0
      Array([ True,  True], dtype=bool)
    """
    targets = jnp.stack([known.labels, known.labels], 1)
    nothing = jnp.zeros((2, known.rows.shape[1]), known.rows.dtype)
    tie = jnp.zeros((), known.rows.dtype)
    return confident_pair([known.rows], [targets], nothing, nothing[0], tie, known.inverse, settings)[0]


@partial(jax.jit, static_argnames="settings")
def adapt(known: Examples, pair: Float32[Array, "2 D"], subjects: Subject, settings: CPMSettings) -> Adapted:
    """Iterative CPM of one AU for many subjects at once.

    Args:
      known: the AU's n training frames.
      pair: [2, D], of `initial_pair`.
      subjects: rows [S, m, D] and video [S, m]; frames that a shorter subject lacks have video -1.
      settings: constants.

    Returns:
      Of every subject, the leading axis being S.

    Example:
      >>> from au_jax.config import CPMConfig
      >>> rows = jnp.array([[1.0, 1.0], [-1.0, 1.0]])
      >>> settings = CPMSettings.from_config(CPMConfig())
      >>> known = examples(rows, jnp.array([1.0, -1.0]), settings)
      >>> people = Subject(rows=rows[None], video=jnp.zeros((1, 2), jnp.int32))
      >>> pair = jnp.zeros((2, 2))  # else that of `initial_pair`
      >>> jax.eval_shape(partial(adapt, settings=settings), known, pair, people).weights.shape
      (1, 2)
    """
    return jax.vmap(lambda rows, video: _adapt(known, pair, Subject(rows, video), settings))(*subjects)


def _adapt(known: Examples, pair: jax.Array, subject: Subject, settings: CPMSettings) -> Adapted:
    seen = subject.video >= 0
    inverse = approximate_inverse(jnp.where(seen[:, None], subject.rows, 0.0), settings.gamma_t)

    def advance(state: _State) -> _State:
        simple = easy(known.rows @ state.pair.T, known.labels)
        targets = relabel(known.labels, simple, known.near, settings.relabelling)
        confirmed = jnp.stack([state.virtual, state.virtual], 1)
        # Before the first round there is no w_t to stay near.
        tie = jnp.where(state.rounds > 0, settings.gamma_tpn, 0.0)
        pair, pair_value = confident_pair(
            [known.rows, subject.rows], [targets, confirmed], state.pair, state.own, tie, known.inverse, settings
        )
        virtual = jnp.where(seen, virtual_labels(subject.rows @ pair.T), 0.0)
        own, own_value = own_classifier(subject, virtual, pair, state.own, inverse, settings)
        personal = (virtual > 0).any() & (virtual < 0).any()
        own = jnp.where(personal, own, pair.mean(0))
        values = jnp.stack([pair_value, jnp.where(personal, own_value, 0.0)])
        change = jnp.abs(values - state.values)
        done = (change <= settings.tolerance * jnp.maximum(jnp.abs(values), 1.0)).all()
        virtual = jnp.where(jnp.sign(subject.rows @ own) == virtual, virtual, 0.0)
        return _State(pair, own, virtual, values, state.rounds + 1, personal, done)

    first = _State(
        pair=pair,
        own=pair.mean(0),
        virtual=jnp.zeros(len(subject.rows), pair.dtype),
        values=jnp.full(2, jnp.inf, pair.dtype),
        rounds=jnp.int32(0),
        personal=jnp.array(False),
        done=jnp.array(False),
    )
    last = jax.lax.while_loop(lambda state: ~state.done & (state.rounds < settings.iterations), advance, first)
    return Adapted(last.own, last.rounds, last.personal)


def easy(scores: Float32[Array, "n 2"], labels: Float32[Array, " n"]) -> Bool[Array, " n"]:
    """Marks the rows on which both classifiers are right: scores [n, 2] of w+ and w-, labels [n] -> [n] bool.

    Example:
      >>> easy(jnp.array([[0.5, 0.1], [0.5, -0.1]]), jnp.array([1.0, 1.0])).tolist()
      [True, False]
    """
    return (jnp.sign(scores) == labels[:, None]).all(1)


def relabel(
    labels: Float32[Array, " n"], easy_rows: Bool[Array, " n"], near: Float32[Array, "n n"], relabelling: str
) -> Float32[Array, "n 2"]:
    """The labels that each classifier of the pair learns from.

    Args:
      labels: [n] float32 in {-1, 0, +1}.
      easy_rows: [n] bool; they keep their labels.
      near: [n, n] float32, 1 for pairs of rows within the radius tau.
      relabelling: "holistic" gives every hard row to the positive class in w+'s problem and to the negative class in
        w-'s; "localized" only those within tau of a hard row of that class.

    Returns:
      [n, 2] float32 in {-1, 0, +1}: targets of w+ and of w-.

    Example:
      >>> simple, apart = jnp.array([True, False]), jnp.eye(2)
      >>> relabel(jnp.array([1.0, 1.0]), simple, apart, "holistic").tolist()  # the hard row: 1 for w+, -1 for w-
      [[1.0, 1.0], [1.0, -1.0]]
    """
    sides = jnp.array([1.0, -1.0], labels.dtype)
    hard = ~easy_rows & (labels != 0)
    of_side = hard[:, None] & (labels[:, None] == sides[None])
    other = hard[:, None] & (labels[:, None] == -sides[None])
    if relabelling == "localized":
        other &= near @ of_side.astype(near.dtype) > 0
    return jnp.where(other, sides[None], labels[:, None])


def virtual_labels(scores: Float32[Array, "m 2"]) -> Float32[Array, " m"]:
    """The sign on which the pair agrees, 0 where it does not: [m, 2] -> [m].

    Example:
      >>> virtual_labels(jnp.array([[0.5, 0.1], [0.5, -0.1]])).tolist()
      [1.0, 0.0]
    """
    signs = jnp.sign(scores)
    return jnp.where(signs[:, 0] == signs[:, 1], signs[:, 0], 0.0)


def class_radius(squared: Float32[Array, "n n"], labels: Float32[Array, " n"]) -> Float32[Array, ""]:
    """The squared distance within which the rarer class still keeps to itself.

    Around rows of the rarer class, pairs within the class are then 1.9 times as many as pairs with the other class
    (bisection to 1e-3; closer rows are more alike).

    Args:
      squared: [n, n] squared distances, of rows of unit length.
      labels: [n] in {-1, 0, +1}.

    Returns:
      [] float32, at most 4.

    Example:
      >>> squared = jnp.array([[0.0, 1.0, 3.0], [1.0, 0.0, 3.0], [3.0, 3.0, 0.0]])
      >>> f"{class_radius(squared, jnp.array([1.0, 1.0, -1.0])):.2f}"
      '3.00'
    """
    rare = jnp.where((labels > 0).sum() <= (labels < 0).sum(), 1.0, -1.0)
    own, other = (labels == rare).astype(squared.dtype), (labels == -rare).astype(squared.dtype)

    def halve(_: jax.Array, bounds: jax.Array) -> jax.Array:
        middle = bounds.mean()
        close = (squared <= middle).astype(squared.dtype)
        # No row is its own neighbour.
        alike = own @ close @ own - own.sum()
        apart = own @ close @ other
        return jnp.where(alike >= PURITY * apart, jnp.stack([middle, bounds[1]]), jnp.stack([bounds[0], middle]))

    return jax.lax.fori_loop(0, 12, halve, jnp.array([0.0, 4.0], squared.dtype)).mean()
