"""OpenFace's and py-feat's columns: what their own readers ask for is there, with their units and signs."""

import csv
import io
import sys
import types

import numpy as np
import pytest

from au_jax.faces.head_pose import MODEL
from au_jax.faces.tracking import INNER
from au_jax.inference.peer_columns import FEX_EMOTIONS, OPENFACE_INTENSITIES, OPENFACE_OCCURRENCES
from au_jax.inference.writers import CsvWriter, Detections
from au_jax.labels import PAPER_AUS

ROWS = 4


def turned(yaw, pitch=0.0):
    """68 landmarks of the mean face, whose inner 49 are turned by degrees."""
    a, b = np.radians([pitch, yaw])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    landmarks = np.zeros((68, 2), np.float32)
    landmarks[list(INNER)] = (MODEL @ (about_x @ about_y).T)[:, :2] + 100
    return landmarks


@pytest.fixture
def detections():
    landmarks = np.stack([turned(0), turned(30), turned(-20, 10), np.full((68, 2), np.nan)]).astype(np.float32)
    success = np.array([True, True, True, False])
    scores = np.where(success[:, None], np.linspace(-1, 1, 12), np.nan).astype(np.float32)
    boxes = np.where(success[:, None], np.float32([10, 20, 80, 90]), np.nan).astype(np.float32)
    return Detections(
        PAPER_AUS, np.arange(1, 5), np.arange(4) * 20.5, success, success.astype(np.float32), boxes, landmarks,
        {"anet": -scores, "hybrid": scores},
    )  # fmt: skip


def test_head_rotation_has_openfaces_sign_and_radians_and_degrees_beside_them(detections):
    columns = detections.columns("openface")
    np.testing.assert_allclose(columns["pose_Ry"][:3], np.radians([0, 30, -20]), atol=1e-3)
    np.testing.assert_allclose(columns["pose_Rx"][:3], np.radians([0, 0, 10]), atol=1e-3)
    np.testing.assert_allclose(columns["yaw_degrees"][:3], [0, 30, -20], atol=0.05)
    assert np.isnan([columns[name][3] for name in ("pose_Rx", "pose_Ry", "pose_Rz", "roll_degrees")]).all()


def test_head_rotation_has_py_feats_sign_and_radians(detections):
    columns = detections.columns("fex")
    # To the person's right (the left of the picture) is positive in both, looking down negative here.
    np.testing.assert_allclose(columns["Yaw"][:3], np.radians([0, 30, -20]), atol=1e-3)
    np.testing.assert_allclose(columns["Pitch"][:3], np.radians([0, 0, -10]), atol=1e-3)
    assert columns["approx_time"].tolist() == ["00:00", "00:20", "00:41", "01:01"]
    assert np.isnan([columns[name] for name in (*FEX_EMOTIONS, "X", "Y", "Z")]).all()


def test_openfaces_columns_are_in_its_order(detections):
    names = list(detections.columns("openface"))
    assert names[:5] == ["frame", "face_id", "timestamp", "confidence", "success"]
    places = [
        names.index(name)
        for name in ("success", "gaze_0_x", "pose_Tx", "pose_Rx", "x_0", "AU01_r", "AU01_c", "AU01_anet")
    ]
    assert places == sorted(places)
    for ending, aus in (("_r", OPENFACE_INTENSITIES), ("_c", OPENFACE_OCCURRENCES)):
        listed = [name for name in names if name[-2:] == ending and name[2:-2].isdecimal()]
        assert listed == sorted(listed) and {f"AU{au:02d}{ending}" for au in aus} <= set(listed)


def written(detections, form, path, source="clip.mp4"):
    stream = io.StringIO()
    CsvWriter(stream, form, source).write(detections)
    path.write_text(stream.getvalue())
    return str(path)


@pytest.fixture
def feat(monkeypatch):
    """py-feat, of which the readers alone are used; it decodes videos by a package that needs FFmpeg's own libraries."""
    pytest.importorskip("pandas")
    pytest.importorskip("torchvision")
    try:
        import torchcodec.decoders  # noqa: F401
    except Exception:
        stand_in = types.ModuleType("torchcodec.decoders")
        stand_in.__dict__["VideoDecoder"] = None
        monkeypatch.setitem(sys.modules, "torchcodec", types.ModuleType("torchcodec"))
        monkeypatch.setitem(sys.modules, "torchcodec.decoders", stand_in)
    return pytest.importorskip("feat")


@pytest.mark.filterwarnings("ignore")
def test_py_feat_reads_openface_tables(feat, detections, tmp_path):
    from feat.utils.io import read_openface

    fex = read_openface(written(detections, "openface", tmp_path / "clip.csv"))
    assert fex.aus.shape == (ROWS, 17 + 18) and fex.poses.shape == (ROWS, 6) and fex.gazes.shape == (ROWS, 6)
    assert fex.landmarks.shape == (ROWS, 136) and fex["input"].tolist() == [str(tmp_path / "clip.csv")] * ROWS
    np.testing.assert_allclose(fex.poses["pose_Ry"][:3], np.radians([0, 30, -20]), atol=1e-3)
    assert fex.aus["AU23_c"].tolist() == [1, 1, 1, 0]
    assert fex.aus.baseline().shape == fex.aus.shape
    assert all(kind.kind in "fi" for kind in fex.aus.dtypes)
    assert fex.isc("AU23_c").shape == (1, 1)


@pytest.mark.filterwarnings("ignore")
def test_py_feat_reads_its_own_tables(feat, detections, tmp_path):
    from feat.utils.io import read_feat

    fex = read_feat(written(detections, "fex", tmp_path / "clip.csv"))
    assert fex.aus.shape == (ROWS, 12) and fex.poses.shape == (ROWS, 6)
    assert fex.emotions.shape == (ROWS, 7) and fex.emotions.isna().all(axis=None)
    assert fex.faceboxes.shape[0] == ROWS and fex.landmarks.shape == (ROWS, 136)
    np.testing.assert_allclose(fex.poses["Yaw"][:3], np.radians([0, 30, -20]), atol=1e-3)
    assert fex.aus.baseline().shape == fex.aus.shape
    assert fex.inputs.tolist() == ["clip.mp4"] * ROWS
    assert list(fex.isc("timestamp").columns) == ["clip.mp4"]


@pytest.mark.filterwarnings("ignore")
def test_py_feat_plots_its_own_tables(feat, detections, tmp_path):
    plot = pytest.importorskip("matplotlib.pyplot")
    from feat.utils.io import read_feat

    fex = read_feat(written(detections, "fex", tmp_path / "clip.csv"))
    # The picture itself would be decoded by FFmpeg's own libraries.
    figures = fex.plot_detections(poses=True, plot_original_image=False)
    assert len(figures) == ROWS
    plot.close("all")


def late(count, first):
    """A clip whose first frames show no face; `first` is the first that does."""
    success = np.arange(count) >= first
    landmarks = np.where(success[:, None, None], turned(10), np.nan).astype(np.float32)
    scores = np.where(success[:, None], np.sin(np.arange(count) / 5)[:, None] + np.zeros(12), np.nan).astype(np.float32)
    boxes = np.where(success[:, None], np.float32([10, 20, 80, 90]), np.nan).astype(np.float32)
    return Detections(
        PAPER_AUS, np.arange(1, count + 1), np.arange(count) / 25, success, success.astype(np.float32), boxes, landmarks,
        {"hybrid": scores}, np.abs(scores) / 2,
    )  # fmt: skip


TEXTS = {"openface": set(), "fex": {"approx_time", "input"}}
"""Columns that are not numbers; the clock of py-feat is a time of day."""


@pytest.mark.parametrize("form", ["openface", "fex"])
@pytest.mark.parametrize("first", [0, 150, 200])
def test_no_cell_is_empty_however_late_the_first_face_comes(form, first, tmp_path):
    with open(written(late(200, first), form, tmp_path / "clip.csv")) as stream:
        header, *rows = csv.reader(stream)
    for name, column in zip(header, zip(*rows, strict=True), strict=True):
        if name not in TEXTS[form]:
            assert all(cell == "NaN" or np.isfinite(float(cell)) for cell in column), name


@pytest.mark.parametrize("form", ["openface", "fex"])
@pytest.mark.parametrize("first", [0, 150, 200])
def test_pyarrow_types_columns_as_numbers(form, first, tmp_path):
    arrow = pytest.importorskip("pyarrow.csv")
    table = arrow.read_csv(written(late(200, first), form, tmp_path / "clip.csv"))
    kinds = {field.name: str(field.type) for field in table.schema}
    # A column without any value has no type.
    assert {kind for name, kind in kinds.items() if name not in TEXTS[form]} <= {"int64", "double", "null"}
    score = "AU12_hybrid" if form == "openface" else "AU12"
    assert kinds[score] == ("double" if first < 200 else "null")


@pytest.mark.parametrize("form", ["openface", "fex"])
@pytest.mark.parametrize("first", [0, 150, 200])
def test_polars_types_every_column_as_numbers(form, first, tmp_path):
    polars = pytest.importorskip("polars")
    schema = polars.read_csv(written(late(200, first), form, tmp_path / "clip.csv")).schema
    assert {name for name, kind in schema.items() if not kind.is_numeric()} == TEXTS[form]


@pytest.mark.filterwarnings("ignore")
def test_exploface_finds_events_in_openface_tables(tmp_path):
    exploface = pytest.importorskip("exploface")
    path = written(late(200, 50), "openface", tmp_path / "clip.csv")
    assert exploface.get_info(path)["duration"] == pytest.approx(199 / 25)
    found = exploface.get_detections(exploface.get_feature_time_series(path))
    assert set(found["feature"]) == {f"AU{au:02d}" for au in PAPER_AUS} and found["start"].min() >= 50 / 25
