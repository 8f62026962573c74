"""The losses against NumPy, with missing labels, the two gradient thresholds, and numbers that must not spread."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from au_jax.training.losses import LABEL_REDUCTIONS, cross_entropy, labelled, max_margin


def _example(shape=(6, 12), seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.choice([-1, 0, 1], size=shape).astype(np.int8)
    labels[0] = 0  # a frame without any label
    return rng.uniform(-1, 1, size=shape).astype(np.float32), labels


def test_labelled_frames_worked_by_hand():
    labels = jnp.asarray([[0, 0, 0], [0, -1, 0], [1, 1, -1]], jnp.int8)
    np.testing.assert_array_equal(labelled(labels), [0.0, 1.0, 1.0])
    assert labelled(labels).dtype == jnp.float32


def test_cross_entropy_worked_by_hand():
    # p = sigmoid(log 3) = 3/4: present costs log(4/3), absent log 4; the third label is missing.
    logits = jnp.full((1, 3), np.log(3.0), jnp.float32)
    labels = jnp.asarray([[1, -1, 0]], jnp.int8)
    total = np.log(4 / 3) + np.log(4)
    np.testing.assert_allclose(cross_entropy(logits, labels, "sum"), [total], rtol=1e-6)
    np.testing.assert_allclose(cross_entropy(logits, labels, "mean_L"), [total / 3], rtol=1e-6)
    np.testing.assert_allclose(cross_entropy(logits, labels, "mean_labelled"), [total / 2], rtol=1e-6)


@pytest.mark.parametrize("label_reduction", LABEL_REDUCTIONS)
def test_cross_entropy_and_its_gradient_agree_with_numpy(label_reduction):
    logits, labels = _example()
    logits = 8 * logits
    value, gradient = np.zeros(6), np.zeros((6, 12))
    for n in range(6):
        known = [au for au in range(12) if labels[n, au] != 0]
        divisor = {"sum": 1, "mean_L": 12, "mean_labelled": max(len(known), 1)}[label_reduction]
        for au in known:
            p = 1 / (1 + np.exp(-float(logits[n, au])))
            value[n] -= np.log(p if labels[n, au] > 0 else 1 - p) / divisor
            gradient[n, au] = (p - (labels[n, au] > 0)) / divisor
    ours = cross_entropy(jnp.asarray(logits), jnp.asarray(labels), label_reduction)
    np.testing.assert_allclose(ours, value, rtol=1e-5, atol=1e-6)
    pulled = jax.grad(lambda x: jnp.sum(cross_entropy(x, jnp.asarray(labels), label_reduction)))(jnp.asarray(logits))
    np.testing.assert_allclose(pulled, gradient, rtol=1e-5, atol=1e-6)


def test_the_caffe_reduction_is_twelve_times_the_papers():
    logits, labels = _example()
    ours = [cross_entropy(jnp.asarray(logits), jnp.asarray(labels), name) for name in ("sum", "mean_L")]
    np.testing.assert_allclose(ours[0], 12 * ours[1], rtol=1e-6)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_nothing_at_a_missing_label_reaches_value_or_gradient(bad):
    logits, labels = _example()
    spoilt = jnp.asarray(np.where(labels == 0, bad, logits), jnp.float32)
    labels = jnp.asarray(labels)
    for loss in (
        lambda x: cross_entropy(x, labels, "mean_labelled"),
        lambda x: max_margin(x, labels, 0.5, 1.0),
        lambda x: max_margin(x, labels, 0.5, None),
    ):
        np.testing.assert_array_equal(loss(spoilt), loss(jnp.asarray(logits)))
        gradient = jax.grad(lambda x, loss=loss: jnp.sum(loss(x)))(spoilt)
        assert np.isfinite(gradient).all()
        np.testing.assert_array_equal(np.asarray(gradient)[np.asarray(labels) == 0], 0.0)


def test_cross_entropy_is_finite_for_huge_logits():
    logits = jnp.asarray([[1e4, -1e4]], jnp.float32)
    labels = jnp.asarray([[-1, -1]], jnp.int8)
    value, gradient = jax.value_and_grad(lambda x: jnp.sum(cross_entropy(x, labels, "sum")))(logits)
    assert float(value) == 1e4
    np.testing.assert_array_equal(gradient, [[1.0, 0.0]])


def test_max_margin_worked_by_hand():
    # Labels 1, -1, missing: (max(0, .5 - .2) + max(0, .5 - .9)) / 2 = .15; the missing one does not count.
    scores, labels = jnp.asarray([[0.2, -0.9, 0.7]]), jnp.asarray([[1, -1, 0]], jnp.int8)
    np.testing.assert_allclose(max_margin(scores, labels, 0.5, 1.0), [0.15], rtol=1e-6)
    for threshold, expected in ((1.0, [[-0.5, 0.5, 0.0]]), (0.5, [[-0.5, 0.0, 0.0]]), (None, [[-0.5, 0.0, 0.0]])):
        gradient = jax.grad(lambda x, t=threshold: jnp.sum(max_margin(x, labels, 0.5, t)))(scores)
        np.testing.assert_allclose(gradient, expected, rtol=1e-6)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), margin=st.sampled_from([0.1, 0.5, 1.0]))
def test_without_a_threshold_the_gradient_is_that_of_the_hinge(seed, margin):
    scores, labels = _example(seed=seed)
    scores, labels = jnp.asarray(scores), jnp.asarray(labels)

    def hinge(x):
        known = (labels != 0).astype(jnp.float32)
        terms = jax.nn.relu(margin - labels.astype(jnp.float32) * x) * known
        return jnp.sum(jnp.sum(terms, axis=-1) / jnp.maximum(jnp.sum(known, axis=-1), 1.0))

    value, gradient = jax.value_and_grad(lambda x: jnp.sum(max_margin(x, labels, margin, None)))(scores)
    expected, expected_gradient = jax.value_and_grad(hinge)(scores)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-5, atol=1e-7)


def test_with_the_papers_threshold_every_labelled_score_is_pushed():
    scores, labels = _example()
    gradient = jax.grad(lambda x: jnp.sum(max_margin(x, jnp.asarray(labels), 0.5, 1.0)))(jnp.asarray(scores))
    number = np.maximum((labels != 0).sum(axis=1, keepdims=True), 1)
    np.testing.assert_allclose(gradient, -labels / number, rtol=1e-6)


def test_max_margin_gradient_scales_with_what_flows_into_it():
    scores, labels = (jnp.asarray(a) for a in _example())
    weights = jnp.arange(6, dtype=jnp.float32)
    gradient = jax.grad(lambda x: jnp.sum(weights * max_margin(x, labels, 0.5, 1.0)))(scores)
    plain = jax.grad(lambda x: jnp.sum(max_margin(x, labels, 0.5, 1.0)))(scores)
    np.testing.assert_allclose(gradient, weights[:, None] * plain, rtol=1e-6)


def test_a_frame_without_labels_costs_nothing():
    scores, labels = jnp.ones((1, 12)), jnp.zeros((1, 12), jnp.int8)
    for reduction in LABEL_REDUCTIONS:
        np.testing.assert_array_equal(cross_entropy(scores, labels, reduction), [0.0])
    np.testing.assert_array_equal(max_margin(scores, labels, 0.5, 1.0), [0.0])


def test_losses_keep_any_leading_axes_and_run_compiled():
    scores, labels = _example((2, 3, 12))
    scores, labels = jnp.asarray(scores), jnp.asarray(labels)
    assert jax.jit(lambda s, y: cross_entropy(s, y, "sum"))(scores, labels).shape == (2, 3)
    assert jax.jit(lambda s, y: max_margin(s, y, 0.5, 1.0))(scores, labels).shape == (2, 3)


def test_an_unknown_reduction_is_named():
    with pytest.raises(ValueError, match="unknown label_reduction 'mean'; choose from mean_L, sum, mean_labelled"):
        cross_entropy(jnp.zeros((1, 12)), jnp.zeros((1, 12), jnp.int8), "mean")
