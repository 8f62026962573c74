"""Streams of rendered faces for `experiments.benchmark`; needs TensorFlow."""

from typing import Any

import tensorflow as tf

from au_jax.config import get_config
from au_jax.data import input_pipeline
from au_jax.data.dataset import FaceDataset, FaceSet
from au_jax.data.preparation import prepare

TIMES = 20
"""How often the few rendered faces are read in one stream, so that it is not its start that is timed."""


def faces(folder: str, count: int, crop: int, total: int) -> FaceSet:
    """Renders about `count` faces of one subject a little larger than the crop, read again and again as about `total`."""
    tf.config.set_visible_devices([], "GPU")
    data = get_config().data
    data.preset, data.subjects, data.videos, data.frames = "bp4d_like", 1, 1, count
    data.image_size, data.directory = crop * 200 // 176, folder
    dataset = FaceDataset(prepare(data))
    dataset.load(dataset.subjects)
    times = max(round(total / len(FaceSet(dataset, dataset.subjects))), 1)
    return FaceSet(dataset, dataset.subjects * times)


def labelled(shown: FaceSet) -> int:
    """Number of frames in an epoch of `decoded`."""
    return int(input_pipeline.training_rows(shown, 1, 0).sum())


def decoded(shown: FaceSet, sizes: Any) -> None:
    """Runs through an epoch of training batches: read, shuffled, decoded, cropped and flipped."""
    stream = input_pipeline.training_batches(
        shown, seed=0, epoch=0, batch_size=sizes.batch, crop_size=sizes.crop, frame_step=1, shuffle_buffer=20_000
    )
    for _ in stream:
        pass


def undecoded(shown: FaceSet, sizes: Any) -> None:
    """Reads and shuffles the same records without looking into them."""
    records = tf.data.TFRecordDataset(shown.shards()).shuffle(20_000, seed=0).batch(sizes.batch).prefetch(4)
    for _ in records.as_numpy_iterator():
        pass
