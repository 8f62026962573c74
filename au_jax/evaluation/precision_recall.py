"""Precision against recall of one AU's scores: every threshold at once, where F1-frame judges one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Curve:
    """Precision and recall as the threshold falls, a point for every distinct score.

    Attributes:
      precision, recall: [K] float64; recall rises.
      base_rate: share of positives, the precision of calling everything present.
    """

    precision: np.ndarray
    recall: np.ndarray
    base_rate: float

    @property
    def average_precision(self) -> float:
        """Mean precision over the steps of recall. Tested against scikit-learn."""
        return float((np.diff(self.recall, prepend=0.0) * self.precision).sum())

    def at(self, recall: np.ndarray) -> np.ndarray:
        """Precision at the highest threshold that reaches a recall, for recalls [R] in 0..1."""
        return self.precision[np.minimum(np.searchsorted(self.recall, recall), len(self.recall) - 1)]


def precision_recall(labels: np.ndarray, scores: np.ndarray) -> Curve | None:
    """The curve of one AU.

    Args:
      labels: [N] in {-1, 0, 1}; missing labels take no part.
      scores: [N] float.

    Returns:
      None where there is no positive label: precision and recall are then undefined.
    """
    known = np.asarray(labels) != 0
    truth, scores = np.asarray(labels)[known] > 0, np.asarray(scores)[known]
    if not truth.any():
        return None
    order = np.argsort(-scores, kind="stable")
    truth, scores = truth[order], scores[order]
    # Frames of equal score are found together.
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    hits = np.cumsum(truth)[last]
    return Curve(hits / (last + 1), hits / truth.sum(), float(truth.mean()))


def mean_precision(curves: Sequence[Curve], recall: np.ndarray) -> np.ndarray:
    """Mean over folds of the precision at each recall, [R].

    Scores of two folds come from two models and have no common scale: curves are averaged, not pooled.
    """
    return np.mean([curve.at(recall) for curve in curves], axis=0)
