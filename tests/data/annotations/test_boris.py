"""BORIS projects and exports: clocks, pairs, modifiers; exports below were written by BORIS 10.0.2."""

import gzip
import json

import numpy as np
import pytest

from au_jax.data.annotations.boris import read_boris
from au_jax.data.annotations.events import Event
from au_jax.errors import DataError


def behaviour(code, kind="State event", description=""):
    return {"code": code, "type": kind, "description": description, "key": "", "modifiers": {}}


def observation(events, files=None, **more):
    files = {"1": ["/data/clip.mp4"]} if files is None else files
    names = [name for names in files.values() for name in names]
    info = {"length": dict.fromkeys(names, 10.0), "fps": dict.fromkeys(names, 25.0), "offset": {"1": 0.0, "2": 1.5}}
    return {"type": "MEDIA", "file": files, "events": events, "time offset": 0, "media_info": info, "date": ""} | more


@pytest.fixture
def project(tmp_path):
    def make(observations, behaviours=("AU12", "AU4")):
        behaviours = [behaviour(item) if isinstance(item, str) else item for item in behaviours]
        path = tmp_path / "coding.boris"
        content = {
            "project_format_version": "7.0",
            "behaviors_conf": {str(place): item for place, item in enumerate(behaviours)},
            "observations": observations,
            "subjects_conf": {},
        }
        path.write_text(json.dumps(content))
        return path

    return make


TABULAR = (
    "Observation id\tObservation date\tDescription\tObservation duration\tObservation type\tSource\t"
    "Time offset (s)\tMedia duration (s)\tFPS\tSubject\tBehavior\tBehavioral category\tBehavior type\tTime\t"
    "Media file name\tImage index\tImage file path\tComment\n"
    "o\t2026-11-01 10:00:00\t\t12.000\tMedia file(s)\tplayer #1:a.mp4;b.mp4\t5\t10.000;10.000\t25.000;25.000\t"
    "Anna\tAU12\t\tSTART\t6.000\ta.mp4\t1\tNA\t\n"
    "o\t2026-11-01 10:00:00\t\t12.000\tMedia file(s)\tplayer #1:a.mp4;b.mp4\t5\t10.000;10.000\t25.000;25.000\t"
    "Anna\tAU12\t\tSTOP\t7.500\ta.mp4\t1\tNA\t\n"
    "o\t2026-11-01 10:00:00\t\t12.000\tMedia file(s)\tplayer #1:a.mp4;b.mp4\t5\t10.000;10.000\t25.000;25.000\t"
    "Anna\tAU4\t\tSTART\t8.000\ta.mp4\t1\tNA\t\n"
    "o\t2026-11-01 10:00:00\t\t12.000\tMedia file(s)\tplayer #1:a.mp4;b.mp4\t5\t10.000;10.000\t25.000;25.000\t"
    "Anna\tAU4\t\tSTOP\t9.000\ta.mp4\t1\tNA\t\n"
    "o\t2026-11-01 10:00:00\t\t12.000\tMedia file(s)\tplayer #1:a.mp4;b.mp4\t5\t10.000;10.000\t25.000;25.000\t"
    "Anna\tAU6\t\tSTART\t14.000\tb.mp4\t1\tNA\t\n"
    "o\t2026-11-01 10:00:00\t\t12.000\tMedia file(s)\tplayer #1:a.mp4;b.mp4\t5\t10.000;10.000\t25.000;25.000\t"
    "Anna\tAU6\t\tSTOP\t16.000\tb.mp4\t1\tNA\t\n"
    "o\t2026-11-01 10:00:00\t\t12.000\tMedia file(s)\tplayer #1:a.mp4;b.mp4\t5\t10.000;10.000\t25.000;25.000\t"
    "Anna\tAU12\t\tSTART\t17.000\tb.mp4\t1\tNA\t\n"
    "o\t2026-11-01 10:00:00\t\t12.000\tMedia file(s)\tplayer #1:a.mp4;b.mp4\t5\t10.000;10.000\t25.000;25.000\t"
    "Anna\tAU12\t\tSTOP\t18.000\tb.mp4\t1\tNA\t\n"
)
AGGREGATED = (
    "Observation id,Observation date,Description,Observation type,Source,Time offset (s),Coding duration,"
    "Media duration (s),FPS (frame/s),Subject,Observation duration by subject by observation,Behavior,"
    "Behavioral category,Behavior type,Start (s),Stop (s),Duration (s),Media file name,Image index start,"
    "Image index stop,Image file path start,Image file path stop,Comment start,Comment stop\n"
    "o,2026-11-01 10:00:00,,Media file,player #1:a.mp4;b.mp4,5,12.000,10.000;10.000,25.000;25.000,Anna,"
    "5.5,AU4,Not defined,STATE,8.000,9.000,1.000,a.mp4,1,1,,,,\n"
    "o,2026-11-01 10:00:00,,Media file,player #1:a.mp4;b.mp4,5,12.000,10.000;10.000,25.000;25.000,Anna,"
    "5.5,AU6,Not defined,STATE,14.000,16.000,2.000,b.mp4,1,1,,,,\n"
    "o,2026-11-01 10:00:00,,Media file,player #1:a.mp4;b.mp4,5,12.000,10.000;10.000,25.000;25.000,Anna,"
    "5.5,AU12,Not defined,STATE,6.000,7.500,1.500,a.mp4,1,1,,,,\n"
    "o,2026-11-01 10:00:00,,Media file,player #1:a.mp4;b.mp4,5,12.000,10.000;10.000,25.000;25.000,Anna,"
    "5.5,AU12,Not defined,STATE,17.000,18.000,1.000,b.mp4,1,1,,,,\n"
)
SMILE = [[1.0, "", "AU12", "", "", 25], [2.5, "", "AU12", "", "", "NA"]]


def test_state_events_are_start_and_stop_in_turn(project):
    events = [*SMILE, [3.0, "", "AU12", "", "", "NA"], [4.0, "", "AU12", "", "shy", "NA"]]
    codes = read_boris(project({"a": observation(events)}))
    assert codes.events == (Event(12, 1.0, 2.5), Event(12, 3.0, 4.0, comment="shy"))
    assert codes.aus == (4, 12) and codes.media == ("clip.mp4",)
    labels = codes.frame_codes(np.arange(150) / 29.97, [12, 4]).labels
    assert np.flatnonzero(labels[:, 0] == 1).tolist() == [*range(30, 75), *range(90, 120)]
    assert (labels[:, 1] == -1).all()


def test_subjects_and_modifiers_pair_on_their_own(project):
    left, tense = ["Anna", "AU12", "C|left", "", 1], ["Anna", "AU12", "left,tense (t)", "", 1]
    ben = ["Ben", "AU12", "None|None", "", 1]
    events = [[1.0, *left], [1.5, *ben], [2.0, *left], [2.2, *ben], [3.0, *tense], [4.0, *tense]]
    path = project({"a": observation(events)})
    codes = read_boris(path)
    assert codes.events == (
        Event(12, 1.0, 2.0, side="L", intensity="C", person="Anna"),
        Event(12, 1.5, 2.2, person="Ben"),
        Event(12, 3.0, 4.0, side="L", person="Anna", comment="tense"),
    )
    assert len(read_boris(path, person="Anna").events) == 2


def test_point_events_and_descriptions(project):
    behaviours = (behaviour("blink", "Point event"), behaviour("smile", description="AU12"), "look away")
    events = [
        [1.0, "", "blink", "", "", 1],
        [2.0, "", "smile", "", "", 1],
        [3.0, "", "smile", "", "", 1],
        [4.0, "", "look away", "", "", 1],
    ]
    codes = read_boris(project({"a": observation(events)}, behaviours))
    assert codes.events == (Event(45, 1.0, 1.0), Event(12, 2.0, 3.0))
    assert [problem.text for problem in codes.problems] == ["behaviours that name no AU are left out: 'look away'"]


def test_a_state_without_its_end_is_missing_from_there(project):
    codes = read_boris(project({"a": observation([*SMILE, [3.0, "", "AU12", "", "", 1]])}))
    assert codes.events[1] == Event(12, 3.0, None, label=0)
    assert codes.problems[0].text.startswith("1 state events have no end (AU12 at 3 s)")
    labels = codes.frame_codes(np.arange(9) * 0.5, [12]).labels[:, 0]
    assert labels.tolist() == [-1, -1, 1, 1, 1, -1, 0, 0, 0]


def test_another_modifier_at_the_stop_leaves_both_without_an_end(project):
    codes = read_boris(project({"a": observation([[1.0, "", "AU12", "C", "", 1], [2.0, "", "AU12", "", "", 1]])}))
    assert [event.label for event in codes.events] == [0, 0]


def test_the_offset_of_the_observation_is_taken_off(project):
    moved = [[time + 3600, *rest] for time, *rest in SMILE]
    assert read_boris(project({"a": observation(moved, **{"time offset": 3600.0})})).events == (Event(12, 1.0, 2.5),)


def test_videos_of_a_queue_have_clocks_of_their_own(project):
    events = [
        *SMILE,
        [9.0, "", "AU4", "", "", 1],
        [11.0, "", "AU4", "", "", 1],
        [12.0, "", "AU12", "", "", 1],
        [13.0, "", "AU12", "", "", 1],
    ]
    queue = observation(events, {"1": ["a.mp4", "b.mp4"]})
    queue["media_info"]["length"] = {"a.mp4": 10.0009, "b.mp4": 10.0}
    path = project({"x": queue})
    with pytest.raises(DataError, match="shows a.mp4, b.mp4; say which video"):
        read_boris(path)
    first = read_boris(path, media="a.mp4")
    assert first.events == (Event(12, 1.0, 2.5), Event(4, 9.0, 10.0))
    assert [problem.kind for problem in first.problems] == ["event of another video"]
    assert read_boris(path, media="b.mov").events == (Event(4, 0.0, 1.0), Event(12, 2.0, 3.0))
    with pytest.raises(DataError, match="does not show c.mp4; it shows a.mp4, b.mp4"):
        read_boris(path, media="c.mp4")


def test_a_second_player_has_its_delay(project):
    path = project({"x": observation(SMILE, {"1": ["a.mp4"], "2": ["b.mp4"]})})
    assert read_boris(path, media="b.mp4").events == (Event(12, -0.5, 1.0),)
    assert read_boris(path, media="a.mp4").events == (Event(12, 1.0, 2.5),)


def test_the_interval_of_the_observation_is_what_was_coded(project):
    codes = read_boris(project({"x": observation(SMILE, **{"observation time interval": [1, 3]})}))
    assert codes.spans == ((1.0, 3.0),)
    assert codes.frame_codes(np.arange(5) * 0.75, [4]).labels[:, 0].tolist() == [0, -1, -1, -1, 0]


def test_observations_are_found_by_id_or_by_video(project):
    path = project({"x": observation(SMILE, {"1": ["a.mp4"]}), "y": observation([], {"1": ["C:\\data\\b.mp4"]})})
    assert read_boris(path, observation="x").events == read_boris(path, media="a.mp4").events == (Event(12, 1.0, 2.5),)
    assert read_boris(path, media="b.mp4").events == ()
    with pytest.raises(DataError, match="has observations 'x', 'y'; say which one"):
        read_boris(path)
    with pytest.raises(DataError, match="has no observation 'z'; it has 'x', 'y'"):
        read_boris(path, observation="z")


def test_observations_of_images_count_frames(project):
    events = [[0.0, "", "AU12", "", "", 3, "3.jpg"], [0.0, "", "AU12", "", "", 5, "5.jpg"]]
    codes = read_boris(project({"x": observation(events, {}, type="IMAGES", directories_list=["d"])}))
    assert codes.unit == "frames"
    assert codes.frame_codes(np.arange(7) / 25, [12]).labels[:, 0].tolist() == [-1, -1, 1, 1, 1, -1, -1]


def test_packed_projects(project, tmp_path):
    path = project({"a": observation(SMILE)})
    packed = tmp_path / "coding.boris.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read_boris(packed).events == read_boris(path).events
    packed.write_bytes(gzip.compress(path.read_bytes())[:-20])
    with pytest.raises(DataError, match="cannot be read"):
        read_boris(packed)


@pytest.mark.parametrize("name, text", [("t.tsv", TABULAR), ("t.csv", AGGREGATED)])
def test_exports_of_boris_come_back_to_the_clock_of_each_video(tmp_path, name, text):
    # Two videos of 10 s in a queue and an offset of 5 s; BORIS itself says that AU 6 begins in b.mp4, at 14 s of its clock.
    path = tmp_path / name
    path.write_text(text)
    first = read_boris(path, media="a.mp4", aus=(9,))
    assert first.events == tuple(
        Event(au, *times, person="Anna") for au, *times in ((12, 1.0, 2.5), (4, 3.0, 4.0), (6, 9.0, 10.0))
    )
    assert first.aus == (4, 6, 9, 12) and first.media == ("a.mp4", "b.mp4")
    second = read_boris(path, media="b.mp4", person="Anna")
    assert second.events == tuple(Event(au, *times, person="Anna") for au, *times in ((6, 0.0, 1.0), (12, 2.0, 3.0)))
    with pytest.raises(DataError, match="shows a.mp4, b.mp4; say which video"):
        read_boris(path)


def test_an_export_without_an_offset_says_so(tmp_path):
    path = tmp_path / "old.csv"
    rows = "1,No focal subject,AU12,,START\n2.5,No focal subject,AU12,hm,STOP\n"
    path.write_text("Observation id,x\n\nTime,Subject,Behavior,Comment,Status\n" + rows)
    codes = read_boris(path)
    assert codes.events == (Event(12, 1.0, 2.5, comment="hm"),)
    assert [problem.kind for problem in codes.problems] == ["clock not known"]


@pytest.mark.parametrize(
    "text, message",
    [
        ("a,b\n1,2\n", "is no export of BORIS events"),
        ("Behavior,Time,Status\nAU12,x,START\n", "line 2: its time cannot be read"),
        ("Behavior,Time,Status\nAU12,1,GO\n", "line 2: its time cannot be read"),
        ("Behavior,Time,Status\nsmile,1,START\n", "no behaviour is an AU"),
        (
            TABULAR.replace("player #1:a.mp4;b.mp4", "player #1:a.mp4|player #2:b.mp4"),
            "do not hold the delay of player 2",
        ),
    ],
)
def test_exports_that_cannot_be_read_are_one_line(tmp_path, text, message):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_boris(path, media="b.mp4")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content, message",
    [
        ("", "is no whole BORIS project"),
        ("[" * 100_000, "is no whole BORIS project"),
        ("[]", "is JSON, but no BORIS project"),
        ('{"observations": {}, "behaviors_conf": {}}', "has no observations; code one"),
        ('{"observations": {"a": {}}, "behaviors_conf": {}}', r"observation 'a': is damaged \(KeyError"),
        ('{"observations": {"a": 3}, "behaviors_conf": {}}', "observation 'a': is damaged"),
    ],
)
def test_what_is_no_project_is_one_line(tmp_path, content, message):
    path = tmp_path / "coding.boris"
    path.write_text(content)
    with pytest.raises(DataError, match=message) as caught:
        read_boris(path)
    assert "\n" not in str(caught.value) and "coding.boris" in str(caught.value)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"type": "LIVE"}, "was coded live"),
        ({"events": [["x", "", "AU12", "", ""]]}, "is damaged"),
        ({"events": [[1.0, "", "AU12"]]}, "is damaged"),
        ({"events": [[float("nan"), "", "AU12", "", "", 1]]}, "events without a time"),
        ({"file": {}}, "shows no video"),
        ({"file": {"1": []}}, "shows no video"),
    ],
)
def test_observations_that_cannot_be_read_are_one_line(project, change, message):
    with pytest.raises(DataError, match=message) as caught:
        read_boris(project({"a": observation(SMILE) | change}))
    assert "\n" not in str(caught.value)


def test_behaviours_without_aus_are_refused(project):
    with pytest.raises(DataError, match=r"no behaviour is an AU \(behaviours: 'smile', 'look'\)"):
        read_boris(project({"a": observation([])}, ("smile", "look")))
