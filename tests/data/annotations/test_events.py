"""Events to codes per frame and back: worked by hand at the rates of real cameras, and for random events."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from au_jax.data.annotations.events import (
    Event,
    EventCodes,
    events_from_labels,
    in_frames,
    labels_from_scores,
)
from au_jax.data.annotations.notation import exact_rate
from au_jax.errors import DataError

RATES = (23.976, 25, 29.97, 30, 50, 59.94)


def video(fps, frames):
    return np.array([float(index / exact_rate(fps)) for index in range(frames)])


def labels(text):
    return np.array([[{"#": 1, ".": -1, "?": 0}[c] for c in row] for row in text.split()], np.int8).T


def test_an_event_covers_its_frames_without_that_of_its_offset():
    codes = EventCodes((Event(12, 0.08, 0.16, side="L", intensity="C"),), aus=(4, 12))
    frames = codes.frame_codes(video(25, 6))
    assert frames.aus == (4, 12)
    assert frames.labels.T.tolist() == [[-1] * 6, [-1, -1, 1, 1, -1, -1]]
    assert frames.intensities.T.tolist() == [[0] * 6, [0, 0, 3, 3, 0, 0]]
    assert frames.labels.dtype == frames.intensities.dtype == np.int8


def test_frame_numbers_name_the_last_frame():
    codes = EventCodes((Event(12, 3, 4), Event(4, 6, 6)), aus=(4, 12), unit="frames")
    assert (codes.frame_codes(video(25, 6)).labels == labels(".....# ..##..")).all()
    assert (codes.frame_codes(video(25, 7), first=0).labels == labels("......# ...##..")).all()


def test_points_and_events_shorter_than_a_frame_are_one_frame():
    codes = EventCodes((Event(1, 0.04, 0.04), Event(2, 0.121, 0.125)), aus=(1, 2))
    assert (codes.frame_codes(video(25, 5)).labels == labels(".#... ...#.")).all()


def test_outside_the_coded_span_is_missing_and_inside_absent():
    codes = EventCodes((Event(1, 0.08, 0.24),), aus=(1, 2), spans=((0.04, 0.12), (0.2, 0.24)))
    assert (codes.frame_codes(video(25, 7), aus=(1, 2, 4)).labels == labels("?.#??#? ?..??.? ???????")).all()


def test_an_open_end_lasts_to_the_end_of_the_span():
    events = (Event(1, 0.08, None),)
    assert (EventCodes(events, (1,)).frame_codes(video(25, 5)).labels == labels("..###")).all()
    spans = ((0.0, 0.16),)
    assert (EventCodes(events, (1,), spans).frame_codes(video(25, 6)).labels == labels("..##??")).all()


def test_overlaps_join_and_the_stronger_intensity_counts():
    events = (
        Event(1, 0.0, 0.12, side="L", intensity="B"),
        Event(1, 0.08, 0.2, side="R", intensity="D"),
        Event(1, 0.2, 0.24),
    )
    frames = EventCodes(events, (1,)).frame_codes(video(25, 7))
    assert frames.intensities[:, 0].tolist() == [2, 2, 4, 4, 4, -1, 0]
    assert (EventCodes(events, (1,)).frame_codes(video(25, 7), level="C").labels == labels("..####.")).all()


def test_what_could_not_be_coded_is_missing_whatever_else_is_said():
    events = (Event(1, 0.0, 0.2), Event(1, 0.04, 0.08, label=0), Event(2, 0.0, 0.08, label=-1))
    assert (EventCodes(events, (1, 2)).frame_codes(video(25, 5)).labels == labels("#?### .....")).all()


def test_visibility_codes_make_their_region_missing():
    events = (Event(70, 0.04, 0.08), Event(12, 0.0, 0.12))
    frames = EventCodes(events, (1, 12)).frame_codes(video(25, 3))
    assert (frames.labels == labels(".?. ###")).all()
    assert frames.intensities[:, 0].tolist() == [0, -1, 0]


def test_events_of_two_people_are_not_mixed():
    codes = EventCodes((Event(1, 0, 0.04, person="a"), Event(1, 0.08, 0.12, person="b")), (1,))
    with pytest.raises(DataError, match="codes of 'a', 'b'; say whose"):
        codes.frame_codes(video(25, 4))
    assert (codes.frame_codes(video(25, 4), person="b").labels == labels("..#.")).all()
    with pytest.raises(DataError, match="nobody named 'c'; choose one of 'a', 'b'"):
        codes.of_person("c")


def test_events_that_meet_no_frame_are_told_and_alone_refused():
    late = Event(1, 100.0, 101.0)
    frames = EventCodes((Event(1, 0, 0.04), late), (1,), path="x.eaf").frame_codes(video(25, 4))
    assert [(problem.kind, problem.count) for problem in frames.problems] == [("event without frame", 1)]
    with pytest.raises(DataError, match="x.eaf: none of 1 events meets.*check unit, clock and offset"):
        EventCodes((late,), (1,), path="x.eaf").frame_codes(video(25, 4))


def test_a_shift_moves_everything():
    codes = EventCodes((Event(1, 1.0, 2.0, apex=1.5),), (1,), ((0.5, 3.0),)).shifted(-0.5)
    assert codes.events == (Event(1, 0.5, 1.5, apex=1.0),) and codes.spans == ((0.0, 2.5),)


def test_scores_with_hysteresis_gap_and_length_by_hand():
    scores = np.array([[0, 3, 1, 1, 0, 3, 0, 0, 0, 3, 3, 3]], float).T
    times = video(25, 12)
    assert (labels_from_scores(scores, times, on=2) == labels(".#...#...###")).all()
    assert (labels_from_scores(scores, times, on=2, off=0.5) == labels(".###.#...###")).all()
    assert (labels_from_scores(scores, times, on=2, off=0.5, min_gap=0.08) == labels(".#####...###")).all()
    assert (labels_from_scores(scores, times, on=2, min_length=0.08) == labels(".........###")).all()
    scores[4] = np.nan
    assert (labels_from_scores(scores, times, on=2, off=0.5, min_gap=0.08) == labels(".###?#...###")).all()
    with pytest.raises(ValueError, match="threshold"):
        labels_from_scores(scores, times, on=1, off=2)


def test_apex_and_comment_come_from_scores():
    scores = np.array([[-1.0, 1, 3, 2, -1]]).T
    times = video(25, 5)
    codes = events_from_labels(
        labels_from_scores(scores, times), times, [12], scores=scores, probabilities=np.full((5, 1), 0.9), person="P1"
    )
    assert codes.events == (Event(12, 0.04, 0.16, apex=0.08, person="P1", comment="p=0.90"),)


def test_events_in_frame_numbers():
    codes = EventCodes(
        (Event(12, 0.04, 0.12, apex=0.08), Event(1, 0.12, None), Event(4, 9, 10)), (1, 4, 12), ((0.0, 0.2),)
    )
    numbered = in_frames(codes, video(25, 6))
    assert numbered.events == (Event(12, 2, 3, apex=3), Event(1, 4, None))
    assert numbered.spans == ((1, 5),) and numbered.unit == "frames"


frame_tables = st.integers(1, 3).flatmap(
    lambda aus: st.lists(st.lists(st.sampled_from([-1, 0, 1]), min_size=aus, max_size=aus), min_size=2, max_size=60)
)


@given(frame_tables, st.sampled_from(RATES), st.booleans())
def test_labels_survive_as_events(rows, fps, frames):
    expected = np.array(rows, np.int8)
    aus = (1, 2, 12)[: expected.shape[1]]
    times = video(fps, len(expected))
    codes = events_from_labels(expected, times, aus)
    if not (expected != 0).any():
        assert codes == EventCodes((), ())
        return
    rounded = EventCodes(
        tuple(
            Event(event.au, round(event.onset, 3), round(event.offset, 3), label=event.label) for event in codes.events
        ),
        codes.aus,
        tuple((round(begin, 3), round(end, 3)) for begin, end in codes.spans),
    )
    if frames:
        rounded = in_frames(rounded, times)
    assert (rounded.frame_codes(times, aus).labels == expected).all()


@given(st.lists(st.integers(-1, 5), min_size=2, max_size=60), st.lists(st.floats(0.01, 3.0), min_size=60, max_size=60))
def test_intensities_survive_at_a_variable_rate(grades, gaps):
    grades = np.array(grades, np.int8)[:, None]
    times = np.cumsum(gaps)[: len(grades)]
    truth = np.where(grades == 0, -1, 1).astype(np.int8)
    codes = events_from_labels(truth, times, [6], intensities=grades)
    back = codes.frame_codes(times, [6])
    assert (back.labels == truth).all()
    assert (back.intensities == grades).all()
