"""The table of a video as OpenFace and py-feat users read it, column by column."""

import csv
import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest

from au_jax.errors import CommandError, DataError
from au_jax.inference.writers import CsvWriter, Detections, concatenate
from au_jax.labels import PAPER_AUS


def detections(first=1, lost=()):
    count = 3
    success = np.array([number not in lost for number in range(first, first + count)])
    landmarks = np.arange(count * 68 * 2, dtype=np.float32).reshape(count, 68, 2)
    scores = np.tile(np.linspace(-1, 1, 12, dtype=np.float32), (count, 1))

    def only_found(rows):
        return np.where(success.reshape(-1, *[1] * (rows.ndim - 1)), rows, np.nan).astype(np.float32)

    return Detections(
        aus=PAPER_AUS,
        frames=np.arange(first, first + count),
        timestamps=np.arange(first - 1, first - 1 + count) / 30.0,
        success=success,
        confidence=np.where(success, np.float32(0.9), np.float32(0)),
        boxes=only_found(np.full((count, 4), 10.0)),
        landmarks=only_found(landmarks),
        scores={"anet": only_found(-scores), "hybrid": only_found(scores)},
        probabilities=only_found(np.tile(np.linspace(0, 0.5, 12, dtype=np.float32), (count, 1))),
    )


def test_openface_columns_are_where_its_users_look():
    columns = detections(lost=(2,)).columns("openface")
    assert list(columns)[:5] == ["frame", "face_id", "timestamp", "confidence", "success"]
    assert columns["frame"].tolist() == [1, 2, 3]
    assert columns["success"].tolist() == [1, 0, 1]
    np.testing.assert_allclose(columns["timestamp"], [0, 1 / 30, 2 / 30])
    assert columns["x_0"].tolist() == [0, 0, 272] and columns["y_67"].tolist() == [135, 0, 407]
    assert columns["AU01_c"].tolist() == [0, 0, 0]
    assert columns["AU24_c"].tolist() == [1, 0, 1]  # 0 where there is no face, as in OpenFace
    # OpenFace's own AUs and those that are detected here; what is not detected is unknown.
    aus = sorted({*PAPER_AUS, 5, 9, 20, 25, 26, 28, 45})
    assert [name for name in columns if name.endswith("_c")] == [f"AU{au:02d}_c" for au in aus]
    assert np.isnan([columns[name] for name in ("AU45_c", "AU28_c", "AU05_r", "gaze_0_x", "pose_Tz")]).all()
    # Nothing here estimates an intensity.
    assert np.isnan(columns["AU12_r"]).all()
    np.testing.assert_allclose(columns["AU24_anet"][[0, 2]], -1)
    # A rare AU is present although it is as likely absent: its threshold is another matter than its probability.
    assert columns["AU24_p"].tolist() == [0.5, pytest.approx(np.nan, nan_ok=True), 0.5]


def test_fex_columns_hold_probabilities_and_count_frames_from_0():
    columns = detections(lost=(3,)).columns("fex")
    assert list(columns)[:6] == ["frame", "FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight", "FaceScore"]
    assert columns["frame"].tolist() == [0, 1, 2]
    np.testing.assert_allclose(columns["AU24"][:2], 1 / (1 + np.exp(-1.0)), rtol=1e-6)
    np.testing.assert_allclose(columns["AU01"][:2], 1 / (1 + np.exp(1.0)), rtol=1e-6)
    # py-feat takes every name with AU in it for an AU's.
    assert columns["p24"][:2].tolist() == [0.5, 0.5]
    assert [name for name in columns if "AU" in name] == [f"AU{au:02d}" for au in PAPER_AUS]
    assert np.isnan([columns[name][2] for name in ("AU24", "FaceScore", "FaceRectX", "x_5", "Yaw", "anger")]).all()


@pytest.mark.parametrize("form", ["openface", "fex"])
def test_frames_of_a_folder_keep_the_numbers_of_their_files_in_both_formats(form):
    named = dataclasses.replace(detections(first=0), named=True)  # frame0.jpg, frame1.jpg, frame2.jpg
    assert named.columns(form)["frame"].tolist() == [0, 1, 2]
    video = detections(first=1)
    assert video.columns(form)["frame"].tolist() == ([1, 2, 3] if form == "openface" else [0, 1, 2])


@pytest.mark.parametrize("form", ["openface", "fex"])
def test_a_table_written_in_parts_is_read_back_whole(form):
    parts = [detections(1, lost=(2,)), detections(4)]
    stream = io.StringIO()
    writer = CsvWriter(stream, form, "clips/anna, 1.mp4")
    for part in parts:
        writer.write(part)
    rows = list(csv.DictReader(io.StringIO(stream.getvalue())))
    expected = concatenate(parts).columns(form, "clips/anna, 1.mp4")
    assert len(rows) == 6 and list(rows[0]) == list(expected)
    for name, column in expected.items():
        if name in ("approx_time", "input"):
            assert [row[name] for row in rows] == column.tolist()
            continue
        read = np.array([float(row[name]) for row in rows])
        np.testing.assert_allclose(read, column, atol=6e-5, err_msg=name)


def test_py_feats_input_is_the_video_or_the_frames_own_file():
    table = dataclasses.replace(detections(), named=True)
    assert table.columns("fex", "a.mp4")["input"].tolist() == ["a.mp4"] * 3
    files = {number: Path(f"frames/{number}.png") for number in table.frames.tolist()}
    assert table.columns("fex", files)["input"].tolist() == [f"frames/{number}.png" for number in table.frames]
    assert "input" not in table.columns("openface", "a.mp4") and table.columns("fex")["input"].tolist() == [""] * 3


def test_columns_are_those_of_the_detections_aus():
    whole = detections()
    scores = {name: rows[:, :2] for name, rows in whole.scores.items()}
    part = dataclasses.replace(whole, aus=(5, 26), scores=scores, probabilities=None)
    columns = part.columns("openface")
    names = [name for name in columns if name.startswith("AU") and not np.isnan(columns[name]).all()]
    assert names == ["AU05_c", "AU26_c", "AU05_anet", "AU26_anet", "AU05_hybrid", "AU26_hybrid"]
    assert np.isnan(columns["AU05_p"]).all() and np.isnan(columns["AU26_r"]).all()
    assert [name for name in concatenate([part, part]).columns("fex") if name.startswith("AU")] == ["AU05", "AU26"]


def test_no_frames_and_an_unknown_format_are_refused():
    with pytest.raises(DataError, match="no frame"):
        concatenate([])
    with pytest.raises(CommandError, match="choose one of openface, fex"):
        detections().columns("csv")


def people():
    """Face 0 in frames 1 to 3, face 1 in frames 2 and 3; nobody in frame 4."""
    whole = concatenate([detections(1), detections(4, lost=(5,))])
    rows = np.array([0, 1, 1, 2, 2, 3])
    kept = {name: getattr(whole, name)[[0, 1, 3, 2, 5, 4]] for name in ("success", "confidence", "boxes", "landmarks")}
    scores = {name: part[[0, 1, 3, 2, 5, 4]] for name, part in whole.scores.items()}
    return dataclasses.replace(
        whole, **kept, frames=rows + 1, timestamps=rows / 25, scores=scores, probabilities=None, intensities=None,
        face_ids=np.array([0, 0, 1, 0, 1, 0]), reasons=np.array(["", "", "", "", "", "turned"]),
    )  # fmt: skip


@pytest.mark.parametrize("form", ["openface", "fex"])
def test_several_people_have_a_row_each_with_their_number(form):
    table = people().columns(form)
    assert table["face_id"].tolist() == [0, 0, 1, 0, 1, 0]
    assert table["frame"].tolist() == [number - (form == "fex") for number in (1, 2, 2, 3, 3, 4)]
    assert table["reason"].tolist() == [0] * 5 + [3]


def test_one_person_of_several_has_a_row_in_every_frame():
    whole = people()
    one = whole.of_person(1)
    assert one.frames.tolist() == [1, 2, 3, 4] and one.success.tolist() == [False, True, True, False]
    np.testing.assert_array_equal(one.scores["hybrid"][1:3], whole.scores["hybrid"][[2, 4]])
    assert np.isnan(one.scores["hybrid"][[0, 3]]).all() and np.isnan(one.boxes[0]).all()
    assert (one.confidence[[0, 3]] == 0).all() and one.reasons.tolist() == ["", "", "", "turned"]
    zero = whole.of_person(0)
    np.testing.assert_array_equal(zero.landmarks[:3], whole.landmarks[[0, 1, 3]])
    assert set(one.people) == {1}
