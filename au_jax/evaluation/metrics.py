"""Metrics of frames (paper, IV-B): counts, F1-frame, F1-norm, AUC and precision-recall, their averages, and trivial predictors.

Labels are [N, A] in {-1, 0, 1}, N frames by A AUs. Frames with label 0 take no part in the metrics of that AU. An AU is
predicted where its score exceeds the threshold. An undefined metric is NaN, and every average says over how many AUs it is.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Shaped

from au_jax.errors import ConfigError

F1_NORM_DEFINITIONS: tuple[str, ...] = ("jeni", "paper_literal", "author_code")
"""What F1-norm can mean (`f1_norm`)."""


@dataclasses.dataclass(frozen=True)
class Counts:
    """Confusion counts per AU, each [.., A] int64. Counts of subjects, videos or folds add up.

    Attributes:
      tp: frames with the AU where it was predicted.
      fp: frames without it where it was predicted.
      fn: frames with it where it was not.
      tn: frames without it where it was not.

    Example:
      >>> one = np.array([2])
      >>> total = Counts(one, one, one, one) + Counts(one, 0 * one, one, one)
      >>> total.tp.tolist(), total.fp.tolist()
      ([4], [2])
    """

    tp: Int[np.ndarray, "*R A"]
    fp: Int[np.ndarray, "*R A"]
    fn: Int[np.ndarray, "*R A"]
    tn: Int[np.ndarray, "*R A"]

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.tn + other.tn)


def counts(
    labels: Shaped[np.ndarray, "..."],
    scores: Shaped[np.ndarray, "..."],
    threshold: float | Float[np.ndarray, " A"] = 0.0,
) -> Counts:
    """Confusion counts of frames.

    Args:
      labels: [N, A] in {-1, 0, 1}; missing labels are not counted.
      scores: [N, A] float; predicted present where > threshold.
      threshold: a number, or [A] for one per AU.

    Returns:
      Counts of [A].

    Raises:
      ValueError: shapes that differ, label codes other than these, a score that is NaN where there is a label.

    Example:
      >>> labels = np.array([[1, 1], [-1, 0], [1, -1]])
      >>> scores = np.array([[0.5, -2.0], [0.1, 3.0], [-0.5, -1.0]])
      >>> count = counts(labels, scores)
      >>> count.tp.tolist(), count.fp.tolist(), count.fn.tolist(), count.tn.tolist()
      ([1, 0], [1, 0], [1, 1], [0, 1])
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
    """Sum of the counts of subjects, videos or folds: the paper's way, all test frames together.

    Raises:
      ValueError: there is nothing to sum.

    Example:
      >>> one = counts(np.array([[1], [-1]]), np.array([[1.0], [1.0]]))
      >>> pooled([one, one]).tp.tolist()
      [2]
    """
    if not parts:
        raise ValueError("no counts to sum: the list of subjects, videos or folds is empty")
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def f1(count: Counts) -> Float[np.ndarray, "*R A"]:
    """F1-frame per AU: 2 TP / (2 TP + FP + FN) (paper, IV-B).

    With labels of one class only it is undefined: a constant answer would then be worth 0 or 100. (The author's MATLAB code
    gives NaN for TP == 0 too.) With labels of both classes and no hit it is 0.

    Args:
      count: confusion counts [.., A].

    Returns:
      [.., A] float64 in 0..1, NaN where undefined.

    Example:
      >>> labels, scores = np.array([[1, 1], [-1, 1], [1, 1]]), np.array([[1.0, 1.0], [1.0, 1.0], [-1.0, 1.0]])
      >>> f1(counts(labels, scores)).tolist()
      [0.5, nan]
    """
    return _f1(count.tp, count.fp, count.fn, count.tp + count.fn, count.fp + count.tn)


def f1_micro(count: Counts) -> Float[np.ndarray, "*R"]:
    """F1 of all AUs' frames together: 2 TP / (2 TP + FP + FN) of counts added up over AUs: frequent ones weigh more.

    Of the AUs for which `f1` is defined, those that the average of the other metrics is over. Where that is all of them, it is
    scikit-learn's `f1_score(average="micro")`.

    Args:
      count: confusion counts [.., A].

    Returns:
      [..] float64 in 0..1, NaN where no AU is defined.

    Example:
      >>> labels, scores = np.array([[1, 1], [-1, -1], [1, -1]]), np.array([[1.0, -1.0], [1.0, 1.0], [1.0, -1.0]])
      >>> f1(counts(labels, scores)).tolist(), round(float(f1_micro(counts(labels, scores))), 3)
      ([0.8, 0.0], 0.571)
    """
    defined = np.isfinite(f1(count))
    tp, fp, fn = (np.where(defined, part, 0).sum(-1) for part in (count.tp, count.fp, count.fn))
    return np.where(defined.any(-1), 2.0 * tp / np.maximum(2.0 * tp + fp + fn, 1.0), np.nan)


def f1_norm(count: Counts, definition: str) -> Float[np.ndarray, "*R A"]:
    """F1 normalised for skew, per AU (paper, IV-B); NaN and 0 as in `f1`.

    Args:
      count: confusion counts [.., A].
      definition: "jeni" (Jeni et al. 2013): FP and TN are divided by negatives / positives, so that both classes weigh
        the same. "paper_literal" (the FG text): FN and TN are multiplied by positives / negatives. "author_code" (what
        the first author's code computes, whose matrix has its columns swapped): FN and TN are multiplied by predicted
        positives / predicted negatives.

    Returns:
      [.., A] float64 in 0..1.

    Raises:
      ConfigError: another definition.

    Example:
      >>> count = counts(np.array([[1], [-1], [-1], [-1], [-1]]), np.array([[1.0], [1.0], [1.0], [-1.0], [-1.0]]))
      >>> f1(count).round(3).tolist(), f1_norm(count, "jeni").round(3).tolist()
      ([0.5], [0.8])
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
            raise ConfigError(
                f"unknown F1-norm definition {definition!r}; choose from {', '.join(F1_NORM_DEFINITIONS)}"
            )
    return _f1(count.tp, fp, fn, positives, negatives)


def auc(labels: Shaped[np.ndarray, "..."], scores: Shaped[np.ndarray, "..."]) -> Float[np.ndarray, " A"]:
    """Area under the ROC curve per AU: the chance that a positive outscores a negative, ties half.

    Tested against scikit-learn.

    Args:
      labels: [N, A] in {-1, 0, 1}.
      scores: [N, A] float.

    Returns:
      [A] float64 in 0..1; NaN where an AU has no positive or no negative label.

    Raises:
      ValueError: as `counts`.

    Example:
      >>> auc(np.array([[1], [1], [-1], [0]]), np.array([[0.9], [0.2], [0.4], [7.0]])).tolist()
      [0.5]
    """
    # Half a second and 60 MB, which whoever only reads scores does not wait for.
    from scipy.stats import rankdata

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


def average(values: Float[np.ndarray, "*R A"]) -> tuple[Float[np.ndarray, "*R"], Int[np.ndarray, "*R"] | np.integer]:
    """Unweighted mean over the AUs that are defined, and how many those are; NaN and 0 if none is.

    Args:
      values: [.., A], a metric.

    Returns:
      [..] float64 and [..] int.

    Example:
      >>> mean, number = average(np.array([0.2, np.nan, 0.6]))
      >>> round(float(mean), 3), int(number)
      (0.4, 2)
    """
    values = np.asarray(values, np.float64)
    defined = np.isfinite(values)
    number = defined.sum(axis=-1)
    total = np.where(defined, values, 0.0).sum(axis=-1)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan), number


def per_fold(folds: Sequence[Counts], metric: Callable[[Counts], Float[np.ndarray, " A"]]) -> Float[np.ndarray, " A"]:
    """Mean of a metric per AU over the folds where it is defined, where `pooled` counts all frames together.

    Args:
      folds: counts [A] of every fold.
      metric: such as `f1`.

    Returns:
      [A] float64.

    Example:
      >>> half = counts(np.array([[1], [-1], [1]]), np.array([[1.0], [1.0], [-1.0]]))
      >>> whole = counts(np.array([[1], [-1]]), np.array([[1.0], [-1.0]]))
      >>> per_fold([half, whole], f1).tolist()
      [0.75]
    """
    values = np.stack([metric(fold) for fold in folds])
    return average(np.moveaxis(values, 0, -1))[0]


def always_present(labels: Shaped[np.ndarray, "*S"]) -> Float32[np.ndarray, "*S"]:
    """Scores of the predictor that says every AU is present in every frame.

    Its F1 is 2p / (1 + p) at base rate p, 48.1 on average over BP4D: above the paper's HOG and JPML columns.

    Args:
      labels: of any shape.

    Returns:
      Ones of that shape, float32.

    Example:
      >>> labels = np.array([[1], [-1], [-1], [-1]])
      >>> f1(counts(labels, always_present(labels))).tolist()
      [0.4]
    """
    return np.ones(np.shape(labels), np.float32)


def persistence(labels: Int[np.ndarray, "N A"], video: Shaped[np.ndarray, " N"]) -> Float32[np.ndarray, "N A"]:
    """Scores of the predictor that repeats the last known truth: it sees the labels, so it is a reference, no system.

    A frame's score is the AU's label at the nearest earlier labelled frame of the same video, absent if there is none.

    Args:
      labels: [N, A] in {-1, 0, 1}, frames of a video together and in order.
      video: [N] ids of the frames' videos.

    Returns:
      [N, A] float32 in {-1, 1}.

    Example:
      >>> persistence(np.array([[1], [0], [-1], [1]]), np.zeros(4)).ravel().tolist()
      [-1.0, 1.0, 1.0, -1.0]
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


@dataclasses.dataclass(frozen=True)
class Curve:
    """Precision and recall of one AU as the threshold falls, a point for every distinct score.

    F1-frame judges one threshold; this shows all.

    Attributes:
      precision, recall: [K] float64; recall rises.
      base_rate: share of positives, the precision of calling everything present.

    Example:
      >>> curve = Curve(np.array([1.0, 0.5]), np.array([0.5, 1.0]), base_rate=0.4)
      >>> curve.average_precision, curve.at(np.array([0.2, 0.9])).tolist()
      (0.75, [1.0, 0.5])
    """

    precision: Float[np.ndarray, " K"]
    recall: Float[np.ndarray, " K"]
    base_rate: float

    @property
    def average_precision(self) -> float:
        """Mean precision over the steps of recall. Tested against scikit-learn."""
        return float((np.diff(self.recall, prepend=0.0) * self.precision).sum())

    def at(self, recall: Float[np.ndarray, " R"]) -> Float[np.ndarray, " R"]:
        """Precision at the highest threshold that reaches a recall, for recalls [R] in 0..1."""
        return self.precision[np.minimum(np.searchsorted(self.recall, recall), len(self.recall) - 1)]


def precision_recall(labels: Int[np.ndarray, " N"], scores: Float[np.ndarray, " N"]) -> Curve | None:
    """Precision against recall of one AU.

    Args:
      labels: [N] in {-1, 0, 1}; missing labels take no part.
      scores: [N] float.

    Returns:
      None where there is no positive label: precision and recall are then undefined.

    Example:
      >>> curve = precision_recall(np.array([1, -1, 1, 0]), np.array([0.9, 0.5, 0.1, 0.7]))
      >>> curve.recall.tolist(), curve.precision.round(2).tolist()
      ([0.5, 0.5, 1.0], [1.0, 0.5, 0.67])
      >>> round(curve.average_precision, 3)
      0.833
    """
    known = np.asarray(labels) != 0
    truth, scores = np.asarray(labels)[known] > 0, np.asarray(scores)[known]
    if not truth.any():
        return None
    order = np.argsort(-scores, kind="stable")
    truth, scores = truth[order], scores[order]
    # Frames of equal score pass the threshold together.
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    hits = np.cumsum(truth)[last]
    return Curve(hits / (last + 1), hits / truth.sum(), float(truth.mean()))


def mean_precision(curves: Sequence[Curve], recall: Float[np.ndarray, " R"]) -> Float[np.ndarray, " R"]:
    """Mean over folds of the precision at each recall.

    Scores of two folds come from two models and have no common scale: curves are averaged, not pooled.

    Args:
      curves: of one AU, of every fold.
      recall: [R] in 0..1.

    Returns:
      [R] float64.

    Example:
      >>> curves = [Curve(np.array([1.0]), np.array([1.0]), 0.5), Curve(np.array([0.5]), np.array([1.0]), 0.5)]
      >>> mean_precision(curves, np.array([0.3, 1.0])).tolist()
      [0.75, 0.75]
    """
    return np.mean([curve.at(recall) for curve in curves], axis=0)


def cooccurrence(present: Bool[np.ndarray, "N A"], known: Bool[np.ndarray, "N A"]) -> Float[np.ndarray, "A A"]:
    """How often an AU is present while another one is, for labels and predictions alike.

    Args:
      present: [N, A] bool, the AU is labelled or predicted present.
      known: [N, A] bool, the AU has a label; others are left out, for each pair by itself.

    Returns:
      [A, A] float64: row i, column j is the share of the frames with AU i that have AU j too; the diagonal is the share
      of all frames that have AU i. NaN where there is no such frame.

    Example:
      >>> cooccurrence(np.array([[True, True], [True, False]]), np.ones((2, 2), bool)).tolist()
      [[1.0, 0.5], [1.0, 0.5]]
    """
    labelled = np.asarray(known, np.float64)
    there = np.asarray(present, np.float64) * labelled
    both, of_row = there.T @ there, there.T @ labelled
    np.fill_diagonal(of_row, labelled.sum(0))
    return np.divide(both, of_row, out=np.full_like(both, np.nan), where=of_row > 0)


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
