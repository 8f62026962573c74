"""Datavyu projects: columns are tiers, cells are events, and damaged files are one line."""

import zipfile

import pytest

from au_jax.data.annotations.columns import Coding
from au_jax.data.annotations.datavyu import read_datavyu
from au_jax.data.annotations.frame_times import regular_clock
from au_jax.data.annotations.label_file import kind_of, read_codes
from au_jax.errors import DataError


@pytest.fixture
def project(tmp_path):
    def write(*lines, entry="db"):
        path = tmp_path / "clip.opf"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(entry, "\n".join(lines) + "\n")
            archive.writestr("project", "!project {}")
        return path

    return write


def test_columns_of_aus_are_read_with_intensity_side_and_comment(project):
    path = project(
        "#4",
        "AU12 (MATRIX,true,)-intensity|NOMINAL,side|NOMINAL,note|NOMINAL",
        "00:00:01:000,00:00:02:500,(C,left,)",
        "00:01:00:040,01:00:00:000,(,,smile\\, wide)",
        "AU4 (MATRIX,true,)-code01|NOMINAL",
        "trial (MATRIX,true,)-number|NOMINAL",
        "00:00:00:000,00:00:09:000,(1)",
    )
    codes = read_datavyu(path)
    first, second = codes.events
    assert (first.au, first.onset, first.offset, first.intensity, first.side) == (12, 1.0, 2.5, "C", "L")
    assert (second.onset, second.offset, second.comment) == (60.04, 3600.0, "smile, wide")
    assert codes.aus == (4, 12)
    assert {problem.kind for problem in codes.problems} == {"tier without AU", "AU without events"}


def test_a_column_whose_cells_name_aus_is_read(project):
    path = project("#4", "facs (MATRIX,true,)-aus|NOMINAL", "00:00:00:040,00:00:00:120,(6B+12C)")
    assert kind_of(path) == "Datavyu"
    codes = read_codes(path, Coding(aus=(6, 12)), clock=lambda: regular_clock(5, 25))
    assert codes.labels.T.tolist() == [[-1, 1, 1, -1, -1]] * 2
    assert codes.intensities.T.tolist() == [[0, 2, 2, 0, 0], [0, 3, 3, 0, 0]]


def test_a_column_whose_codes_are_aus_is_read(project):
    path = project(
        "#4",
        "face (MATRIX,true,)-au6|NOMINAL,au12|NOMINAL",
        "00:00:00:000,00:00:00:080,(1,B)",
        "00:00:00:080,00:00:00:120,(0,1)",
    )
    events = [(event.au, event.onset, event.intensity) for event in read_datavyu(path).events]
    assert events == [(6, 0.0, None), (12, 0.0, "B"), (12, 0.08, None)]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ("#4", "AU12 (MATRIX,true,)-c|NOMINAL", "00:00:02:000,00:00:01:000,(C)"),
            "line 3 of its db: the cell ends at",
        ),
        (("#4", "00:00:02:000,00:00:03:000,(C)"), "a cell stands before any column"),
        (("#4", "AU12 (MATRIX,true,)-c|NOMINAL", "rubbish"), "line 3 of its db: cannot be read"),
        (("#4", "AU12 (MATRIX,true,)-c|NOMINAL", "00:02:000,00:00:03:000,(C)"), "is no time hh:mm:ss:mmm"),
        (("#4", "trial (MATRIX,true,)-c|NOMINAL"), "no tier or annotation of an AU"),
        (("AU12",), "begins 'AU12"),
    ],
)
def test_damaged_projects_are_one_line(project, lines, message):
    path = project(*lines)
    with pytest.raises(DataError, match=message) as caught:
        read_datavyu(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_no_project_is_refused(project, tmp_path):
    with pytest.raises(DataError, match="an archive without an entry db"):
        read_datavyu(project("x", entry="other"))
    (tmp_path / "no.opf").write_bytes(b"PK but no archive")
    with pytest.raises(DataError, match="is no whole Datavyu project"):
        read_datavyu(tmp_path / "no.opf")
    whole = project("#4", *(f"AU{au} (MATRIX,true,)-c|NOMINAL" for au in range(1, 40))).read_bytes()
    (tmp_path / "cut.opf").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="is no whole Datavyu project"):
        read_datavyu(tmp_path / "cut.opf")
