"""F1-event: cases worked by hand, and a plain transcription of the definition with loops and fractions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from au_jax.evaluation.events import (
    THRESHOLDS,
    event_counts,
    f1_event,
    f1_event_at,
    f1_event_curve,
    pooled_events,
)


def _events(truth, predicted, video=None, **options):
    """Events of one AU from strings: '#' present, '.' absent, '?' no label."""
    labels = np.array([{"#": 1, ".": -1, "?": 0}[c] for c in truth])[:, None]
    scores = np.array([{"#": 1.0, ".": -1.0}[c] for c in predicted])[:, None]
    video = np.zeros(len(truth), int) if video is None else np.array([int(c) for c in video])
    return event_counts(labels, scores, video, **options)


def _curve_by_hand(truth, predicted, video, author_concat):
    """F1-event at each threshold for one AU, or None without true events: loops, exact fractions."""
    frames = list(zip(truth, predicted, video, strict=True))
    if author_concat:
        segments = [[(y, p) for y, p, _ in frames if y != 0]]
    else:
        segments, previous = [[]], None
        for y, p, v in frames:
            if y == 0 or v != previous:
                segments.append([])
            if y != 0:
                segments[-1].append((y, p))
            previous = v
    overlaps = {0: [], 1: []}
    for segment in segments:
        for side in (0, 1):
            run = []
            for frame in [*segment, (-1, -1)]:
                if frame[side] > 0:
                    run.append(frame[1 - side] > 0)
                elif run:
                    overlaps[side].append(Fraction(sum(run), len(run)))
                    run = []
    if not overlaps[0]:
        return None
    curve = []
    for percent in range(101):
        recall = Fraction(sum(o >= Fraction(percent, 100) for o in overlaps[0]), len(overlaps[0]))
        found = sum(o >= Fraction(percent, 100) for o in overlaps[1])
        precision = Fraction(found, len(overlaps[1])) if overlaps[1] else Fraction(0)
        curve.append(float(2 * recall * precision / (recall + precision)) if recall + precision else 0.0)
    return curve


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 100_000), author_concat=st.booleans())
def test_curve_and_area_agree_with_a_plain_transcription(seed, author_concat):
    rng = np.random.default_rng(seed)
    # Runs of random lengths, so that coverages of all kinds occur.
    labels = np.stack([np.repeat(rng.choice([-1, 0, 1], 80), rng.integers(1, 9, 80))[:120] for _ in range(3)], axis=1)
    scores = np.stack([np.repeat(rng.choice([-1, 1], 80), rng.integers(1, 9, 80))[:120] for _ in range(3)], axis=1)
    video = np.sort(rng.integers(0, 3, len(labels)))
    events = event_counts(labels, scores, video, author_concat=author_concat)
    for au in range(3):
        expected = _curve_by_hand(labels[:, au], scores[:, au], video, author_concat)
        if expected is None:
            assert np.isnan(f1_event(events)[au])
            continue
        np.testing.assert_allclose(f1_event_curve(events)[au], expected, atol=1e-12)
        assert f1_event(events)[au] == pytest.approx(sum(expected[:100]) / 100)
        assert f1_event_at(events, 50)[au] == pytest.approx(expected[50])


def test_one_event_half_covered_by_hand():
    # True event of 4 frames, 2 of them predicted: recall is 1 up to 0.5. The predicted event lies within: precision 1.
    events = _events(".####...", "...##...")
    curve = f1_event_curve(events)[0]
    np.testing.assert_array_equal(curve[:51], 1.0)
    np.testing.assert_array_equal(curve[51:], 0.0)
    assert f1_event(events)[0] == pytest.approx(0.51)
    assert f1_event_at(events, 50)[0] == 1.0
    assert f1_event_at(events, 51)[0] == 0.0


def test_two_true_events_covered_by_one_long_prediction_by_hand():
    # Both true events are covered fully; the prediction of 5 frames holds 4 present ones, 0.8.
    events = _events("##.##", "#####")
    np.testing.assert_array_equal(events.true_covered[0, [0, 80, 100]], [2, 2, 2])
    np.testing.assert_array_equal(events.predicted_covered[0, [0, 80, 81]], [1, 1, 0])
    assert f1_event(events)[0] == pytest.approx(0.81)


def test_coverage_of_29_in_100_frames_reaches_the_threshold_029():
    events = _events("#" * 100, "#" * 29 + "." * 71)
    assert THRESHOLDS[29] == 0.29
    assert events.true_covered[0, 29] == 1 and events.true_covered[0, 30] == 0


def test_perfect_prediction_is_one_everywhere():
    events = _events(".##..###.#", ".##..###.#")
    np.testing.assert_array_equal(f1_event_curve(events)[0], 1.0)


def test_nothing_predicted_is_zero_and_nothing_true_is_undefined():
    np.testing.assert_array_equal(f1_event_curve(_events("..##..", "......"))[0], 0.0)
    assert np.isnan(f1_event(_events("......", "..##.."))[0])
    assert np.isnan(f1_event(_events("??????", "..##.."))[0])


def test_disjoint_events_count_at_threshold_zero_only():
    events = _events("##....", "...###")
    assert f1_event_curve(events)[0, 0] == 1.0
    assert f1_event(events)[0] == pytest.approx(0.01)


def test_events_end_with_their_video():
    assert _events("####", "####", video="0011").true_covered[0, 0] == 2
    assert _events("####", "####", video="0011", author_concat=True).true_covered[0, 0] == 1


def test_events_end_at_missing_labels():
    events = _events("##?##", "#####")
    assert events.true_covered[0, 0] == 2 and events.predicted_covered[0, 0] == 2
    joined = _events("##?##", "#####", author_concat=True)
    assert joined.true_covered[0, 0] == 1 and joined.predicted_covered[0, 0] == 1


def test_events_end_where_frame_numbers_jump():
    events = _events("####", "####", frames=np.array([4, 5, 9, 10]))
    assert events.true_covered[0, 0] == 2
    assert _events("####", "####", frames=np.array([4, 5, 6, 7])).true_covered[0, 0] == 1


def test_a_prediction_in_unlabelled_frames_is_no_event():
    events = _events("##???", "##.##")
    assert events.predicted_covered[0, 0] == 1


def test_events_of_subjects_add_up():
    parts = [_events("##..", "#..."), _events(".###", ".##.")]
    total = pooled_events(parts)
    together = _events("##...###", "#....##.", video="00001111")
    np.testing.assert_array_equal(total.true_covered, together.true_covered)
    np.testing.assert_array_equal(total.predicted_covered, together.predicted_covered)
    with pytest.raises(ValueError, match="no event counts to sum"):
        pooled_events([])


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"video \(4,\)"):
        event_counts(np.zeros((3, 12)), np.zeros((3, 12)), np.zeros(4))
