"""Streams are built as they are written: TensorFlow rewrites no function, and leaves no file of it behind."""

import tempfile

import numpy as np
import pytest
import tensorflow as tf

from au_jax.data import input_pipeline, sequences
from au_jax.data.dataset import FaceSet


@pytest.fixture
def written(tmp_path, monkeypatch):
    """What has been written into the temporary folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return lambda: list(tmp_path.iterdir())


def test_tensorflow_rewrites_what_is_not_marked(written):
    next(iter(tf.data.Dataset.range(1).map(lambda number: number + 1)))
    assert written()


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("sampling", input_pipeline.SAMPLINGS)
def test_training_batches_leave_no_file(dataset, written, held, sampling):
    faces = FaceSet(dataset, ("S001", "S004"))
    whole = np.zeros((len(faces), faces.dataset.image_size, faces.dataset.image_size, 3), np.uint8)
    sizes = {"batch_size": 16, "crop_size": 36, "frame_step": 1, "shuffle_buffer": 8, "process_rows": slice(0, 8)}
    next(
        input_pipeline.training_batches(
            faces, seed=0, epoch=0, sampling=sampling, cached_frames=whole if held else None, **sizes
        )
    )
    assert not written()


def test_the_other_streams_leave_no_file(dataset, written):
    dataset.load(dataset.subjects)
    faces = FaceSet(dataset, ("S001",))
    next(input_pipeline.ordered_batches(faces, batch_size=4, crop_size=None))
    list(input_pipeline.read_frames(faces, [0]))
    video = sequences.TrainingVideo(np.zeros((9, 2), np.float32), np.ones((9, 12), np.int8), np.zeros(9, bool))
    sizes = {"steps": 1, "batch_size": 1, "length": 4, "burn_in": 1, "min_active": 1.5}
    next(iter(sequences.subsequence_batches([video], seed=0, epoch=0, **sizes)))
    assert not written()
