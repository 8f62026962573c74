"""Tables of events: units, decimal marks, delimiters and spellings, and files that cannot be read."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from au_jax.data.annotations.event_table import read_event_table, with_coded, write_event_table
from au_jax.data.annotations.events import Event, EventCodes
from au_jax.errors import DataError


@pytest.fixture
def table(tmp_path):
    def make(text, encoding="utf-8"):
        path = tmp_path / "events.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return make


def test_seconds_with_everything(table):
    codes = read_event_table(table("person,au,side,onset,apex,offset,intensity,comment\nP1,12,L,1.5,2.0,2.5,C,smile\n"))
    assert codes.events == (Event(12, 1.5, 2.5, 2.0, "L", "C", 1, "P1", "smile"),)
    assert codes.aus == (12,) and codes.unit == "seconds"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_european_spreadsheet(table, encoding):
    codes = read_event_table(table("sep=;\nAU;Beginn (s);Ende (s);Notes\n12;1,5;2,25;Lächeln\n", encoding))
    assert codes.events == (Event(12, 1.5, 2.25, comment="Lächeln"),)


def test_units_stand_in_the_names_of_columns(table):
    assert read_event_table(table("AU\tonset_ms\toffset_ms\n4\t1500\t2250\n")).events == (Event(4, 1.5, 2.25),)
    codes = read_event_table(table("AU,start [frame],end [frame]\n4,12,20\n"))
    assert codes.events == (Event(4, 12, 20),) and codes.unit == "frames"
    codes = read_event_table(table("AU,onset_timecode,offset_timecode\n4,00:00:01:05,00:00:02:00\n"), fps=25)
    assert codes.events == (Event(4, 1.2, 2.0),)
    assert read_event_table(table("AU,onset,offset\n4,00:01:01.5,00:01:02\n")).events == (Event(4, 61.5, 62.0),)


def test_an_export_of_elan(table):
    text = (
        "Tier\tBegin Time - hh:mm:ss.ms\tBegin Time - ss.msec\tEnd Time - hh:mm:ss.ms\tEnd Time - ss.msec\tAnnotation\n"
        "AU12 L\t00:00:01.500\t1.5\t00:00:02.250\t2.25\tC\n"
        "mother AU4\t00:00:03.000\t3.0\t00:00:04.000\t4.0\tunsure here\n"
    )
    assert read_event_table(table(text)).events == (
        Event(12, 1.5, 2.25, side="L", intensity="C"),
        Event(4, 3.0, 4.0, person="mother", comment="unsure here"),
    )


def test_whole_numbers_without_a_unit_are_not_guessed(table):
    path = table("AU,onset,offset\n4,12,20\n")
    with pytest.raises(
        DataError, match="does not say what its onset 12 counts; name the column onset_s, onset_ms or onset_frame"
    ):
        read_event_table(path)
    assert read_event_table(path, unit="frames").events == (Event(4, 12, 20),)
    assert read_event_table(path, unit="milliseconds").events == (Event(4, 0.012, 0.02),)
    # A whole number beside decimals is one of seconds.
    assert read_event_table(table("AU,onset,offset\n4,12,20.5\n")).events == (Event(4, 12, 20.5),)


def test_several_aus_in_a_cell(table):
    codes = read_event_table(table("AU,onset_s,offset_s\n1B+2C,0.5,1\n"))
    assert codes.events == (Event(1, 0.5, 1, intensity="B"), Event(2, 0.5, 1, intensity="C"))


def test_open_ends_points_durations_and_aus_that_never_occur(table):
    codes = read_event_table(table("AU,onset_s,offset_s\n4,1,\n9,,\n"))
    assert codes.events == (Event(4, 1, None),) and codes.aus == (4, 9)
    assert read_event_table(table("AU,onset_s\n4,1.5\n")).events == (Event(4, 1.5, 1.5),)
    assert read_event_table(table("AU,onset_s,duration_s\n4,1.5,2\n")).events == (Event(4, 1.5, 3.5),)
    assert read_event_table(table("AU,onset_frame,duration_frames\n4,10,5\n")).events == (Event(4, 10, 14),)
    assert with_coded(codes, [1]).aus == (1, 4, 9)


def test_absent_missing_and_coded_spans(table):
    codes = read_event_table(table("AU,onset_s,offset_s,intensity\ncoded,0,10,\n4,1,2,0\n4,3,4,?\n4,5,6,5\n"))
    assert [(event.label, event.intensity) for event in codes.events] == [(-1, None), (0, None), (1, "E")]
    assert codes.spans == ((0, 10),)


def test_the_clock_of_the_tape_is_subtracted(table):
    path = table("AU,onset,offset\n4,01:00:01:00,01:00:02:00\n")
    assert read_event_table(path, fps=25, start="01:00:00:00").events == (Event(4, 1, 2),)


def test_a_last_frame_that_belongs_to_its_event(table):
    path = table("AU,onset,offset\n4,00:00:01:00,00:00:01:24\n")
    (event,) = read_event_table(path, fps=25, inclusive=True).events
    assert event.offset == pytest.approx(2.0)


def test_columns_of_other_names(table):
    path = table("what,von_s,bis_s\n12,1,2\n")
    codes = read_event_table(path, columns={"au": "what", "onset": "von_s", "offset": "bis_s"})
    assert codes.events == (Event(12, 1, 2),)


def test_unknown_aus_are_told(table):
    codes = read_event_table(table("code,onset_s,offset_s\nsmile,1,2\n12,1,2\nlook left,2,3\n"))
    assert [problem.text for problem in codes.problems] == ["2 rows name no AU and are left out: 'look left', 'smile'"]


@pytest.mark.parametrize(
    "text, message",
    [
        ("a,b,c\n1,2,3\n", r"is no table of events: .*begins 'a,b,c'"),
        ("", "is no table of events"),
        ("AU,onset_s,offset_s\n12,3,2\n", "line 2: the offset 2 lies before the onset 3; mend it"),
        ("AU,onset_s,offset_s\n12,1,2\n12,x,2\n", "line 3: its onset cannot be read"),
        ("AU,onset_s,offset_s\n12,,2\n", "line 2: an event with an offset needs an onset"),
        ("AU,onset_s,offset_s,side\n12,1,2,top\n", "line 2: the side 'top' is none of L, R and B"),
        ("AU,onset_s,offset_s,intensity\n12,1,2,F\n", "line 2: the intensity 'F' is none of A to E"),
        ("AU,onset_s,offset_s\nsmile,1,2\n", "has no event of an AU"),
        ("AU,onset,offset\n12,00:00:01:05,\n", "line 2: .*is a timecode; say how many frames a second"),
        ("AU,onset_frame,offset_s\n12,1,2\n", "some times in frames and others in seconds"),
    ],
)
def test_what_cannot_be_read_is_one_line_with_its_place(table, text, message):
    with pytest.raises(DataError, match=message) as caught:
        read_event_table(table(text))
    assert "\n" not in str(caught.value) and "events.csv" in str(caught.value)


moments = st.integers(0, 3_600_000).map(lambda value: value / 1000)
texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=12).map(str.strip)


@st.composite
def some_codes(draw):
    events = []
    for _ in range(draw(st.integers(1, 8))):
        onset, length = draw(moments), draw(moments)
        grade = draw(st.sampled_from([None, *"ABCDE"]))
        label = 1 if grade else draw(st.sampled_from([-1, 0, 1]))
        offset = draw(st.sampled_from([None, round(onset + length, 3)]))
        apex = draw(st.sampled_from([None, onset]))
        au, side = draw(st.sampled_from([1, 12, 45])), draw(st.sampled_from(["", "L", "R", "B"]))
        events.append(Event(au, onset, offset, apex, side, grade, label, draw(texts), draw(texts)))
    aus = tuple(sorted({event.au for event in events} | draw(st.sets(st.sampled_from([2, 4, 6])))))
    spans = tuple(
        (begin, round(begin + length, 3)) for begin, length in draw(st.lists(st.tuples(moments, moments), max_size=2))
    )
    return tuple(events), aus, spans


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(some_codes(), st.sampled_from([",", ";", "\t"]), st.sampled_from(["seconds", "milliseconds"]))
def test_a_written_table_is_read_back_as_it_was(tmp_path, parts, delimiter, unit):
    codes = EventCodes(*parts)
    path = tmp_path / "events.csv"
    write_event_table(path, codes, delimiter=delimiter, unit=unit)
    back = read_event_table(path)
    assert (back.events, back.aus, back.spans) == (codes.events, codes.aus, codes.spans)


def test_frames_and_timecode_are_written(tmp_path):
    path = tmp_path / "events.csv"
    codes = EventCodes((Event(4, 3, 9),), (4,), unit="frames")
    write_event_table(path, codes)
    assert read_event_table(path).events == codes.events
    seconds = EventCodes((Event(4, 60.06, 61.061),), (4,))
    write_event_table(path, seconds, unit="timecode", fps=29.97, drop=True)
    assert "00:01:00;02" in path.read_text()
    (event,) = read_event_table(path, fps=29.97).events
    assert (event.onset, event.offset) == pytest.approx((60.06, 61.061))
    for options in ({"unit": "timecode"}, {"unit": "frames"}):
        with pytest.raises(DataError, match="cannot be written"):
            write_event_table(path, seconds, **options)
