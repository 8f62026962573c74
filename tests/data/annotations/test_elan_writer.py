"""ELAN files that we write: read back as they were, and by pympi."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from au_jax.data.annotations.elan import read_elan
from au_jax.data.annotations.elan_writer import write_elan
from au_jax.data.annotations.events import Event, EventCodes, events_from_labels
from au_jax.errors import DataError


def test_what_elan_cannot_hold_is_refused(tmp_path):
    path = tmp_path / "clip.eaf"
    for event, message in ((Event(1, 1.0, None), "open end"), (Event(1, -1.0, 2.0), "before the video")):
        with pytest.raises(DataError, match=message):
            write_elan(path, EventCodes((event,), (1,)))
    with pytest.raises(DataError, match="hold times"):
        write_elan(path, EventCodes((Event(1, 1, 2),), (1,), unit="frames"))
    write_elan(path, EventCodes((Event(1, 1.0, None),), (1,)), duration=3.0)
    assert read_elan(path).events == (Event(1, 1.0, 3.0),)


moments = st.integers(0, 3_600_000).map(lambda value: value / 1000)


words = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp", "Cn", "Co")), max_size=12).map(
    lambda text: " ".join(text.split())
)


@st.composite
def some_codes(draw):
    events = []
    for _ in range(draw(st.integers(1, 8))):
        onset, length = draw(st.integers(0, 60_000)), draw(st.integers(1, 9_000))
        grade = draw(st.sampled_from([None, *"ABCDE"]))
        label = 1 if grade else draw(st.sampled_from([-1, 0, 1]))
        apex = draw(st.sampled_from([None, (onset + length // 2) / 1000]))
        au, side, person = (
            draw(st.sampled_from(choices)) for choices in ([1, 12, 45, 70], ["", "L", "R", "B"], ["", "P1", "Ö x"])
        )
        events.append(Event(au, onset / 1000, (onset + length) / 1000, apex, side, grade, label, person, draw(words)))
    spans = [
        (begin, round(begin + length + 0.001, 3))
        for begin, length in draw(st.lists(st.tuples(moments, moments), max_size=1))
    ]
    return tuple(events), tuple(sorted({2, *(event.au for event in events)})), tuple(spans)


def ordered(events):
    return sorted(events, key=lambda event: (event.onset, event.offset, event.au, event.side, event.person, str(event)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(some_codes())
def test_written_files_are_read_back_as_they_were(tmp_path, parts):
    codes, path = EventCodes(*parts), tmp_path / "clip.eaf"
    write_elan(path, codes)
    back = read_elan(path)
    assert ordered(back.events) == ordered(codes.events)
    assert (back.aus, back.spans) == (codes.aus, codes.spans)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from([-1, 0, 1]), min_size=2, max_size=2), min_size=3, max_size=80),
    st.sampled_from([23.976, 29.97, 59.94]),
)
def test_codes_per_frame_survive_in_a_file(tmp_path, rows, fps):
    labels, times = np.array([[1, 1], *rows], np.int8), np.arange(len(rows) + 1) / fps
    path = tmp_path / "clip.eaf"
    write_elan(path, events_from_labels(labels, times, [6, 12]))
    assert (read_elan(path).frame_codes(times, [6, 12]).labels == labels).all()


def test_pympi_reads_what_we_write(tmp_path):
    pympi = pytest.importorskip("pympi")
    path = tmp_path / "clip.eaf"
    events = (Event(12, 1.0, 2.5, 1.5, "L", "C", person="P1", comment="p=0.93"), Event(4, 0.5, 0.75, person="P1"))
    write_elan(path, EventCodes(events, (4, 12)), media="clip.mp4")
    eaf = pympi.Eaf(str(path))
    assert list(eaf.get_tier_names()) == ["AU4@P1", "AU12 left@P1", "AU12 left apex@P1", "AU12 left comment@P1"]
    assert eaf.get_annotation_data_for_tier("AU12 left@P1") == [(1000, 2500, "C")]
    assert eaf.get_annotation_data_for_tier("AU12 left apex@P1") == [(1500, 2500, "apex")]
    assert eaf.get_ref_annotation_data_for_tier("AU12 left comment@P1") == [(1000, 2500, "p=0.93", "C")]
    assert eaf.get_parameters_for_tier("AU12 left@P1")["PARTICIPANT"] == "P1"
    assert eaf.media_descriptors[0]["RELATIVE_MEDIA_URL"] == "./clip.mp4"
    assert ("lastUsedAnnotationId", "4") in eaf.properties
    assert [value[0] for entry in eaf.get_cv_entries("FACS intensity").values() for value in entry[0]] == [*"ABCDE0?"]
