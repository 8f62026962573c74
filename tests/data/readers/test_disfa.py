"""DISFA in its layout: the left camera's video with a text file of intensities for each AU, frames from 1."""

import pytest

from au_jax.data.recordings import RecordingId
from au_jax.labels import PAPER_AUS

from ..conftest import write_text, write_video

SN001 = RecordingId("SN001", "left")


def write_labels(raw, subject, rows):
    """AU -> intensities of the frames from 1."""
    for au, intensities in rows.items():
        lines = [f"{frame},{intensity}" for frame, intensity in enumerate(intensities, 1)]
        write_text(raw / f"ActionUnit_Labels/{subject}/{subject}_au{au}.txt", "\n".join(lines) + "\n")


@pytest.fixture
def copy(raw):
    write_video(raw / "Videos_LeftCamera/LeftVideoSN001_comp.avi", 5)
    write_video(raw / "Videos_RightCamera/RightVideoSN001_comp.avi", 5)
    write_labels(raw, "SN001", {1: [0, 1, 2, 3, 5], 12: [0, 0, 9, 0, 4], 5: [0, 0, 0, 0, 0]})
    return raw


def test_an_intensity_of_2_is_present_and_another_level_can_be_chosen(copy, reader):
    codes = reader("disfa").codes(SN001)
    assert codes.frames.tolist() == [1, 2, 3, 4, 5] and codes.aus == (1, 12) and codes.unused == ("au5",)
    assert codes.labels[:, PAPER_AUS.index(1)].tolist() == [-1, -1, 1, 1, 1]
    assert codes.labels[:, PAPER_AUS.index(12)].tolist() == [-1, -1, 0, -1, 1]
    level_a = reader("disfa", level="A")
    assert level_a.codes(SN001).labels[:, PAPER_AUS.index(1)].tolist() == [-1, 1, 1, 1, 1]
    assert (reader("disfa").name, level_a.name) == ("disfa_8px", "disfa_A_8px")
    assert level_a.reading() == "intensities, present from level A"


def test_the_first_frame_of_the_video_has_the_label_of_frame_1(copy, reader, stand_in):
    (faces,) = reader("disfa").faces(SN001)
    assert faces.frame_numbers.tolist() == [1, 2, 3, 4, 5]
    brightness = faces.images.mean((1, 2, 3))
    assert (brightness[1:] > brightness[:-1]).all()
    assert faces.labels[:, PAPER_AUS.index(1)].tolist() == [-1, -1, 1, 1, 1]


def test_intensities_go_with_the_faces(copy, reader, stand_in):
    (faces,) = reader("disfa").faces(SN001)
    assert faces.intensities[:, PAPER_AUS.index(1)].tolist() == [0, 1, 2, 3, 5]
    assert faces.intensities[:, PAPER_AUS.index(12)].tolist() == [0, 0, -1, 0, 4]
    assert (faces.intensities[:, PAPER_AUS.index(6)] == -1).all()  # there is no file of it


def test_the_right_camera_stands_in_where_the_left_is_missing(copy, reader):
    assert reader("disfa").recordings() == [SN001]
    (copy / "Videos_LeftCamera/LeftVideoSN001_comp.avi").unlink()
    disfa = reader("disfa")
    assert disfa.recordings() == [RecordingId("SN001", "right")]
    (problem,) = [problem for problem in disfa.problems() if problem.kind == "right camera"]
    assert problem.path.endswith("RightVideoSN001_comp.avi")


def test_aus_that_disfa_lacks_are_missing_and_told(copy, reader):
    (problem,) = [problem for problem in reader("disfa").problems() if problem.kind == "AU not coded"]
    assert problem.text.startswith("no label file has AU 2, 4, 6, 7, 10, 14, 15, 17, 23, 24;") and problem.count == 10


def test_an_au_that_one_subject_lacks_is_told_with_its_path(copy, reader):
    write_video(copy / "Videos_LeftCamera/LeftVideoSN002_comp.avi", 5)
    write_labels(copy, "SN002", {1: [0] * 5})
    problems = [p for p in reader("disfa").problems() if p.kind == "AU not coded" and p.count == 1]
    assert len(problems) == 1
    assert "SN002" in problems[0].path and problems[0].text == "has no AU 12"


def test_labels_beyond_the_video_are_told_before_and_after_decoding(copy, reader, stand_in):
    write_labels(copy, "SN001", {1: [0, 1, 2, 3, 5, 5, 5]})
    (before,) = [p for p in reader("disfa").examine(SN001)[1] if p.kind == "label without frame"]
    assert before.count == 2 and "frames 6 to 7 " in before.text and "1 to 5 by its header" in before.text
    (faces,) = reader("disfa").faces(SN001)
    assert len(faces.frame_numbers) == 5
    assert [(problem.kind, problem.count) for problem in faces.problems] == [("label without frame", 2)]


def test_what_stands_alone_is_one_line_each(copy, reader):
    write_labels(copy, "SN003", {1: [0]})
    write_video(copy / "LeftVideoSN004_comp.avi", 3)
    texts = [problem.text for problem in reader("disfa").survey().unusable]
    assert len(texts) == 2
    assert "SN003_au1.txt stands alone: there is no LeftVideoSN003_comp.avi" in texts[0]
    assert "LeftVideoSN004_comp.avi stands alone: there is no SN004_au1.txt" in texts[1]


def test_two_files_of_one_au_are_refused(copy, reader):
    write_text(copy / "old/SN001_au1.txt", "1,0\n")
    (problem,) = reader("disfa").survey().unusable
    assert "SN001_au1.txt and " in problem.text and "remove one" in problem.text
