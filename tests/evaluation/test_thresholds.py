"""Thresholds are chosen where F1-frame, or what a calibration expects of it, is highest on validation frames."""

import numpy as np
import pytest
from scipy import integrate
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit
from scipy.stats import norm
from sklearn.metrics import f1_score

from au_jax.evaluation.thresholds import POLICIES, _probabilities, best_thresholds, calibrated_thresholds


def test_a_hand_made_case():
    labels = np.array([[1], [1], [-1], [1], [-1]], np.int8)
    scores = np.array([[5.0], [4.0], [3.0], [2.0], [1.0]], np.float32)
    # Four found: precision 3/4, recall 1, F1 6/7; two found: F1 4/5. The threshold lies between 2 and 1.
    assert best_thresholds(labels, scores) == pytest.approx([1.5])


def test_missing_labels_take_no_part():
    labels = np.array([[1], [0], [-1]], np.int8)
    scores = np.array([[1.0], [-5.0], [-1.0]], np.float32)
    assert best_thresholds(labels, scores) == pytest.approx([0.0])


def test_an_au_without_a_positive_keeps_zero():
    assert best_thresholds(np.array([[-1], [0]], np.int8), np.array([[3.0], [4.0]])).tolist() == [0.0]


@pytest.mark.parametrize("seed", range(5))
def test_no_threshold_is_better(seed):
    generator = np.random.default_rng(seed)
    labels = generator.choice([-1, 1], size=(60, 1)).astype(np.int8)
    scores = np.round(generator.normal(size=(60, 1)) + 0.5 * labels, 1).astype(np.float32)
    found = f1_score(labels[:, 0] > 0, scores[:, 0] > best_thresholds(labels, scores)[0])
    others = [f1_score(labels[:, 0] > 0, scores[:, 0] > threshold) for threshold in np.arange(-4, 4, 0.05)]
    assert found == pytest.approx(max(others), abs=1e-9)


def drawn(generator, people=20, frames=30, slope=2.0, bias=-1.0):
    """Labels and scores of one AU, and whose frames they are; positive with the probability expit(slope * score + bias)."""
    scores = generator.normal(size=(people * frames, 1)).astype(np.float32)
    positive = generator.random(scores.shape) < expit(slope * scores + bias)
    return np.where(positive, 1, -1).astype(np.int8), scores, np.repeat(np.arange(people), frames)


def expected_f1(threshold, slope, bias):
    """By integration over normally distributed scores."""
    found = integrate.quad(lambda s: expit(slope * s + bias) * norm.pdf(s), threshold, np.inf)[0]
    return 2 * found / (norm.sf(threshold) + integrate.quad(lambda s: expit(slope * s + bias) * norm.pdf(s), -9, 9)[0])


def test_the_calibrated_threshold_is_the_one_of_the_highest_expected_f1():
    labels, scores, _ = drawn(np.random.default_rng(0), frames=2000)
    wanted = minimize_scalar(lambda threshold: -expected_f1(threshold, 2.0, -1.0), (-1.0, 0.0, 1.0)).x
    assert calibrated_thresholds(labels, scores) == pytest.approx([wanted], abs=0.03)
    # At the best threshold a frame is positive with half the probability that F1 is high (Lipton et al., 2014).
    assert expit(2.0 * wanted - 1.0) == pytest.approx(expected_f1(wanted, 2.0, -1.0) / 2, abs=1e-4)


def test_the_probabilities_are_platts():
    labels, scores, _ = drawn(np.random.default_rng(1), people=4)
    positive, count = labels[:, 0] > 0, (labels > 0).sum()
    targets = np.where(positive, (count + 1) / (count + 2), 1 / (len(labels) - count + 2))

    def loss(line):
        probability = expit(line[0] * scores[:, 0] + line[1])
        return -(targets * np.log(probability) + (1 - targets) * np.log(1 - probability)).sum()

    line = minimize(loss, [1.0, 0.0], tol=1e-10).x
    found = _probabilities(scores[:, 0].astype(np.float64), positive)
    np.testing.assert_allclose(found, expit(line[0] * scores[:, 0] + line[1]), atol=1e-4)


def test_the_calibrated_threshold_moves_less_from_sample_to_sample():
    samples = [drawn(np.random.default_rng(seed))[:2] for seed in range(40)]
    spread = {policy: np.std([policy(*sample) for sample in samples]) for policy in POLICIES.values()}
    assert spread[calibrated_thresholds] < 0.5 * spread[best_thresholds]


def test_calibration_survives_scores_that_part_the_classes_or_say_nothing():
    labels = np.array([[1], [1], [-1], [-1], [0]], np.int8)
    parted = calibrated_thresholds(labels, np.array([[4.0], [3.0], [1.0], [0.0], [9.0]], np.float32))
    assert 1.0 < parted[0] < 3.0
    # Everything is equally likely: all present is the best guess for F1.
    assert calibrated_thresholds(labels, np.full((5, 1), 2.0, np.float32))[0] < 2.0
    assert calibrated_thresholds(np.ones((3, 1), np.int8), np.array([[1.0], [2.0], [3.0]], np.float32))[0] < 1.0
    assert calibrated_thresholds(np.array([[-1], [0]], np.int8), np.array([[3.0], [4.0]])).tolist() == [0.0]
