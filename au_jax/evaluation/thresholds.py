"""Decision thresholds per AU, chosen on validation frames."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Float32, Int
from scipy.special import expit

from au_jax.evaluation.calibration import platt

Policy = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(labels [N, A] int8 in {-1, 0, +1}, scores [N, A] float32) of frames that must not be a test subject's -> thresholds [A].

A frame is positive where its score exceeds the threshold. Missing labels take no part; an AU without a positive label keeps 0.
"""


def best_thresholds(labels: Int[np.ndarray, "N A"], scores: Float[np.ndarray, "N A"]) -> Float32[np.ndarray, " A"]:
    """The threshold per AU with the highest F1-frame on these frames (`Policy`).

    Args:
      labels: [N, A] in {-1, 0, 1}.
      scores: [N, A] float.

    Returns:
      [A] float32: midway between two neighbouring scores; of equally good thresholds the one nearest to 0.

    Example:
      >>> best_thresholds(np.array([[1], [1], [-1]]), np.array([[0.8], [0.4], [0.2]])).round(2).tolist()
      [0.30000001192092896]
    """
    return _by_au(labels, scores, lambda scores, positive: positive.astype(np.float64))


def calibrated_thresholds(
    labels: Int[np.ndarray, "N A"], scores: Float[np.ndarray, "N A"]
) -> Float32[np.ndarray, " A"]:
    """The threshold per AU with the highest expected F1-frame, each frame positive with its calibrated probability (`Policy`).

    The probability is a logistic function of the score, fitted to the labels (Platt, Probabilistic outputs for support
    vector machines, 1999, with his targets that keep it finite). Where `best_thresholds` follows the few frames that happen to
    lie about it, this follows two numbers that all frames decide: two trainings that differ by rounding get nearly the same one.
    Needs scikit-learn.

    Args:
      labels: [N, A] in {-1, 0, 1}.
      scores: [N, A] float.

    Returns:
      [A] float32: midway between two neighbouring scores; of equally good thresholds the one nearest to 0.

    Example:
      >>> labels = np.array([[1], [1], [-1], [-1]])
      >>> scores = np.array([[2.0], [1.0], [0.5], [-1.0]])
      >>> calibrated_thresholds(labels, scores).tolist()
      [-0.25]
    """
    return _by_au(labels, scores, _probabilities)


POLICIES: dict[str, Policy] = {"validation": best_thresholds, "calibrated": calibrated_thresholds}
"""By their names in `config.protocol.threshold`, beside "zero"."""


def _by_au(
    labels: np.ndarray, scores: np.ndarray, probabilities: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> np.ndarray:
    thresholds = np.zeros(labels.shape[1], np.float32)
    for au in range(labels.shape[1]):
        known = labels[:, au] != 0
        positive, of_au = labels[known, au] > 0, scores[known, au].astype(np.float64)
        if positive.any():
            thresholds[au] = _highest_f1(of_au, probabilities(of_au, positive))
    return thresholds


def _highest_f1(scores: np.ndarray, probabilities: np.ndarray) -> float:
    """The threshold of the highest F1, of frames that count as positive by these shares: 0 and 1 where the truth is known."""
    order = np.argsort(-scores, kind="stable")
    scores, true_positives = scores[order], np.cumsum(probabilities[order])
    predicted = np.arange(1, len(scores) + 1)
    # A threshold can only lie between two different scores, or below the lowest.
    last = np.append(scores[:-1] != scores[1:], True)
    f1 = np.where(last, 2 * true_positives / (predicted + probabilities.sum()), -1.0)
    below = np.append(scores[1:], scores[-1] - 1.0)
    candidates = (scores + below) / 2
    best = np.flatnonzero(f1 == f1.max())
    return float(candidates[best[np.argmin(np.abs(candidates[best]))]])


def _probabilities(scores: Float[np.ndarray, " N"], positive: Bool[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    rows = (scores - scores.mean()) / (scores.std() or 1.0)
    slope, intercept = platt(rows, positive)
    return expit(rows * slope + intercept)
