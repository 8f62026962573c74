"""Praat TextGrids: by hand in both forms, by praatio, as BORIS writes them, and by us."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from au_jax.data.annotations.events import Event, EventCodes, events_from_labels
from au_jax.data.annotations.textgrid import read_textgrid, write_textgrid
from au_jax.errors import DataError

LONG = '''File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 4
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "AU12 left"
        xmin = 0
        xmax = 4
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 1.5
            text = ""
        intervals [2]:
            xmin = 1.5
            xmax = 2.25
            text = "C"
        intervals [3]:
            xmin = 2.25
            xmax = 4
            text = ""
    item [2]:
        class = "TextTier"
        name = "AU12 left apex"
        xmin = 0
        xmax = 4
        points: size = 1
        points [1]:
            number = 1.75
            mark = "max ""here"""
'''
SHORT = '''File type = "ooTextFile"
Object class = "TextGrid"

0
4
<exists>
2
"IntervalTier"
"AU12 left"
0
4
3
0
1.5
""
1.5
2.25
"C"
2.25
4
""
"TextTier"
"AU12 left apex"
0
4
1
1.75
"max ""here"""
'''  # fmt: skip


@pytest.fixture
def grid(tmp_path):
    def make(text, encoding="utf-8"):
        path = tmp_path / "clip.TextGrid"
        path.write_bytes(text.encode(encoding))
        return path

    return make


@pytest.mark.parametrize(
    "text", [LONG, SHORT, LONG.replace("\n", "\r\n"), LONG.replace("number =", "time ="), "! x 5\n" + SHORT]
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_long_and_short_form(grid, text, encoding):
    assert read_textgrid(grid(text, encoding)).events == (Event(12, 1.5, 2.25, 1.75, "L", "C"),)


def tier(name, *rows):
    lines = ['"IntervalTier"', f'"{name}"', "0", "9", str(len(rows))]
    return "\n".join([*lines, *(f'{begin} {end} "{label}"' for begin, end, label in rows)]) + "\n"


def textgrid(*tiers, size=None):
    return f'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n9\n<exists>\n{size or len(tiers)}\n' + "".join(
        tiers
    )


def test_only_zeros_and_ones_are_presence_and_no_intensity(grid):
    codes = read_textgrid(grid(textgrid(tier("AU4", (0, 1, "0"), (1, 2, "1")), tier("AU6", (0, 1, "1"), (1, 2, "3")))))
    assert codes.events == (
        Event(4, 0, 1, label=-1),
        Event(6, 0, 1, intensity="A"),
        Event(4, 1, 2),
        Event(6, 1, 2, intensity="C"),
    )


def test_a_textgrid_of_boris(grid):
    # A tier per subject, labels that name behaviours, null for pauses, and a number of tiers that counts something else.
    text = textgrid(
        tier("Anna", (0, 1, "null"), (1, 2, "AU12"), (2, 3, "AU4 left")), tier("Ben", (0, 3, "smile")), size=3
    )
    codes = read_textgrid(grid(text))
    assert codes.events == (Event(12, 1, 2, person="Anna"), Event(4, 2, 3, side="L", person="Anna"))
    assert [problem.kind for problem in codes.problems] == ["number of tiers", "tier without AU"]


def test_labels_that_name_aus_in_a_tier_called_facs(grid):
    codes = read_textgrid(grid(textgrid(tier("FACS", (1, 2, "6+12B")), tier("trial", (0, 9, "12")))))
    assert codes.events == (Event(6, 1, 2), Event(12, 1, 2, intensity="B"))


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "is no Praat TextGrid"),
        ("ooBinaryFile\x08TextGrid", "is a binary Praat file; save it from Praat as text"),
        ('"Praat chronological TextGrid text file"\n0 1\n', "is no Praat TextGrid"),
        (LONG[:-60], "ends within|is expected"),
        (
            LONG.replace("xmax = 2.25", 'xmax = "x"'),
            r"line 21: a number is expected in tier 'AU12 left', and '\"x\"' found",
        ),
        (LONG.replace("xmax = 2.25", "xmax = 1.25"), "interval 2 of tier 'AU12 left' begins at 1.5 and runs backwards"),
        (LONG.replace("size = 3", "size = 99999999"), "has 99999999 intervals"),
        (LONG.replace("IntervalTier", "Sound"), "line 10: '\"Sound\"' is no kind of tier"),
        (LONG.replace("AU12 left", "words"), "has no tier or annotation of an AU"),
    ],
)
def test_what_cannot_be_read_is_one_line(grid, text, message):
    with pytest.raises(DataError, match=message) as caught:
        read_textgrid(grid(text))
    assert "\n" not in str(caught.value) and "clip.TextGrid" in str(caught.value)


def test_what_praat_cannot_hold_is_refused(tmp_path):
    path = tmp_path / "clip.TextGrid"
    with pytest.raises(DataError, match="open end"):
        write_textgrid(path, EventCodes((Event(1, 1.0, None),), (1,)))
    with pytest.raises(DataError, match="hold times"):
        write_textgrid(path, EventCodes((Event(1, 1, 2),), (1,), unit="frames"))
    write_textgrid(path, EventCodes((Event(1, 1.0, None),), (1,)), duration=3)
    assert read_textgrid(path).events == (Event(1, 1.0, 3.0),)


moments = st.floats(0, 3600, allow_subnormal=False)
words = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=12).map(
    lambda text: " ".join(text.split())
)


@st.composite
def some_codes(draw):
    events = []
    for _ in range(draw(st.integers(1, 6))):
        onset, length = draw(moments), draw(st.sampled_from([0.0, 0.04, 2.5]))
        grade = draw(st.sampled_from([None, *"ABCDE"]))
        label = 1 if grade else draw(st.sampled_from([-1, 0, 1]))
        au, side, person = (
            draw(st.sampled_from(choices)) for choices in ([1, 12, 45], ["", "L", "R", "B"], ["", "P1", "Ö x"])
        )
        apex = draw(st.sampled_from([None, onset + length / 2])) if length else None
        comment = draw(words.filter(lambda text: text not in ("null",)))
        events.append(Event(au, onset, onset + length, apex, side, grade, label, person, comment))
    spans = draw(st.sampled_from([(), ((0.0, 5.5), (7.25, 3700.0))]))
    return tuple(events), tuple(sorted({2, *(event.au for event in events)})), spans


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80, deadline=None)
@given(some_codes(), st.booleans(), st.sampled_from(["utf-8", "utf-16"]))
def test_written_files_are_read_back_as_they_were(tmp_path, parts, short, encoding):
    codes, path = EventCodes(*parts), tmp_path / "clip.TextGrid"
    write_textgrid(path, codes, short=short, encoding=encoding)
    back = read_textgrid(path)
    assert sorted(back.events, key=str) == sorted(codes.events, key=str)
    assert (back.aus, back.spans) == (codes.aus, codes.spans)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(st.lists(st.lists(st.sampled_from([-1, 0, 1]), min_size=2, max_size=2), min_size=3, max_size=80))
def test_codes_per_frame_survive_in_a_file(tmp_path, rows):
    labels, times = np.array([[1, 1], *rows], np.int8), np.arange(len(rows) + 1) * 1001 / 30000
    path = tmp_path / "clip.TextGrid"
    write_textgrid(path, events_from_labels(labels, times, [6, 12]))
    assert (read_textgrid(path).frame_codes(times, [6, 12]).labels == labels).all()


@pytest.mark.parametrize("short", [False, True])
def test_praatio_reads_what_we_write(tmp_path, short):
    textgrid = pytest.importorskip("praatio.textgrid")
    path = tmp_path / "clip.TextGrid"
    events = (Event(12, 1.0, 2.5, 1.5, "L", "C", comment='p="0.93"'), Event(4, 0.5, 0.75))
    write_textgrid(path, EventCodes(events, (4, 12)), duration=4.0, short=short)
    read = textgrid.openTextgrid(str(path), includeEmptyIntervals=True)
    assert read.tierNames == ("AU4", "AU12 left", "AU12 left apex", "AU12 left comment")
    assert (read.minTimestamp, read.maxTimestamp) == (0.0, 4.0)
    assert [tuple(entry) for entry in read.getTier("AU12 left").entries] == [
        (0.0, 1.0, ""),
        (1.0, 2.5, "C"),
        (2.5, 4.0, ""),
    ]
    assert [tuple(entry) for entry in read.getTier("AU12 left apex").entries] == [(1.5, "apex")]
    assert read.getTier("AU12 left comment").entries[1].label.replace('""', '"') == 'p="0.93"'


@pytest.mark.parametrize("form", ["long_textgrid", "short_textgrid"])
def test_we_read_what_praatio_writes(tmp_path, form):
    textgrid = pytest.importorskip("praatio.textgrid")
    path = tmp_path / "clip.TextGrid"
    written = textgrid.Textgrid()
    written.addTier(textgrid.IntervalTier("AU 12", [(1.001, 2.002, "C"), (3.0, 3.5, "shy")], 0, 5))
    written.addTier(textgrid.PointTier("AU 45", [(0.5, "")], 0, 5))
    written.save(str(path), form, includeBlankSpaces=True)
    codes = read_textgrid(path)
    assert codes.events == (Event(12, 1.001, 2.002, intensity="C"), Event(12, 3.0, 3.5, comment="shy"))
    # A point without a mark says nothing.
    assert codes.aus == (12, 45)
    labels = codes.frame_codes(np.arange(160) * 1001 / 30000, [12]).labels[:, 0]
    assert np.flatnonzero(labels == 1).tolist() == [*range(30, 60), *range(90, 105)]
