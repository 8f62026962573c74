"""The composed network on new videos: what the run scored, from the same faces, in parts of any length."""

import dataclasses
import subprocess
import sys
from functools import partial

import jax
import numpy as np
import pytest

from au_jax import files
from au_jax.data import input_pipeline
from au_jax.data.dataset import FaceDataset, FaceSet
from au_jax.data.preparation import prepare
from au_jax.errors import ConfigError
from au_jax.evaluation import tables
from au_jax.inference.detector import read_variables
from au_jax.labels import PROBABILITY
from au_jax.models import hybrid
from au_jax.run_dir import RunDir
from au_jax.systems.fusion_trainer import temporal_shape

pytestmark = pytest.mark.optax


@pytest.fixture(scope="module")
def video(finished):
    """A test video of fold 0: its faces as the dataset holds them, and what the run scored."""
    subject = files.read_json(finished / "split.json")["folds"][0]["test"][0]
    dataset = FaceDataset(prepare(RunDir(finished).config().data))
    place = dataset.records(subject).videos[1]
    batches = input_pipeline.ordered_batches(FaceSet(dataset, (subject,)), batch_size=64, crop_size=None)
    faces = np.concatenate([batch["image"][batch["mask"] > 0] for batch in batches])[place.start : place.stop]
    scored = {name: tables.read_scores(finished / "fold_00" / "scores" / f"{name}.npz") for name in hybrid.SYSTEMS}
    return faces, {name: scored[name].scores[place.key] for name in hybrid.SYSTEMS}


@pytest.mark.parametrize("lengths", [(24,), (7, 1, 16)])
def test_a_video_in_parts_scores_as_the_run_did(finished, video, lengths):
    config = RunDir(finished).config()
    faces, expected = video
    late = hybrid.delay(config, hybrid.SYSTEMS)
    assert late == config.fusion.lookahead == 2
    count = len(faces)
    # Behind the video's end stands anything.
    faces = np.concatenate([faces, np.full((late, *faces.shape[1:]), 99, np.uint8)])
    present = np.arange(len(faces)) < count
    variables = read_variables(config, finished / "fold_00", hybrid.SYSTEMS)
    step, carry = (
        jax.jit(partial(hybrid.apply, config, hybrid.SYSTEMS)),
        hybrid.initial_carry(config, hybrid.SYSTEMS),
    )
    parts, start = [], 0
    while start < len(faces):
        length = lengths[len(parts) % len(lengths)]
        part = slice(start, start + length)
        carry, scores = step(variables, carry, faces[part], present[part])
        parts.append(scores)
        start += length
    for name in hybrid.SYSTEMS:
        np.testing.assert_allclose(np.concatenate([part[name] for part in parts])[late:], expected[name], atol=2e-5)


def test_the_cnn_alone_needs_no_other_variables(finished, video):
    config = RunDir(finished).config()
    variables = read_variables(config, finished / "fold_00", ("anet",))
    assert set(variables) == {"cnn", "thresholds", "calibration"} and hybrid.initial_carry(config, ("anet",)) == {}
    _, scores = hybrid.apply(config, ("anet",), variables, {}, video[0])
    np.testing.assert_allclose(scores["anet"], video[1]["anet"], atol=2e-5)


def _random_variables(config, variant):
    """Variables of the whole network, by shapes alone and then zero."""
    cnn = hybrid.make_cnn(config.cnn, 2)
    lstm = hybrid.make_lstm(config.lstm, 2)
    fusion = hybrid.make_fusion(config.fusion, 2)
    key, crop = jax.random.key(0), np.zeros((1, config.data.crop_size, config.data.crop_size, 3), np.float32)
    shapes = {"features": ((5,), (config.lstm.hidden,)), "temporal": (temporal_shape(config.fusion, 2),) * 2}
    rows, hidden = (np.zeros((1, *shape), np.float32) for shape in shapes.get(variant, ((2,), (2,))))
    return {
        "cnn": {
            "params": jax.jit(cnn.init)(key, jax.numpy.asarray(crop))["params"],
            "mean": np.zeros((40, 40, 3), np.float32),
        },
        "pca": {"mean": np.zeros(256, np.float32), "components": np.eye(5, 256, dtype=np.float32)},
        "lstm": jax.jit(lstm.init)(key, jax.numpy.zeros((1, 1, 5)))["params"],
        "fusion": jax.jit(fusion.init)(key, jax.numpy.asarray(rows), jax.numpy.asarray(hidden))["params"],
        "thresholds": {"hybrid": np.array([0.0, 100.0], np.float32)},
    }


@pytest.mark.parametrize("variant", ["mean", "features", "temporal"])
def test_any_number_of_aus_and_each_kind_of_fusion(config, variant):
    config.data.aus = (6, 12)
    config.fusion.variant = variant
    config.lstm.pca_components = 5
    variables = _random_variables(config, variant)
    faces = np.random.default_rng(0).integers(0, 256, (3, 40, 40, 3), np.uint8)
    carry = hybrid.initial_carry(config, ("hybrid",))
    variables["calibration"] = np.array([[1.0, 0.0], [0.5, -1.0]], np.float32)
    new_carry, scores = hybrid.apply(config, ("hybrid",), variables, carry, faces)
    expected = 1 / (1 + np.exp(-np.asarray(scores["hybrid"])[:, 0] - 0.5)), np.full(3, 1 / (1 + np.exp(1.0)))
    np.testing.assert_allclose(scores[PROBABILITY], np.stack(expected, 1), atol=1e-6)
    assert scores["hybrid"].shape == (3, 2) and jax.tree.structure(new_carry) == jax.tree.structure(carry)
    # The threshold of the second AU is 100: nothing comes near it.
    assert (np.asarray(scores["hybrid"])[:, 1] < -50).all()


def test_a_bidirectional_lstm_is_refused_with_the_remedy(config):
    config.lstm.bidirectional = True
    with pytest.raises(ConfigError, match="--systems=anet, or train a run with --config.lstm.bidirectional=False"):
        hybrid.check_streamable(config, hybrid.SYSTEMS)
    hybrid.check_streamable(config, ("anet",))


def test_projection_is_that_of_training_in_numpy_and_jax():
    rng = np.random.default_rng(0)
    fc7, mean, components = (rng.normal(size=shape).astype(np.float32) for shape in ((4, 6), (6,), (3, 6)))
    expected = np.array([[sum((row - mean) * direction) for direction in components] for row in fc7])
    np.testing.assert_allclose(hybrid.project(fc7, mean, components), expected, rtol=1e-5)
    projected = hybrid.project(*map(jax.numpy.asarray, (fc7, mean, components)))
    assert isinstance(projected, jax.Array) and isinstance(hybrid.project(fc7, mean, components), np.ndarray)
    np.testing.assert_allclose(projected, expected, rtol=1e-5)


def test_builders_take_every_field_of_the_config(config):
    config.cnn.width, config.cnn.dropout, config.lstm.burn_in, config.fusion.hidden = 0.5, 0.25, 0, 7
    cnn, lstm, fusion = (
        hybrid.make_cnn(config.cnn, 3),
        hybrid.make_lstm(config.lstm, 4),
        hybrid.make_fusion(config.fusion, 5),
    )
    assert (cnn.width, cnn.dropout, cnn.num_outputs) == (0.5, 0.25, 3)
    assert (lstm.stop_gradient_step, lstm.num_outputs, lstm.hidden) == (None, 4, config.lstm.hidden)
    assert (fusion.hidden, fusion.num_outputs) == (7, 5)
    # What is not in the config is the model's own.
    assert {field.name for field in dataclasses.fields(lstm)} >= {"head", "kernel"}


def test_models_import_without_tensorflow_and_scikit_learn():
    program = (
        "import sys\nfrom au_jax.models import cnn, fusion, hybrid, lstm, lstm_kernel\n"
        "assert not {'tensorflow', 'sklearn', 'orbax'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
