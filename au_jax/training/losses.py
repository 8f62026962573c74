"""The two losses of the paper, per frame and with missing labels masked.

`cross_entropy` trains the CNN (section III-A) and the fusion network (III-C), `max_margin` the LSTM (III-B). Averages over
frames are the caller's: sum(loss * labelled(labels)) / sum(labelled(labels)).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int

from au_jax.errors import ConfigError

LABEL_REDUCTIONS: tuple[str, ...] = ("mean_L", "sum", "mean_labelled")
"""Choices of `config.cnn.label_reduction` and `config.fusion.label_reduction`: see `cross_entropy`."""


def labelled(labels: Int[Array | np.ndarray, "*frames A"]) -> Float32[Array, "*frames"]:
    """1.0 where a frame has any label, else 0.0.

    Args:
      labels: in {-1, 0, +1}, 0 is missing.

    Example:
      >>> labelled(np.array([[0, -1], [0, 0]], np.int8)).tolist()
      [1.0, 0.0]
    """
    return jnp.any(labels != 0, axis=-1).astype(jnp.float32)


def cross_entropy(
    logits: Float[Array | np.ndarray, "*frames A"], labels: Int[Array | np.ndarray, "*frames A"], label_reduction: str
) -> Float[Array, "*frames"]:
    """Multi-label sigmoid cross-entropy of section III-A: - sum_l [y_l > 0] log p_l + [y_l < 0] log(1 - p_l), over L AUs.

    Args:
      logits: what stands at missing labels, non-finite numbers included, has no effect.
      labels: in {-1, 0, +1}, 0 is missing.
      label_reduction: "mean_L" divides by L (the paper's formula), "sum" by nothing (the group's Caffe layer, for which
        the learning rate was tuned; L times the former), "mean_labelled" by the number of labels the frame has.

    Returns:
      The loss of every frame, in the dtype of logits; 0 for frames without labels.

    Raises:
      ConfigError: another reduction.

    Example:
      >>> loss = cross_entropy(np.zeros((1, 2), np.float32), np.array([[1, -1]], np.int8), "mean_L")
      >>> f"{loss[0]:.4f}"  # log 2
      '0.6931'
    """
    if label_reduction not in LABEL_REDUCTIONS:
        raise ConfigError(f"unknown label_reduction {label_reduction!r}; choose from {', '.join(LABEL_REDUCTIONS)}")
    known = labels != 0
    # Masked before the exponential: a masked infinity afterwards would still give a NaN gradient.
    x = jnp.where(known, logits, 0.0)
    target = (labels > 0).astype(x.dtype)
    terms = jnp.maximum(x, 0.0) - x * target + jnp.log1p(jnp.exp(-jnp.abs(x)))
    total = jnp.sum(jnp.where(known, terms, 0.0), axis=-1)
    if label_reduction == "mean_L":
        return total / labels.shape[-1]
    if label_reduction == "mean_labelled":
        return total / jnp.maximum(jnp.sum(known, axis=-1), 1).astype(total.dtype)
    return total


def masked_cross_entropy(
    logits: Float[Array, " A"], labels: Int[Array, " A"], mask: Float32[Array, ""], label_reduction: str
) -> tuple[Float[Array, ""], Float32[Array, ""]]:
    """The cross-entropy of one frame of a batch, and whether it counts.

    Args:
      logits, labels, label_reduction: as in `cross_entropy`, of one frame.
      mask: 0.0 for a row that fills up the batch, else 1.0.

    Returns:
      The loss, and 1.0; both 0.0 for a frame without labels, or masked.

    Example:
      >>> loss, counted = masked_cross_entropy(jnp.zeros(2), jnp.array([1, -1], jnp.int8), jnp.float32(0.0), "sum")
      >>> float(loss), float(counted)
      (0.0, 0.0)
    """
    counted = labelled(labels) * mask
    return cross_entropy(logits, labels, label_reduction) * counted, counted


def max_margin(
    scores: Float[Array | np.ndarray, "*frames A"],
    labels: Int[Array | np.ndarray, "*frames A"],
    margin: float,
    grad_threshold: float | None,
) -> Float[Array, "*frames"]:
    """Max-margin loss of section III-B: (1 / n0) sum over the n0 labelled AUs of a frame of max(0, margin - y_l s_l).

    The paper back-propagates -y_l / n0 where y_l s_l < 1 although its margin is 0.5 (the default of Torch's
    MarginCriterion shines through). With scores in [-1, 1] such a gradient never switches off, where the loss's own
    stops at |s_l| = margin; the two train differently, so both can be had.

    Args:
      scores: in [-1, 1]; what stands at missing labels has no effect.
      labels: in {-1, 0, +1}, 0 is missing.
      margin: lambda of the paper, 0.5.
      grad_threshold: y_l s_l below which the gradient is -y_l / n0, else 0; 1.0 is the paper's, None is the margin, the
        loss's own gradient.

    Returns:
      The loss of every frame, in the dtype of scores; 0 for frames without labels.

    Example:
      >>> loss = max_margin(np.array([[0.25, -0.75]], np.float32), np.array([[1, -1]], np.int8), 0.5, None)
      >>> loss.tolist()  # (0.5 - 0.25 + 0) / 2
      [0.125]
    """
    return _max_margin(scores, labels, margin, margin if grad_threshold is None else grad_threshold)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _max_margin(scores, labels, margin: float, grad_threshold: float) -> jax.Array:
    del grad_threshold
    agreement, share = _agreement(scores, labels)
    return jnp.sum(jnp.maximum(margin - agreement, 0.0) * share, axis=-1)


def _agreement(scores, labels) -> tuple[jax.Array, jax.Array]:
    """y_l s_l (0 where missing) and each label's weight: 1 / n0 where labelled, else 0."""
    known = labels != 0
    number = jnp.maximum(jnp.sum(known, axis=-1, keepdims=True), 1).astype(scores.dtype)
    return jnp.where(known, scores, 0.0) * labels.astype(scores.dtype), known.astype(scores.dtype) / number


def _max_margin_forward(scores, labels, margin, grad_threshold):
    agreement, share = _agreement(scores, labels)
    slope = -labels.astype(scores.dtype) * share * (agreement < grad_threshold).astype(scores.dtype)
    return _max_margin(scores, labels, margin, grad_threshold), slope


def _max_margin_backward(margin, grad_threshold, slope, cotangent):
    del margin, grad_threshold
    return cotangent[..., None] * slope, None


_max_margin.defvjp(_max_margin_forward, _max_margin_backward)
