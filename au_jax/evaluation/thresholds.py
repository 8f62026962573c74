"""Decision thresholds per AU."""

import numpy as np

POLICIES: tuple[str, ...] = ("zero", "validation")


def best_thresholds(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The threshold per AU with the highest F1-frame on these frames, which must not be a test subject's.

    Args:
      labels: [N, A] int8 in {-1, 0, +1}; missing ones take no part.
      scores: [N, A] float32; a frame is positive where its score exceeds the threshold.

    Returns:
      [A] float32: midway between two neighbouring scores; 0 for an AU without a positive label. Of equally good
      thresholds the one nearest to 0.
    """
    return np.array([_best_threshold(labels[:, au], scores[:, au]) for au in range(labels.shape[1])], np.float32)


def _best_threshold(labels: np.ndarray, scores: np.ndarray) -> float:
    known = labels != 0
    positive, scores = labels[known] > 0, scores[known].astype(np.float64)
    if not positive.any():
        return 0.0
    order = np.argsort(-scores, kind="stable")
    scores, true_positives = scores[order], np.cumsum(positive[order])
    found = np.arange(1, len(scores) + 1)
    # A threshold can only lie between two different scores, or below the lowest.
    last = np.append(scores[:-1] != scores[1:], True)
    f1 = np.where(last, 2 * true_positives / (found + positive.sum()), -1.0)
    below = np.append(scores[1:], scores[-1] - 1.0)
    candidates = (scores + below) / 2
    best = np.flatnonzero(f1 == f1.max())
    return float(candidates[best[np.argmin(np.abs(candidates[best]))]])
