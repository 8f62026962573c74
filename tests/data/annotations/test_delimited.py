"""Tables of any encoding, delimiter and decimal mark are read as they were meant, row by row."""

import codecs

import pytest

from au_jax.data.annotations.delimited import open_table, read_rows
from au_jax.errors import DataError

HEADER = ["frame", "AU12"]


def opened(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    table = open_table(path, lambda cells: cells[0] == "frame")
    return table.header, list(table.rows), table.comma, table.above


@pytest.mark.parametrize(
    "content",
    [
        "frame,AU12\n1,0\n", "frame;AU12\r\n1;0\r\n", "frame\tAU12\n1\t0", "sep=;\nframe;AU12\n1;0\n",
        "frame,AU12,,\n1,0,,\n", codecs.BOM_UTF8 + b"frame,AU12\n1,0\n", "frame,AU12\n1,0\n".encode("utf-16"),
    ],
)  # fmt: skip
def test_every_spelling_of_a_table_gives_the_same_cells(tmp_path, content):
    header, rows, _, _ = opened(tmp_path / "codes.csv", content)
    assert header == HEADER
    assert [cells[:2] for _, cells in rows] == [["1", "0"]]


def test_a_decimal_comma_is_possible_only_where_commas_do_not_split(tmp_path):
    assert opened(tmp_path / "a.csv", "frame;AU12\n1;0,5\n")[1:3] == ([(2, ["1", "0,5"])], True)
    assert opened(tmp_path / "b.csv", "frame,AU12\n1,0.5\n")[2] is False


def test_lines_keep_the_numbers_that_an_editor_shows(tmp_path):
    _, rows, _, above = opened(tmp_path / "codes.csv", "Session 3\n\nframe,AU12\n\n1,0\n\n\n2,1\n")
    assert [line for line, _ in rows] == [5, 8]
    assert above == "Session 3"


def test_a_row_may_go_over_two_lines_in_quotes(tmp_path):
    _, rows, _, _ = opened(tmp_path / "codes.csv", 'frame,AU12,note\n1,0,"two\nlines"\n2,1,\n')
    assert [cells[:2] for _, cells in rows] == [["1", "0"], ["2", "1"]]


def test_the_code_page_of_old_spreadsheets_is_read(tmp_path):
    (path := tmp_path / "codes.csv").write_bytes("frame;AU12;café\n1;0;\n".encode("cp1252"))
    assert open_table(path, lambda cells: True).header == ["frame", "AU12", "café"]


def test_what_is_no_table_is_refused_by_name(tmp_path):
    with pytest.raises(DataError, match=r"codes\.csv cannot be read as a table .*; save it as CSV in UTF-8"):
        opened(tmp_path / "codes.csv", b"frame\0AU12\n")
    with pytest.raises(DataError, match=r"nowhere\.csv cannot be read"):
        list(read_rows(tmp_path / "nowhere.csv"))


def test_a_file_without_a_line_has_no_header(tmp_path):
    assert opened(tmp_path / "codes.csv", "\n \n") == ([], [], False, "")
    assert list(read_rows(tmp_path / "codes.csv")) == []


def test_a_cell_that_never_ends_is_told_with_its_line(tmp_path):
    with pytest.raises(DataError, match=r"codes\.csv, line 2: cannot be read as a table"):
        opened(tmp_path / "codes.csv", "frame,AU12\n1," + "0" * 200_000 + "\n")
