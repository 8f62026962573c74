"""The circle of docs/tutorials/code-train-correct.md, small: coded in ELAN, trained, predicted, corrected, trained again."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from au_jax import files, synthfacs
from au_jax.config import get_config
from au_jax.data.annotations.elan import read_elan
from au_jax.data.annotations.elan_writer import write_elan
from au_jax.data.annotations.events import Event, events_from_labels
from au_jax.data.preparation import load_dataset
from au_jax.labels import PAPER_AUS

pytest.importorskip("dlib")
pytest.importorskip("av")

FRAMES, SIZE, FPS = 30, 240, 25


def film(number, path):
    """A person's video, and the codes of its frames [T, 12] int8."""
    from au_jax.faces.video_writer import VideoWriter

    preset = dataclasses.replace(synthfacs.presets.CLEAR, frames_per_video=FRAMES, length_spread=0.0)
    chunks = list(synthfacs.render_video(preset, 5, f"F{number:03}", "T1", view="scene", size=SIZE))
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, FPS, SIZE, SIZE) as writer:
        for picture in np.concatenate([chunk.frames for chunk in chunks]):
            writer.write(picture)
    return np.concatenate([chunk.labels for chunk in chunks]).astype(np.int8)


def code(labels, path):
    """Codes as a coder of ELAN leaves them."""
    write_elan(
        path, events_from_labels(labels, np.arange(len(labels)) / FPS, PAPER_AUS), media=path.with_suffix(".mp4").name
    )


def run(folder, command, *options):
    root = Path(__file__).parents[1]
    words = [sys.executable, "-m", "au_jax", command, *options]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def prepare_and_train(folder, name):
    config = (f"--config={Path(__file__).parents[1] / 'configs/demo.py'}:smoke", "--config.data.source=folder",
              f"--config.data.name={name}", "--config.data.image_size=40")  # fmt: skip
    said = run(folder, "prepare", *config, "--raw=coded")
    run(
        folder, "train", *config, f"--workdir=runs/{name}", "--config.protocol.folds=2", "--config.evaluation.bootstrap=20",
        "--config.systems=('anet',)",
    )  # fmt: skip
    assert (folder / f"runs/{name}/results.json").exists()
    return said


@pytest.mark.slow
def test_codes_go_from_elan_to_a_detector_and_back_and_corrections_are_trained(tmp_path):
    truth = {number: film(number, tmp_path / f"coded/p{number}/talk.mp4") for number in range(1, 5)}
    for number, labels in truth.items():
        code(labels, tmp_path / f"coded/p{number}/talk.eaf")
    said = prepare_and_train(tmp_path, "first")
    assert next(line for line in said.splitlines() if line.startswith("p1/talk: talk.eaf")).split()[2] == "ELAN"
    report = files.read_json(next((tmp_path / "data").glob("first*px.json")))
    assert [file["facts"]["kind"] for file in report["check"]["label_files"]] == ["ELAN"] * 4
    assert list((tmp_path / "data").glob("first*_codes.png"))

    for number in (5, 6):
        truth[number] = film(number, tmp_path / f"coded/p{number}/talk.mp4")
        path = tmp_path / f"predicted/p{number}/talk.eaf"
        path.parent.mkdir(parents=True)
        run(
            tmp_path,
            "predict",
            "--run=runs/first",
            f"--video=coded/p{number}/talk.mp4",
            "--format=eaf",
            f"--out={path}",
        )
        predicted = read_elan(path)
        assert predicted.aus == PAPER_AUS and predicted.media == ("talk.mp4",)
        # What a coder does with the predicted tiers: AU 12 is set anew, from frame 6 to 15; the rest stays.
        kept = [event for event in predicted.events if event.au != 12] + [Event(12, 5 / FPS, 15 / FPS)]
        write_elan(tmp_path / f"coded/p{number}/talk.eaf", dataclasses.replace(predicted, events=tuple(kept)))

    (tmp_path / "corrected").mkdir()
    for number in (5, 6):
        (tmp_path / f"corrected/p{number}").mkdir()
        (tmp_path / f"corrected/p{number}/talk.eaf").write_bytes((tmp_path / f"coded/p{number}/talk.eaf").read_bytes())
    said = run(tmp_path, "agreement", "--first=predicted", "--second=corrected", "--videos=coded", "--out=agreement")
    document = files.read_json(tmp_path / "agreement/agreement.json")
    assert document["recordings"] == ["p5/talk", "p6/talk"] and said.count("AU ") >= 12
    assert document["aus"]["6"]["value_low_high"]["pabak"][0] == 1.0
    assert document["aus"]["12"]["events"][1] == 2 and document["aus"]["12"]["value_low_high"]["pabak"][0] < 1.0

    prepare_and_train(tmp_path, "second")
    report = files.read_json(next((tmp_path / "data").glob("second*px.json")))
    assert report["check"]["counts"]["subjects"] == 6
    data = get_config().data
    data.update({"source": "folder", "name": "second", "image_size": 40, "directory": str(tmp_path / "data")})
    dataset = load_dataset(data)
    for number in (5, 6):
        records = dataset.records(f"p{number}")
        labels = records.labels[:, PAPER_AUS.index(12)][records.face_detected]
        expected = np.where((records.frame_numbers >= 6) & (records.frame_numbers <= 15), 1, -1)[records.face_detected]
        assert labels.tolist() == expected.tolist()
