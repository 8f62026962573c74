"""Tables of codes become labels by AU number and frame, whatever their form; what is wrong with them is told."""

import csv

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from au_jax.data.annotations.columns import Coding
from au_jax.data.annotations.frame_times import regular_clock
from au_jax.data.annotations.table import frame_codes, parse_table, read_intensities, read_table
from au_jax.errors import UserError
from au_jax.labels import PAPER_AUS

INTENSITY = Coding(unmarked="intensity")


@pytest.fixture
def table(tmp_path):
    def write(*lines, name="codes.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", encoding=encoding)
        return path

    return write


def column(codes, au):
    return codes.labels[:, PAPER_AUS.index(au)].tolist()


def kinds(codes):
    return {problem.kind: problem for problem in codes.problems}


def test_columns_are_matched_by_number_and_rows_sorted_by_frame(table):
    codes = read_table(table("AU12,Frame,AU01", "1,30,0", "0,5,1", "1,12,1"), Coding())
    assert codes.frames.tolist() == [5, 12, 30] and codes.frames.dtype == np.int32
    assert column(codes, 12) == [-1, 1, 1] and column(codes, 1) == [1, 1, -1]
    assert codes.labels.dtype == np.int8
    assert codes.aus == (1, 12)
    assert not codes.labels[:, [PAPER_AUS.index(au) for au in PAPER_AUS if au not in (1, 12)]].any()


@pytest.mark.parametrize(
    "name",
    ["4", "04", "AU4", "AU04", "au4", "AU04_occ", "AU04_c", "AU04_int", "AU04_r", "Au4_Intensity", " AU04 "]
    + ["au_4", "AU_04", "AU 4", "au-04", "AU_04_c"],
)
def test_an_au_goes_by_many_names(table, name):
    codes = read_table(table(f"frame,{name}", "1,1", "2,0"), Coding())
    assert codes.aus == (4,) and column(codes, 4) == [1, -1]


@pytest.mark.parametrize("code", ["9", "999", "-999", "NaN", "nan", "", "  ", "9.0"])
@pytest.mark.parametrize("coding", [Coding(), INTENSITY])
def test_every_spelling_of_missing_is_missing(table, code, coding):
    codes = read_table(table("frame,AU1", f"1,{code}", "2,1"), coding)
    assert column(codes, 1) == [0, 1] and codes.problems == ()


@pytest.mark.parametrize(
    ("level", "expected"), [(1, [-1, 1, 1, 1, 1, 1]), (2, [-1, -1, 1, 1, 1, 1]), (5, [-1, -1, -1, -1, -1, 1])]
)
def test_an_intensity_is_present_from_the_level(table, level, expected):
    coding = Coding(level=level, unmarked="intensity")
    numbers = table("frame,AU6", *(f"{n},{n}" for n in range(6)))
    letters = table("frame,AU6", "0,0", *(f"{n},{letter}" for n, letter in enumerate("AbCdE", 1)), name="letters.csv")
    assert column(read_table(numbers, coding), 6) == expected
    assert column(read_table(letters, coding), 6) == expected


def test_a_mark_decides_what_a_column_holds(table):
    path = table("frame,AU1_int,AU2_occ,AU4", "1,2,1,1", "2,3,0,0")
    codes = read_table(path, Coding(level=3, unmarked="occurrence"))
    assert column(codes, 1) == [-1, 1] and column(codes, 2) == [1, -1] and column(codes, 4) == [1, -1]


@pytest.mark.parametrize(("preferred", "expected"), [("occurrence", [-1]), ("intensity", [1])])
def test_of_two_marked_columns_the_preferred_one_is_read(table, preferred, expected):
    path = table("frame,AU1,AU1_c,AU1_r", "1,9,0,2.5")
    assert column(read_table(path, Coding(level=2, preferred=preferred)), 1) == expected


@pytest.mark.parametrize(
    ("lines", "graded"),
    [(("1,0", "2,1", "3,9"), False), (("1,0", "2,2"), True), (("1,A", "2,0"), True), (("1,999", "2,nan"), False)],
)
def test_codes_above_1_give_intensities_away(table, lines, graded):
    assert read_table(table("frame,AU1", *lines), Coding()).graded == graded


def test_marked_intensities_say_nothing_about_unmarked_columns(table):
    assert not read_table(table("frame,AU1_int,AU2", "1,5,1"), Coding()).graded


def test_unknown_codes_are_missing_and_told_with_the_first_frame(table):
    path = table("frame,AU1,AU2", "1,1,0", "2,7,1", "3,x,0", "4,0,1")
    codes = read_table(path, Coding())
    assert column(codes, 1) == [1, 0, 0, -1] and column(codes, 2) == [-1, 1, -1, 1]
    (problem,) = codes.problems
    assert (problem.kind, problem.path, problem.count) == ("unknown code", str(path), 2)
    assert "AU 1" in problem.text and "'7'" in problem.text and "frame 2" in problem.text


def test_doubled_rows_that_agree_are_one_and_those_that_do_not_are_missing(table):
    codes = read_table(table("frame,AU1,AU2", "3,1,1", "2,0,1", "2,0,1", "3,0,1", "2,0,1"), Coding())
    assert codes.frames.tolist() == [2, 3]
    assert column(codes, 1) == [-1, 0] and column(codes, 2) == [1, 1]
    assert kinds(codes)["doubled row"].count == 2 and "frames 2 " in kinds(codes)["doubled row"].text
    assert kinds(codes)["contradicting rows"].count == 1
    assert "frames 3 " in kinds(codes)["contradicting rows"].text and "AU 1;" in kinds(codes)["contradicting rows"].text


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_delimiters_marks_of_byte_order_and_decimals_are_understood(table, delimiter, encoding):
    lines = ("frame,AU1,AU2", '"7",1.0,0.0', "8.0,0.0,1.0", "")
    codes = read_table(table(*(line.replace(",", delimiter) for line in lines), encoding=encoding), Coding())
    assert codes.frames.tolist() == [7, 8]
    assert column(codes, 1) == [1, -1] and column(codes, 2) == [-1, 1]


@pytest.mark.parametrize("header", ["frame,AU1,AU2", "frame,AU1,AU2,, "])
def test_rows_of_another_length_or_without_a_number_are_left_out_and_counted(table, header):
    codes = read_table(table(header, "1,1", "x,1,1", "2,1,0,5", "-4,1,1", "3,1,0,", "4,0,1"), Coding())
    assert codes.frames.tolist() == [3, 4] and column(codes, 1) == [1, -1] and column(codes, 2) == [-1, 1]
    assert kinds(codes)["row of another length"].count == 2
    assert kinds(codes)["row without frame number"].count == 2


def test_columns_of_other_aus_are_named_and_others_passed_over(table):
    codes = read_table(table("timestamp,frame,AU1,AU05,AU_13,confidence", "0,1,1,1,1,1"), Coding())
    assert codes.unused == ("au05", "au_13") and codes.aus == (1,)


def test_columns_can_be_mapped(table):
    path = table("picture,brow_in,AU1,smile", "4,1,0,0")
    codes = read_table(path, Coding(columns={0: "picture", 1: "brow_in", 12: "smile"}))
    assert codes.frames.tolist() == [4]
    assert column(codes, 1) == [1] and column(codes, 12) == [-1] and codes.unused == ("au1",)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ((), "is empty"),
        (("frame,AU1",), "no row with a frame number and 2 cells"),
        (("1,0,1", "2,0,1"), "no column 'frame' in its first line"),
        (("AU1,AU2", "1,0"), "no column 'frame' in its first line"),
        (("index,AU1", "1,0"), 'name what it is called, as in --config.data.columns="frame=index"'),
        (("frame,AU3,smile", "1,0,1"), r"no column of the AUs of config.data.aus \(1, 2, 4, "),
        (("frame,AU1,AU01", "1,0,1"), "two columns for AU 1, 'au1' and 'au01'"),
        (("frame,AU1,frame", "1,0,1"), "two columns 'frame'"),
    ],
)
def test_unusable_tables_are_refused_in_one_line_with_the_path(table, lines, message):
    path = table(*lines)
    with pytest.raises(UserError, match=message) as caught:
        read_table(path, Coding())
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_table_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "codes.csv"
    path.write_bytes(b"\xff\xfe\x00\x01frame")
    with pytest.raises(UserError, match=r"codes.csv cannot be read as a table \(not text in UTF-8, UTF-16 or "):
        read_table(path, Coding())


def test_a_mapped_column_that_is_not_there_is_refused(table):
    with pytest.raises(UserError, match="no column 'smile', which config.data.columns names"):
        read_table(table("frame,AU1", "1,1"), Coding(columns={12: "smile"}))


def test_files_of_single_aus_are_joined_by_frame(table):
    paths = {
        12: table("3,5", "1,0", "2,2", name="au12.txt"),
        6: table("1,9", "2,1", name="au6.txt"),
        25: table("rubbish", name="au25.txt"),
    }
    codes = read_intensities(paths, Coding(level=2))
    assert codes.frames.tolist() == [1, 2, 3] and codes.aus == (6, 12) and codes.unused == ("au25",)
    assert column(codes, 12) == [-1, 1, 1] and column(codes, 6) == [0, -1, 0]
    assert kinds(codes)["row that one AU lacks"].count == 1


def test_a_file_of_a_single_au_without_content_is_refused(table, tmp_path):
    (tmp_path / "au12.txt").touch()
    with pytest.raises(UserError, match=r"au12.txt has no row"):
        read_intensities({6: table("1,1", name="au6.txt"), 12: tmp_path / "au12.txt"}, Coding())
    with pytest.raises(UserError, match=r"no file of the AUs of config.data.aus \(1, 2, 4, "):
        read_intensities({5: tmp_path / "au5.txt"}, Coding())


SPELLINGS = {
    1: ["1", "1.0", " 1"],
    -1: ["0", "0.0", "0 "],
    0: ["9", "999", "-999", "NaN", "", "nan"],
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_codes_written_in_any_order_and_spelling_are_read_back(tmp_path, data):
    aus = data.draw(st.permutations(PAPER_AUS).flatmap(lambda order: st.integers(1, 12).map(lambda n: order[:n])))
    frames = data.draw(st.lists(st.integers(0, 99999), min_size=1, max_size=6, unique=True))
    labels = {(frame, au): data.draw(st.sampled_from([1, -1, 0])) for frame in frames for au in aus}
    names = {
        au: data.draw(st.sampled_from(["{}", "AU{}", "AU{:02d}", "au{:02d}_OCC", "{:03d}"])).format(au) for au in aus
    }
    path = tmp_path / "codes.csv"
    with open(path, "w", newline="") as stream:
        writer = csv.writer(stream, delimiter=data.draw(st.sampled_from(",;\t")))
        position = data.draw(st.integers(0, len(aus)))
        header, padding = [names[au] for au in aus], data.draw(st.integers(1, 6))
        writer.writerow([*header[:position], "frame", *header[position:]])
        for frame in frames:
            row = [data.draw(st.sampled_from(SPELLINGS[labels[frame, au]])) for au in aus]
            writer.writerow([*row[:position], f"{frame:0{padding}d}", *row[position:]])
    codes = read_table(path, Coding())
    assert codes.frames.tolist() == sorted(frames) and codes.problems == ()
    for row, frame in enumerate(codes.frames.tolist()):
        assert codes.labels[row].tolist() == [labels.get((frame, au), 0) for au in PAPER_AUS]


def test_rows_in_which_a_tracker_lost_the_face_are_missing(table):
    rows = [f"{n},0,{n / 30:.3f},0.9,{int(not 20 <= n <= 40)},{0.0 if 20 <= n <= 40 else 2.5},0" for n in range(1, 61)]
    # OpenFace writes a blank behind each comma.
    path = table(
        "frame, face_id, timestamp, confidence, success, AU12_r, AU45_c", *(row.replace(",", ", ") for row in rows)
    )
    codes = read_table(path, Coding())
    assert column(codes, 12) == [1] * 19 + [0] * 21 + [1] * 20 and codes.intensities[0].max() == 2
    assert kinds(codes)["row without a face"].count == 21


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_decimal_commas_are_read_where_no_comma_parts_cells(table, delimiter):
    path = table(
        *(delimiter.join(cells) for cells in (("frame", "AU6", "AU12"), ("1", "0,0", "2,5"), ("2", "5,0", "0,0")))
    )
    codes = read_table(path, INTENSITY)
    assert column(codes, 6) == [-1, 1] and column(codes, 12) == [1, -1] and codes.problems == ()


def test_many_codes_that_nobody_knows_stop_with_the_likely_cause(table):
    quoted = table("frame,AU6", *(f'{n},"0,5"' for n in range(1, 60)))
    with pytest.raises(
        UserError, match=r"59 of 59 codes are not understood .*decimal comma in a table .* split at commas"
    ):
        read_table(quoted, INTENSITY)
    graded = table("frame,AU6", *(f"{n},{2 + n % 4}" for n in range(1, 60)))
    with pytest.raises(UserError, match="if the column holds intensities, add --config.data.codes=intensity"):
        read_table(graded, Coding())
    # Before all files have been seen nobody knows what they hold.
    assert read_table(graded, Coding(undecided=True)).graded


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252", "utf-8-sig"])
def test_encodings_of_spreadsheets_are_read(table, encoding):
    codes = read_table(
        table("frame\tAU1\tBemerkung", "1\t0\tLächeln", "2\t1\tmüde", encoding=encoding, name="a.tsv"), Coding()
    )
    assert column(codes, 1) == [-1, 1] and codes.problems == ()


def test_lines_above_the_header_are_passed_over(table):
    path = table("sep=;", "Session 3; coder: Ann", "", "frame;AU1", "1;0", "2;1")
    codes = read_table(path, Coding())
    assert codes.frames.tolist() == [1, 2] and column(codes, 1) == [-1, 1]


@pytest.mark.parametrize("name", ["frame_number", "FrameNumber", "Frame No.", "image", "filename", "frame nr"])
@pytest.mark.parametrize("cell", ["{}", "frame_{:04d}.jpg", "anna/clip 2/{}.png"])
def test_frames_go_by_other_names_and_by_their_pictures(table, name, cell):
    path = table(f"{name},Action Unit 1,AU12 - Lip Corner Puller", *(f"{cell.format(n)},{n % 2},1" for n in (7, 8)))
    codes = read_table(path, Coding())
    assert codes.frames.tolist() == [7, 8] and column(codes, 1) == [1, -1] and column(codes, 12) == [1, 1]


@pytest.mark.parametrize(("yes", "no"), [("TRUE", "FALSE"), ("yes", "no"), ("present", "absent"), ("ja", "nein")])
def test_words_for_presence_are_read(table, yes, no):
    codes = read_table(table("frame,AU1", f"1,{yes}", f"2,{no}", "3,NA"), Coding())
    assert column(codes, 1) == [1, -1, 0] and codes.problems == ()


def test_a_row_per_frame_and_au_is_read(table):
    path = table("frame,au,intensity", "1,AU12,0", "1,6,2", "2,12,3", "3,25,1", "2,6,9")
    codes = read_table(path, Coding(level=2))
    assert codes.frames.tolist() == [1, 2, 3] and codes.unused == ("au25",)
    assert column(codes, 12) == [-1, 1, 0] and column(codes, 6) == [1, 0, 0]
    with pytest.raises(UserError, match="two different codes of one AU at 1; keep one"):
        read_table(table("frame,au,value", "1,12,0", "1,12,1"), Coding())
    with pytest.raises(UserError, match="its column of AUs has 'smile', which names none"):
        read_table(table("frame,au,value", "1,smile,0"), Coding())


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # Whole rows of -1 where the face was not seen.
        (["1,0", "-1,-1", "0,1"], ([1, 0, -1], [-1, 0, 1])),
        # Whole rows of 0, and -1 beside 1.
        (["1,-1", "0,0", "-1,1"], ([1, 0, -1], [-1, 0, 1])),
        # No 0 at all.
        (["1,-1", "-1,-1"], ([1, -1], [-1, -1])),
        # Codes above 1: absent would be 0.
        (["3,-1", "0,1"], ([1, -1], [0, 1])),
    ],
)
def test_minus_1_is_read_where_its_meaning_shows(table, rows, expected):
    codes = read_table(table("frame,AU1,AU2", *(f"{n},{row}" for n, row in enumerate(rows, 1))), INTENSITY)
    assert (column(codes, 1), column(codes, 2)) == expected and codes.problems == ()


@pytest.mark.parametrize("rows", [["1,-1", "0,-1", "-1,1"], ["-1,0"]])
def test_minus_1_beside_0_is_refused_where_it_may_mean_either(table, rows):
    with pytest.raises(UserError, match="which of -1 and 0 is missing does not show; write 9 for missing"):
        read_table(table("frame,AU1,AU2", *(f"{n},{row}" for n, row in enumerate(rows, 1))), Coding())


def test_rows_of_several_faces_are_refused(table):
    with pytest.raises(UserError, match=r"rows of 2 faces \(0, 1\); keep the rows of the person"):
        read_table(table("frame,face_id,AU1_c", "1,0,0", "1,1,1"), Coding())


def test_py_feats_probabilities_count_frames_from_0(table):
    path = table("frame,FaceRectX,FaceScore,AU01,AU12", "0,10,0.9,0.2,0.8", "1,,,,", "2,11,0.9,0.5,0.49")
    parsed = parse_table(path, Coding())
    assert parsed.kind == "py-feat table" and parsed.first == 0
    codes = frame_codes(parsed, Coding(), 1, None)
    assert codes.frames.tolist() == [1, 2, 3] and column(codes, 1) == [-1, 0, 1] and column(codes, 12) == [1, 0, -1]


def test_facereaders_detailed_log_is_read_by_its_video_time(table):
    lines = [
        "Video analysis detailed log",
        "",
        "Face Model\tGeneral",
        "Filename\tC:/v/clip.mp4",
        "Frame rate\t25.000",
        "",
    ]
    lines += [
        "Video Time\tNeutral\tAction Unit 01 - Inner Brow Raiser\tAction Unit 12 - Lip Corner Puller\tAction Unit 12 - Left"
    ]
    lines += ["00:00:00.000\t0.9\t0.05\t0.25\t0.9", "00:00:00.040\tFIT_FAILED\tFIT_FAILED\tFIT_FAILED\tFIT_FAILED"]
    lines += ["00:00:00.080\t0.9\tNotActive\tC\tC", "00:00:00.120\t0.9\t0.102\t0.95\t0.9"]
    parsed = parse_table(table(*lines, name="clip_detailed.txt"), Coding(level=2))
    assert parsed.kind == "FaceReader log" and parsed.unit == "seconds"
    codes = frame_codes(parsed, Coding(level=2), 1, regular_clock(4, 25))
    # 0.25 is B (0.217 to 0.334), 0.95 E; 0.102 is A.
    assert codes.frames.tolist() == [1, 3, 4] and column(codes, 12) == [1, 1, 1] and column(codes, 1) == [-1, -1, -1]
    assert codes.intensities[:, PAPER_AUS.index(12)].tolist() == [2, 3, 5]
    assert codes.intensities[:, PAPER_AUS.index(1)].tolist() == [0, 0, 1]


def test_imotions_evidence_is_read_between_rows_of_other_sensors(table):
    lines = ["#METADATA,,,,", "#Export,iMotions 9,,,", "#DATA,,,,", "Row,Timestamp,EventSource,Brow Furrow,Smile"]
    lines += ["1,0,1,10,80", "2,7,2,,", "3,41,1,55,49.9", "4,44,2,,"]
    parsed = parse_table(table(*lines), Coding(unit="milliseconds"))
    assert parsed.kind == "iMotions table"
    codes = frame_codes(parsed, Coding(), 1, regular_clock(3, 25))
    assert codes.frames.tolist() == [1, 2] and column(codes, 4) == [-1, 1] and column(codes, 12) == [1, -1]


@pytest.mark.parametrize(
    ("header", "cells"),
    [
        ("time_ms", ["0", "33", "67"]), ("Time (s)", ["0.0", "0.033", "0.067"]), ("timestamp", ["0", "0.0334", "0.0667"]),
        ("seconds", ["0", "0.033", "0.0667"]), ("Video Time", ["00:00:00.000", "00:00:00.033", "00:00:00.067"]),
        ("mediaTime_ms", ["1", "30", "70"]),
    ],
)  # fmt: skip
def test_times_meet_the_nearest_frame(table, header, cells):
    path = table(f"{header},AU1", *(f"{cell},{n % 2}" for n, cell in enumerate(cells)))
    codes = frame_codes(parse_table(path, Coding()), Coding(), 1, regular_clock(3, 30000 / 1001))
    assert codes.frames.tolist() == [1, 2, 3] and column(codes, 1) == [-1, 1, -1]


def test_whole_times_without_a_unit_are_refused_until_it_is_told(table):
    path = table("time,AU1", "0,0", "33,1", "67,0")
    with pytest.raises(
        UserError, match="does not say what its times, such as 33, count; name the column time_s or time_ms"
    ):
        parse_table(path, Coding())
    parsed = parse_table(path, Coding(unit="milliseconds"))
    assert parsed.at.tolist() == [0.0, 0.033, 0.067]
    mapped = parse_table(table("clock [ms],AU1", "0,0", "40,1"), Coding(columns={-1: "clock [ms]"}))
    assert mapped.at.tolist() == [0.0, 0.04]


def test_of_several_rows_for_one_frame_the_nearest_counts(table):
    path = table("time_ms,AU1", "0,0", "10,1", "35,1", "38,0", "80,0")
    codes = frame_codes(parse_table(path, Coding()), Coding(), 1, regular_clock(3, 25))
    assert column(codes, 1) == [-1, -1, -1]


@pytest.mark.parametrize(
    ("header", "numbers"),
    [
        # Trackers count pictures from 1 or 0, whatever their names; tables of `predict` keep the numbers.
        ("frame,success,confidence", ["1", "2"]),
        ("frame,success,confidence", ["100", "101"]),
        ("frame,FaceRectX,FaceScore", ["0", "1"]),
        ("frame,FaceRectX,FaceScore", ["99", "100"]),
    ],
)
def test_trackers_tables_meet_pictures_whose_numbers_do_not_begin_at_1(table, header, numbers):
    parsed = parse_table(table(f"{header},AU1_c", *(f"{number},1,1,{n}" for n, number in enumerate(numbers))), Coding())
    codes = frame_codes(parsed, Coding(), 100, None)
    assert codes.frames.tolist() == [100, 101] and column(codes, 1) == [-1, 1]
