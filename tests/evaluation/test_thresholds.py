"""Thresholds are chosen where F1-frame is highest on validation frames."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from au_jax.evaluation.thresholds import best_thresholds


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
