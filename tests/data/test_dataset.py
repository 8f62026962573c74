"""The prepared dataset: order, streams that see every frame, and nothing of a test subject for a system."""

import io

import numpy as np
import pytest
from PIL import Image

from au_jax import synthfacs
from au_jax.data import input_pipeline
from au_jax.data.dataset import FaceDataset, FaceSet
from au_jax.data.recordings import encode_jpeg
from au_jax.errors import UserError
from au_jax.prepare import prepare

TINY = synthfacs.get_preset("tiny")


def test_subjects_are_splits_and_frames_are_in_order(dataset):
    assert dataset.subjects == tuple(synthfacs.subject_names(TINY))
    records = dataset.records("S001")
    assert [video.name for video in records.videos] == synthfacs.video_names(TINY, "S001")
    for video in records.videos:
        numbers = records.frames[video.start : video.stop]
        np.testing.assert_array_equal(numbers, np.arange(1, len(video) + 1))


def test_labels_and_pictures_are_those_of_the_renderer(dataset):
    chunks = list(synthfacs.render_video(TINY, 0, "S002", "T1", size=40))
    records = dataset.records("S002")
    np.testing.assert_array_equal(records.labels[: records.videos[0].stop], np.concatenate([c.labels for c in chunks]))
    batch = next(input_pipeline.ordered_batches(FaceSet(dataset, ("S002",)), batch_size=4, crop_size=None))
    error = np.abs(batch["image"].astype(int) - chunks[0].frames[:4])
    assert error.mean() < 4  # JPEG


def test_every_frame_is_scored_exactly_once_in_order(dataset):
    faces = FaceSet(dataset, ("S003", "S001"))
    batches = list(input_pipeline.ordered_batches(faces, batch_size=16, crop_size=36))
    assert all(batch["image"].shape == (16, 36, 36, 3) for batch in batches)
    assert sum(int(batch["mask"].sum()) for batch in batches) == len(faces) == len(faces.labels)
    rows = np.concatenate([batch["image"][batch["mask"] > 0] for batch in batches])
    others = input_pipeline.ordered_batches(FaceSet(dataset, ("S001",)), batch_size=7, crop_size=36)
    alone = np.concatenate([batch["image"][batch["mask"] > 0] for batch in others])
    np.testing.assert_array_equal(rows[-len(alone) :], alone)


def test_a_step_streams_every_nth_frame_of_the_set(dataset):
    faces = FaceSet(dataset, ("S003", "S001"))

    def pictures(**step):
        batches = input_pipeline.ordered_batches(faces, batch_size=16, crop_size=None, **step)
        return np.concatenate([batch["image"][batch["mask"] > 0] for batch in batches])

    np.testing.assert_array_equal(pictures(frame_step=5), pictures()[::5])


def stream(dataset, epoch=0, seed=5, **changes):
    faces = FaceSet(dataset, ("S001", "S004"))
    arguments = {"batch_size": 8, "crop_size": 36, "frame_step": 1, "shuffle_buffer": 1000, **changes}
    return faces, list(input_pipeline.training_batches(faces, seed=seed, epoch=epoch, **arguments))


def test_an_epoch_shows_every_labelled_frame_once(dataset):
    faces, batches = stream(dataset)
    labels = np.concatenate([batch["labels"][batch["mask"] > 0] for batch in batches])
    expected = faces.labels[input_pipeline.training_rows(faces, 1, 0)]
    assert sorted(map(tuple, labels)) == sorted(map(tuple, expected))
    assert (batches[-1]["labels"][batches[-1]["mask"] == 0] == 0).all()


def test_batches_follow_from_seed_and_epoch(dataset):
    def first(**arguments):
        return stream(dataset, **arguments)[1][0]["image"]

    np.testing.assert_array_equal(first(epoch=1), first(epoch=1))
    assert (first(epoch=1) != first(epoch=2)).any()
    assert (first(seed=6) != first(seed=7)).any()


def test_crops_lie_where_the_offset_says_and_flips_mirror(dataset):
    faces, batches = stream(dataset)
    whole = np.concatenate(
        [
            batch["image"][batch["mask"] > 0]
            for batch in input_pipeline.ordered_batches(faces, batch_size=16, crop_size=None)
        ]
    )
    crop, (y, x), flip = (batches[0][name][0] for name in ("image", "offset", "flip"))
    crop = crop[:, ::-1] if flip else crop
    distances = np.abs(whole[:, y : y + 36, x : x + 36].astype(int) - crop).mean((1, 2, 3))
    assert distances.min() < 1.0
    offsets = np.concatenate([batch["offset"] for batch in batches])
    assert offsets.min() == 0 and offsets.max() == 4


def test_a_frame_step_takes_other_frames_in_the_next_epoch(dataset):
    faces, batches = stream(dataset, frame_step=3)
    assert sum(int(batch["mask"].sum()) for batch in batches) == input_pipeline.training_rows(faces, 3, 0).sum()
    covered = sum(input_pipeline.training_rows(faces, 3, epoch).astype(int) for epoch in range(3))
    np.testing.assert_array_equal(covered, input_pipeline.training_rows(faces, 1, 0))


def test_the_mean_picture_is_that_of_all_frames(dataset):
    faces = FaceSet(dataset, ("S005",))
    whole = np.concatenate(
        [
            batch["image"][batch["mask"] > 0]
            for batch in input_pipeline.ordered_batches(faces, batch_size=16, crop_size=None)
        ]
    )
    np.testing.assert_allclose(input_pipeline.mean_image(faces), whole.astype(np.float64).mean(0), atol=1e-3)


def test_test_labels_are_out_of_reach(dataset):
    faces = FaceSet(dataset, ("S001",)).without_labels()
    with pytest.raises(ValueError, match="not available"):
        _ = faces.labels
    with pytest.raises(ValueError, match="not available"):
        _ = faces.select(("S001",)).labels
    with pytest.raises(ValueError, match="S002"):
        faces.select(("S002",))


def test_rows_are_split_by_video(dataset):
    faces = FaceSet(dataset, ("S001", "S002"))
    parts = faces.by_video(np.arange(len(faces)))
    assert list(parts) == [video.key for video in faces.videos]
    np.testing.assert_array_equal(np.concatenate(list(parts.values())), np.arange(len(faces)))
    assert all(len(parts[video.key]) == len(video) for video in faces.videos)


def test_jpeg_keeps_small_coloured_detail():
    image = np.zeros((16, 16, 3), np.uint8)
    image[8, 8] = (255, 0, 0)
    back = np.asarray(Image.open(io.BytesIO(encode_jpeg(image, 95)))).astype(int)
    assert back[8, 8, 0] > 200 and back[8, 8, 2] < 60


def test_a_truncated_record_is_named_with_its_remedy(config, tmp_path):
    config.data.directory = str(tmp_path)
    broken = FaceDataset(prepare(config.data))
    shard = broken.shards("S002")[0]
    with open(shard, "r+b") as stream:
        stream.truncate(3000)
    with pytest.raises(UserError, match=r"S002.*is damaged; delete the folder"):
        broken.records("S002")
    with pytest.raises(UserError, match=r"S002.*is damaged"):
        list(input_pipeline.ordered_batches(FaceSet(broken, ("S001", "S002")), batch_size=16, crop_size=36))
