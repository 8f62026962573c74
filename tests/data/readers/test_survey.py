"""The check of a copy: its counts, base rates and known figures, and each problem with its path."""

import json

import numpy as np
import pytest
from PIL import Image

from au_jax.config import get_config
from au_jax.data.readers import make_reader
from au_jax.data.readers.survey import BP4D_COUNTS, check, picture_flaw
from au_jax.errors import UserError
from au_jax.labels import PAPER_AUS

from ..conftest import write_picture

HEADER = ",".join(str(number) for number in range(100))


def write_table(path, rows, missing=()):
    """AU_OCC: rows of (frame, AUs that are present)."""
    lines = [HEADER]
    for frame, present in rows:
        cells = ["9"] * 100
        cells[0] = str(frame)
        for au in PAPER_AUS:
            cells[au] = "9" if au in missing else str(int(au in present))
        lines.append(",".join(cells))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def raw(tmp_path):
    """Two subjects with one task of 4 frames each; AU 1 in 1 of 8 frames, AU 12 in 2 of the 4 that are coded for it."""
    for subject in ("F001", "M001"):
        (tmp_path / subject / "T1").mkdir(parents=True)
        for number in range(1, 5):
            Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / subject / "T1" / f"{number}.jpg")
    write_table(tmp_path / "AU_OCC/F001_T1.csv", [(1, {1, 12}), (2, {12}), (3, ()), (4, ())])
    write_table(tmp_path / "AU_OCC/M001_T1.csv", [(frame, ()) for frame in range(1, 5)], missing=(12,))
    return tmp_path


def run(raw, source="bp4d", **fields):
    data = get_config().data
    data.source, data.raw = source, str(raw)
    data.update(fields)
    return check(make_reader(data))


def kinds(found):
    return {problem.kind: problem for problem in found.problems}


def test_counts_and_base_rates_are_those_of_the_files(raw):
    found = run(raw)
    assert found.counts == {"subjects": 2, "sequences": 2, "coded frames": 8}
    rates = dict(zip(PAPER_AUS, found.base_rates, strict=True))
    assert rates[1] == 1 / 8 and rates[12] == 2 / 4 and rates[24] == 0
    # 2p / (1 + p)
    always = dict(zip(PAPER_AUS, found.always_present, strict=True))
    assert always[1] == pytest.approx(2 / 9) and always[12] == pytest.approx(2 / 3)
    assert found.unusable == () and set(kinds(found)) == {"column without use"}


def test_the_table_sets_the_known_figures_beside_those_found(raw):
    lines = run(raw).text().splitlines()
    assert lines[0] == f"bp4d in {raw}" and lines[1] == "AU_OCC: occurrence at level A and above"
    assert [line.split() for line in lines if line.startswith(("subjects", "sequences", "coded frames"))] == [
        ["subjects", "2", "41"],
        ["sequences", "2", "328"],
        ["coded", "frames", "8", "146,847"],
    ]
    row = next(line for line in lines if line.startswith(" 1 inner brow raiser"))
    assert row.split()[-5:] == ["8", "12.5", "21.1", "-8.6", "22.2"]
    assert BP4D_COUNTS == {"subjects": 41, "sequences": 328, "coded frames": 146_847}


@pytest.mark.parametrize(("au", "rate", "always"), [(1, "21.1", "34.9"), (10, "59.4", "74.6"), (24, "15.1", "26.3")])
def test_the_known_rates_are_bp4ds(raw, au, rate, always):
    index = PAPER_AUS.index(au)
    known = run(raw).known_rates[index]
    assert f"{100 * known:.1f}" == rate
    # SavedFigure beside it; the rate is rounded there.
    assert 100 * 2 * known / (1 + known) == pytest.approx(float(always), abs=0.15)


def test_figures_of_another_level_or_source_have_nothing_known_beside_them(raw):
    (raw / "AU_INT/AU06").mkdir(parents=True)
    (raw / "AU_INT/AU06/F001_T1_AU06.csv").write_text("1,0\n2,3\n")
    found = run(raw, level="C")
    assert found.known_counts is None and "known" not in found.text()
    assert found.base_rates[PAPER_AUS.index(6)] == 0.5 and np.isnan(found.base_rates[0])
    row = next(line for line in found.text().splitlines() if line.startswith(" 1 inner brow raiser"))
    assert row.split()[-3:] == ["0", "-", "-"]


def test_every_problem_is_printed_with_its_path_and_only_the_first_few_of_a_kind(raw):
    write_table(raw / "AU_OCC/F001_T1.csv", [(1, {1}), (2, ()), (4, ()), (9, ())])
    table = raw / "AU_OCC/F001_T1.csv"
    table.write_text(table.read_text().replace("\n2,0", "\n2,7"))
    for number in (1, 2, 3, 4):
        (raw / f"M001/T1/{number}.jpg").write_bytes(b"")
    found = run(raw)
    by_kind = kinds(found)
    assert {kind: by_kind[kind].count for kind in ("unknown code", "label without frame", "frame without label")} == {
        "unknown code": 1,
        "label without frame": 1,
        "frame without label": 1,
    }
    text = found.text()
    assert f"unknown code: 1\n  {table}: AU 1 has occurrence '7' in frame 2\n" in text
    assert f"label without frame: 1\n  {raw}/F001/T1: frames 9 have codes" in text
    assert f"unreadable frame: 4\n  {raw}/M001/T1/1.jpg: has no content\n" in text
    assert "4.jpg" not in text and "  and 1 more such lines" in text
    assert any(problem["path"].endswith("M001/T1/4.jpg") for problem in found.document()["problems"])


def test_an_au_that_no_file_has_is_told_once(tmp_path):
    (tmp_path / "anna/clip").mkdir(parents=True)
    for number in (1, 2):
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / f"anna/clip/{number}.png")
    (tmp_path / "anna/clip.csv").write_text("frame,AU1,AU25\n1,1,0\n2,,1\n")
    found = run(tmp_path, "folder")
    assert (
        kinds(found)["AU not coded"].text.startswith("no label file has AU 2, 4, 6")
        and found.counts["coded frames"] == 1
    )
    assert kinds(found)["row without codes"].count == 1
    assert "au25: not among the AUs of config.data.aus (1, 2, 4, " in kinds(found)["column without use"].text
    assert "hold occurrence" in found.reading


def test_the_document_is_json_with_figures_in_percent(raw):
    document = json.loads(json.dumps(run(raw).document()))
    assert document["aus"]["1"] == {
        "coded_frames": 8,
        "base_rate": 12.5,
        "known_base_rate": 21.1,
        "always_present_f1": 22.222,
    }
    assert document["counts"]["sequences"] == 2 and document["unusable"] == []


def test_recordings_that_cannot_be_used_stop_or_are_left_out(raw):
    assert run(raw).raise_if_unusable(skip=False) is None
    (raw / "AU_OCC/M001_T1.csv").write_text("")
    found = run(raw)
    assert found.counts == {"subjects": 1, "sequences": 1, "coded frames": 4}
    assert f"recording that cannot be used: 1\n  {raw}/AU_OCC/M001_T1.csv is empty" in found.text()
    with pytest.raises(UserError) as caught:
        found.raise_if_unusable(skip=False)
    message = str(caught.value)
    assert message.startswith("1 of 2 recordings cannot be used, the first because ") and "\n" not in message
    assert "AU_OCC/M001_T1.csv is empty" in message and "--config.data.skip_unusable=True" in message
    assert found.raise_if_unusable(skip=True) is None


def test_nothing_to_use_stops_in_any_case(raw):
    for path in (raw / "AU_OCC").iterdir():
        path.write_text("")
    found = run(raw)
    assert found.counts["sequences"] == 0 and "2" in found.text()
    with pytest.raises(UserError, match="none of 2 recordings can be used"):
        found.raise_if_unusable(skip=True)


def test_no_recordings_are_one_line(tmp_path):
    with pytest.raises(UserError, match="has no bp4d recordings"):
        run(tmp_path)


def test_pictures_are_whole_when_their_ends_are(tmp_path):
    for suffix in ("jpg", "png"):
        path = tmp_path / f"1.{suffix}"
        write_picture(path, 5)
        content = path.read_bytes()
        assert picture_flaw(path) == ""
        path.write_bytes(content + b"\0" * 20)
        assert picture_flaw(path) == ""
        path.write_bytes(content[: len(content) // 2])
        assert "ends too early" in picture_flaw(path)
    path.write_bytes(b"")
    assert picture_flaw(path) == "has no content"
    path.write_bytes(b"GIF89a")
    assert picture_flaw(path) == "is no JPEG, PNG, BMP or TIFF"
    assert "cannot be opened" in picture_flaw(tmp_path / "2.jpg")


def test_known_rates_are_those_of_the_aus_asked_for(raw):
    found = run(raw, aus=(12, 5))
    assert found.aus == (12, 5) and found.known_rates[0] == 0.562 and np.isnan(found.known_rates[1])
    assert found.base_rates[0] == 2 / 4 and np.isnan(found.base_rates[1])
    row = next(line for line in found.text().splitlines() if line.startswith(" 5 upper lid raiser"))
    assert row.split()[-5:] == ["0", "-", "-", "-", "-"]
    document = json.loads(json.dumps(found.document()))
    assert list(document["aus"]) == ["12", "5"] and document["aus"]["5"]["known_base_rate"] is None
