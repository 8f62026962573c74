"""The two losses of the paper, per frame and with missing labels masked.

`cross_entropy` trains the CNN and the fusion network (section 3.1), `max_margin` the LSTM (section 3.2). Averages over
frames are the caller's: sum(loss * labelled(labels)) / sum(labelled(labels)).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from au_jax.errors import UserError

Array = jax.Array | np.ndarray
"""What the losses take; they return `jax.Array`."""

LABEL_REDUCTIONS: tuple[str, ...] = ("mean_L", "sum", "mean_labelled")


def labelled(labels: Array) -> jax.Array:
    """1.0 where a frame has any label, else 0.0: labels [.., L] in {-1, 0, 1} to [..] float32."""
    return jnp.any(labels != 0, axis=-1).astype(jnp.float32)


def cross_entropy(logits: Array, labels: Array, label_reduction: str) -> jax.Array:
    """Multi-label sigmoid cross-entropy: - sum_l [y_l > 0] log p_l + [y_l < 0] log(1 - p_l), reduced over labels.

    Args:
      logits: [.., L] float; what stands at missing labels, non-finite numbers included, has no effect.
      labels: [.., L] in {-1, 0, 1}, 0 is missing.
      label_reduction: "mean_L" divides by L (the paper's formula), "sum" by nothing (the group's Caffe layer, for which
        the learning rate was tuned; 12 times the former), "mean_labelled" by the number of labels the frame has.

    Returns:
      [..] the dtype of logits; 0 for frames without labels.

    Raises:
      ValueError: another reduction.
    """
    if label_reduction not in LABEL_REDUCTIONS:
        raise UserError(f"unknown label_reduction {label_reduction!r}; choose from {', '.join(LABEL_REDUCTIONS)}")
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


def max_margin(scores: Array, labels: Array, margin: float, grad_threshold: float | None) -> jax.Array:
    """Max-margin loss of a frame: (1 / n0) sum over its n0 labelled AUs of max(0, margin - y_l s_l).

    The paper back-propagates -y_l / n0 where y_l s_l < 1 although its margin is 0.5 (the default of Torch's
    MarginCriterion shines through). With scores in [-1, 1] such a gradient never switches off, where the loss's own
    stops at |s_l| = margin; the two train differently, so both can be had.

    Args:
      scores: [.., L] float in [-1, 1]; what stands at missing labels has no effect.
      labels: [.., L] in {-1, 0, 1}, 0 is missing.
      margin: lambda of the paper, 0.5.
      grad_threshold: y_l s_l below which the gradient is -y_l / n0, else 0; 1.0 is the paper's, None is the margin, the
        loss's own gradient.

    Returns:
      [..] the dtype of scores; 0 for frames without labels.
    """
    return _max_margin(scores, labels, margin, margin if grad_threshold is None else grad_threshold)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _max_margin(scores: Array, labels: Array, margin: float, grad_threshold: float) -> jax.Array:
    del grad_threshold
    agreement, share = _agreement(scores, labels)
    return jnp.sum(jnp.maximum(margin - agreement, 0.0) * share, axis=-1)


def _agreement(scores: Array, labels: Array) -> tuple[jax.Array, jax.Array]:
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
