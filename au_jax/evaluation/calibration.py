"""Probabilities of presence from scores, by a logistic function per AU that is fitted on validation frames (Platt 1999).

A score says which of two frames shows an AU more likely; a calibrated probability says how often such frames show it: of frames
with 0.3 about three in ten do, among people like those of validation. The threshold is another matter: an AU is present where
its score is above 0, and the F1 of a rare AU is highest at a threshold of well under one half.

Reference: Platt, Probabilistic outputs for support vector machines, Advances in Large Margin Classifiers (1999).
"""

import numpy as np
from jaxtyping import Bool, Float, Float32, Int
from scipy.special import expit, logit


def fit_calibration(labels: Int[np.ndarray, "N A"], scores: Float[np.ndarray, "N A"]) -> Float32[np.ndarray, "2 A"]:
    """The logistic function of each AU's score that fits the labels best. Needs scikit-learn.

    Args:
      labels: [N, A] in {-1, 0, 1}, of frames that must not be a test subject's; 0 takes no part.
      scores: [N, A] of the same frames.

    Returns:
      [2, A] float32, slope and intercept: the probability is `expit(slope * score + intercept)`. The slope is never negative:
      where higher scores are not more often present, it is 0, and the probability the share of present frames. NaN of an AU
      that is present in none or in all of its frames, from which no probability can be learned.

    Example:
      >>> labels, scores = np.repeat([[1], [-1], [1], [-1]], [8, 2, 2, 8], 0), np.repeat([[1.0], [-1.0]], 10, 0)
      >>> calibration = fit_calibration(labels, scores)
      >>> calibrated_probabilities(np.array([[1.0], [-1.0]]), calibration).round(2).ravel().tolist()
      [0.75, 0.25]
    """
    calibration = np.full((2, labels.shape[1]), np.nan, np.float32)
    for au in range(labels.shape[1]):
        known = labels[:, au] != 0
        positive, of_au = labels[known, au] > 0, scores[known, au].astype(np.float64)
        if len(np.unique(positive)) < 2:
            continue
        mean, scale = of_au.mean(), of_au.std() or 1.0
        slope, intercept = platt((of_au - mean) / scale, positive)
        if slope <= 0:
            slope, intercept = 0.0, logit(_targets(positive).mean())
        calibration[:, au] = slope / scale, intercept - slope * mean / scale
    return calibration


def calibrated_probabilities(
    scores: Float[np.ndarray, "*T A"], calibration: Float[np.ndarray, "2 A"]
) -> Float32[np.ndarray, "*T A"]:
    """Probabilities that AUs are present; NaN where there is no score or no calibration.

    Args:
      scores: [.., A].
      calibration: [2, A] of `fit_calibration`.

    Example:
      >>> calibrated_probabilities(np.array([[0.0, 2.0]]), np.array([[1.0, np.nan], [0.0, np.nan]])).tolist()
      [[0.5, nan]]
    """
    slope, intercept = calibration
    return expit(scores * slope + intercept).astype(np.float32)


def shift_calibration(
    calibration: Float[np.ndarray, "2 A"], thresholds: Float[np.ndarray, " A"]
) -> Float32[np.ndarray, "2 A"]:
    """The same calibration of scores from which thresholds were subtracted.

    Example:
      >>> shift_calibration(np.array([[2.0], [-1.0]]), np.array([0.25])).tolist()  # 2 s - 1 = 2 (s - 0.25) - 0.5
      [[2.0], [-0.5]]
    """
    slope, intercept = calibration
    return np.stack([slope, intercept + slope * thresholds]).astype(np.float32)


def _targets(positive: Bool[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """Platt's targets in place of 0 and 1, which keep the fit finite where scores separate the frames."""
    count = positive.sum()
    return np.where(positive, (count + 1) / (count + 2), 1 / (len(positive) - count + 2))


def platt(scores: Float[np.ndarray, " N"], positive: Bool[np.ndarray, " N"]) -> tuple[float, float]:
    """Slope and intercept of the logistic function of highest likelihood. Needs scikit-learn.

    Args:
      scores: [N] of about unit variance: the solver's steps are of that size.
      positive: [N].

    Example:
      >>> slope, intercept = platt(np.array([1.0, 1.0, -1.0, -1.0]), np.array([True, True, False, False]))
      >>> round(slope, 3), abs(round(intercept, 3))  # three of four at 1, by Platt's targets
      (1.099, 0.0)
    """
    # The room imports without scikit-learn.
    from sklearn.linear_model import LogisticRegression

    rows, wanted = scores[:, None], _targets(positive)
    # A frame is a positive one by its target, and a negative one by the rest.
    truth, weights = np.repeat([True, False], len(rows)), np.concatenate([wanted, 1 - wanted])
    fitted = LogisticRegression(C=np.inf, tol=1e-8).fit(np.concatenate([rows, rows]), truth, weights)
    return float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
