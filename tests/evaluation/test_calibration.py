"""Probabilities say how often an AU is present; the fit is the one of highest likelihood."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from au_jax.evaluation.calibration import calibrated_probabilities, fit_calibration, shift_calibration


def drawn(slope, intercept, count=4000, seed=0):
    generator = np.random.default_rng(seed)
    scores = 3 * generator.normal(size=(count, 1)) + 1
    labels = np.where(generator.random((count, 1)) < expit(slope * scores + intercept), 1, -1).astype(np.int8)
    return labels, scores


def test_slope_and_intercept_are_found_again():
    calibration = fit_calibration(*drawn(0.6, -1.5))
    assert calibration[:, 0] == pytest.approx([0.6, -1.5], abs=0.1) and calibration.dtype == np.float32


def test_no_other_function_is_likelier_by_platts_targets():
    labels, scores = drawn(0.6, -1.5, count=200)
    positive = labels[:, 0] > 0
    wanted = np.where(positive, (positive.sum() + 1) / (positive.sum() + 2), 1 / ((~positive).sum() + 2))

    def loss(both):
        logits = both[0] * scores[:, 0] + both[1]
        return (np.logaddexp(0, logits) - wanted * logits).sum()

    found = minimize(loss, [1.0, 0.0], tol=1e-12).x
    np.testing.assert_allclose(fit_calibration(labels, scores)[:, 0], found, rtol=1e-4)


def test_of_frames_with_a_probability_so_many_are_present():
    calibration = fit_calibration(*drawn(0.6, -1.5))
    labels, scores = drawn(0.6, -1.5, count=50_000, seed=1)
    found = calibrated_probabilities(scores, calibration)[:, 0]
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        rows = (found >= low) & (found < low + 0.2)
        assert (labels[rows, 0] > 0).mean() == pytest.approx(found[rows].mean(), abs=0.03)


def test_scores_that_separate_all_frames_give_finite_numbers():
    calibration = fit_calibration(np.array([[1]] * 5 + [[-1]] * 5, np.int8), np.repeat([[2.0], [-2.0]], 5, 0))
    # By Platt's targets 6/7 and 1/7 at the two scores.
    assert calibrated_probabilities(np.array([[2.0], [-2.0]]), calibration)[:, 0] == pytest.approx(
        [6 / 7, 1 / 7], abs=1e-4
    )


def test_scores_that_are_the_wrong_way_round_say_nothing_but_how_frequent_the_au_is():
    labels = np.repeat([[1], [-1]], [10, 30], 0).astype(np.int8)
    calibration = fit_calibration(labels, -labels.astype(np.float64) + np.linspace(0, 1, 40)[:, None])
    assert calibration[0, 0] == 0
    targets = (10 * 11 / 12 + 30 / 32) / 40
    assert calibrated_probabilities(np.array([[9.0], [-9.0]]), calibration)[:, 0] == pytest.approx(
        [targets, targets], abs=1e-6
    )


def test_missing_labels_take_no_part_and_an_au_of_one_kind_has_no_probability():
    labels, scores = drawn(0.6, -1.5, count=300)
    more = np.concatenate([labels, np.zeros_like(labels)]), np.concatenate([scores, 100 * np.ones_like(scores)])
    np.testing.assert_array_equal(fit_calibration(*more), fit_calibration(labels, scores))
    assert np.isnan(fit_calibration(np.ones_like(labels), scores)).all()
    assert np.isnan(fit_calibration(np.zeros_like(labels), scores)).all()


def test_a_threshold_that_is_subtracted_changes_no_probability():
    labels, scores = drawn(0.6, -1.5, count=300)
    calibration, thresholds = fit_calibration(labels, scores), np.array([0.7])
    expected = calibrated_probabilities(scores, calibration)
    np.testing.assert_allclose(
        calibrated_probabilities(scores - thresholds, shift_calibration(calibration, thresholds)), expected, atol=1e-6
    )
