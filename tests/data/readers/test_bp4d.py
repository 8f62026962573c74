"""BP4D and BP4D+ in their layout: frames and codes are found, and matched by subject, task and frame number."""

import pytest

from au_jax.data.annotations.codes import known_intensities
from au_jax.data.recordings import RecordingId
from au_jax.errors import UserError
from au_jax.faces import decoding
from au_jax.labels import PAPER_AUS

from ..conftest import write_picture, write_text

T1, T2, T10 = (RecordingId("F001", task) for task in ("T1", "T2", "T10"))
HEADER = ",".join(str(number) for number in range(100))


def occurrence(rows):
    """AU_OCC: frame -> the AUs that are present; AU 23 is not coded, as are those that BP4D lacks."""
    lines = [HEADER]
    for frame, present in rows.items():
        cells = ["9"] * 100
        cells[0] = str(frame)
        for au in PAPER_AUS:
            cells[au] = "9" if au == 23 else str(int(au in present))
        lines.append(",".join(cells))
    return "\n".join(lines) + "\n"


def labels(codes, au):
    return dict(zip(codes.frames.tolist(), codes.labels[:, PAPER_AUS.index(au)].tolist(), strict=True))


@pytest.fixture
def copy(raw):
    """F001/T1 without padding, F001/T2 with 4 digits, F001/T10 with 3, in the folders of the release."""
    for task, name in (("T1", "{}.jpg"), ("T2", "{:04d}.jpg"), ("T10", "{:03d}.JPG")):
        for number in range(8, 13):
            write_picture(raw / "2D+3D" / "F001" / task / name.format(number), number)
    write_text(raw / "AUCoding/AU_OCC/F001_T1.csv", occurrence({9: {1, 12}, 11: {12}, 10: set()}))
    write_text(raw / "AUCoding/AU_OCC/F001_T2.csv", occurrence({8: {6}, 9: {6}}))
    write_text(raw / "AUCoding/AU_OCC/F001_T10.csv", occurrence({12: {24}}))
    return raw


def kinds(problems):
    return {problem.kind: problem for problem in problems}


def test_tasks_are_found_in_order_of_their_numbers(copy, reader):
    assert reader("bp4d").recordings() == [T1, T2, T10]


@pytest.mark.parametrize("frames", [".", "2D+3D", "BP4D/Sequences"])
@pytest.mark.parametrize("codes", ["AU_OCC", "AUCoding/AU_OCC", "BP4D/AUCoding/AU_OCC"])
def test_frames_and_labels_lie_up_to_two_folders_below_the_root(raw, reader, frames, codes):
    write_picture(raw / frames / "M018" / "T8" / "00020.jpg")
    write_text(raw / codes / "M018_T8.csv", occurrence({20: {1}}))
    assert reader("bp4d").recordings() == [RecordingId("M018", "T8")]


def test_columns_are_aus_by_number(copy, reader):
    codes = reader("bp4d").codes(T1)
    assert labels(codes, 1) == {9: 1, 10: -1, 11: -1} and labels(codes, 12) == {9: 1, 10: -1, 11: 1}
    assert labels(codes, 23) == {9: 0, 10: 0, 11: 0}
    assert codes.aus == PAPER_AUS and len(codes.unused) == 99 - 12


def test_frames_are_matched_by_value_whatever_their_padding(copy, reader, stand_in):
    (faces,) = reader("bp4d").faces(T2)
    assert faces.frame_numbers.tolist() == [8, 9] and faces.problems == ()
    # The grey value of a picture is its number.
    assert abs(faces.images.mean((1, 2, 3)) - [8, 9]).max() < 0.6
    assert faces.labels[:, PAPER_AUS.index(6)].tolist() == [1, 1]


def test_uncoded_frames_around_the_coded_ones_are_not_decoded(copy, reader, stand_in, monkeypatch):
    decoded = []
    read = decoding.read_picture
    monkeypatch.setattr(decoding, "read_picture", lambda path, bits: decoded.append(path.name) or read(path, bits))
    list(reader("bp4d").faces(T1))
    assert decoded == ["9.jpg", "10.jpg", "11.jpg"] and stand_in == [9, 10, 11]
    outside = kinds(reader("bp4d").examine(T1)[1])["frame outside the codes"]
    assert outside.count == 2 and outside.path.endswith("2D+3D/F001/T1")


def test_labels_without_frames_and_frames_without_labels_are_told_and_not_fatal(copy, reader, stand_in):
    write_text(copy / "AUCoding/AU_OCC/F001_T1.csv", occurrence({9: {1}, 12: {1}, 13: {1}, 14: {1}, 20: {1}}))
    found = kinds(reader("bp4d").examine(T1)[1])
    assert found["label without frame"].count == 3 and "frames 13 to 14, 20 " in found["label without frame"].text
    assert found["frame without label"].count == 2  # 10 and 11
    (faces,) = reader("bp4d").faces(T1)
    assert faces.frame_numbers.tolist() == [9, 10, 11, 12]
    assert faces.labels[:, PAPER_AUS.index(1)].tolist() == [1, 0, 0, 1]
    assert not faces.labels[1:3].any()
    assert [(p.kind, p.count) for p in faces.problems] == [("label without frame", 3)]


def test_at_level_b_codes_are_the_intensities_of_five_aus(copy, reader):
    write_text(copy / "AU_INT/AU06/F001_T1_AU06.csv", "9,1\n10,2\n11,9\n")
    write_text(copy / "AU_INT/AU12/F001_T1_AU12.csv", "9,5\n10,0\n11,3\n")
    level_b = reader("bp4d", level="B")
    codes = level_b.codes(T1)
    assert labels(codes, 6) == {9: -1, 10: 1, 11: 0} and labels(codes, 12) == {9: 1, 10: -1, 11: 1}
    assert codes.aus == (6, 12) and labels(codes, 1) == {9: 0, 10: 0, 11: 0}
    assert level_b.name == "bp4d_B_8px" and reader("bp4d", level="a").name == "bp4d_8px"
    assert "AU_INT" in level_b.reading()
    absent = next(problem for problem in level_b.problems() if problem.kind == "AU not coded")
    assert "AU 1, 2, 4, 7, 10, 14, 15, 17, 23, 24;" in absent.text
    assert len(level_b.survey().unusable) == 2  # T2 and T10 have no intensities


def test_intensities_beside_occurrence_are_kept_and_occurrence_decides(copy, reader):
    """F001/T1 has AU 12 present in frames 9 and 11, and absent in 10; AU 6 in none of the three."""
    write_text(copy / "AUCoding/AU_INT/AU06/F001_T1_AU06.csv", "9,0\n10,2\n11,9\n")
    write_text(copy / "AUCoding/AU_INT/AU12/F001_T1_AU12.csv", "8,1\n9,5\n10,0\n11,3\n")
    bp4d = reader("bp4d")
    codes = bp4d.codes(T1)
    assert labels(codes, 12) == {9: 1, 10: -1, 11: 1} and labels(codes, 6) == {9: -1, 10: -1, 11: -1}
    assert codes.aus == PAPER_AUS
    column = PAPER_AUS.index
    assert codes.intensities[:, column(12)].tolist() == [5, 0, 3]
    # Frame 10 is absent by the one file and a B by the other: no intensity, and told.
    assert codes.intensities[:, column(6)].tolist() == [0, -1, 0]
    # AU 1, present in frame 9, has no such file.
    assert codes.intensities[:, column(1)].tolist() == [-1, 0, 0]
    assert known_intensities(codes)[:, column(1)].tolist() == [-1, -1, -1]
    found = kinds(bp4d.examine(T1)[1])["intensity against occurrence"]
    assert found.count == 1 and "AU 6" in found.text and found.path.endswith("F001_T1_AU06.csv")
    assert "intensities of AU_INT" in bp4d.reading()
    # Tasks without such files are coded as before.
    others = bp4d.codes(T2)
    assert (others.intensities[others.labels > 0] == -1).all() and bp4d.recordings() == [T1, T2, T10]


def test_a_broken_file_of_intensities_beside_occurrence_is_one_line(copy, reader):
    write_text(copy / "AU_INT/AU12/F001_T1_AU12.csv", "")
    (problem,) = reader("bp4d").survey().unusable
    assert problem.path.endswith("F001/T1") and "F001_T1_AU12.csv has no row with a frame number" in problem.text


def test_intensities_without_occurrence_are_told_and_others_are_read(copy, reader):
    write_text(copy / "AU_INT/AU12/F001_T9_AU12.csv", "8,1\n")
    bp4d = reader("bp4d")
    assert bp4d.recordings() == [T1, T2, T10]
    stray = kinds(bp4d.problems())["file without use"]
    assert stray.path.endswith("F001_T9_AU12.csv") and "no occurrence" in stray.text


def test_two_folders_of_intensities_beside_occurrence_are_one_line(copy, reader):
    for place in ("AU_INT", "AUCoding/AU_INT"):
        write_text(copy / place / "AU12/F001_T1_AU12.csv", "8,1\n")
    with pytest.raises(UserError, match="has two folders AU_INT"):
        reader("bp4d").recordings()


def test_a_label_file_of_a_subject_that_is_not_there_is_one_line(copy, reader):
    write_text(copy / "AUCoding/AU_OCC/F099_T1.csv", occurrence({1: {1}}))
    (problem,) = reader("bp4d").survey().unusable
    assert problem.path.endswith("F099_T1.csv")
    assert problem.text == f"{problem.path} stands alone: there is no folder of frames F099/T1; add it, or remove this"


def test_a_task_without_label_file_is_one_line(copy, reader):
    (copy / "AUCoding/AU_OCC/F001_T2.csv").unlink()
    bp4d = reader("bp4d")
    assert bp4d.recordings() == [T1, T10]
    (problem,) = bp4d.survey().unusable
    assert "2D+3D/F001/T2 stands alone: there is no F001_T2.csv" in problem.text


def test_a_task_without_pictures_is_one_line(copy, reader):
    for path in (copy / "2D+3D/F001/T2").iterdir():
        path.unlink()
    (problem,) = reader("bp4d").survey().unusable
    assert "F001/T2 holds no frames" in problem.text


def test_another_folder_of_the_same_task_counts_only_if_it_has_pictures(copy, reader):
    write_text(copy / "3DFeatures/F001/T1/0008.bnd", "0 0 0")
    assert T1 in reader("bp4d").recordings()
    write_picture(copy / "2D/F001/T1/0008.jpg")
    (problem,) = reader("bp4d").survey().unusable
    assert "2D/F001/T1 and " in problem.text and "2D+3D/F001/T1 are both F001/T1" in problem.text


def test_two_files_of_one_frame_number_make_a_task_unusable(copy, reader):
    write_picture(copy / "2D+3D/F001/T1/0009.jpg")
    (problem,) = reader("bp4d").survey().unusable
    assert "0009.jpg" in problem.text and "9.jpg" in problem.text and "frame 9" in problem.text


def test_codes_of_other_frames_make_a_task_unusable(copy, reader):
    write_text(copy / "AUCoding/AU_OCC/F001_T1.csv", occurrence({100: {1}, 101: {1}}))
    (problem,) = reader("bp4d").survey().unusable
    assert "F001/T1 has none of the frames 100 to 101 that" in problem.text


@pytest.mark.parametrize(
    ("flaw", "text"),
    [
        (lambda content: b"", "has no content"),
        (lambda content: content[:-40], "ends too early"),
        (lambda content: b"<html>" + content, "no JPEG, PNG, BMP or TIFF"),
    ],
)
def test_pictures_that_are_not_whole_are_named_and_get_no_labels(copy, reader, stand_in, flaw, text):
    path = copy / "2D+3D/F001/T1/10.jpg"
    path.write_bytes(flaw(path.read_bytes()))
    (copy / "2D+3D/F001/T1/8.jpg").write_bytes(b"")  # not coded: nobody will read it
    (problem,) = [p for p in reader("bp4d").examine(T1)[1] if p.kind == "unreadable frame"]
    assert problem.path == str(path) and text in problem.text
    (faces,) = reader("bp4d").faces(T1)
    assert faces.frame_numbers.tolist() == [9, 10, 11]
    if "early" not in text:  # what is left of a cut picture may be shown
        assert faces.face_detected.tolist() == [True, False, True] and not faces.labels[1].any()
        assert [(p.kind, p.count) for p in faces.problems] == [("unreadable frame", 1)]


def test_only_the_first_unreadable_pictures_are_named(raw, reader):
    for number in range(1, 31):
        write_picture(raw / f"F001/T1/{number}.jpg")
        (raw / f"F001/T1/{number}.jpg").write_bytes(b"")
    write_text(raw / "AU_OCC/F001_T1.csv", occurrence({1: {1}, 30: {1}}))
    problems = [p for p in reader("bp4d").examine(T1)[1] if p.kind == "unreadable frame"]
    assert len(problems) == 21 and sum(problem.count for problem in problems) == 30


def test_without_label_folder_or_with_two_the_copy_is_refused(raw, reader):
    write_picture(raw / "F001/T1/1.jpg")
    with pytest.raises(UserError, match="has no folder AU_OCC; there must be one"):
        reader("bp4d").recordings()
    write_text(raw / "AU_OCC/F001_T1.csv", occurrence({1: {1}}))
    assert reader("bp4d").recordings() == [T1]
    write_text(raw / "AUCoding/AU_OCC/F001_T1.csv", occurrence({1: {1}}))
    with pytest.raises(UserError, match="has two folders AU_OCC: .*AU_OCC and .*AU_OCC"):
        reader("bp4d").recordings()


def test_files_of_other_names_among_the_labels_are_told(copy, reader):
    write_text(copy / "AUCoding/AU_OCC/readme.txt", "hello")
    stray = kinds(reader("bp4d").problems())["file without use"]
    assert stray.path.endswith("readme.txt")


def test_columns_of_other_sources_do_not_concern_bp4d(copy, reader):
    assert reader("bp4d", columns="1=brow_in", codes="intensity").codes(T1).aus == PAPER_AUS
