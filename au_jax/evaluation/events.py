"""F1-event (paper, section 4.2; Ding et al. 2013): agreement on events instead of frames.

An event is a maximal run of present frames. It counts as found to the degree that the other side covers it: a true
event by predicted frames, a predicted event by true frames (coverage, no one-to-one matching). At a coverage threshold
t the recall is the share of true events covered by at least t, the precision that of predicted events, and F1-event(t)
their harmonic mean. The scalar is the area under F1-event(t), t = 0, 0.01 .. 0.99, as in the first author's code.

Numbers of events covered at each threshold add up over subjects, as confusion counts do.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

THRESHOLDS: np.ndarray = np.arange(101) / 100.0
"""Coverage thresholds 0, 0.01 .. 1 of the curve."""


@dataclasses.dataclass(frozen=True)
class EventCounts:
    """Events per AU covered by at least each of `THRESHOLDS`, [.., 12, 101] int64; at 0, all events. They add up."""

    true_covered: np.ndarray
    predicted_covered: np.ndarray

    def __add__(self, other: "EventCounts") -> "EventCounts":
        return EventCounts(self.true_covered + other.true_covered, self.predicted_covered + other.predicted_covered)


def event_counts(
    labels: np.ndarray,
    scores: np.ndarray,
    video: np.ndarray,
    threshold: float | np.ndarray = 0.0,
    frames: np.ndarray | None = None,
    author_concat: bool = False,
) -> EventCounts:
    """Events of frames and how far they are covered.

    Args:
      labels: [N, 12] in {-1, 0, 1}, frames of a video together and in order.
      scores: [N, 12] float; predicted present where > threshold.
      video: [N] ids of the frames' videos; an event ends with its video.
      threshold: a number, or [12] for one per AU.
      frames: [N] frame numbers; where they do not go up by one, frames are missing and events end. None: no such gaps.
      author_concat: as the author's code, delete an AU's unlabelled frames and join what is left, so that runs merge
        across gaps and videos. By default events end at both.

    Raises:
      ValueError: shapes that differ.
    """
    labels, scores, video = np.asarray(labels), np.asarray(scores), np.asarray(video)
    if labels.shape != scores.shape or labels.ndim != 2 or video.shape != labels.shape[:1]:
        raise ValueError(
            f"labels {labels.shape} and scores {scores.shape} must both be [frames, AUs], and video {video.shape} "
            "[frames]"
        )
    known, truth = labels != 0, labels > 0
    predicted = (scores > threshold) & known
    start = np.ones(len(labels), bool)
    start[1:] = video[1:] != video[:-1]
    if frames is not None:
        start[1:] |= np.diff(np.asarray(frames)) != 1

    true_rows, predicted_rows = [], []
    for au in range(labels.shape[1]):
        true_run, predicted_run, cut = truth[:, au], predicted[:, au], start
        if author_concat:
            kept = known[:, au]
            true_run, predicted_run, cut = true_run[kept], predicted_run[kept], np.zeros(kept.sum(), bool)
        true_rows.append(_covered(true_run, predicted_run, cut))
        predicted_rows.append(_covered(predicted_run, true_run, cut))
    return EventCounts(np.stack(true_rows), np.stack(predicted_rows))


def _covered(present: np.ndarray, other: np.ndarray, cut: np.ndarray) -> np.ndarray:
    """Number of runs of `present` covered by `other` to at least each threshold, [101] int64.

    present, other: [N] bool; cut: [N] bool, a run cannot go on from the frame before. Unlabelled frames are
    not present.
    """
    before = np.concatenate([[False], present[:-1]]) & ~cut
    first = np.flatnonzero(present & ~before)
    after = np.concatenate([present[1:] & ~cut[1:], [False]])
    last = np.flatnonzero(present & ~after)
    total = np.concatenate([[0], np.cumsum(other)])
    # The highest threshold k / 100 <= overlap / length, in whole numbers so that 29 of 100 frames do reach 0.29.
    reached = 100 * (total[last + 1] - total[first]) // (last + 1 - first)
    return np.bincount(reached, minlength=101)[::-1].cumsum()[::-1]


def pooled_events(parts: Sequence[EventCounts]) -> EventCounts:
    """Sum of the event counts of subjects, videos or folds."""
    if not parts:
        raise ValueError("no event counts to sum: the list of subjects, videos or folds is empty")
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def f1_event_curve(events: EventCounts) -> np.ndarray:
    """F1-event at each of `THRESHOLDS`, [.., 12, 101] float64.

    0 where recall and precision are 0, or nothing was predicted; NaN for an AU without true events.
    """
    number_true = events.true_covered[..., :1]
    number_predicted = events.predicted_covered[..., :1]
    recall = events.true_covered / np.maximum(number_true, 1)
    precision = events.predicted_covered / np.maximum(number_predicted, 1)
    total = recall + precision
    curve = np.where(total > 0, 2.0 * recall * precision / np.where(total > 0, total, 1.0), 0.0)
    return np.where(number_true > 0, curve, np.nan)


def f1_event(events: EventCounts) -> np.ndarray:
    """Area under the F1-event curve, [.., 12] float64: (1/100) sum over t = 0 .. 0.99 (the author's Riemann sum)."""
    return f1_event_curve(events)[..., :-1].mean(axis=-1)


def f1_event_at(events: EventCounts, percent: int) -> np.ndarray:
    """F1-event at one coverage threshold, in percent (50 is the usual one), [.., 12] float64."""
    return f1_event_curve(events)[..., percent]
