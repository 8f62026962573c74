"""Trained networks on a stream of faces: what the run scored, from the same faces, in parts of any length."""

import json
import shutil

import numpy as np
import pytest

from au_jax import files
from au_jax.data import input_pipeline
from au_jax.data.dataset import FaceDataset, FaceSet
from au_jax.errors import UserError
from au_jax.evaluation import tables
from au_jax.inference import streaming
from au_jax.prepare import prepare
from au_jax.run_dir import RunDir

pytestmark = pytest.mark.optax

SYSTEMS = ("anet", "hybrid")


@pytest.fixture(scope="module")
def video(finished):
    """A test video of fold 0: its key, its faces as the dataset holds them, and what the run scored."""
    subject = files.read_json(finished / "split.json")["folds"][0]["test"][0]
    dataset = FaceDataset(prepare(RunDir(finished).config().data))
    place = dataset.records(subject).videos[1]
    batches = input_pipeline.ordered_batches(FaceSet(dataset, (subject,)), batch_size=64, crop_size=None)
    faces = np.concatenate([batch["image"][batch["mask"] > 0] for batch in batches])[place.start : place.stop]
    scored = {name: tables.read_scores(finished / "fold_00" / "scores" / f"{name}.npz") for name in SYSTEMS}
    return faces, {name: scored[name].scores[place.key] for name in SYSTEMS}


@pytest.mark.parametrize("lengths", [(24,), (7, 1, 16)])
def test_a_stream_in_parts_scores_as_the_run_did(finished, video, lengths):
    config = RunDir(finished).config()
    faces, expected = video
    variables, carry = (
        streaming.load(config, finished / "fold_00", SYSTEMS),
        streaming.initial_carry(config, SYSTEMS),
    )
    step = streaming.make_step(config, SYSTEMS)
    parts, start = [], 0
    while start < len(faces):
        length = lengths[len(parts) % len(lengths)]
        carry, scores = step(variables, carry, faces[start : start + length])
        parts.append(scores)
        start += length
    for name in SYSTEMS:
        np.testing.assert_allclose(np.concatenate([part[name] for part in parts]), expected[name], atol=2e-5)


def test_the_cnn_alone_needs_no_temporal_network(finished, video, tmp_path):
    config = RunDir(finished).config()
    shutil.copytree(finished / "fold_00", tmp_path / "fold_00")
    shutil.rmtree(tmp_path / "fold_00" / "hybrid")
    variables = streaming.load(config, tmp_path / "fold_00", ("anet",))
    _, scores = streaming.make_step(config, ("anet",))(variables, (), video[0])
    np.testing.assert_allclose(scores["anet"], video[1]["anet"], atol=2e-5)
    with pytest.raises(UserError, match=r"hybrid.*run au_jax.main on this workdir again"):
        streaming.load(config, tmp_path / "fold_00", SYSTEMS)


def test_a_bidirectional_lstm_is_refused_with_the_remedy(finished):
    config = RunDir(finished).config()
    config.lstm.bidirectional = True
    with pytest.raises(UserError, match="--systems=anet"):
        streaming.make_step(config, SYSTEMS)
    streaming.make_step(config, ("anet",))


def test_a_damaged_checkpoint_is_named_with_its_remedy(finished, tmp_path):
    config = RunDir(finished).config()
    shutil.copytree(finished / "fold_00", tmp_path / "fold_00")
    lstm = tmp_path / "fold_00" / "hybrid" / "lstm"
    best = json.loads((lstm / "finished.json").read_text())["best_epoch"]
    shutil.rmtree(lstm / "checkpoints" / str(best))
    with pytest.raises(UserError, match=r"hybrid/lstm.*cannot be read.*delete the folder scores"):
        streaming.load(config, tmp_path / "fold_00", SYSTEMS)


def test_a_folder_that_is_no_run_is_told(tmp_path):
    with pytest.raises(UserError, match=r"no config.json"):
        RunDir(tmp_path).config()
