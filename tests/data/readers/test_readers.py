"""A reader for every source, and AUs of a dataset's own: DISFA's twelve, one, or twenty-five."""

import re
from pathlib import Path

import pytest

from au_jax.config import get_config
from au_jax.data.readers import READERS, make_reader
from au_jax.data.recordings import RecordingId
from au_jax.errors import ConfigError
from au_jax.labels import PAPER_AUS

from ..conftest import write_picture, write_text, write_video

DISFA = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
BP4D_PLUS = (1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 22, 23, 24, 27, 28, 30, 32)


def test_every_source_has_a_reader_of_its_name(reader):
    for source in READERS:
        made = make_reader(get_config().data) if source == "synthfacs" else reader(source)
        assert made.name.startswith(source) and made.aus == PAPER_AUS


def test_an_unknown_source_is_refused_with_the_choices():
    data = get_config().data
    data.source = "ck"
    with pytest.raises(ConfigError, match="config.data.source is 'ck'; choose one of bp4d, disfa, folder, gft, synth"):
        make_reader(data)


@pytest.mark.parametrize(
    ("aus", "message"),
    [
        ((), r"config.data.aus is \(\); give AU numbers"),
        ((1, 2, 1), "config.data.aus has 1 twice"),
        ((1, 3), "config.data.aus has 3; FACS has"),
        (12, "config.data.aus is 12; give AU numbers"),
    ],
)
@pytest.mark.parametrize("source", ["folder", "synthfacs"])
def test_a_selection_that_is_none_is_refused(aus, message, source):
    data = get_config().data
    with data.ignore_type():
        data.source, data.aus = source, aus
    with pytest.raises(ConfigError, match=message):
        make_reader(data)


@pytest.mark.parametrize(
    ("aus", "name"),
    [(PAPER_AUS, "bp4d_8px"), ((5, 9, 12), "bp4d_aus5_9_12_8px"), ((12, 9, 5), "bp4d_aus12_9_5_8px"), ((4,), "bp4d_aus4_8px")],
)  # fmt: skip
def test_the_name_of_a_dataset_tells_its_aus(reader, aus, name):
    assert reader("bp4d", aus=aus).name == name


def test_many_aus_are_told_by_number_and_checksum(reader):
    many, others = (reader("bp4d", aus=aus).name for aus in (BP4D_PLUS, (*BP4D_PLUS[:-1], 33)))
    assert many.startswith("bp4d_25aus_") and len(many) == len("bp4d_25aus_12345678_8px")
    assert others.startswith("bp4d_25aus_") and many != others


def test_the_twelve_of_disfa_are_read_by_a_flag(raw, reader):
    write_video(raw / "LeftVideoSN001_comp.avi", 3)
    for au in DISFA:
        write_text(raw / f"SN001/SN001_au{au}.txt", f"1,0\n2,{au % 5}\n3,2\n")
    disfa = reader("disfa", aus=DISFA)
    codes = disfa.codes(RecordingId("SN001", "left"))
    assert codes.aus == DISFA and codes.unused == () and disfa.problems() == []
    assert codes.labels.tolist() == [[-1] * 12, [1 if au % 5 >= 2 else -1 for au in DISFA], [1] * 12]
    ours = reader("disfa").codes(RecordingId("SN001", "left"))
    assert ours.aus == (1, 2, 4, 6, 12, 15, 17) and ours.unused == ("au5", "au9", "au20", "au25", "au26")


@pytest.mark.parametrize("aus", [BP4D_PLUS, BP4D_PLUS[::-1], (30,)])
def test_as_many_aus_of_bp4d_plus_as_are_asked_for(raw, reader, stand_in, aus):
    write_picture(raw / "F001/T1/7.jpg", 7)
    cells = ["9"] * 100
    for au in BP4D_PLUS:
        cells[au] = str(int(au % 2 == 0))
    write_text(raw / "AU_OCC/F001_T1.csv", ",".join(map(str, range(100))) + "\n" + ",".join(["7", *cells[1:]]) + "\n")
    bp4d = reader("bp4d", aus=aus)
    (faces,) = bp4d.faces(RecordingId("F001", "T1"))
    assert faces.labels.tolist() == [[1 if au % 2 == 0 else -1 for au in aus]]
    assert len(bp4d.codes(RecordingId("F001", "T1")).unused) == 99 - len(aus)


def test_a_single_au_of_own_recordings(raw, reader, stand_in):
    write_picture(raw / "anna/clip/1.png", 1)
    write_text(raw / "anna/clip.csv", "frame,AU12,AU45_c\n1,0,1\n")
    folder = reader("folder", aus=(45,))
    (faces,) = folder.faces(RecordingId("anna", "clip"))
    assert faces.labels.tolist() == [[1]]
    (problem,) = folder.problems()
    assert problem.text == "au12: not among the AUs of config.data.aus (45), not used"
    with pytest.raises(ConfigError, match=r"each AU once, of those of config.data.aus \(45\)"):
        reader("folder", aus=(45,), columns="12=smile")


def test_the_reader_of_the_page_add_a_reader_reads_its_layout(raw, reader, stand_in, monkeypatch):
    page = (Path(__file__).parents[3] / "docs/how-to/add-a-reader.md").read_text()
    (block,) = re.findall(r"```python title=\"au_jax/data/readers/flat.py\"\n(.*?)```", page, re.S)
    added = {"__name__": "au_jax.data.readers.flat"}
    exec(compile(block, "flat.py", "exec"), added)
    monkeypatch.setitem(READERS, "flat", added["FlatReader"])
    write_video(raw / "anna_smile.mp4", 3)
    write_text(raw / "anna_smile.csv", "frame,AU1\n1,0\n2,1\n3,0\n")
    write_video(raw / "bert_talk.mp4", 3)
    flat = reader("flat")
    assert flat.recordings() == [RecordingId("anna", "smile")]
    (faces,) = flat.faces(RecordingId("anna", "smile"))
    assert faces.labels[:, 0].tolist() == [-1, 1, -1]
    (problem,) = flat.survey().unusable
    assert "bert" in problem.text and "table bert_talk.csv beside it" in problem.text
