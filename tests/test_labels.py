"""What was made with other AUs is refused, and says what to do."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from au_jax.config import get_config, with_defaults
from au_jax.data.dataset import FaceDataset
from au_jax.data.readers import make_reader
from au_jax.errors import UserError
from au_jax.labels import AU_NAMES, AUS, PAPER_AUS, check_aus
from au_jax.run import check_config

OTHERS = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)


def test_every_au_has_a_name():
    assert set(AUS) <= set(AU_NAMES) and set(OTHERS) <= set(AU_NAMES)


def test_aus_are_compared_in_their_order_and_those_of_before_are_the_papers():
    check_aus(list(AUS), "x")
    check_aus(None, "x")
    for found in (AUS[1:], AUS[::-1], OTHERS):
        with pytest.raises(UserError, match=r"x is of AUs .*, where AUS of au_jax/labels.py has 1, 2, 4, 6"):
            check_aus(found, "x")


def test_a_run_of_other_aus_is_refused():
    config = get_config()
    check_config(config)
    resolved = json.loads(config.to_json_best_effort())
    assert with_defaults(resolved)["aus"] == list(AUS)
    old = {name: value for name, value in resolved.items() if name != "aus"}
    assert with_defaults(old)["aus"] == list(PAPER_AUS)
    with pytest.raises(UserError, match="this run is of AUs 1, 2, 4, 5"):
        with_defaults({**resolved, "aus": list(OTHERS)})
    config.aus = OTHERS
    with pytest.raises(UserError, match="config.aus is of AUs"):
        check_config(config)


def test_a_dataset_keeps_its_aus_and_is_refused_under_others(dataset, monkeypatch):
    assert dataset._builder.info.metadata["aus"] == list(AUS)
    monkeypatch.setattr("au_jax.labels.AUS", OTHERS)
    with pytest.raises(UserError, match="the dataset in .* is of AUs 1, 2, 4, 6, 7, 10"):
        FaceDataset(dataset._builder)


def test_synthetic_faces_show_the_papers_aus_only(monkeypatch):
    monkeypatch.setattr("au_jax.data.readers.synthfacs.AUS", OTHERS)
    with pytest.raises(UserError, match="synthfacs draws the paper's AUs only"):
        make_reader(get_config().data)


@pytest.fixture(scope="module")
def dataset(data_directory):
    from au_jax.config import load
    from au_jax.data.preparation import prepare

    config = load("demo:smoke")
    config.data.directory = str(data_directory)
    return FaceDataset(prepare(config.data))


@pytest.mark.slow
def test_other_aus_are_trained_once_they_are_written_in_labels(tmp_path, scene):
    pytest.importorskip("dlib")
    from au_jax.faces.video_writer import VideoWriter

    root = Path(__file__).parents[1]
    for name in ("au_jax", "configs"):
        shutil.copytree(root / name, tmp_path / name)
    labels = tmp_path / "au_jax/labels.py"
    labels.write_text(
        labels.read_text().replace("AUS: tuple[int, ...] = PAPER_AUS", f"AUS: tuple[int, ...] = {OTHERS}")
    )
    pictures, codes = scene
    for person in range(4):
        folder = tmp_path / f"raw/P{person}"
        folder.mkdir(parents=True)
        writer = VideoWriter(folder / "clip.mp4", 25.0, *pictures.shape[1:3])
        for picture in pictures:
            writer.write(picture)
        writer.close()
        rows = [",".join(["frame", *(f"AU{au}" for au in OTHERS)])]
        rows += [f"{number},{','.join(map(str, (row > 0).astype(int)))}" for number, row in enumerate(codes)]
        (folder / "clip.csv").write_text("\n".join(rows) + "\n")
    smaller = [
        "--config.data.image_size=72", "--config.data.crop_size=68", "--config.cnn.variant=demo", "--config.cnn.width=0.25",
        "--config.cnn.epochs=1", "--config.protocol.folds=2", "--config.evaluation.bootstrap=20",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}

    def run(module, *options):
        command = [sys.executable, "-m", module, "--config=configs/folder.py", *options, *smaller]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]

    run("au_jax.prepare", "--raw=raw")
    run("au_jax.main", "--config.systems=('anet',)", "--workdir=runs/other")
    results = json.loads((tmp_path / "runs/other/results.json").read_text())
    assert set(results["systems"]["anet"]["f1_frame"]) == {*map(str, OTHERS), "average"}
