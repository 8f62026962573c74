"""Confidence-preserving machine (CPM): classifiers that adapt to one person without that person's labels.

Two classifiers of an AU, the confident pair, agree on easy samples and get opposite labels for hard ones: the positive
one takes hard samples for positive, the negative one for negative. Where both call a test frame positive it is confidently
positive. From such frames of a test subject, the subject's own classifier is learned, smooth over time (QSS, the
quasi-semi-supervised classifier); frames that it confirms join the easy samples, and all is repeated (iterative CPM).

Zeng, Chu, De la Torre, Cohn & Xiong, "Confidence preserving machine for facial action unit detection", ICCV 2015 and IEEE
TIP 2016 (PMC5272912). Symbols: D training rows, E easy, H hard, w+ and w- the pair, w_t the person's own classifier.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from au_jax.systems.cpm import laplacian
from au_jax.systems.cpm.newton import approximate_inverse, minimise
from au_jax.systems.cpm.sample_selection import class_radius, easy, relabel, virtual_labels


@dataclass(frozen=True)
class Settings:
    """CPM's constants, as in `config.cpm`."""

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


class Examples(NamedTuple):
    """An AU's training frames and what is computed of them once (`examples`): rows [n, D], labels [n], near [n, n], inverse."""

    rows: jax.Array
    labels: jax.Array
    near: jax.Array
    inverse: jax.Array


class Subject(NamedTuple):
    """A test subject's frames in order: rows [m, D] float32; video [m] int32, -1 where there is no face."""

    rows: jax.Array
    video: jax.Array


class Adapted(NamedTuple):
    """What is known of a test subject and AU: w_t [D], rounds, and whether frames of both classes were confident."""

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
def examples(rows: jax.Array, labels: jax.Array, settings: Settings) -> Examples:
    """Gathers an AU's training frames.

    Args:
      rows: [n, D] float32, the last column being 1; the others are of unit length, which tau refers to.
      labels: [n] float32 in {-1, 0, +1}; 0 does not count.
      settings: constants; tau 0 stands for the radius of `class_radius`.
    """
    lengths = jnp.sum(jnp.square(rows), 1)
    squared = lengths[:, None] + lengths[None] - 2.0 * rows @ rows.T
    tau = settings.tau or class_radius(squared, labels)
    inverse = approximate_inverse(rows, settings.gamma_s + settings.gamma_d)
    return Examples(rows, labels, (squared <= tau).astype(rows.dtype), inverse)


@partial(jax.jit, static_argnames="settings")
def initial_pair(known: Examples, settings: Settings) -> jax.Array:
    """The pair before anything is hard: one classifier twice, [2, D]."""
    targets = jnp.stack([known.labels, known.labels], 1)
    nothing = jnp.zeros((2, known.rows.shape[1]), known.rows.dtype)
    tie = jnp.zeros((), known.rows.dtype)
    return confident_pair([known.rows], [targets], nothing, nothing[0], tie, known.inverse, settings)[0]


@partial(jax.jit, static_argnames="settings")
def adapt(known: Examples, pair: jax.Array, subjects: Subject, settings: Settings) -> Adapted:
    """Iterative CPM of one AU for many subjects at once.

    Args:
      known: the AU's n training frames.
      pair: [2, D], of `initial_pair`.
      subjects: rows [S, m, D] and video [S, m]; frames that a shorter subject lacks have video -1.
      settings: constants.

    Returns:
      Of every subject, the leading axis being S.
    """
    return jax.vmap(lambda rows, video: _adapt(known, pair, Subject(rows, video), settings))(*subjects)


def _adapt(known: Examples, pair: jax.Array, subject: Subject, settings: Settings) -> Adapted:
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


def confident_pair(
    rows: list[jax.Array],
    targets: list[jax.Array],
    start: jax.Array,
    own: jax.Array,
    tie: jax.Array,
    inverse: jax.Array,
    settings: Settings,
) -> tuple[jax.Array, jax.Array]:
    """The pair that fits its targets, w+ near w-, and both near the person's own classifier.

        min gamma_s (|w+|^2 + |w-|^2) + gamma_d |w+ - w-|^2 + squared hinges + tie (|w+ - w_t|^2 + |w- - w_t|^2)

    Args:
      rows: parts [n, D].
      targets: of each part, [n, 2].
      start: [2, D], w+ and w-.
      own: w_t [D].
      tie: gamma_tpn, or 0 without w_t.
      inverse: see `newton.minimise`.
      settings: constants.

    Returns:
      [2, D] and the objective.
    """

    def quadratic(pair: jax.Array) -> jax.Array:
        return (settings.gamma_s + tie) * pair + settings.gamma_d * (pair - pair[::-1])

    pair, value = minimise(rows, targets, start, quadratic, tie * jnp.stack([own, own]), inverse)
    return pair, value + 2.0 * tie * jnp.sum(jnp.square(own))


def own_classifier(
    subject: Subject, virtual: jax.Array, pair: jax.Array, start: jax.Array, inverse: jax.Array, settings: Settings
) -> tuple[jax.Array, jax.Array]:
    """QSS: the person's classifier, from virtual labels of confident frames and smoothness over all frames.

        min gamma_t |w|^2 + squared hinges of E_t + gamma_tpn (|w - w+|^2 + |w - w-|^2) + gamma_i (X w)' L (X w)

    Args:
      subject: rows X.
      virtual: [m] float32 in {-1, 0, +1}.
      pair: [2, D].
      start: [D].
      inverse: see `newton.minimise`.
      settings: constants.

    Returns:
      w [D] and the objective.
    """
    weights = laplacian.edges(subject.rows, subject.video, virtual > 0, settings.window)
    # (X w)' L (X w) = |W X w|^2.
    rough = laplacian.differences(weights, subject.rows)

    def quadratic(own: jax.Array) -> jax.Array:
        return (settings.gamma_t + 2.0 * settings.gamma_tpn) * own + settings.gamma_i * (own @ rough.T) @ rough

    linear = settings.gamma_tpn * pair.sum(0, keepdims=True)
    own, value = minimise([subject.rows], [virtual[:, None]], start[None], quadratic, linear, inverse)
    return own[0], value + settings.gamma_tpn * jnp.sum(jnp.square(pair))
