"""Scores become events that coders open beside the video, and that are read back as the labels that were written."""

import dataclasses
import json

import numpy as np
import pytest

from au_jax.data.annotations.columns import Coding
from au_jax.data.annotations.events import labels_from_scores
from au_jax.data.annotations.frame_times import FrameClock
from au_jax.data.annotations.label_file import kind_of, read_codes
from au_jax.errors import CommandError
from au_jax.inference.event_writers import EVENT_FORMATS, EventRules, EventsWriter, detected_events
from au_jax.inference.writers import Detections, concatenate

AUS = (6, 12)
NAMES = {"eaf": "clip.eaf", "boris": "clip.boris", "textgrid": "clip.TextGrid", "events": "clip.csv"}


def table(scores, fps=25.0, first=1):
    scores = np.asarray(scores, np.float32)
    number = len(scores)
    seen = ~np.isnan(scores).any(1)
    return Detections(
        AUS, np.arange(first, first + number), (np.arange(number) + first - 1) / fps, seen, seen.astype(np.float32),
        np.zeros((number, 4)), np.zeros((number, 68, 2)), {"anet": -scores, "hybrid": scores},
    )  # fmt: skip


def random_scores(number=300, seed=0):
    steps = np.random.default_rng(seed).normal(size=(number, 2)).cumsum(0)
    scores = steps - steps.mean(0)
    scores[100:120] = np.nan
    return scores


def test_an_event_lasts_until_its_score_is_low_and_short_ones_are_left_out():
    column = [-1, 2, 2, -0.4, -0.4, 2, -1, -1, -1, -1, 3, -1]
    detections = table(np.stack([column, np.full(12, -1.0)], 1), fps=10.0)

    def spans(**rules):
        events = detected_events(detections, EventRules(**rules)).events
        return [(round(event.onset, 3), round(event.offset, 3)) for event in events]

    assert spans(off=0, min_gap=0, min_length=0) == [(0.1, 0.3), (0.5, 0.6), (1.0, 1.1)]
    assert spans(off=-0.5, min_gap=0, min_length=0) == [(0.1, 0.6), (1.0, 1.1)]
    assert spans(off=0, min_gap=0.25, min_length=0.15) == [(0.1, 0.6)]


def test_the_comment_is_the_mean_probability_and_stretches_without_a_face_are_not_coded():
    scores = np.full((8, 2), -1.0)
    scores[1:5, 1] = 1.0
    scores[6:] = np.nan
    probabilities = np.full((8, 2), 0.1, np.float32)
    probabilities[1:5, 1] = [0.7, 0.8, 0.9, 0.8]
    codes = detected_events(dataclasses.replace(table(scores), probabilities=probabilities))
    (event,) = codes.events
    assert (event.au, event.comment) == (12, "p=0.80") and codes.aus == AUS
    # Of a run, or an AU, without calibration nothing is made up.
    probabilities[:, 1] = np.nan
    for unknown in (None, probabilities):
        assert detected_events(dataclasses.replace(table(scores), probabilities=unknown)).events[0].comment == ""
    assert codes.spans == ((0.0, pytest.approx(0.24)),)


@pytest.mark.parametrize("form", sorted(EVENT_FORMATS))
@pytest.mark.parametrize("fps", [25.0, 30000 / 1001])
def test_what_is_written_in_parts_is_read_back_frame_by_frame(tmp_path, form, fps):
    scores, rules = random_scores(), EventRules(off=-0.5, min_gap=0.2, min_length=0.2)
    writer = EventsWriter(tmp_path / NAMES[form], form, "clip.mp4", rules)
    for start in range(0, 300, 64):
        part = table(scores[start : start + 64], fps, start + 1)
        # The sound begins earlier than the video.
        writer.write(dataclasses.replace(part, timestamps=part.timestamps + 0.8))
    writer.close()
    times = np.arange(300) / fps
    clock = FrameClock(np.arange(1, 301, dtype=np.int32), times, 0.8)
    codes = read_codes(tmp_path / NAMES[form], Coding(aus=AUS), clock=lambda: clock, media="clip.mp4")
    expected = labels_from_scores(scores, times, on=0.0, off=-0.5, min_gap=0.2, min_length=0.2)
    # An AU without any event is told to be coded by every format.
    assert codes.aus == AUS and codes.labels.tolist() == expected[codes.frames - 1].tolist()
    assert not expected[np.setdiff1d(np.arange(300), codes.frames - 1)].any()
    assert kind_of(tmp_path / NAMES[form]) == {
        "eaf": "ELAN", "boris": "BORIS project", "textgrid": "Praat TextGrid", "events": "event table",
    }[form]  # fmt: skip


def test_rules_that_contradict_are_refused():
    with pytest.raises(CommandError, match="--event_off is 0.5; give at most 0"):
        EventRules(off=0.5)
    with pytest.raises(CommandError, match="give 0 or more"):
        EventRules(min_gap=-1.0)


@pytest.fixture
def written(tmp_path):
    def write(form):
        writer = EventsWriter(tmp_path / NAMES[form], form, str(tmp_path / "clip.mp4"), EventRules())
        writer.write(table(random_scores()))
        writer.close()
        return tmp_path / NAMES[form], detected_events(table(random_scores()))

    return write


def test_pympi_opens_the_elan_file_with_its_video(written):
    pympi = pytest.importorskip("pympi")
    path, codes = written("eaf")
    eaf = pympi.Elan.Eaf(str(path))
    for au in AUS:
        mine = [(round(1000 * e.onset), round(1000 * e.offset)) for e in codes.events if e.au == au and e.label == 1]
        assert [tuple(row[:2]) for row in eaf.get_annotation_data_for_tier(f"AU{au}")] == mine
    assert eaf.get_linked_files()[0]["MEDIA_URL"].endswith("clip.mp4")


def test_praatio_opens_the_textgrid(written):
    textgrid = pytest.importorskip("praatio.textgrid")
    path, codes = written("textgrid")
    grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=False)
    for au in AUS:
        mine = [(e.onset, e.offset) for e in codes.events if e.au == au and e.label == 1]
        read = [(entry.start, entry.end) for entry in grid.getTier(f"AU{au}").entries]
        np.testing.assert_allclose(read, mine, atol=1e-6)


def test_the_boris_package_opens_the_project(written):
    project_functions = pytest.importorskip("boris.project_functions", exc_type=ImportError)
    path, codes = written("boris")
    _, _, project, _ = project_functions.open_project_json(str(path))
    (observation,) = project["observations"].values()
    mine = [e for e in codes.events if e.label == 1]
    assert len(observation["events"]) == 2 * len(mine) + 2 * len(codes.spans)
    ok, text = project_functions.check_state_events_obs(
        "clip", project["behaviors_conf"], project["observations"]["clip"], "hh:mm:ss"
    )[:2]
    assert ok, text
    assert json.loads(path.read_text())["project_format_version"]


def two_people(number=100, fps=25.0):
    """Face 0 in all frames but 40 to 59, face 1 from frame 30 on; their rows frame by frame."""
    tables = {person: table(random_scores(seed=person)[:number], fps) for person in (0, 1)}
    seen = {0: [t for t in range(number) if not 40 <= t < 60], 1: list(range(30, number))}
    rows = sorted((t, person) for person, frames in seen.items() for t in frames)
    parts = [_row(tables[person], t, person) for t, person in rows]
    return concatenate(parts), tables, seen


def _row(whole, t, person):
    names = ("frames", "timestamps", "success", "confidence", "boxes", "landmarks")
    return dataclasses.replace(
        whole, **{name: getattr(whole, name)[t : t + 1] for name in names},
        scores={name: part[t : t + 1] for name, part in whole.scores.items()}, face_ids=np.array([person]),
    )  # fmt: skip


@pytest.mark.parametrize("form", sorted(EVENT_FORMATS))
def test_several_people_have_tiers_each_and_are_read_back_one_by_one(tmp_path, form):
    whole, tables, seen = two_people()
    writer = EventsWriter(tmp_path / NAMES[form], form, "clip.mp4", EventRules())
    writer.write(whole)
    writer.close()
    times = np.arange(100) / 25
    clock = FrameClock(np.arange(1, 101, dtype=np.int32), times, 0.0)
    for person, frames in seen.items():
        codes = read_codes(
            tmp_path / NAMES[form], Coding(aus=AUS), clock=lambda: clock, media="clip.mp4", person=f"face{person}"
        )
        scores = tables[person].scores["hybrid"].copy()
        scores[np.setdiff1d(np.arange(100), frames)] = np.nan
        rules = EventRules()
        expected = labels_from_scores(
            scores, times, on=0.0, off=rules.off, min_gap=rules.min_gap, min_length=rules.min_length
        )
        labels = np.zeros_like(expected)
        labels[codes.frames - 1] = codes.labels
        assert codes.aus == AUS and labels.tolist() == expected.tolist()


def test_one_person_alone_has_no_name_and_somebody_without_any_au_is_coded_all_the_same():
    whole, _, _ = two_people()
    second = whole.people[:, None] == 1
    quiet = dataclasses.replace(
        whole, scores={name: np.where(second, -1, part).astype(np.float32) for name, part in whole.scores.items()}
    )
    codes = detected_events(quiet)
    assert codes.persons == ("face0", "face1")
    assert {event.person for event in detected_events(whole.of_person(1)).events} == {""}
    everywhere = dataclasses.replace(quiet.of_person(1), success=np.ones(100, bool))
    assert detected_events(everywhere).persons == ()
