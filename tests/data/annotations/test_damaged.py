"""Files with bytes changed, cut out or doubled: read, or refused with one line that names the file."""

import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from au_jax.data.annotations.boris import read_boris
from au_jax.data.annotations.boris_writer import write_boris
from au_jax.data.annotations.columns import Coding
from au_jax.data.annotations.datavyu import read_datavyu
from au_jax.data.annotations.elan import read_elan
from au_jax.data.annotations.elan_writer import write_elan
from au_jax.data.annotations.event_table import read_event_table, write_event_table
from au_jax.data.annotations.events import Event, EventCodes
from au_jax.data.annotations.frame_times import regular_clock
from au_jax.data.annotations.label_file import read_codes
from au_jax.data.annotations.textgrid import read_textgrid, write_textgrid
from au_jax.errors import DataError

CODES = EventCodes(
    (Event(12, 1.0, 2.5, 1.5, "L", "C", person="P1", comment="shy"), Event(4, 0.5, 0.75, label=0, person="P1")),
    (4, 6, 12), ((0.0, 9.0),),
)  # fmt: skip


def write_opf(path, method=zipfile.ZIP_STORED):
    lines = ["#4", "AU12 (MATRIX,true,)-intensity|NOMINAL,note|NOMINAL", "00:00:01:000,00:00:02:500,(C,shy)"]
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("db", "\n".join(lines) + "\n")


def write_frames(path):
    rows = [f"{n},0,{n / 25:.3f},0.9,1,{n % 2}" for n in range(1, 30)]
    path.write_text("\n".join(["frame,face_id,timestamp,confidence,success,AU12_c", *rows]) + "\n")


FORMATS = {
    "clip.eaf": (lambda path: write_elan(path, CODES, media="clip.mp4"), read_elan),
    "clip.TextGrid": (lambda path: write_textgrid(path, CODES), read_textgrid),
    "clip.boris": (lambda path: write_boris(path, CODES, media="clip.mp4", fps=25, duration=9), read_boris),
    "clip.csv": (lambda path: write_event_table(path, CODES), read_event_table),
    "clip.opf": (write_opf, read_datavyu),
}
WORDS = [b"-1", b"null", b"NaN", b"1e999", b'"', b"<", b"\n"]
changes = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 12), st.one_of(st.binary(max_size=4), st.sampled_from(WORDS))),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize("name", FORMATS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
@given(damage=changes)
def test_damaged_files_are_read_or_refused_in_one_line(tmp_path, name, damage):
    write, read = FORMATS[name]
    path = tmp_path / name
    if not (whole := tmp_path / f"whole {name}").exists():
        write(whole)
    content = whole.read_bytes()
    for place, length, new in damage:
        at = int(place * len(content))
        content = content[:at] + new + content[at + length :]
    path.write_bytes(content)
    try:
        codes = read(path)
    except DataError as error:
        assert "\n" not in str(error) and name in str(error)
    else:
        assert all(event.offset is None or event.onset <= event.offset for event in codes.events)


@pytest.mark.parametrize("name", [*FORMATS, "frames.csv"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(damage=changes)
def test_damaged_files_of_any_kind_give_codes_or_one_line(tmp_path, name, damage):
    path = tmp_path / name
    if not (whole := tmp_path / f"whole {name}").exists():
        {**FORMATS, "frames.csv": (write_frames, None)}[name][0](whole)
    content = whole.read_bytes()
    for place, length, new in damage:
        at = int(place * len(content))
        content = content[:at] + new + content[at + length :]
    path.write_bytes(content)
    coding = Coding(aus=(4, 12), unit="seconds")
    try:
        codes = read_codes(path, coding, clock=lambda: regular_clock(225, 25), media="clip.mp4", person="P1")
    except DataError as error:
        assert "\n" not in str(error) and name in str(error)
    else:
        assert codes.labels.shape == (len(codes.frames), 2) and codes.labels.any() and codes.facts is not None
