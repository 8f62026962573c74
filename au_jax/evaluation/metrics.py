"""Frame metrics (paper, section 4.2): counts, F1-frame, F1-norm, AUC, their averages, and the trivial predictors.

Labels are [.., 12] in {-1, 0, 1} and frames with label 0 leave every metric of that AU; an AU is predicted where its
score exceeds the threshold. An undefined number is NaN, and every average says how many numbers it is over.

Precision against recall of one AU's scores: every threshold at once, where F1-frame judges one.

Which AUs come together: shares of frames, for labels and predictions alike.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from au_jax.errors import UserError

F1_NORM_DEFINITIONS: tuple[str, ...] = ("jeni", "paper_literal", "author_code")


@dataclasses.dataclass(frozen=True)
class Counts:
    """Confusion counts per AU, each [.., 12] int64. Counts of subjects, videos or folds add up."""

    tp: np.ndarray
    fp: np.ndarray
    fn: np.ndarray
    tn: np.ndarray

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.tn + other.tn)


def counts(labels: np.ndarray, scores: np.ndarray, threshold: float | np.ndarray = 0.0) -> Counts:
    """Confusion counts of frames.

    Args:
      labels: [N, 12] in {-1, 0, 1}; missing labels are not counted.
      scores: [N, 12] float; predicted present where > threshold.
      threshold: a number, or [12] for one per AU.

    Raises:
      ValueError: shapes that differ, label codes other than these, a score that is NaN where there is a label.
    """
    labels, scores = _checked(labels, scores)
    truth, predicted, known = labels > 0, scores > threshold, labels != 0
    return Counts(
        tp=np.sum(truth & predicted, axis=0),
        fp=np.sum(~truth & predicted & known, axis=0),
        fn=np.sum(truth & ~predicted, axis=0),
        tn=np.sum(~truth & ~predicted & known, axis=0),
    )


def pooled(parts: Sequence[Counts]) -> Counts:
    """Sum of the counts of subjects, videos or folds (the paper's way: all test frames together)."""
    if not parts:
        raise ValueError("no counts to sum: the list of subjects, videos or folds is empty")
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def f1(count: Counts) -> np.ndarray:
    """F1-frame per AU, [.., 12] float64: 2 TP / (2 TP + FP + FN).

    Labels of one class only: NaN, for a constant answer would then be worth 0 or 100 (the author's MATLAB code gives NaN
    for TP == 0 too). Labels of both and no hit: 0.
    """
    return _f1(count.tp, count.fp, count.fn, count.tp + count.fn, count.fp + count.tn)


def f1_norm(count: Counts, definition: str) -> np.ndarray:
    """F1 normalised for skew, per AU, [.., 12] float64; NaN and 0 as in `f1`.

    Args:
      count: confusion counts.
      definition: "jeni" (Jeni et al. 2013): FP and TN are divided by negatives / positives, so that both classes weigh
        the same. "paper_literal" (the FG text): FN and TN are multiplied by positives / negatives. "author_code" (what
        the first author's code computes, whose matrix has its columns swapped): FN and TN are multiplied by predicted
        positives / predicted negatives.

    Raises:
      ValueError: another definition.
    """
    positives, negatives = count.tp + count.fn, count.fp + count.tn
    fp, fn = count.fp.astype(np.float64), count.fn.astype(np.float64)
    match definition:
        case "jeni":
            fp = fp * _ratio(positives, negatives)
        case "paper_literal":
            fn = fn * _ratio(positives, negatives)
        case "author_code":
            fn = fn * _ratio(count.tp + count.fp, count.fn + count.tn)
        case _:
            raise UserError(f"unknown F1-norm definition {definition!r}; choose from {', '.join(F1_NORM_DEFINITIONS)}")
    return _f1(count.tp, fp, fn, positives, negatives)


def auc(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Area under the ROC curve per AU, [12] float64: the chance that a positive outscores a negative, ties half.

    Args:
      labels: [N, 12] in {-1, 0, 1}.
      scores: [N, 12] float.

    Returns:
      NaN where an AU has no positive or no negative label. Tested against scikit-learn.
    """
    labels, scores = _checked(labels, scores)
    areas = np.full(labels.shape[1], np.nan)
    for au in range(labels.shape[1]):
        known = labels[:, au] != 0
        truth = labels[known, au] > 0
        positives, negatives = int(truth.sum()), int((~truth).sum())
        if positives and negatives:
            ranks = rankdata(scores[known, au])
            areas[au] = (ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives)
    return areas


def average(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unweighted mean over the AUs (last axis) that are defined, and how many those are; NaN and 0 if none is."""
    values = np.asarray(values, np.float64)
    defined = np.isfinite(values)
    number = defined.sum(axis=-1)
    total = np.where(defined, values, 0.0).sum(axis=-1)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan), number


def per_fold(folds: Sequence[Counts], metric: Callable[[Counts], np.ndarray]) -> np.ndarray:
    """Mean over folds of a metric, per AU [12], over the folds where it is defined (beside the pooled number)."""
    values = np.stack([metric(fold) for fold in folds])
    return average(np.moveaxis(values, 0, -1))[0]


def always_present(labels: np.ndarray) -> np.ndarray:
    """Scores of the predictor that says every AU is present in every frame: ones, the shape of labels, float32.

    Its F1 is 2p / (1 + p) at base rate p, 48.1 on average over BP4D: above the paper's HOG and JPML columns.
    """
    return np.ones(np.shape(labels), np.float32)


def persistence(labels: np.ndarray, video: np.ndarray) -> np.ndarray:
    """Scores of the predictor that repeats the last known truth: it sees the labels, so it is a reference, no system.

    A frame's score is the AU's label at the nearest earlier labelled frame of the same video, absent if there is none.

    Args:
      labels: [N, 12] in {-1, 0, 1}, frames of a video together and in order.
      video: [N] ids of the frames' videos.

    Returns:
      [N, 12] float32 in {-1, 1}.
    """
    labels = np.asarray(labels)
    index = np.arange(len(labels))
    first = index.copy()
    first[1:][np.asarray(video)[1:] == np.asarray(video)[:-1]] = 0
    first = np.maximum.accumulate(first)
    # The last labelled frame before each frame, per AU: a running maximum of labelled indices, shifted by one.
    last = np.maximum.accumulate(np.where(labels != 0, index[:, None], -1), axis=0)
    before = np.concatenate([np.full((1, labels.shape[1]), -1), last[:-1]]) if len(labels) else last
    truth = np.take_along_axis(labels, np.maximum(before, 0), axis=0)
    return np.where((before >= first[:, None]) & (truth > 0), 1.0, -1.0).astype(np.float32)


def _checked(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    labels, scores = np.asarray(labels), np.asarray(scores)
    if labels.shape != scores.shape or labels.ndim != 2:
        raise ValueError(f"labels {labels.shape} and scores {scores.shape} must both be [frames, AUs]")
    if not np.isin(labels, (-1, 0, 1)).all():
        raise ValueError(f"labels must be -1, 0 or 1, found {np.unique(labels).tolist()[:8]}")
    if np.isnan(scores[labels != 0]).any():
        raise ValueError("a labelled frame has a NaN score; systems must score every frame")
    return labels, scores


def _f1(tp: np.ndarray, fp: np.ndarray, fn: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    # With positives, the denominator is at least their number (jeni, f1) or more than 0 wherever TP > 0.
    denominator = 2.0 * tp + fp + fn
    value = np.where(tp > 0, 2.0 * tp / np.maximum(denominator, np.finfo(float).tiny), 0.0)
    return np.where((positives > 0) & (negatives > 0), value, np.nan)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """numerator / denominator; 1 where the denominator is 0, for then what it scales is 0 or, for FN, left as it is."""
    return np.where(denominator > 0, numerator / np.maximum(denominator, 1), 1.0)


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


def cooccurrence(present: np.ndarray, known: np.ndarray) -> np.ndarray:
    """How often an AU is there while another one is.

    Args:
      present: [N, A] bool, the AU is labelled or predicted present.
      known: [N, A] bool, the AU has a label; others are left out, for each pair by itself.

    Returns:
      [A, A] float64: row i, column j is the share of the frames with AU i that have AU j too; the diagonal is the share
      of all frames that have AU i. NaN where there is no such frame.
    """
    known_rows = np.asarray(known, np.float64)
    there = np.asarray(present, np.float64) * known_rows
    both, of_row = there.T @ there, there.T @ known_rows
    np.fill_diagonal(of_row, known_rows.sum(0))
    return np.divide(both, of_row, out=np.full_like(both, np.nan), where=of_row > 0)
