"""ANet: the mean image, and features of every frame in order."""

import jax
import numpy as np
import pytest

from au_jax import files
from au_jax.data import input_pipeline
from au_jax.errors import DataError
from au_jax.systems.anet import ANet, initial_params, make_cnn, subtract_mean

pytestmark = pytest.mark.optax


@pytest.fixture
def untrained(context):
    anet = ANet(context)
    anet._mean = np.zeros((40, 40, 3), np.float32)
    anet._params = initial_params(make_cnn(context.config.cnn, 12), context.config.data.crop_size, jax.random.key(0))
    return anet


def test_the_mean_is_cut_and_mirrored_as_the_crop(context):
    mean = np.arange(4 * 4 * 3, dtype=np.float32).reshape(4, 4, 3)
    window = mean[1:3, 2:4]
    for flip, expected in ((False, window), (True, window[:, ::-1])):
        image = np.full((2, 2, 3), 100, np.uint8)
        found = subtract_mean(*map(jax.numpy.asarray, (image, mean, np.array([1, 2], np.int32), flip)))
        np.testing.assert_array_equal(found, 100 - expected)


@pytest.mark.parametrize("kind", ["image", "channel"])
def test_the_mean_is_that_of_the_training_frames(context, parts, kind):
    context.config.cnn.mean = kind
    whole = input_pipeline.mean_image(parts[0])
    expected = np.broadcast_to(whole.mean((0, 1)), whole.shape) if kind == "channel" else whole
    np.testing.assert_array_equal(ANet(context)._fit_mean(parts[0]), expected)
    np.testing.assert_array_equal(files.read_npz(context.files.mean)["mean"], expected)


def test_features_are_of_every_frame_and_of_unit_length(untrained, parts):
    logits, fc7 = untrained.extract_features(parts[1])
    assert logits.shape == (len(parts[1]), 12) and logits.dtype == fc7.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(fc7, axis=1), 1.0, rtol=1e-5)
    assert [len(rows) for rows in untrained.score(parts[1]).values()] == [len(video) for video in parts[1].videos]


def test_features_that_are_not_finite_name_fold_frame_and_checkpoints(untrained, parts):
    untrained._params = jax.tree.map(lambda leaf: leaf.at[...].set(np.nan), untrained._params)
    with pytest.raises(
        DataError, match=r"fold_00/anet: scores of S004/T1, frame 1, are not finite; .*anet/checkpoints"
    ):
        untrained.extract_features(parts[1])
