"""Columns of frame tables are found by their names, whoever wrote them."""

from pathlib import Path

import pytest

from au_jax.data.annotations import columns
from au_jax.data.annotations.columns import Coding, au_of, find_columns, is_header
from au_jax.data.annotations.notation import FRAMES, MILLISECONDS
from au_jax.errors import DataError

TABLE = Path("codes.csv")


def found(names, above="", **coding):
    return find_columns(TABLE, names, above, Coding(**coding))


@pytest.mark.parametrize(
    ("name", "au"),
    [
        ("12", (12, "")), ("AU12", (12, "")), ("au_012", (12, "")), ("Action Unit 12", (12, "")),
        ("AU12_c", (12, "occurrence")), ("AU12 presence", (12, "occurrence")), ("AU12_r", (12, "intensity")),
        ("AU6int", None), ("AU12 left", None), ("AU12 99", None), ("AU120", None), ("aura", None),
    ],
)  # fmt: skip
def test_an_au_is_known_by_its_number_and_mark(name, au):
    assert au_of(name) == au


def test_a_marked_column_goes_before_one_without_and_the_preferred_mark_before_the_other():
    both = ["frame", "AU12", "AU12_r", "AU12_c"]
    assert found(both, aus=(12,)).used == {12: (3, "occurrence")}
    assert found(both, aus=(12,), preferred="intensity").used == {12: (2, "intensity")}
    assert found(both[:2], aus=(12,)).used == {12: (1, "")}


def test_a_told_column_is_taken_and_one_that_is_missing_is_refused():
    told = found(["clock", "smile", "AU12"], aus=(12,), columns={columns.TIME: "clock", 12: "smile"})
    assert (told.place, told.unit, told.used, told.unused) == (0, "", {12: (1, "")}, ("au12",))
    with pytest.raises(DataError, match=r"codes\.csv has no column 'grin', which config\.data\.columns names"):
        found(["frame", "AU12"], aus=(12,), columns={12: "grin"})


def test_two_columns_of_one_kind_are_refused_by_name():
    with pytest.raises(DataError, match="two columns for AU 12, 'au12' and 'au_12'; name one"):
        found(["frame", "AU12", "AU_12"], aus=(12,))
    with pytest.raises(DataError, match="two columns 'frame'"):
        found(["frame", "frame", "AU12"], aus=(12,))


@pytest.mark.parametrize(
    ("names", "above", "kind", "holds", "first"),
    [
        (["frame", "success", "confidence", "AU12_c"], "", "OpenFace table", "occurrence", 1),
        (["frame", "FaceRectX", "AU12"], "", "py-feat table", "probability", 0),
        (["Video Time", "Action Unit 12 - Lip Corner Puller"], "", "FaceReader log", "fraction", None),
        (["Timestamp", "Smile"], "iMotions 9.3 export", "iMotions table", "percent", None),
        (["frame", "AU12"], "", "frame table", "", None),
    ],
)
def test_the_program_says_what_its_columns_hold(names, above, kind, holds, first):
    table = found(names, above, aus=(12,))
    assert (table.kind, table.used[12][1], table.first) == (kind, holds, first)


def test_a_table_with_a_row_per_frame_and_au_is_a_long_one():
    table = found(["Frame", "AU", "Intensity"], aus=(12,))
    assert (table.place, table.unit, table.long, dict(table.used)) == (0, FRAMES, (1, 2, "intensity"), {})


@pytest.mark.parametrize("name", ["Time (ms)", "time_ms", "Media Time [ms]"])
def test_the_unit_of_a_time_is_read_from_its_columns_name(name):
    table = found([name, "AU12"], aus=(12,))
    assert (table.place, table.unit) == (0, MILLISECONDS)


def test_no_column_of_frames_or_of_a_wanted_au_is_told_with_what_helps():
    with pytest.raises(DataError, match=r'no column \'frame\' .*--config\.data\.columns="frame=index"'):
        found(["subject", "AU12"], aus=(12,))
    with pytest.raises(DataError, match=r"no column of the AUs of config\.data\.aus \(4\)"):
        found(["frame", "AU12"], aus=(4,))


def test_a_title_is_no_header():
    assert not is_header(["Session 3, coder B"], Coding())
    assert not is_header(["frame", "subject"], Coding())
    assert is_header(["Frame", "Smile"], Coding(columns={12: "smile"}))
