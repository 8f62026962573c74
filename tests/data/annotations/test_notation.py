"""AUs and times as coders write them."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from au_jax.data.annotations.notation import (
    Code,
    exact_rate,
    format_timecode,
    parse_code,
    parse_codes,
    parse_intensity,
    parse_time,
    read_text,
    timecode_frame,
)
from au_jax.errors import DataError
from au_jax.labels import AU_NAMES


@pytest.mark.parametrize(
    "text, expected",
    [
        ("12", Code(12)),
        ("AU12", Code(12)),
        ("au 12", Code(12)),
        ("AU_012", Code(12)),
        ("Action Unit 12", Code(12)),
        ("12B", Code(12, intensity=2)),
        ("L12B", Code(12, "L", 2)),
        ("R4", Code(4, "R")),
        ("12R", Code(12, "R")),
        ("AU12L", Code(12, "L")),
        ("AU12 L", Code(12, "L")),
        ("AU12_left", Code(12, "L")),
        ("left AU 12", Code(12, "L")),
        ("AU12 B", Code(12, intensity=2)),
        ("AU12 bilateral C", Code(12, "B", 3)),
        ("T23", Code(23)),
        ("mother_AU12", Code(12, person="mother")),
        ("P1 AU12 R", Code(12, "R", person="P1")),
        ("baby-2 left AU4", Code(4, "L", person="baby 2")),
        ("AU12@mother", Code(12, person="mother")),
        ("AU12 L@Kind 3", Code(12, "L", person="Kind 3")),
        ("AU12 - Lip Corner Puller", Code(12)),
        ("Lip Corner Puller (AU12)", Code(12)),
        ("lip corner puller", Code(12)),
        ("Left Lip-Corner Puller", Code(12, "L")),
        ("Father: Brow Lowerer", Code(4, person="father")),
        ("AU12 intensity", Code(12, rest="intensity")),
    ],
)
def test_an_au_is_understood_in_any_usual_spelling(text, expected):
    assert parse_code(text) == expected


@pytest.mark.parametrize(
    "text", ["", "smile", "trial 12", "AU", "AU1+2", "1+2", "AU1 AU2", "default", "100", "0", "12.5", "AU120"]
)
def test_what_is_no_single_au_is_not_guessed(text):
    assert parse_code(text) is None


def test_every_name_of_an_au_is_its_number():
    for au, name in AU_NAMES.items():
        assert parse_code(name) == parse_code(name.title()) == Code(au)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("1+2", [(1, "", 0), (2, "", 0)]),
        ("6B+L12C", [(6, "", 2), (12, "L", 3)]),
        ("AU1, AU2", [(1, "", 0), (2, "", 0)]),
        ("AU 12", [(12, "", 0)]),
        ("1+smile", []),
        ("1 2 4 smile", []),
    ],
)
def test_several_aus_at_once(text, expected):
    codes = parse_codes(text)
    assert [(code.au, code.side, code.intensity) for code in codes if not code.rest] == expected


def test_intensities():
    assert [parse_intensity(text) for text in ("a", "E", "0", "5", "2.0", "2,0")] == [1, 5, 0, 5, 2, 2]
    assert [parse_intensity(text) for text in ("2.5", "F", "6", "L", "")] == [None] * 5
    assert [parse_intensity(text) for text in ("?", "9", "n/a")] == [-1] * 3


def test_times():
    assert parse_time("1.25") == parse_time("1,25") == parse_time("1250", "milliseconds") == 1.25
    assert parse_time("01:02:03.5") == parse_time("01:02:03,5") == 3723.5
    assert parse_time("2:03") == 123
    assert parse_time("-00:00:01.5") == -1.5
    assert parse_time("17", "frames") == 17
    for text, unit in (
        ("nan", "seconds"),
        ("12.5", "frames"),
        ("00:75:00.0", "seconds"),
        ("5", "timecode"),
        ("", "seconds"),
    ):
        with pytest.raises(ValueError):
            parse_time(text, unit)
    with pytest.raises(ValueError, match="how many frames a second"):
        parse_time("00:00:01:05")


def test_timecode_at_25_counts_frames():
    assert timecode_frame("00:00:00:24", 25) == 24
    assert timecode_frame("00:00:01:00", 25) == 25
    assert parse_time("01:00:00:00", fps=25) == 3600


def test_timecode_without_drop_runs_behind_the_clock_at_29_97():
    # 1800 frames of 1001/30000 s.
    assert parse_time("00:01:00:00", fps=29.97) == pytest.approx(60.06, abs=1e-9)
    assert parse_time("00:00:01:00", fps=23.976) == pytest.approx(1.001, abs=1e-9)
    assert parse_time("00:00:01:30", fps=59.94) == pytest.approx(1.5015, abs=1e-9)


def test_drop_frame_leaves_numbers_out_and_no_frames():
    # The frame behind 00:00:59;29 is 00:01:00;02; every tenth minute has all numbers.
    assert timecode_frame("00:00:59;29", 29.97) == 1799
    assert timecode_frame("00:01:00;02", 29.97) == 1800
    assert timecode_frame("00:10:00;00", 29.97) == 17982
    assert timecode_frame("01:00:00;00", 29.97) == 107892
    assert timecode_frame("00:01:00;04", 59.94) == 3600
    # An hour of drop-frame timecode is an hour to 4 ms.
    assert parse_time("01:00:00;00", fps=29.97) == pytest.approx(3600, abs=0.004)
    for text, fps in (("00:01:00;01", 29.97), ("00:00:01;00", 25), ("00:00:01;00", 23.976), ("00:00:01:25", 25)):
        with pytest.raises(ValueError):
            timecode_frame(text, fps)


@given(
    st.integers(0, 500_000),
    st.sampled_from([(23.976, False), (25, False), (29.97, False), (29.97, True), (59.94, True)]),
)
def test_timecode_round_trip(frame, kind):
    fps, drop = kind
    assert timecode_frame(format_timecode(frame, fps, drop), fps) == frame


def test_rounded_rates_mean_the_exact_ones():
    assert exact_rate(59.94) == Fraction(60000, 1001)
    assert exact_rate(23.98) == Fraction(24000, 1001)
    assert exact_rate(29.97003) == Fraction(30000, 1001)
    assert exact_rate(30) == 30


def test_text_in_any_usual_encoding(tmp_path):
    path = tmp_path / "a.txt"
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "cp1252"):
        path.write_bytes("Lächeln".encode(encoding))
        assert read_text(path) == "Lächeln"
    path.write_bytes(b"\0\1\2")
    with pytest.raises(DataError, match="is not text"):
        read_text(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_text(tmp_path / "b.txt")
    path.write_text("x" * 20)
    with pytest.raises(DataError, match="more than"):
        read_text(path, limit=10)
