"""BORIS projects that we write: read back as they were."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from au_jax.data.annotations.boris import read_boris
from au_jax.data.annotations.boris_writer import write_boris
from au_jax.data.annotations.events import Event, EventCodes, events_from_labels
from au_jax.errors import DataError


def test_what_boris_cannot_hold(tmp_path):
    with pytest.raises(DataError, match="hold times"):
        write_boris(
            tmp_path / "a.boris", EventCodes((Event(1, 1, 2),), (1,), unit="frames"), media="a.mp4", fps=25, duration=5
        )
    # Overlapping events of one kind would be paired wrongly, and are joined.
    events = (Event(1, 1.0, 3.0, comment="x"), Event(1, 2.0, 4.0, comment="y"), Event(1, 4.0, None))
    write_boris(tmp_path / "a.boris", EventCodes(events, (1,)), media="a.mp4", fps=25, duration=5)
    assert read_boris(tmp_path / "a.boris").events == (Event(1, 1.0, 4.0, comment="x; y"), Event(1, 4.0, 5.0))


words = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=10).map(str.strip)


@st.composite
def some_codes(draw):
    events = []
    for place in range(draw(st.integers(1, 8))):
        # Not overlapping, so that nothing is joined; the apex is inside.
        onset, length = place * 10_000 + draw(st.integers(0, 999)), draw(st.integers(2, 8_000))
        grade = draw(st.sampled_from([None, *"ABCDE"]))
        label = 1 if grade else draw(st.sampled_from([-1, 0, 1]))
        apex = draw(st.sampled_from([None, (onset + length // 2) / 1000]))
        au, side, person = (
            draw(st.sampled_from(choices)) for choices in ([1, 12], ["", "L", "R", "B"], ["", "P1", "Ö x"])
        )
        events.append(Event(au, onset / 1000, (onset + length) / 1000, apex, side, grade, label, person, draw(words)))
    spans = draw(st.sampled_from([(), ((0.0, 5.5), (7.25, 90.0))]))
    return tuple(events), tuple(sorted({2, *(event.au for event in events)})), spans


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(some_codes())
def test_written_projects_are_read_back_as_they_were(tmp_path, parts):
    codes, path = EventCodes(*parts), tmp_path / "clip.boris"
    write_boris(path, codes, media="clip.mp4", fps=29.97, duration=100)
    back = read_boris(path)
    assert (back.events, back.aus, back.spans) == (codes.events, codes.aus, codes.spans)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(st.lists(st.lists(st.sampled_from([-1, 0, 1]), min_size=2, max_size=2), min_size=3, max_size=80))
def test_codes_per_frame_survive_in_a_project(tmp_path, rows):
    labels, times = np.array([[1, 1], *rows], np.int8), np.arange(len(rows) + 1) * 1001 / 60000
    path = tmp_path / "clip.boris"
    write_boris(path, events_from_labels(labels, times, [6, 12]), media="clip.mp4", fps=59.94, duration=times[-1] + 1)
    assert (read_boris(path).frame_codes(times, [6, 12]).labels == labels).all()
