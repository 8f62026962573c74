"""The first epochs of a tiny dataset, by checksum: no change of the code may move order, crops, flips or labels by a byte.

Made before the input pipeline was rebuilt. Where another release of TensorFlow, JAX or NumPy moves one of them, old runs no
longer resume exactly: say so in the changelog, and pin the new ones.
"""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tensorflow as tf

from au_jax.data import sequences
from au_jax.data.dataset import FaceDataset, FaceSet, Records, Video
from au_jax.data.input_pipeline import make_input_pipeline

SIZE, CROP = 16, 12


class TinyDataset(FaceDataset):
    """60 frames of three subjects and five AUs; four grey blocks each, which JPEG keeps as they are on any machine."""

    image_size = SIZE
    subjects = ("A", "B", "C")
    aus = (1, 2, 4, 6, 12)

    def __init__(self, folder):
        self._folder, self._labels = folder, {}
        for index, (subject, frames) in enumerate(zip(self.subjects, (20, 25, 15), strict=True)):
            codes = np.array([-1, 0, 1], np.int8)
            labels = np.random.default_rng([7, index]).choice(codes, (frames, 5), p=[0.6, 0.2, 0.2])
            self._labels[subject] = labels
            with tf.io.TFRecordWriter(self.shards(subject)[0]) as writer:
                for number, row in enumerate(labels):
                    blocks = np.array([[index * 40 + number, 200 - number], [100 + number, 5 * number]], np.uint8)
                    image = blocks.repeat(8, 0).repeat(8, 1)[..., None].repeat(3, -1)
                    writer.write(tf.io.encode_jpeg(image, quality=100).numpy() + row.tobytes())

    def shards(self, subject):
        return [f"{self._folder}/{subject}.tfrecord"]

    def parse(self, record):
        length = tf.strings.length(record) - 5
        image = tf.strings.substr(record, 0, length)
        return {"image": image, "labels": tf.io.decode_raw(tf.strings.substr(record, length, 5), tf.int8)}

    def load(self, subjects):
        def records(subject):
            labels = self._labels[subject]
            count = len(labels)
            numbers = np.arange(count, dtype=np.int32)
            landmarks, detected = np.zeros((count, 49, 2), np.float32), np.ones(count, bool)
            return Records(labels, landmarks, numbers, detected, (Video(subject, "v", 0, count),))

        return [records(subject) for subject in subjects]


def checksum(batches, names):
    digest = hashlib.sha256()
    for batch in batches:
        for name in names:
            rows = np.asarray(batch[name])
            digest.update(f"{name}{rows.dtype}{rows.shape}".encode() + rows.tobytes())
    return digest.hexdigest()[:16]


@pytest.mark.parametrize(
    "cache, sampling, frame_step, expected",
    [
        ("none", "shuffle", 1, "af780992258b5d81"),
        ("none", "shuffle", 2, "7e1d1d7911f36d76"),
        ("none", "momu", 1, "5a4b02413a2b1725"),
        ("none", "momu", 2, "816643b18d79eaf9"),
        ("host", "shuffle", 1, "af780992258b5d81"),
        ("host", "shuffle", 2, "7e1d1d7911f36d76"),
        ("host", "momu", 1, "5a4b02413a2b1725"),
        ("host", "momu", 2, "816643b18d79eaf9"),
        ("device", "shuffle", 1, "3d2107c109491084"),
        ("device", "shuffle", 2, "130ec5a341a11936"),
        ("device", "momu", 1, "2fafc69e9dadcee9"),
        ("device", "momu", 2, "8249e0ae1077b4c0"),
    ],
)
def test_two_epochs_of_frames_are_those_of_earlier_releases(tmp_path, config, cache, sampling, frame_step, expected):
    config.data.update({"cache": cache, "crop_size": CROP, "shuffle_buffer": 10})
    config.cnn.update({"batch_size": 8, "frame_step": frame_step, "sampling": sampling, "momu_draw": 2})
    pipeline = make_input_pipeline(FaceSet(TinyDataset(tmp_path), TinyDataset.subjects), config, 5)
    example = jax.vmap(pipeline.example, in_axes=(None, 0))

    def examples():
        for epoch in (0, 1):
            constants = pipeline.epoch_constants(epoch)
            for batch in pipeline.batches(epoch):
                yield example(constants, jax.tree.map(jnp.asarray, batch))

    assert checksum(examples(), ("image", "labels", "offset", "flip", "mask")) == expected


def test_two_epochs_of_subsequences_are_those_of_earlier_releases():
    generator = np.random.default_rng(3)
    videos = [
        sequences.TrainingVideo(
            generator.normal(size=(length, 3)).astype(np.float32),
            generator.choice(np.array([-1, 0, 1], np.int8), (length, 12)),
            np.arange(length) % 20 == 0,
        )
        for length in (50, 7, 33)
    ]
    batches = [
        batch
        for epoch in (0, 1)
        for batch in sequences.subsequence_batches(
            videos, seed=5, epoch=epoch, steps=3, batch_size=4, length=10, burn_in=2, min_active=4.0
        )
    ]
    assert checksum(batches, ("features", "labels", "reset", "mask")) == "62b5f903497bb904"
