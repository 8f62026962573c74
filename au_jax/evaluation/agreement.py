"""Agreement of two codings of the same recordings: coder against coder, or coder against model.

Of frames that both coded, with a both present, b only the first, c only the second, d both absent, n = a + b + c + d:

    observed agreement   p = (a + d) / n
    kappa                (p - q) / (1 - q),  q = ((a + b)(a + c) + (c + d)(b + d)) / n^2            (Cohen 1960)
    AC1                  (p - q) / (1 - q),  q = 2 r (1 - r),  r = (2 a + b + c) / 2 n              (Gwet 2008)
    PABAK                2 p - 1                                                                    (Byrt et al. 1993)
    F1                   2 a / (2 a + b + c), which is the positive agreement; negative: 2 d / (2 d + b + c)
    prevalence, bias     (2 a + b + c) / 2 n,  (c - b) / n

Kappa falls where an AU is rare or nearly always there, for the same observed agreement; AC1 and PABAK do not. With a
tolerance a frame in which the codings differ counts as agreed where the coder who has no event there has one within so many
frames, as Sayette et al. (2001) report FACS coding. Intensities: ICC(3,1) of Shrout & Fleiss (1979), two fixed raters, single
ratings, consistency; and the mean absolute difference.

Events are paired one to one by their overlap, or the smallest gap up to the tolerance. Event agreement is twice the pairs whose
onsets lie within the tolerance over all events of both, as the agreement index of the FACS manual. Onset and offset errors are
those of all pairs, second minus first, in frames.

All statistics are of counts that add up over recordings, which are resampled for the intervals.

References:
  Cohen, Educational and Psychological Measurement 20 (1960). Gwet, British Journal of Mathematical and Statistical Psychology 61
  (2008). Byrt, Bishop & Carlin, Journal of Clinical Epidemiology 46 (1993). Shrout & Fleiss, Psychological Bulletin 86 (1979).
  Sayette, Cohn, Wertz, Perrott & Parrott, Journal of Nonverbal Behavior 25 (2001).
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int8, Shaped

from au_jax.evaluation.bootstrap import interval


@dataclass(frozen=True)
class AgreementCounts:
    """Counts of two codings, per AU, each [.., A] int64. Those of recordings add up.

    Attributes:
      both, first_only, second_only, neither: frames that both coded.
      near: frames of `first_only` and `second_only` whose event the other coder has within the tolerance.
      graded: frames with an intensity of both; sums of the first's and the second's intensities, of their squares, of their
        product, and of their absolute difference.
      first_events, second_events: events; paired: pairs; matched: pairs whose onsets lie within the tolerance.
      onset, offset, onset_away, offset_away: sums over pairs of the errors in frames, and of their absolute values.

    Example:
      >>> first, second = np.array([[1, 1, -1, -1]], np.int8).T, np.array([[1, -1, 1, -1]], np.int8).T
      >>> counts = agreement_counts(first, second)
      >>> counts.both, counts.first_only, (counts + counts).both
      (array([1]), array([1]), array([2]))
    """

    both: Shaped[np.ndarray, "*R A"]
    first_only: Shaped[np.ndarray, "*R A"]
    second_only: Shaped[np.ndarray, "*R A"]
    neither: Shaped[np.ndarray, "*R A"]
    near: Shaped[np.ndarray, "*R A"]
    graded: Shaped[np.ndarray, "*R A"]
    first_sum: Shaped[np.ndarray, "*R A"]
    second_sum: Shaped[np.ndarray, "*R A"]
    first_squares: Shaped[np.ndarray, "*R A"]
    second_squares: Shaped[np.ndarray, "*R A"]
    products: Shaped[np.ndarray, "*R A"]
    differences: Shaped[np.ndarray, "*R A"]
    first_events: Shaped[np.ndarray, "*R A"]
    second_events: Shaped[np.ndarray, "*R A"]
    paired: Shaped[np.ndarray, "*R A"]
    matched: Shaped[np.ndarray, "*R A"]
    onset: Shaped[np.ndarray, "*R A"]
    offset: Shaped[np.ndarray, "*R A"]
    onset_away: Shaped[np.ndarray, "*R A"]
    offset_away: Shaped[np.ndarray, "*R A"]

    def __add__(self, other: "AgreementCounts") -> "AgreementCounts":
        return AgreementCounts(
            *(getattr(self, field.name) + getattr(other, field.name) for field in dataclasses.fields(self))
        )


def agreement_counts(
    first: Int8[np.ndarray, "T A"],
    second: Int8[np.ndarray, "T A"],
    *,
    first_intensities: Int8[np.ndarray, "T A"] | None = None,
    second_intensities: Int8[np.ndarray, "T A"] | None = None,
    tolerance: int = 0,
) -> AgreementCounts:
    """Counts of one recording.

    Args:
      first, second: [T, A] in {-1, 0, +1} of the same frames; a frame that either left out (0) is in no count.
      first_intensities, second_intensities: [T, A] 0 to 5, -1 where not said.
      tolerance: frames by which events may be apart.

    Raises:
      ValueError: shapes that differ, or a negative tolerance.

    Example:
      >>> first = np.array([[-1, 1, 1, 1, -1, -1]], np.int8).T
      >>> second = np.array([[-1, -1, 1, 1, 1, -1]], np.int8).T
      >>> counts = agreement_counts(first, second, tolerance=1)
      >>> counts.both, counts.first_only, counts.second_only, counts.matched, counts.onset
      (array([2]), array([1]), array([1]), array([1]), array([1]))
    """
    first, second = np.asarray(first), np.asarray(second)
    if first.shape != second.shape or first.ndim != 2:
        raise ValueError(f"codings of {first.shape} and {second.shape} frames and AUs cannot be compared")
    if tolerance < 0:
        raise ValueError(f"a tolerance of {tolerance} frames is negative")
    known = (first != 0) & (second != 0)
    one, two = (first > 0) & known, (second > 0) & known
    near = (one & ~two & _within(two, tolerance)) | (two & ~one & _within(one, tolerance))
    shape = first.shape
    x = np.full(shape, -1) if first_intensities is None else np.asarray(first_intensities).astype(np.int64)
    y = np.full(shape, -1) if second_intensities is None else np.asarray(second_intensities).astype(np.int64)
    graded = known & (x >= 0) & (y >= 0)
    x, y = np.where(graded, x, 0), np.where(graded, y, 0)
    pairs = np.array(
        [_event_counts(one[:, au], two[:, au], known[:, au], tolerance) for au in range(shape[1])], np.int64
    )
    frames = (one & two, one & ~two, two & ~one, known & ~one & ~two, near & known, graded)
    grades = (x, y, x * x, y * y, x * y, np.abs(x - y))
    return AgreementCounts(
        *(table.sum(axis=0).astype(np.int64) for table in (*frames, *grades)), *pairs.reshape(-1, 8).T
    )


def summed(parts: Sequence[AgreementCounts]) -> AgreementCounts:
    """Sum of the counts of recordings.

    Raises:
      ValueError: there are none.

    Example:
      >>> codes = np.array([[1, 1, -1]], np.int8).T
      >>> summed([agreement_counts(codes, codes)] * 3).both.tolist()
      [6]
    """
    if not parts:
        raise ValueError("no counts to sum: the list of recordings is empty")
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def kappa(counts: AgreementCounts, *, tolerant: bool = False) -> Float64[np.ndarray, "*R A"]:
    """Cohen's kappa; NaN where both codings are of one kind throughout.

    Args:
      counts: of one recording or summed.
      tolerant: whether frames within the tolerance count as agreed.

    Example:
      >>> table = agreement_counts(np.repeat(np.int8([1, 1, -1, -1]), [20, 5, 10, 15])[:, None],
      ...                          np.repeat(np.int8([1, -1, 1, -1]), [20, 5, 10, 15])[:, None])
      >>> kappa(table).round(6).tolist()
      [0.4]
    """
    a, b, c, d = _frames(counts, tolerant)
    n = a + b + c + d
    observed, chance = _ratio(a + d, n), _ratio((a + b) * (a + c) + (c + d) * (b + d), n * n)
    return _ratio(observed - chance, 1 - chance)


def ac1(counts: AgreementCounts, *, tolerant: bool = False) -> Float64[np.ndarray, "*R A"]:
    """Gwet's AC1; see `kappa` for the arguments.

    Example:
      >>> first, second = np.repeat(np.int8([[1, 1, -1, -1], [1, -1, 1, -1]]), [20, 5, 10, 15], axis=1)[:, :, None]
      >>> ac1(agreement_counts(first, second)).round(3).tolist()
      [0.406]
    """
    a, b, c, d = _frames(counts, tolerant)
    n = a + b + c + d
    share = _ratio(2 * a + b + c, 2 * n)
    chance = 2 * share * (1 - share)
    return _ratio(_ratio(a + d, n) - chance, 1 - chance)


def pabak(counts: AgreementCounts, *, tolerant: bool = False) -> Float64[np.ndarray, "*R A"]:
    """Prevalence-adjusted and bias-adjusted kappa; see `kappa` for the arguments.

    Example:
      >>> first, second = np.repeat(np.int8([[1, 1, -1, -1], [1, -1, 1, -1]]), [20, 5, 10, 15], axis=1)[:, :, None]
      >>> pabak(agreement_counts(first, second)).round(3).tolist()
      [0.4]
    """
    a, b, c, d = _frames(counts, tolerant)
    return 2 * _ratio(a + d, a + b + c + d) - 1


def agreement_f1(counts: AgreementCounts, *, tolerant: bool = False) -> Float64[np.ndarray, "*R A"]:
    """F1 of either coding against the other, which is their positive agreement; NaN without a present frame.

    Example:
      >>> first, second = np.repeat(np.int8([[1, 1, -1, -1], [1, -1, 1, -1]]), [20, 5, 10, 15], axis=1)[:, :, None]
      >>> agreement_f1(agreement_counts(first, second)).round(3).tolist()
      [0.727]
    """
    a, b, c, _ = _frames(counts, tolerant)
    return _ratio(2 * a, 2 * a + b + c)


def negative_agreement(counts: AgreementCounts, *, tolerant: bool = False) -> Float64[np.ndarray, "*R A"]:
    """Agreement on absence; NaN without an absent frame.

    Example:
      >>> first, second = np.repeat(np.int8([[1, 1, -1, -1], [1, -1, 1, -1]]), [20, 5, 10, 15], axis=1)[:, :, None]
      >>> negative_agreement(agreement_counts(first, second)).round(3).tolist()
      [0.667]
    """
    _, b, c, d = _frames(counts, tolerant)
    return _ratio(2 * d, 2 * d + b + c)


def prevalence(counts: AgreementCounts) -> Float64[np.ndarray, "*R A"]:
    """Share of frames in which the AU is present, the mean of both codings.

    Example:
      >>> first, second = np.repeat(np.int8([[1, 1, -1, -1], [1, -1, 1, -1]]), [20, 5, 10, 15], axis=1)[:, :, None]
      >>> prevalence(agreement_counts(first, second)).round(3).tolist()
      [0.55]
    """
    a, b, c, d = _frames(counts, False)
    return _ratio(2 * a + b + c, 2 * (a + b + c + d))


def bias(counts: AgreementCounts) -> Float64[np.ndarray, "*R A"]:
    """Share of frames present in the second coding less that in the first.

    Example:
      >>> first, second = np.repeat(np.int8([[1, 1, -1, -1], [1, -1, 1, -1]]), [20, 5, 10, 15], axis=1)[:, :, None]
      >>> bias(agreement_counts(first, second)).round(3).tolist()
      [0.1]
    """
    a, b, c, d = _frames(counts, False)
    return _ratio(c - b, a + b + c + d)


def icc(counts: AgreementCounts) -> Float64[np.ndarray, "*R A"]:
    """ICC(3,1) of intensities, with k = 2 raters: (BMS - EMS) / (BMS + (k - 1) EMS).

    BMS and EMS are the mean squares between frames and of the residual. NaN with fewer than two frames, or without variance.

    Example:
      >>> codes = np.ones((3, 1), np.int8)
      >>> first, second = np.array([[1, 2, 3]], np.int8).T, np.array([[2, 3, 4]], np.int8).T
      >>> counts = agreement_counts(codes, codes, first_intensities=first, second_intensities=second)
      >>> icc(counts).tolist()
      [1.0]
    """
    n, x, y = (np.asarray(value, np.float64) for value in (counts.graded, counts.first_sum, counts.second_sum))
    squares = np.asarray(counts.first_squares + counts.second_squares, np.float64)
    products = np.asarray(counts.products, np.float64)
    mean = _ratio((x + y) ** 2, 2 * n)
    total = squares - mean
    between = (squares + 2 * products) / 2 - mean
    raters = _ratio(x**2 + y**2, n) - mean
    error = np.maximum(total - between - raters, 0)
    # Both have n - 1 degrees of freedom, which cancel.
    return np.where(n > 1, _ratio(between - error, np.where(between + error > 1e-9, between + error, 0)), np.nan)


def mean_difference(counts: AgreementCounts) -> Float64[np.ndarray, "*R A"]:
    """Mean absolute difference of intensities.

    Example:
      >>> codes = np.ones((3, 1), np.int8)
      >>> first, second = np.array([[1, 2, 3]], np.int8).T, np.array([[1, 2, 5]], np.int8).T
      >>> counts = agreement_counts(codes, codes, first_intensities=first, second_intensities=second)
      >>> mean_difference(counts).round(3).tolist()
      [0.667]
    """
    return _ratio(counts.differences, counts.graded)


def event_agreement(counts: AgreementCounts) -> Float64[np.ndarray, "*R A"]:
    """Twice the pairs of events whose onsets lie within the tolerance, over all events; NaN without any.

    Example:
      >>> first = np.array([[-1, 1, 1, 1, -1, -1]], np.int8).T
      >>> second = np.array([[-1, -1, 1, 1, 1, 1]], np.int8).T
      >>> event_agreement(agreement_counts(first, second, tolerance=1)).tolist()
      [1.0]
    """
    return _ratio(2 * counts.matched, counts.first_events + counts.second_events)


def onset_error(counts: AgreementCounts) -> Float64[np.ndarray, "*R A"]:
    """Mean absolute difference of the onsets of paired events, in frames; NaN without pairs.

    Example:
      >>> first = np.array([[-1, 1, 1, 1, -1, -1]], np.int8).T
      >>> second = np.array([[-1, -1, 1, 1, 1, 1]], np.int8).T
      >>> onset_error(agreement_counts(first, second)).tolist()
      [1.0]
    """
    return _ratio(counts.onset_away, counts.paired)


def offset_error(counts: AgreementCounts) -> Float64[np.ndarray, "*R A"]:
    """Mean absolute difference of the offsets of paired events, in frames; NaN without pairs.

    Example:
      >>> first = np.array([[-1, 1, 1, 1, -1, -1]], np.int8).T
      >>> second = np.array([[-1, -1, 1, 1, 1, 1]], np.int8).T
      >>> offset_error(agreement_counts(first, second)).tolist()
      [2.0]
    """
    return _ratio(counts.offset_away, counts.paired)


def onset_shift(counts: AgreementCounts) -> Float64[np.ndarray, "*R A"]:
    """By how many frames the second coding's onsets are later, the mean of paired events; NaN without pairs.

    Example:
      >>> first = np.array([[-1, 1, 1, 1, -1, -1]], np.int8).T
      >>> second = np.array([[-1, -1, 1, 1, 1, 1]], np.int8).T
      >>> onset_shift(agreement_counts(first, second)).tolist()
      [1.0]
    """
    return _ratio(counts.onset, counts.paired)


STATISTICS: dict[str, Callable[[AgreementCounts], np.ndarray]] = {
    "kappa": kappa,
    "kappa_tolerant": lambda counts: kappa(counts, tolerant=True),
    "ac1": ac1,
    "pabak": pabak,
    "f1": agreement_f1,
    "negative_agreement": negative_agreement,
    "prevalence": prevalence,
    "bias": bias,
    "icc": icc,
    "mean_difference": mean_difference,
    "event_agreement": event_agreement,
    "onset_error": onset_error,
    "offset_error": offset_error,
    "onset_shift": onset_shift,
}
"""Name -> function of counts."""


@dataclass(frozen=True)
class AUAgreement:
    """Agreement on one AU.

    Attributes:
      au: its number.
      values: statistic -> (value, lower, upper); NaN where it is undefined, and bounds of fewer than two recordings.
      recordings: with a frame that both coded; frames: those frames.
      first_events, second_events: events in them.
      sentence: how good, on how much.

    Example:
      >>> row = AUAgreement(12, {"kappa": (0.85, 0.8, 0.9)}, 3, 90, 9, 10, "AU 12: very good agreement.")
      >>> value, lower, upper = row.values["kappa"]
      >>> lower <= value <= upper, row.first_events, row.second_events
      (True, 9, 10)
    """

    au: int
    values: dict[str, tuple[float, float, float]]
    recordings: int
    frames: int
    first_events: int
    second_events: int
    sentence: str


def agreement(
    recordings: Sequence[AgreementCounts],
    aus: Sequence[int],
    *,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> list[AUAgreement]:
    """Agreement over recordings, with bootstrap intervals.

    Args:
      recordings: counts of each, for the A AUs.
      aus: the A AUs.
      replicates, level, seed: of the bootstrap over recordings; see `bootstrap.interval`.

    Raises:
      ValueError: no recordings.

    Example:
      >>> codes = np.repeat(np.int8([-1, 1, -1]), 10)[:, None]
      >>> (row,) = agreement([agreement_counts(codes, np.roll(codes, 1, axis=0), tolerance=2)] * 3, [12], replicates=50)
      >>> row.sentence.split(";")[0]
      'AU 12: very good agreement (kappa 0.85, interval 0.85 to 0.85, on 90 frames of 3 recordings)'
    """
    total = summed(recordings)
    values = {name: np.asarray(statistic(total), np.float64) for name, statistic in STATISTICS.items()}
    bounds = {name: (np.full(len(aus), np.nan),) * 2 for name in STATISTICS}
    if len(recordings) > 1:
        bounds = {
            name: interval(recordings, statistic, replicates, level, seed) for name, statistic in STATISTICS.items()
        }
    rows = []
    for column, au in enumerate(aus):
        known = [int(sum(part[column] for part in _frames(counts, False))) for counts in recordings]
        of_au = {
            name: (float(values[name][column]), float(bounds[name][0][column]), float(bounds[name][1][column]))
            for name in STATISTICS
        }
        row = AUAgreement(
            int(au), of_au, sum(number > 0 for number in known), sum(known),
            int(total.first_events[column]), int(total.second_events[column]), "",
        )  # fmt: skip
        rows.append(dataclasses.replace(row, sentence=_sentence(row)))
    return rows


def _sentence(row: AUAgreement) -> str:
    """How good the agreement on an AU is, on how much; the words for kappa are those of Altman (1991)."""
    value, low, high = row.values["kappa"]
    recordings = f"{row.recordings} recording{'' if row.recordings == 1 else 's'}"
    on = f"on {row.frames:,} frames of {recordings}"
    if not row.frames:
        return f"AU {row.au}: no frame was coded by both."
    if np.isnan(value):
        share = "never" if row.values["prevalence"][0] == 0 else "always"
        return f"AU {row.au}: both codings have it {share}, {on}, so agreement beyond chance is undefined."
    words = ("poor", "fair", "moderate", "good", "very good")
    word = words[int(np.searchsorted([0.2, 0.4, 0.6, 0.8], value, side="right"))]
    bounds = "" if np.isnan(low) else f", interval {low:.2f} to {high:.2f}"
    text = f"AU {row.au}: {word} agreement (kappa {value:.2f}{bounds}, {on})"
    events = row.first_events + row.second_events
    if events and not np.isnan(row.values["event_agreement"][0]):
        text += f"; {row.values['event_agreement'][0]:.0%} of {row.first_events} and {row.second_events} events begin together"
    if not np.isnan(row.values["onset_error"][0]):
        text += (
            f", onsets {row.values['onset_error'][0]:.1f} and offsets {row.values['offset_error'][0]:.1f} frames apart"
        )
    if not np.isnan(row.values["icc"][0]):
        text += f"; ICC of intensity {row.values['icc'][0]:.2f}"
    share, observed = row.values["prevalence"][0], (row.values["pabak"][0] + 1) / 2
    if value < 0.6 and observed > 0.9:
        text += f"; {observed:.0%} of frames agree, but it is present in only {share:.1%}, where kappa is low for few errors"
    if min(row.first_events, row.second_events) < 10:
        text += "; fewer than 10 events, too few to judge"
    return text + "."


def _frames(counts: AgreementCounts, tolerant: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Both, only first, only second, neither, as floats; frames within the tolerance go to both where tolerant."""
    a, b, c, d, near = (
        np.asarray(value, np.float64)
        for value in (counts.both, counts.first_only, counts.second_only, counts.neither, counts.near)
    )
    if not tolerant:
        return a, b, c, d
    # Which of the two had the event does not matter to an agreed frame; b and c give in proportion.
    left = 1 - _ratio(near, b + c, otherwise=0.0)
    return a + near, b * left, c * left, d


def _ratio(numerator: np.ndarray, denominator: np.ndarray, otherwise: float = np.nan) -> np.ndarray:
    numerator, denominator = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    defined = denominator != 0
    return np.where(defined, numerator / np.where(defined, denominator, 1.0), otherwise)


def _within(present: Shaped[np.ndarray, "T A"], frames: int) -> np.ndarray:
    """Whether there is a present frame at most so many frames away, [T, A] bool."""
    total = np.concatenate([np.zeros((1, present.shape[1]), np.int64), np.cumsum(present, axis=0)])
    at = np.arange(len(present))
    return total[np.minimum(at + frames + 1, len(present))] > total[np.maximum(at - frames, 0)]


def _event_counts(
    first: Shaped[np.ndarray, " T"], second: Shaped[np.ndarray, " T"], known: Shaped[np.ndarray, " T"], tolerance: int
) -> tuple[int, ...]:
    """The counts of events of one AU, in the order of `AgreementCounts`."""
    one, two = _events(first, known), _events(second, known)
    pairs = _pairs(one, two, tolerance)
    onset = np.array([two[j][0] - one[i][0] for i, j in pairs], np.int64)
    offset = np.array([two[j][1] - one[i][1] for i, j in pairs], np.int64)
    matched = int((np.abs(onset) <= tolerance).sum())
    sums = (onset.sum(), offset.sum(), np.abs(onset).sum(), np.abs(offset).sum())
    return len(one), len(two), len(pairs), matched, *(int(value) for value in sums)


def _events(present: Shaped[np.ndarray, " T"], known: Shaped[np.ndarray, " T"]) -> list[tuple[int, int]]:
    """First frame of each run of present frames, and the one behind its last; frames that were left out end a run."""
    edges = np.diff(np.concatenate([[0], (present & known).astype(np.int8), [0]]))
    return list(zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True))


def _pairs(one: Sequence[tuple[int, int]], two: Sequence[tuple[int, int]], tolerance: int) -> list[tuple[int, int]]:
    """Pairs of events, one to one: those that overlap most first, then those with the smallest gap."""
    candidates: list[tuple[int, int, int, int]] = []
    behind = 0
    for i, (begin, end) in enumerate(one):
        # Both are in order and do not overlap among themselves.
        while behind < len(two) and two[behind][1] + tolerance <= begin:
            behind += 1
        j = behind
        while j < len(two) and two[j][0] - tolerance < end:
            overlap = min(end, two[j][1]) - max(begin, two[j][0])
            candidates.append((-overlap, abs(two[j][0] - begin), i, j))
            j += 1
    taken_one, taken_two, pairs = set(), set(), []
    for *_, i, j in sorted(candidates):
        if i not in taken_one and j not in taken_two:
            taken_one.add(i)
            taken_two.add(j)
            pairs.append((i, j))
    return sorted(pairs)
