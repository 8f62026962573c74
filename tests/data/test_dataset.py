"""The prepared dataset: order, streams that see every frame, and nothing of a test subject for a system."""

import dataclasses

import numpy as np
import pytest
import tensorflow_datasets as tfds

from au_jax import synthfacs
from au_jax.data import input_pipeline
from au_jax.data.dataset import FaceDataset, FaceSet
from au_jax.data.preparation import prepare
from au_jax.data.recordings import Faces, RecordingId, write_recording
from au_jax.data.tfds_builder import AuFaces, AuFacesConfig
from au_jax.errors import DataError, UserError
from au_jax.labels import PAPER_AUS

TINY = synthfacs.get_preset("tiny")


def test_subjects_are_splits_and_frames_are_in_order(dataset):
    assert dataset.subjects == tuple(synthfacs.subject_names(TINY))
    records = dataset.records("S001")
    assert [video.name for video in records.videos] == synthfacs.video_names(TINY, "S001")
    for video in records.videos:
        numbers = records.frame_numbers[video.start : video.stop]
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


@pytest.fixture
def packed(tmp_path):
    """Makes a dataset of one clip with these AUs: the label of AU n is 1 in frame 1 where n is even, and -1 elsewhere."""

    def make(aus):
        clip = RecordingId("anna", "clip")
        labels = np.array([[1 if au % 2 == 0 else -1 for au in aus], [-1] * len(aus)], np.int8)
        faces = Faces(
            np.zeros((2, 8, 8, 3), np.uint8), labels, np.zeros((2, 49, 2), np.float32), np.array([1, 2], np.int32),
            np.ones(2, bool),
        )  # fmt: skip
        write_recording(tmp_path, clip, iter([faces]), 95)
        config = AuFacesConfig(name="mine", image_size=8, aus=aus, recordings=str(tmp_path), ids=(clip,))
        builder = AuFaces(config=config, data_dir=str(tmp_path))
        builder.download_and_prepare(file_format="tfrecord")
        return builder

    return make


def test_a_dataset_keeps_its_aus_and_hands_out_those_that_are_asked_for(packed):
    builder = packed((5, 9, 12, 26))
    dataset = FaceDataset(builder)
    assert dataset.aus == (5, 9, 12, 26) and dataset.records("anna").labels.tolist() == [[-1, -1, 1, 1], [-1] * 4]
    some = FaceSet(FaceDataset(builder, [12, 5]), ("anna",))
    assert some.aus == (12, 5) and some.labels.tolist() == [[1, -1], [-1, -1]]
    (batch,) = input_pipeline.training_batches(
        some, batch_size=2, crop_size=8, seed=0, epoch=0, frame_step=1, shuffle_buffer=4
    )
    assert sorted(batch["labels"].tolist()) == [[-1, -1], [1, -1]]
    with pytest.raises(DataError, match=r"mine/1.1.0 has AUs 5, 9, 12, 26 and lacks AU 1, 6; ask for AUs of these"):
        FaceDataset(builder, (1, 5, 6))


def test_the_aus_are_those_on_disk_and_before_they_were_written_the_papers(packed, tmp_path):
    aus = tuple(range(4, 16))
    packed(aus)

    def opened():
        return AuFaces(config=AuFacesConfig(name="mine", image_size=8), data_dir=str(tmp_path))

    assert FaceDataset(opened()).aus == aus
    (tmp_path / "au_faces/mine/1.1.0/metadata.json").unlink()
    assert FaceDataset(opened()).aus == PAPER_AUS
    from_disk = tfds.builder_from_directory(str(tmp_path / "au_faces/mine/1.1.0"))
    assert FaceDataset(from_disk, (2, 24)).records("anna").labels.tolist() == [[-1, -1], [-1, -1]]


def test_a_dataset_has_intensities_where_any_recording_has_and_others_are_unknown(tmp_path):
    ids = RecordingId("anna", "clip"), RecordingId("bert", "clip")
    labels, numbers = np.array([[1, -1, 1]], np.int8), np.array([1], np.int32)
    faces = Faces(np.zeros((1, 8, 8, 3), np.uint8), labels, np.zeros((1, 49, 2), np.float32), numbers, np.ones(1, bool))
    graded = dataclasses.replace(faces, intensities=np.array([[4, 0, -1]], np.int8))
    for clip, part in zip(ids, (graded, faces), strict=True):
        write_recording(tmp_path, clip, iter([part]), 95)
    options = {"image_size": 8, "aus": (6, 9, 12), "recordings": str(tmp_path), "ids": ids}
    for name, intensities in (("before", False), ("now", True)):
        config = AuFacesConfig(name=name, intensities=intensities, **options)
        AuFaces(config=config, data_dir=str(tmp_path)).download_and_prepare(file_format="tfrecord")

    def opened(name, aus=None):
        """As a run opens it: from what lies on disk."""
        builder = AuFaces(config=AuFacesConfig(name=name, image_size=8, aus=(6, 9, 12)), data_dir=str(tmp_path))
        return FaceDataset(builder, aus)

    now, before = opened("now"), opened("before")
    assert now.has_intensities and not before.has_intensities
    assert FaceSet(now, ("anna", "bert")).intensities.tolist() == [[4, 0, -1], [-1, -1, -1]]
    assert FaceSet(opened("now", (12, 6)), ("anna",)).intensities.tolist() == [[-1, 4]]
    # A dataset of an earlier version is read without, and its labels are the same.
    assert before.records("anna").intensities is None
    assert FaceSet(before, ("anna",)).intensities.tolist() == [[-1, -1, -1]]
    assert before.records("anna").labels.tolist() == now.records("anna").labels.tolist() == labels.tolist()


def test_intensities_of_rendered_faces_are_those_that_were_drawn(dataset):
    chunks = list(synthfacs.render_video(TINY, 0, "S002", "T1", size=40))
    records = dataset.records("S002")
    intensities = records.intensities[: records.videos[0].stop]
    drawn, labels = (np.concatenate([getattr(chunk, name) for chunk in chunks]) for name in ("intensities", "labels"))
    np.testing.assert_array_equal(intensities[labels != 0], np.floor(drawn[labels != 0]))
    assert (intensities[labels == 0] == -1).all() and (intensities > 0).any()
    # At level A an AU is present exactly where it has an intensity.
    np.testing.assert_array_equal(labels > 0, intensities > 0)
