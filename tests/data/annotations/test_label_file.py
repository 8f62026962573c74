"""Any label file becomes codes per frame through one call, its kind is told from its content, what does not fit is one line."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from au_jax.data.annotations.boris_writer import write_boris
from au_jax.data.annotations.columns import Coding
from au_jax.data.annotations.elan_writer import write_elan
from au_jax.data.annotations.event_table import write_event_table
from au_jax.data.annotations.events import Event, EventCodes, in_frames
from au_jax.data.annotations.frame_times import FrameClock, regular_clock
from au_jax.data.annotations.label_file import kind_of, label_stem, last_moment, read_codes
from au_jax.data.annotations.textgrid import write_textgrid
from au_jax.errors import DataError

AUS = (4, 6, 12)
CODING = Coding(aus=AUS)
# AU 12 from 0.08 to 0.2 s at level B and AU 6 in the first frame, in what was coded from 0 to 0.32 s; AU 4 never.
EVENTS = EventCodes((Event(6, 0.0, 0.04), Event(12, 0.08, 0.2, intensity="B")), aus=AUS, spans=((0.0, 0.32),))
EXPECTED = {4: [-1] * 8, 6: [1] + [-1] * 7, 12: [-1, -1, 1, 1, 1, -1, -1, -1]}


def clock(frames=10, fps=25.0):
    return lambda: regular_clock(frames, fps)


WRITERS = {
    "clip.eaf": ("ELAN", lambda path, codes: write_elan(path, codes, media="clip.mp4", duration=0.4)),
    "clip.TextGrid": ("Praat TextGrid", lambda path, codes: write_textgrid(path, codes, duration=0.4)),
    "clip.boris": (
        "BORIS project",
        lambda path, codes: write_boris(path, codes, media="clip.mp4", fps=25, duration=0.4),
    ),
    "clip.csv": ("event table", write_event_table),
    "clip.tsv": (
        "event table",
        lambda path, codes: write_event_table(path, codes, unit="milliseconds", delimiter="\t"),
    ),
    "frames.csv": ("event table", lambda path, codes: write_event_table(path, in_frames(codes, np.arange(10) / 25))),
    "clip.txt": (
        "event table",
        lambda path, codes: write_event_table(path, codes, unit="timecode", fps=25, delimiter=";"),
    ),
}


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_every_kind_gives_the_same_codes(tmp_path, name):
    kind, write = WRITERS[name]
    write(tmp_path / name, EVENTS)
    assert kind_of(tmp_path / name) == kind
    codes = read_codes(tmp_path / name, CODING, clock=clock(), media="clip.mp4")
    assert codes.frames.tolist() == list(range(1, 9)) and codes.aus == AUS
    assert {au: codes.labels[:, place].tolist() for place, au in enumerate(AUS)} == EXPECTED
    assert codes.intensities[:, 2].tolist() == [0, 0, 2, 2, 2, 0, 0, 0]
    assert codes.facts.kind == kind and (codes.facts.begin, codes.facts.end, codes.facts.events) == (1, 8, 2)
    # From level C on, B is absent.
    assert (read_codes(tmp_path / name, Coding(level=3, aus=AUS), clock=clock()).labels[:, 2] == -1).all()


@pytest.mark.parametrize("name", ["clip.eaf", "clip.TextGrid", "clip.boris", "clip.csv"])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_random_codes_survive_every_kind_at_every_rate(tmp_path, name, data):
    fps = data.draw(st.sampled_from([24000 / 1001, 25.0, 30000 / 1001, 60000 / 1001]))
    runs = data.draw(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=6))
    labels = np.concatenate([np.repeat(np.int8([-1, 1]), run) for run in runs])
    times = np.arange(len(labels)) / fps
    begins = np.flatnonzero(np.diff(labels, prepend=-1) == 2)
    stops = np.flatnonzero(np.diff(labels, append=-1) == -2) + 1
    ends = np.append(times, len(labels) / fps)
    ends = np.append(times, len(labels) / fps)
    runs = [(float(times[a]), float(ends[b])) for a, b in zip(begins, stops, strict=True)]
    codes, stop = EventCodes(tuple(Event(12, *run) for run in runs), (12,)), float(ends[-1])
    writers = {
        **WRITERS,
        "clip.boris": ("", lambda path, codes: write_boris(path, codes, media="clip.mp4", fps=fps, duration=stop)),
        "clip.TextGrid": ("", lambda path, codes: write_textgrid(path, codes, duration=stop)),
    }
    writers[name][1](tmp_path / name, codes)
    read = read_codes(tmp_path / name, Coding(aus=(12,)), clock=clock(len(labels), fps))
    assert read.labels[:, 0].tolist() == labels.tolist()


def test_the_kind_is_told_by_the_content_where_the_name_does_not(tmp_path):
    write_elan(tmp_path / "clip.eaf", EVENTS)
    (tmp_path / "clip.eaf").rename(tmp_path / "clip.txt")
    assert kind_of(tmp_path / "clip.txt") == "ELAN"
    write_textgrid(tmp_path / "grid.txt", EVENTS, duration=1.0, encoding="utf-16")
    assert kind_of(tmp_path / "grid.txt") == "Praat TextGrid"
    (tmp_path / "codes.csv").write_text("frame,AU12\n1,1\n")
    assert kind_of(tmp_path / "codes.csv") == "frame table"
    assert label_stem("clip.one.boris.gz") == "clip.one" and label_stem("a.TextGrid") == "a"


def test_an_offset_moves_all_times_and_none_moves_frame_numbers(tmp_path):
    write_event_table(tmp_path / "s.csv", EVENTS)
    codes = read_codes(tmp_path / "s.csv", Coding(aus=(12,), offset=0.08), clock=clock())
    assert codes.labels[:, 0].tolist() == [-1, -1, 1, 1, 1, -1, -1, -1] and codes.frames[0] == 3
    assert codes.facts.offset == 0.08
    (tmp_path / "n.csv").write_text("frame,AU12\n1,1\n2,0\n")
    assert read_codes(tmp_path / "n.csv", Coding(aus=(12,), offset=0.08), clock=clock()).frames.tolist() == [1, 2]


def test_coders_times_run_on_the_players_clock(tmp_path):
    # The first frame is shown at 0.8 s, where the sound has begun before.
    late = FrameClock(np.arange(1, 11, dtype=np.int32), np.arange(10) / 25, 0.8)
    codes = EventCodes((Event(12, 0.88, 0.96),), (12,))
    write_elan(tmp_path / "clip.eaf", codes)
    assert read_codes(tmp_path / "clip.eaf", Coding(aus=(12,)), clock=lambda: late).labels[:, 0].tolist() == [
        -1, -1, 1, 1, *[-1] * 6,
    ]  # fmt: skip


def test_frame_numbers_of_events_are_those_of_a_folders_pictures(tmp_path):
    (tmp_path / "e.csv").write_text("AU,onset_frame,offset_frame\n12,101,103\n")
    numbers = np.array([100, 101, 103, 104], np.int32)  # 102 is not there
    pictures = FrameClock(numbers, (numbers - 100) / 25)
    codes = read_codes(tmp_path / "e.csv", Coding(aus=(12,)), first=100, clock=lambda: pictures)
    assert codes.frames.tolist() == numbers.tolist() and codes.labels[:, 0].tolist() == [-1, 1, 1, -1]
    # The same, counted from 0 for the first picture.
    (tmp_path / "z.csv").write_text("AU,onset_frame,offset_frame\n12,1,3\n")
    zero = read_codes(tmp_path / "z.csv", Coding(aus=(12,), first=0), first=100, clock=lambda: pictures)
    assert zero.labels[:, 0].tolist() == [-1, 1, 1, -1]


def test_aus_that_are_told_to_be_coded_are_absent_and_others_missing(tmp_path):
    (tmp_path / "e.csv").write_text("AU,onset_s,offset_s\n12,0.04,0.08\n")
    codes = read_codes(tmp_path / "e.csv", Coding(aus=AUS, coded=(4,)), clock=clock(3))
    assert codes.labels.tolist() == [[-1, 0, -1], [-1, 0, 1], [-1, 0, -1]] and codes.aus == (4, 12)


def test_of_several_people_the_one_called_as_the_subject_is_read(tmp_path):
    events = (Event(12, 0.0, 0.08, person="mother"), Event(12, 0.2, 0.4, person="child"))
    for name in ("clip.eaf", "clip.TextGrid", "clip.boris", "clip.csv"):
        WRITERS[name][1](tmp_path / name, EventCodes(events, (12,)))
        codes = read_codes(tmp_path / name, Coding(aus=(12,)), clock=clock(), person="Mother")
        assert codes.labels[:, 0].tolist() == [1, 1, *[-1] * 8], name
        with pytest.raises(
            DataError, match="has codes of 'child', 'mother', and none of them is called 'anna'; rename"
        ):
            read_codes(tmp_path / name, Coding(aus=(12,)), clock=clock(), person="anna")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("AU,onset_s,offset_s\n12,90,95\n", "none of 1 events meets one of the video's 10 frames"),
        ("AU,onset_s,offset_s\n12,0,0.1\n12,90,95\n12,91,95\n12,92,93\n", "most of 4; check unit, clock and offset"),
        ("AU,onset_s,offset_s\n25,0,0.1\n", r"has codes of AU 25 and none of config.data.aus \(4, 6, 12\)"),
        ("AU,onset_s,offset_s\ncoded,50,60\n12,0.1,0.2\n", "no frame of the video lies in what was coded"),
        ("frame,AU12\n1,9\n2,\n", "has no code of config.data.aus"),
        ("time_ms,AU12\n4000,1\n4040,1\n", r"2 of 2 rows \(4 to 4.04 s\) meet none of the video's 10 frames"),
    ],
)
def test_codes_that_meet_no_frame_are_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "clip.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_codes(path, CODING, clock=clock())
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("frame,AU12\n1,1\n50,0\n", 2.0),
        ("frame,AU12\n0,1\n49,0\n", 2.0),
        ("time,AU12\n0.0,1\n1.96,0\n", 2.0),
        ("AU,onset_s,offset_s\n12,0.5,2.0\n", 2.0),
    ],
)
def test_the_last_moment_of_a_file_says_how_long_a_clock_has_to_be(tmp_path, text, seconds):
    (tmp_path / "clip.csv").write_text(text)
    assert last_moment(tmp_path / "clip.csv", CODING, 25.0) == pytest.approx(seconds)


@pytest.mark.parametrize("name", ["clip.eaf", "clip.boris"])
def test_a_file_of_one_video_is_read_under_another_name_and_says_so(tmp_path, name):
    WRITERS[name][1](tmp_path / name, EVENTS)
    codes = read_codes(tmp_path / name, CODING, clock=clock(), media="copy_small.mp4")
    assert codes.labels[:, 2].tolist() == EXPECTED[12]
    (problem,) = [problem for problem in codes.problems if problem.kind == "video of another name"]
    assert problem.text == "is of clip.mp4, and taken for copy_small.mp4"
    (tmp_path / name).write_text("rubbish")
    with pytest.raises(DataError):
        read_codes(tmp_path / name, CODING, clock=clock(), media="copy_small.mp4")
