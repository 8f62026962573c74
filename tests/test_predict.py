"""AUs of new videos with a finished run: the command line, the Python call, and what goes wrong."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from au_jax.errors import UserError

pytest.importorskip("dlib")
pytest.importorskip("av")

from au_jax.faces.decoding import read_pictures
from au_jax.faces.video_writer import VideoWriter
from au_jax.inference.detector import Detector
from au_jax.predict import Outputs, predict

FRAMES = 37
EMPTY = slice(20, 23)  # frames in which nobody is there


@pytest.fixture(scope="module")
def clip(tmp_path_factory, scene):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    pictures = scene[0].copy()
    pictures[EMPTY] = 90
    with VideoWriter(path, 25, 240, 240) as writer:
        for row, picture in enumerate(pictures):
            # Every other frame stands longer: the times are the file's, not a rate's.
            writer.write(picture, timestamp=row * 0.04 + (row % 2) * 0.01)
    return path


@pytest.fixture(scope="module")
def table(finished, clip):
    return Detector.from_run(finished).detect(clip)


def command(*options):
    arguments = [sys.executable, "-m", "au_jax.predict", *options]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.run(arguments, env=environment, capture_output=True, text=True)


def test_every_frame_has_a_row_whether_or_not_there_is_a_face(table):
    np.testing.assert_array_equal(table.frames, np.arange(1, FRAMES + 1))
    rows = np.arange(FRAMES)
    np.testing.assert_allclose(table.timestamps, rows * 0.04 + (rows % 2) * 0.01, atol=1e-4)
    expected = np.ones(FRAMES, bool)
    expected[EMPTY] = False
    np.testing.assert_array_equal(table.success, expected)
    assert set(table.scores) == {"anet", "hybrid"}
    for scores in table.scores.values():
        np.testing.assert_array_equal(np.isfinite(scores).all(1), expected)
    assert not table.present[EMPTY].any()
    assert (table.confidence[expected] > 0.3).all() and (table.confidence[~expected] == 0).all()


def test_parts_of_any_length_give_the_same_table(finished, clip, table):
    parts = list(Detector.from_run(finished).stream(read_pictures(clip), chunk=5))
    assert [len(part) for part, _ in parts] == [5] * 7 + [2]
    scores = np.concatenate([part.scores["hybrid"] for part, _ in parts])
    np.testing.assert_allclose(scores, table.scores["hybrid"], atol=2e-5)


def test_scores_are_the_mean_over_folds(finished, clip, table):
    single = [Detector.from_run(finished, folds=[index]).detect(clip).scores for index in (0, 1)]
    for name, scores in table.scores.items():
        np.testing.assert_allclose(scores, (single[0][name] + single[1][name]) / 2, atol=2e-5)
    assert not np.allclose(single[0]["anet"][0], single[1]["anet"][0])


def test_a_detector_says_what_it_is(finished):
    assert repr(Detector.from_run(finished)) == "Detector(systems=('anet', 'hybrid'), folds=2, image_size=40)"


def test_a_folder_of_frames_is_scored_as_its_pictures_are(finished, clip, tmp_path):
    for picture in read_pictures(clip):
        Image.fromarray(picture.image).save(tmp_path / f"{picture.number + 7}.png")
    table = Detector.from_run(finished, systems=["anet"]).detect(tmp_path, fps=50)
    np.testing.assert_array_equal(table.frames, np.arange(8, FRAMES + 8))
    np.testing.assert_allclose(table.timestamps, np.arange(FRAMES) / 50)
    assert list(table.scores) == ["anet"]


def test_the_command_writes_table_overlay_and_plot(finished, clip, table, tmp_path):
    out, overlay, plot = (tmp_path / name for name in ("out.csv", "out.mp4", "out.png"))
    done = command(
        f"--run={finished}", f"--video={clip}", f"--out={out}", f"--overlay={overlay}", f"--plot={plot}"
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"{FRAMES} frames, {FRAMES - 3} with a face" in done.stdout
    with open(out) as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["frame"]) for row in rows] == list(range(1, FRAMES + 1))
    assert [row["success"] for row in rows] == ["1" if found else "0" for found in table.success]
    written = np.array([float(row["AU12_hybrid"] or "nan") for row in rows])
    np.testing.assert_allclose(written, table.scores["hybrid"][:, 6], atol=1e-4)
    drawn, plain = list(read_pictures(overlay)), list(read_pictures(clip))
    assert len(drawn) == FRAMES
    np.testing.assert_allclose([p.timestamp for p in drawn], [p.timestamp for p in plain], atol=1e-3)
    difference = np.abs(drawn[0].image.astype(int) - plain[0].image).mean()
    assert difference > 3
    assert Image.open(plot).size[0] > 1000


def test_several_people_are_told_of_in_one_line(finished, clip, scene, tmp_path):
    pair, out = tmp_path / "pair.mp4", tmp_path / "out.csv"
    with VideoWriter(pair, 25, 480, 240) as writer:
        for row, picture in enumerate(scene[0][:8]):
            writer.write(np.concatenate([picture, picture], 1), timestamp=row * 0.04)
    done = command(f"--run={finished}", f"--video={pair}", f"--out={out}", "--folds=0", "--systems=anet")
    assert done.returncode == 0, done.stderr
    _, told = done.stdout.splitlines()
    assert told.startswith("up to 2 faces in a frame; the largest at first is followed")
    assert len(out.read_text().splitlines()) == 9
    assert predict(Detector.from_run(finished, folds=[0]), str(clip), Outputs(out))["together"] == 1


@pytest.mark.parametrize(
    ("name", "content"), [("nowhere.mp4", None), ("empty.mp4", b""), ("text.mp4", b"not a video at all" * 50)]
)
def test_what_is_no_video_is_told_and_costs_no_older_table(finished, tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    out = tmp_path / "out.csv"
    out.write_text("older")
    with pytest.raises(UserError, match=name):
        predict(Detector.from_run(finished, folds=[0]), str(tmp_path / name), Outputs(out))
    assert out.read_text() == "older"


def test_a_mistaken_command_ends_with_one_line_and_a_status(tmp_path):
    done = command(f"--run={tmp_path}", "--video=clip.mp4", f"--out={tmp_path / 'out.csv'}")
    lines = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert done.returncode == 1 and len(lines) == 1 and "no config.json" in lines[0]
    assert "Traceback" not in done.stderr


def test_runs_that_cannot_serve_are_told(finished, tmp_path):
    with pytest.raises(UserError, match=r"no config.json"):
        Detector.from_run(tmp_path)
    with pytest.raises(UserError, match=r"has folds 0 to 1, not \[5\]"):
        Detector.from_run(finished, folds=[5])
    with pytest.raises(UserError, match=r"choose among anet, hybrid"):
        Detector.from_run(finished, systems=["hog_svm"])
    shutil.copytree(finished, tmp_path / "part")
    shutil.rmtree(tmp_path / "part" / "fold_01" / "scores")
    with pytest.raises(UserError, match=r"fold 1 has no anet and hybrid; .*choose among the finished folds \[0\]"):
        Detector.from_run(tmp_path / "part")
    assert Detector.from_run(tmp_path / "part", folds=[0]).systems == ("anet", "hybrid")
