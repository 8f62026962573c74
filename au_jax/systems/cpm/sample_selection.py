"""CPM's easy and hard samples: which training rows a pair of classifiers finds easy, and the labels that it gets for the others.

Source: see `au_jax.systems.cpm.model`.
"""

import jax
import jax.numpy as jnp

RELABELLINGS: tuple[str, ...] = ("localized", "holistic")
PURITY: float = 1.9
"""Pairs within the rarer class to pairs with the other, at the radius that `class_radius` looks for."""


def easy(scores: jax.Array, labels: jax.Array) -> jax.Array:
    """Marks the rows on which both classifiers are right: scores [n, 2] of w+ and w-, labels [n] -> [n] bool."""
    return (jnp.sign(scores) == labels[:, None]).all(1)


def relabel(labels: jax.Array, easy_rows: jax.Array, near: jax.Array, relabelling: str) -> jax.Array:
    """The labels that each classifier of the pair learns from.

    Args:
      labels: [n] float32 in {-1, 0, +1}.
      easy_rows: [n] bool; they keep their labels.
      near: [n, n] float32, 1 for pairs of rows within the radius tau.
      relabelling: "holistic" gives every hard row to the positive class in w+'s problem and to the negative class in
        w-'s; "localized" only those within tau of a hard row of that class.

    Returns:
      [n, 2] float32 in {-1, 0, +1}: targets of w+ and of w-.
    """
    sides = jnp.array([1.0, -1.0], labels.dtype)
    hard = ~easy_rows & (labels != 0)
    of_side = hard[:, None] & (labels[:, None] == sides[None])
    other = hard[:, None] & (labels[:, None] == -sides[None])
    if relabelling == "localized":
        other &= near @ of_side.astype(near.dtype) > 0
    return jnp.where(other, sides[None], labels[:, None])


def virtual_labels(scores: jax.Array) -> jax.Array:
    """The sign on which the pair agrees, 0 where it does not: [m, 2] -> [m]."""
    signs = jnp.sign(scores)
    return jnp.where(signs[:, 0] == signs[:, 1], signs[:, 0], 0.0)


def class_radius(squared: jax.Array, labels: jax.Array) -> jax.Array:
    """The squared distance within which the rarer class still keeps to itself.

    Around rows of the rarer class, pairs within the class are then 1.9 times as many as pairs with the other class
    (bisection to 1e-3; closer rows are more alike).

    Args:
      squared: [n, n] squared distances, of rows of unit length.
      labels: [n] in {-1, 0, +1}.

    Returns:
      [] float32, at most 4.
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
