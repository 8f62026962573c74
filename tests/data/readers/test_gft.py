"""GFT: a participant's video and table are matched by name, and columns are read by header."""

import pytest

from au_jax.data.recordings import RecordingId
from au_jax.errors import UserError
from au_jax.labels import PAPER_AUS

from ..conftest import write_text, write_video

CODES = "Frame,AU12,AU01\n1,0,3\n2,2,1\n3,9,0\n"


def person(name):
    return RecordingId(name, "video")


@pytest.mark.parametrize(
    ("video", "table"),
    [
        ("001A.mp4", "001A.csv"),
        ("001A.mp4", "001A_codes.csv"),
        ("group_001A.avi", "001A.CSV"),
        ("001A.MOV", "001a.csv"),
    ],
)
def test_a_table_fits_by_its_name_or_by_one_name_within_the_other(raw, reader, video, table):
    write_video(raw / "video" / video, 3)
    write_text(raw / "codes" / "deeper" / table, CODES)
    gft = reader("gft")
    (recording,) = gft.recordings()
    assert recording == person(video.partition(".")[0])
    codes = gft.codes(recording)
    # Level B: intensities from 2; the codes above 1 give them away.
    assert codes.labels[:, PAPER_AUS.index(12)].tolist() == [-1, 1, 0]
    assert codes.labels[:, PAPER_AUS.index(1)].tolist() == [1, -1, -1]


def test_an_equal_name_goes_before_a_longer_one(raw, reader):
    for name in ("1", "10"):
        write_video(raw / f"{name}.mp4", 3)
        write_text(raw / f"{name}.csv", CODES.replace("2,2,1", "2,1,0") if name == "10" else CODES)
    gft = reader("gft")
    assert gft.recordings() == [person("1"), person("10")]
    assert gft.codes(person("10")).labels[1, PAPER_AUS.index(1)] == -1
    assert gft.survey().unusable == ()


def test_two_tables_that_fit_are_refused_with_both_names(raw, reader):
    write_video(raw / "001.mp4", 3)
    write_text(raw / "001_a.csv", CODES)
    write_text(raw / "001_b.csv", CODES)
    (problem,) = reader("gft").survey().unusable
    assert "001_a.csv and " in problem.text and "001_b.csv both fit " in problem.text


def test_one_table_for_two_videos_is_refused(raw, reader):
    write_video(raw / "001_left.mp4", 3)
    write_video(raw / "001_right.mp4", 3)
    write_text(raw / "001.csv", CODES)
    gft = reader("gft")
    assert len(gft.survey().unusable) == 2
    with pytest.raises(UserError, match=r"none of the 2 recordings .*001.csv fits .*001_left.mp4 and .*001_right.mp4"):
        gft.recordings()


def test_all_files_decide_whether_columns_hold_intensities(raw, reader):
    write_video(raw / "001.mp4", 3)
    write_video(raw / "002.mp4", 3)
    write_text(raw / "001.csv", "frame,1\n1,0\n2,1\n")
    write_text(raw / "002.csv", "frame,1\n1,0\n2,1\n")
    gft = reader("gft")
    assert gft.codes(person("001")).labels[:, 0].tolist() == [-1, 1] and "hold occurrence" in gft.reading()
    write_text(raw / "002.csv", "frame,1\n1,0\n2,5\n")
    gft = reader("gft")
    assert gft.codes(person("001")).labels[:, 0].tolist() == [-1, -1] and "hold intensity" in gft.reading()
    gft = reader("gft", codes="occurrence")
    assert gft.codes(person("001")).labels[:, 0].tolist() == [-1, 1]
    assert gft.codes(person("002")).labels[:, 0].tolist() == [-1, 0]
    assert [problem.kind for problem in gft.codes(person("002")).problems] == ["unknown code"]


def test_columns_are_mapped_by_the_config(raw, reader):
    write_video(raw / "001.mp4", 3)
    write_text(raw / "001.csv", "nr;Brow_In;smile\n1;1;0\n2;0;1\n")
    codes = reader("gft", columns="frame=nr, 1=brow_in, 12=smile").codes(person("001"))
    assert codes.labels[:, PAPER_AUS.index(1)].tolist() == [1, -1] and codes.labels[
        :, PAPER_AUS.index(12)
    ].tolist() == [-1, 1]


def test_a_table_without_video_is_one_line_and_other_tables_are_left_aside(raw, reader):
    write_video(raw / "001.mp4", 3)
    write_text(raw / "001.csv", CODES)
    write_text(raw / "002.csv", CODES)
    write_text(raw / "people.csv", "name,age\nx,30\n")
    gft = reader("gft")
    assert gft.recordings() == [person("001")]
    (problem,) = gft.survey().unusable
    assert "002.csv stands alone: there is no video called 002.mp4" in problem.text
    (stray,) = [problem for problem in gft.problems() if problem.kind == "file without use"]
    assert stray.path.endswith("people.csv") and "no column 'frame'" in stray.text


def test_two_videos_of_one_name_are_refused_with_both(raw, reader):
    write_video(raw / "a/001.mp4", 3)
    write_video(raw / "b/001.mp4", 3)
    write_text(raw / "001.csv", CODES)
    with pytest.raises(UserError, match=r"a/001.mp4 and .*b/001.mp4 would both be called 001/video"):
        reader("gft").recordings()
