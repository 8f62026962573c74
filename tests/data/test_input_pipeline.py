"""An epoch of the CNN's frames: pinned to the byte, and the same wherever they are kept (on the device, in distribution)."""

import dataclasses
import io

import jax
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from au_jax.config import load
from au_jax.data import input_pipeline
from au_jax.data.dataset import FaceSet
from au_jax.data.input_pipeline import make_input_pipeline
from au_jax.systems.anet import ANet
from au_jax.training import trainer

pytestmark = pytest.mark.optax


@pytest.fixture
def faces(dataset):
    return FaceSet(dataset, ("S001", "S004"))


def epochs(faces, config, cache, count=2):
    config.data.cache = cache
    pipeline = make_input_pipeline(faces, config, 5)
    return pipeline, [list(pipeline.batches(epoch)) for epoch in range(count)]


@pytest.mark.parametrize("changes", [{}, {"frame_step": 3}, {"sampling": "momu"}])
def test_frames_on_the_host_make_the_stream_itself(faces, config, changes):
    config.cnn.update(changes)
    for plain, cached in zip(epochs(faces, config, "none")[1], epochs(faces, config, "host")[1], strict=True):
        for one, other in zip(plain, cached, strict=True):
            assert list(one) == list(other)
            for name in one:
                assert one[name].dtype == other[name].dtype
                np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def shown(pipeline, batches, epoch):
    """The frames that a step on the device makes of an epoch's batches."""
    constants = pipeline.epoch_constants(epoch)
    step = jax.jit(jax.vmap(pipeline.example, in_axes=(None, 0)))
    parts = [step(constants, batch) for batch in batches]
    return {name: np.concatenate([np.asarray(part[name]) for part in parts]) for name in parts[0]}


@pytest.mark.parametrize("frame_step", [1, 3])
def test_an_epoch_on_the_device_shows_every_frame_once_cropped_and_mirrored(faces, config, frame_step):
    config.cnn.frame_step = frame_step
    whole = np.concatenate([batch["image"][batch["mask"] > 0] for batch in _whole(faces)])
    pipeline, batches = epochs(faces, config, "device")
    for epoch in range(2):
        rows = shown(pipeline, batches[epoch], epoch)
        kept = rows["mask"] > 0
        usable = np.flatnonzero(input_pipeline.training_rows(faces, frame_step, epoch))
        numbers = []
        for image, (y, x), flip in zip(rows["image"][kept], rows["offset"][kept], rows["flip"][kept], strict=True):
            image = image[:, ::-1] if flip else image
            window = whole[usable, y : y + 36, x : x + 36]
            numbers.append(usable[np.flatnonzero((window == image).all((1, 2, 3)))[0]])
        # With a frame_step, an epoch ends with the steps of the shortest one.
        assert len(set(numbers)) == len(numbers) == min(len(usable), pipeline.steps_per_epoch * config.cnn.batch_size)
        np.testing.assert_array_equal(rows["labels"][kept], faces.labels[numbers])


def _whole(faces):
    return input_pipeline.ordered_batches(faces, batch_size=16, crop_size=None)


def test_balanced_batches_on_the_device_hold_the_rare_aus(faces, config):
    config.cnn.sampling = "momu"
    pipeline, (batches,) = epochs(faces, config, "device", count=1)
    balanced = (shown(pipeline, batches, 0)["labels"] > 0).mean(0)
    plain = (faces.labels > 0).mean(0)
    rare = np.where(plain > 0, plain, 1.0).argmin()
    assert balanced[rare] > plain[rare] and balanced.std() < plain.std()


def test_an_epoch_on_the_device_is_the_same_after_a_new_start(faces, config):
    (first, batches), (again, others) = (epochs(faces, config, "device") for _ in range(2))
    before, after = shown(first, batches[1], 1), shown(again, others[1], 1)
    for name in before:
        np.testing.assert_array_equal(before[name], after[name])
    assert (before["offset"] != shown(first, batches[0], 0)["offset"]).any()


@pytest.fixture
def short(config):
    config.cnn.epochs = 2
    config.data.cache = "device"
    return config


@pytest.mark.slow
def test_a_killed_run_on_the_device_ends_in_the_same_parameters(short, context, parts, monkeypatch):
    train, validation, _ = parts
    whole = ANet(context)
    whole.fit(train, validation)
    # Another folder, the same seeds.
    killed = dataclasses.replace(context, directory=context.directory / "killed")
    run_epoch = trainer._run_epoch

    def dying(spec, state, epoch, *more):
        if epoch == 1:
            raise KeyboardInterrupt
        return run_epoch(spec, state, epoch, *more)

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "_run_epoch", dying)
        with pytest.raises(KeyboardInterrupt):
            ANet(killed).fit(train, validation)
    resumed = ANet(killed)
    resumed.fit(train, validation)
    jax.tree.map(np.testing.assert_array_equal, resumed._params, whole._params)


def test_nothing_is_kept_by_default():
    assert load("demo").data.cache == "none"


def test_crops_are_cut_and_mirrored():
    frames = np.arange(2 * 3 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3, 3)
    out = input_pipeline.cut_crops(frames, 2, np.array([1, 0]), np.array([[1, 0], [0, 1]]), np.array([False, True]))
    np.testing.assert_array_equal(out[0], frames[1, 1:, :2])
    np.testing.assert_array_equal(out[1], frames[0, :2, [2, 1]].transpose(1, 0, 2))


def test_training_and_scoring_see_the_pixels_that_any_decoder_gives(faces, config):
    """TensorFlow's default transform is a level off on average, which turned 0.2 to 0.9 % of decisions."""
    paths = faces.shards()
    records = [faces.dataset.parse(record)["image"].numpy() for record in tf.data.TFRecordDataset(paths)]
    expected = np.stack([np.asarray(Image.open(io.BytesIO(record))) for record in records])
    frames = np.stack(list(input_pipeline.read_frames(faces, range(len(faces)))))
    np.testing.assert_array_equal(frames, expected)
    assert (np.stack([tf.io.decode_jpeg(record, channels=3) for record in records]) != expected).any()
    crop = 32
    start = (expected.shape[1] - crop) // 2
    window = slice(start, start + crop)
    batches = input_pipeline.ordered_batches(faces, batch_size=7, crop_size=crop)
    shown = np.concatenate([batch["image"][batch["mask"] > 0] for batch in batches])
    np.testing.assert_array_equal(shown, expected[:, window, window])
    pipeline = make_input_pipeline(faces, config, 5)
    batch = next(iter(pipeline.batches(0)))
    crop = config.data.crop_size
    places = range(expected.shape[1] - crop + 1)
    every = {image[y : y + crop, x : x + crop].tobytes() for image in expected for y in places for x in places}
    mirrored = [image[:, ::-1] if flip else image for image, flip in zip(batch["image"], batch["flip"], strict=True)]
    assert all(np.ascontiguousarray(image).tobytes() in every for image in mirrored)
