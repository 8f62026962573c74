"""Precision-recall curves against scikit-learn, with ties and missing labels."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve

from au_jax.evaluation.metrics import mean_precision, precision_recall


@pytest.mark.parametrize("decimals", [6, 1, 0])
def test_curve_and_average_precision_are_those_of_scikit_learn(decimals):
    rng = np.random.default_rng(decimals)
    labels = rng.choice([-1, 0, 1], size=300, p=[0.6, 0.1, 0.3])
    scores = np.round(rng.normal(size=300) + 0.7 * labels, decimals)
    curve = precision_recall(labels, scores)
    known = labels != 0
    precision, recall, _ = precision_recall_curve(labels[known] > 0, scores[known])
    # Theirs runs from the lowest threshold to the highest and ends with the point (0, 1).
    np.testing.assert_allclose(curve.precision, precision[-2::-1])
    np.testing.assert_allclose(curve.recall, recall[-2::-1])
    assert curve.average_precision == pytest.approx(average_precision_score(labels[known] > 0, scores[known]))
    assert curve.base_rate == (labels > 0).sum() / known.sum()


def test_precision_at_a_recall_is_that_of_the_highest_threshold_that_reaches_it():
    # In order of score: hit, miss, hit, miss, miss, hit.
    curve = precision_recall(np.array([1, -1, 1, -1, -1, 1]), np.array([6.0, 5, 4, 3, 2, 1]))
    np.testing.assert_allclose(curve.at(np.array([0.1, 1 / 3, 0.5, 2 / 3, 0.9, 1.0])), [1, 1, 2 / 3, 2 / 3, 0.5, 0.5])


def test_folds_are_averaged_and_not_pooled():
    perfect = precision_recall(np.array([1, -1]), np.array([100.0, 99.0]))
    useless = precision_recall(np.array([1, -1]), np.array([0.0, 0.0]))
    np.testing.assert_allclose(mean_precision([perfect, useless], np.array([0.5, 1.0])), 0.75)


def test_without_positives_there_is_no_curve():
    assert precision_recall(np.array([-1, 0, -1]), np.zeros(3)) is None
