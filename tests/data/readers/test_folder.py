"""Anybody's own recordings: videos or folders of frames with a table each; what cannot be used is one line each."""

import os
import sys

import pytest

from au_jax.data.annotations.boris_writer import write_boris
from au_jax.data.annotations.elan_writer import write_elan
from au_jax.data.annotations.event_table import write_event_table
from au_jax.data.annotations.events import Event, EventCodes
from au_jax.data.annotations.textgrid import write_textgrid
from au_jax.data.readers.survey import check
from au_jax.data.recordings import RecordingId
from au_jax.errors import UserError
from au_jax.labels import PAPER_AUS

from ..conftest import write_picture, write_text, write_video

CODES = "frame,AU1\n1,0\n2,1\n3,0\n"


def write_frames(raw, name, frames=3):
    for number in range(1, frames + 1):
        write_picture(raw / name / f"{number}.png", number)


def unusable(reader):
    (problem,) = reader("folder").survey().unusable
    assert "\n" not in problem.text
    return problem.text


def test_pictures_without_a_folder_for_their_video_are_told_where_they_belong(raw, reader):
    write_frames(raw, "anna")
    with pytest.raises(
        UserError, match=r"anna: has no video and no table; its pictures belong in .* <subject>/<video>/"
    ):
        reader("folder").recordings()


@pytest.mark.parametrize("suffix", ["mp4", "avi", "mov", "MKV"])
def test_videos_of_all_kinds_are_read(raw, reader, stand_in, suffix):
    write_video(raw / f"anna/smile.{suffix}", 3)
    write_text(raw / "anna/smile.csv", CODES)
    folder = reader("folder")
    assert folder.recordings() == [RecordingId("anna", "smile")]
    (faces,) = folder.faces(RecordingId("anna", "smile"))
    assert faces.frame_numbers.tolist() == [1, 2, 3] and faces.labels[:, 0].tolist() == [-1, 1, -1]


def test_folders_of_frames_are_read(raw, reader, stand_in):
    write_frames(raw, "bert/take.1")
    write_text(raw / "bert/take.1.csv", CODES)
    (faces,) = reader("folder").faces(RecordingId("bert", "take_1"))
    assert faces.frame_numbers.tolist() == [1, 2, 3] and faces.labels[:, 0].tolist() == [-1, 1, -1]
    assert reader("folder").pictures(RecordingId("bert", "take_1")).__next__().number == 1


def test_names_become_letters_digits_and_underscores(raw, reader):
    for subject in ("all", "Zoë-1"):
        write_frames(raw, f"{subject}/a b")
        write_text(raw / subject / "a b.csv", CODES)
    assert reader("folder").recordings() == [RecordingId("Zo__1", "a_b"), RecordingId("all_", "a_b")]


def test_letters_become_intensities_and_an_au_that_is_coded_without_has_none(raw, reader, stand_in):
    write_frames(raw, "anna/clip")
    write_text(raw / "anna/clip.csv", "AU,onset,offset,intensity\n12,2,2,C\n6,2,2,\n")
    (faces,) = reader("folder", aus=(6, 12), label_unit="frames", coded_aus=(6, 12)).faces(RecordingId("anna", "clip"))
    assert faces.frame_numbers.tolist() == [1, 2, 3] and faces.labels[1].tolist() == [1, 1]
    # Of AU 6 nothing is known, not even the zeros.
    assert faces.intensities.tolist() == [[-1, 0], [-1, 3], [-1, 0]]


def test_codes_of_occurrence_are_no_intensities(raw, reader, stand_in):
    write_frames(raw, "anna/clip")
    write_text(raw / "anna/clip.csv", CODES)
    (faces,) = reader("folder").faces(RecordingId("anna", "clip"))
    assert (faces.labels > 0).any()
    present = (faces.labels > 0).any(0)
    assert faces.intensities is None or (faces.intensities[:, present] == -1).all()


def test_two_subjects_of_one_name_are_refused_with_both(raw, reader):
    for subject, video in (("a-b", "one"), ("a b", "two")):
        write_frames(raw, f"{subject}/{video}")
        write_text(raw / subject / f"{video}.csv", CODES)
    with pytest.raises(UserError, match="a b and .*a-b would both be subject a_b; rename one"):
        reader("folder").recordings()


@pytest.mark.parametrize("other", ["clip 1", "clip-1"])
def test_two_videos_of_one_name_are_refused_with_both(raw, reader, other):
    write_frames(raw, "anna/clip_1")
    write_frames(raw, f"anna/{other}")
    with pytest.raises(UserError, match=r"anna/clip.1 and .*anna/clip.1 would both be called anna/clip_1"):
        reader("folder").recordings()


def test_a_folder_without_pictures_beside_a_video_does_not_count(raw, reader):
    write_frames(raw, "anna/clip")
    write_text(raw / "anna/clip.csv", CODES)
    write_text(raw / "anna/notes/readme.txt", "hello")
    write_text(raw / "anna/._clip.csv", "left by another system")
    (raw / "empty").mkdir()
    write_text(raw / "readme.txt", "hello")
    folder = reader("folder")
    assert folder.recordings() == [RecordingId("anna", "clip")] and folder.survey().unusable == ()
    found = {problem.path.removeprefix(f"{raw}/"): problem.kind for problem in folder.survey().problems}
    assert found["empty"] == "folder without recordings" and found["readme.txt"] == "file without use"


def test_a_video_without_table_and_a_table_without_video_are_one_line_each(raw, reader):
    write_frames(raw, "anna/clip")
    assert "anna/clip stands alone: there is no table clip.csv beside it" in unusable(reader)
    write_text(raw / "anna/clip.csv", CODES)
    write_text(raw / "bert/take.csv", CODES)
    assert "bert/take.csv stands alone: there is no video or folder of frames take" in unusable(reader)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "clip.csv is empty"),
        ("1,0\n2,1\n", "clip.csv has no column 'frame' in its first line"),
        ("frame,AU3,AU99\n1,0,0\n", "clip.csv has no column of the AUs of config.data.aus"),
    ],
)
def test_unusable_tables_are_one_line_each(raw, reader, content, message):
    write_frames(raw, "anna/clip")
    write_text(raw / "anna/clip.csv", content)
    assert message in unusable(reader)


@pytest.mark.parametrize("content", [b"", b"this is no video" * 100])
def test_videos_without_content_or_damaged_are_one_line_each(raw, reader, content):
    pytest.importorskip("av")
    write_text(raw / "anna/clip.csv", CODES)
    (raw / "anna/clip.mp4").write_bytes(content)
    assert "anna/clip.mp4" in unusable(reader)


def test_a_folder_without_recordings_is_refused_with_the_layout(raw, reader):
    write_text(raw / "notes.txt", "hello")
    with pytest.raises(UserError, match=r"has no folder recordings .*; it should hold <subject>/<video>.mp4"):
        reader("folder").recordings()


def test_links_that_lead_out_are_not_followed(raw, reader, tmp_path):
    write_frames(tmp_path, "elsewhere/clip")
    write_text(tmp_path / "elsewhere/clip.csv", CODES)
    os.symlink(tmp_path / "elsewhere", raw / "anna")
    with pytest.raises(UserError, match=r"no folder recordings .*raw/anna: the link leads out"):
        reader("folder").recordings()
    write_frames(raw, "bert/clip")
    write_text(raw / "bert/clip.csv", CODES)
    os.symlink("clip", raw / "bert/again")
    os.symlink("clip.csv", raw / "bert/again.csv")
    assert reader("folder").recordings() == [RecordingId("bert", "again"), RecordingId("bert", "clip")]
    os.symlink(tmp_path / "elsewhere/clip/1.png", raw / "bert/clip/4.png")
    texts = [problem.text for problem in reader("folder").survey().unusable]
    assert len(texts) == 2 and "bert/clip holds links that lead out of" in texts[1]


def test_labels_are_right_after_shuffling_columns_and_rows(raw, reader, stand_in):
    write_frames(raw, "anna/clip", 6)
    truth = {1: [0, 1, 0, 1, 1, 0], 24: [1, 1, 0, 0, 1, 9], 10: [0, 0, 0, 1, 9, 1]}
    rows = [f"{truth[24][n]},x,{truth[1][n]},{n + 1:03d},{truth[10][n]}" for n in (4, 0, 5, 2, 1, 3)]
    write_text(raw / "anna/clip.csv", "\n".join(["AU24,note,1,FRAME,AU10_c", *rows]))
    (faces,) = reader("folder").faces(RecordingId("anna", "clip"))
    for au, codes in truth.items():
        expected = [{0: -1, 1: 1, 9: 0}[code] for code in codes]
        assert faces.labels[:, PAPER_AUS.index(au)].tolist() == expected


def test_without_a_decoder_videos_are_one_line_and_not_one_each(raw, reader, monkeypatch):
    for name in ("one", "two"):
        write_text(raw / f"anna/{name}.csv", CODES)
        write_text(raw / f"anna/{name}.mp4", "any content")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UserError, match="PyAV, which is missing; make video, or pip install"):
        reader("folder").recordings()


# AU 1 in the second of three frames at 25 frames a second.
EVENTS = EventCodes((Event(1, 0.04, 0.08),), (1,), ((0.0, 0.12),))


def write_grid(path):
    write_textgrid(path, EVENTS)


def write_project(path):
    write_boris(path, EVENTS, media="clip.mp4", fps=25, duration=0.12)


@pytest.mark.parametrize(
    ("name", "write", "kind"),
    [
        ("clip.eaf", lambda path: write_elan(path, EVENTS, media="clip.mp4"), "ELAN"),
        ("clip.TextGrid", write_grid, "Praat TextGrid"),
        ("clip.boris", write_project, "BORIS project"),
        ("project.boris", write_project, "BORIS project"),
        ("clip.csv", lambda path: write_event_table(path, EVENTS), "event table"),
        ("clip.tsv", lambda path: write_text(path, CODES.replace(",", "\t")), "frame table"),
    ],
)
def test_label_files_of_every_kind_are_read_and_described(raw, reader, name, write, kind):
    write_video(raw / "anna/clip.mp4", 3)
    write(raw / "anna" / name)
    write_text(raw / "anna/notes.txt", "hello")
    folder = reader("folder", aus=(1,))
    assert folder.survey().unusable == ()
    assert folder.codes(RecordingId("anna", "clip")).labels[:, 0].tolist() == [-1, 1, -1]
    found = check(folder)
    (file,) = found.label_files
    assert (file.facts.kind, file.aus, file.facts.events, file.not_understood) == (kind, (1,), 1, 0)
    line = next(line for line in found.text().splitlines() if line.startswith("anna/clip: "))
    assert name in line and kind in line and "1 to 3" in line
    assert found.document()["label_files"][0]["facts"]["kind"] == kind


def test_two_label_files_of_a_recording_are_refused(raw, reader):
    write_frames(raw, "anna/clip")
    write_text(raw / "anna/clip.csv", CODES)
    write_grid(raw / "anna/clip.TextGrid")
    assert "anna/clip has two label files, clip.TextGrid and clip.csv; keep the one that counts" in unusable(reader)


@pytest.mark.parametrize(
    ("fields", "expected"), [({}, [1, 2, 3]), ({"first_frame": 1}, [0, 1, 2]), ({"first_frame": 0}, [1, 2, 3])]
)
def test_a_videos_table_that_counts_from_0_is_told_and_a_field_sets_the_first_number(raw, reader, fields, expected):
    write_video(raw / "anna/clip.mp4", 3)
    write_text(raw / "anna/clip.csv", "frame,AU1\n0,0\n1,1\n2,0\n")
    codes, problems = reader("folder", **fields).examine(RecordingId("anna", "clip"))
    assert codes.frames.tolist() == expected
    assert ("counts from 0" in {problem.kind for problem in problems}) == (not fields)


def test_pictures_that_are_numbered_from_0_keep_their_numbers(raw, reader):
    for number in range(3):
        write_picture(raw / f"anna/clip/{number}.png", number + 1)
    write_text(raw / "anna/clip.csv", "frame,AU1\n0,0\n1,1\n2,0\n")
    codes, problems = reader("folder").examine(RecordingId("anna", "clip"))
    assert codes.frames.tolist() == [0, 1, 2] and "counts from 0" not in {problem.kind for problem in problems}


def test_times_in_a_column_of_frames_make_a_recording_unusable_and_a_column_of_times_is_read(raw, reader):
    write_video(raw / "anna/clip.mp4", 30)
    rows = "".join(f"{40 * n},{n % 2}\n" for n in range(30))
    write_text(raw / "anna/clip.csv", "index,AU1\n" + rows)
    (problem,) = reader("folder", columns="frame=index").survey().unusable
    assert "clip.csv codes 30 frames" in problem.text and "are times" in problem.text and "\n" not in problem.text
    read = reader("folder", columns="time=index", label_unit="milliseconds").codes(RecordingId("anna", "clip"))
    assert read.frames.tolist() == list(range(1, 31)) and read.labels[:, 0].tolist() == [-1, 1] * 15
    write_text(raw / "anna/clip.csv", "time_ms,AU1\n" + rows)
    assert reader("folder").codes(RecordingId("anna", "clip")).labels[:, 0].tolist() == [-1, 1] * 15


def test_an_offset_of_the_labels_moves_events(raw, reader):
    write_video(raw / "anna/clip.mp4", 4)
    write_event_table(raw / "anna/clip.csv", EVENTS)
    folder = reader("folder", aus=(1,), label_offset=0.04)
    assert folder.codes(RecordingId("anna", "clip")).labels[:, 0].tolist() == [-1, 1, -1]
    assert folder.codes(RecordingId("anna", "clip")).frames.tolist() == [2, 3, 4]


def test_events_that_meet_no_frame_make_a_recording_unusable(raw, reader):
    write_video(raw / "anna/clip.mp4", 3)
    write_event_table(raw / "anna/clip.csv", EVENTS.shifted(100))
    assert "check unit, clock and offset" in unusable(reader)


@pytest.mark.parametrize(
    ("name", "text"),
    [("clip.txt", "She smiles, then he speaks.\n"), ("clip.tsv", "start\tend\tword\n0\t1\thello\n")],
)
def test_a_transcript_beside_the_codes_is_left_aside(raw, reader, name, text):
    write_frames(raw, "anna/clip")
    write_text(raw / "anna/clip.csv", CODES)
    write_text(raw / "anna" / name, text)
    folder = reader("folder")
    assert folder.codes(RecordingId("anna", "clip")).labels[:, 0].tolist() == [-1, 1, -1]
    (stray,) = [problem for problem in folder.survey().problems if problem.kind == "file without use"]
    assert stray.path.endswith(name)


def test_two_projects_beside_a_video_are_refused(raw, reader):
    write_video(raw / "anna/clip.mp4", 3)
    write_project(raw / "anna/one.boris")
    write_project(raw / "anna/two.boris")
    assert "has two label files, one.boris and two.boris; keep the one that counts" in unusable(reader)


def test_of_several_people_the_subjects_own_codes_are_read(raw, reader):
    write_video(raw / "Zoë/clip.mp4", 3)
    events = (Event(1, 0.04, 0.08, person="Zoë"), Event(1, 0.0, 0.12, person="mother"))
    write_elan(raw / "Zoë/clip.eaf", EventCodes(events, (1,)))
    assert reader("folder", aus=(1,)).codes(RecordingId("Zo_", "clip")).labels[:, 0].tolist() == [-1, 1, -1]
