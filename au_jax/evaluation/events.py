"""F1-event (paper, IV-B; Ding et al. 2013): agreement on events instead of frames.

An event is a maximal run of present frames. It counts as detected to the degree that the other side covers it: a true
event by predicted frames, a predicted event by true frames (coverage, no one-to-one matching). At a coverage threshold
t the recall is the share of true events covered by at least t, the precision that of predicted events, and F1-event(t)
their harmonic mean. The scalar is the area under F1-event(t), t = 0, 0.01 .. 0.99, as in the first author's code.

Numbers of events covered at each threshold add up over subjects, as confusion counts do.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

THRESHOLDS: Float[np.ndarray, "101"] = np.arange(101) / 100.0
"""Coverage thresholds 0, 0.01 .. 1 of the curve."""


@dataclasses.dataclass(frozen=True)
class EventCounts:
    """Events per AU covered by at least each of `THRESHOLDS`, [.., A, 101] int64; at 0, all events. They add up.

    Attributes:
      true_covered: true events, covered by predicted frames.
      predicted_covered: predicted events, covered by true frames.

    Example:
      >>> one = EventCounts(np.ones((1, 101), int), np.ones((1, 101), int))
      >>> int((one + one).true_covered[0, 0])
      2
    """

    true_covered: Int[np.ndarray, "*R A 101"]
    predicted_covered: Int[np.ndarray, "*R A 101"]

    def __add__(self, other: "EventCounts") -> "EventCounts":
        return EventCounts(self.true_covered + other.true_covered, self.predicted_covered + other.predicted_covered)


def event_counts(
    labels: Shaped[np.ndarray, "..."],
    scores: Shaped[np.ndarray, "..."],
    video: Shaped[np.ndarray, "..."],
    threshold: float | Float[np.ndarray, " A"] = 0.0,
    frames: Int[np.ndarray, " N"] | None = None,
    author_concat: bool = False,
) -> EventCounts:
    """Events of frames and how far they are covered.

    Args:
      labels: [N, A] in {-1, 0, 1}, frames of a video together and in order.
      scores: [N, A] float; predicted present where > threshold.
      video: [N] ids of the frames' videos; an event ends with its video.
      threshold: a number, or [A] for one per AU.
      frames: [N] frame numbers; where they do not go up by one, frames are missing and events end. None: no such gaps.
      author_concat: as the author's code, delete an AU's unlabelled frames and join what is left, so that runs merge
        across gaps and videos. By default events end at both.

    Returns:
      Counts of [A, 101].

    Raises:
      ValueError: shapes that differ.

    Example:
      One true event of four frames, of which two are predicted:

      >>> labels = np.array([[1], [1], [1], [1], [-1]])
      >>> scores = np.array([[1.0], [1.0], [-1.0], [-1.0], [-1.0]])
      >>> events = event_counts(labels, scores, np.zeros(5))
      >>> events.true_covered[0, [0, 50, 51]].tolist(), events.predicted_covered[0, [0, 100]].tolist()
      ([1, 1, 0], [1, 1])
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


def _covered(present: Bool[np.ndarray, " N"], other: Bool[np.ndarray, " N"], cut: Bool[np.ndarray, " N"]) -> np.ndarray:
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
    """Sum of the event counts of subjects, videos or folds.

    Raises:
      ValueError: there is nothing to sum.

    Example:
      >>> one = event_counts(np.array([[1], [-1]]), np.array([[1.0], [-1.0]]), np.zeros(2))
      >>> int(pooled_events([one, one]).true_covered[0, 0])
      2
    """
    if not parts:
        raise ValueError("no event counts to sum: the list of subjects, videos or folds is empty")
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def f1_event_curve(events: EventCounts) -> Float[np.ndarray, "*R A 101"]:
    """F1-event at each of `THRESHOLDS`.

    Args:
      events: counts [.., A, 101].

    Returns:
      [.., A, 101] float64; 0 where recall and precision are 0, or nothing was predicted; NaN for an AU without true events.

    Example:
      >>> labels, scores = np.array([[1], [1], [-1]]), np.array([[1.0], [-1.0], [-1.0]])
      >>> curve = f1_event_curve(event_counts(labels, scores, np.zeros(3)))
      >>> curve[0, [0, 50, 51]].tolist()
      [1.0, 1.0, 0.0]
    """
    number_true = events.true_covered[..., :1]
    number_predicted = events.predicted_covered[..., :1]
    recall = events.true_covered / np.maximum(number_true, 1)
    precision = events.predicted_covered / np.maximum(number_predicted, 1)
    total = recall + precision
    curve = np.where(total > 0, 2.0 * recall * precision / np.where(total > 0, total, 1.0), 0.0)
    return np.where(number_true > 0, curve, np.nan)


def f1_event(events: EventCounts) -> Float[np.ndarray, "*R A"]:
    """Area under the F1-event curve: (1/100) sum over t = 0 .. 0.99, the author's Riemann sum.

    Args:
      events: counts [.., A, 101].

    Returns:
      [.., A] float64.

    Example:
      >>> labels, scores = np.array([[1], [1], [-1]]), np.array([[1.0], [-1.0], [-1.0]])
      >>> f1_event(event_counts(labels, scores, np.zeros(3))).round(2).tolist()
      [0.51]
    """
    return f1_event_curve(events)[..., :-1].mean(axis=-1)


def f1_event_at(events: EventCounts, percent: int) -> Float[np.ndarray, "*R A"]:
    """F1-event at one coverage threshold.

    Args:
      events: counts [.., A, 101].
      percent: the threshold, 0 to 100; 50 is the usual one.

    Returns:
      [.., A] float64.

    Example:
      >>> labels, scores = np.array([[1], [1], [-1]]), np.array([[1.0], [-1.0], [-1.0]])
      >>> f1_event_at(event_counts(labels, scores, np.zeros(3)), 50).tolist()
      [1.0]
    """
    return f1_event_curve(events)[..., percent]
