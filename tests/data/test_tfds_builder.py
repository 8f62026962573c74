"""The TFDS builder: a split for each subject, features by the AUs, frames in order."""

import errno
from pathlib import Path

import numpy as np
import pytest

from au_jax.data.dataset import FaceDataset
from au_jax.data.recordings import Faces, RecordingId, safe_name, write_recording
from au_jax.data.tfds_builder import AuFaces, AuFacesConfig
from au_jax.errors import DataError


@pytest.mark.parametrize("aus", [(12,), (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26), tuple(range(4, 29))])
def test_frames_are_packed_by_subject_in_order_with_as_many_labels_as_aus(tmp_path, aus):
    ids = [RecordingId(subject, video) for subject in ("F001", "M001") for video in ("T1", "T2")]
    for clip in ids:
        faces = Faces(
            np.zeros((3, 8, 8, 3), np.uint8), np.full((3, len(aus)), -1, np.int8), np.zeros((3, 49, 2), np.float32),
            np.arange(3, dtype=np.int32), np.array([True, False, True]),
        )  # fmt: skip
        write_recording(tmp_path, clip, iter([faces]), 95)
    config = AuFacesConfig(name="mine", image_size=8, aus=aus, recordings=str(tmp_path), ids=tuple(ids))
    builder = AuFaces(config=config, data_dir=str(tmp_path))
    builder.download_and_prepare(file_format="tfrecord")
    assert list(builder.info.splits) == ["F001", "M001"]
    assert builder.info.features["labels"].shape == (len(aus),)
    rows = list(builder.as_dataset(split="M001").as_numpy_iterator())
    assert [(row["video"], row["frame"], row["found"]) for row in rows] == [
        (video, frame, frame != 1) for video in (b"T1", b"T2") for frame in range(3)
    ]


def builder_of_noise(folder):
    """One recording of 40 frames, whose pictures take more than 10 kB, and the builder that packs it."""
    clip = RecordingId("anna", "clip")
    images = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    faces = Faces(
        images, np.zeros((40, 1), np.int8), np.zeros((40, 49, 2), np.float32), np.arange(40, dtype=np.int32),
        np.ones(40, bool),
    )  # fmt: skip
    write_recording(folder, clip, iter([faces]), 95)
    config = AuFacesConfig(name="mine", image_size=32, aus=(12,), recordings=str(folder), ids=(clip,))
    return AuFaces(config=config, data_dir=str(folder / "tfds"))


def test_a_disk_that_fills_up_while_packing_is_one_error_with_the_folder_and_leaves_no_rest(tmp_path, small_disk):
    builder = builder_of_noise(tmp_path)
    with small_disk(), pytest.raises(OSError, match="File too large") as caught:
        builder.download_and_prepare(file_format="tfrecord")
    assert caught.value.errno == errno.EFBIG and caught.value.filename == str(builder.data_dir)
    assert not [path for path in Path(tmp_path / "tfds").rglob("*") if path.is_file()]
    builder.download_and_prepare(file_format="tfrecord")
    assert builder.info.splits["anna"].num_examples == 40


def test_a_recording_that_breaks_off_is_named_while_packing(tmp_path):
    builder = builder_of_noise(tmp_path)
    pictures = tmp_path / "anna" / "clip.jpegs"
    pictures.write_bytes(pictures.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"clip\.jpegs breaks off"):
        builder.download_and_prepare(file_format="tfrecord")


NAMES = (
    "\u5f20\u4e09", "\u674e\u56db", "\u0418\u0432\u0430\u043d", "\u05d3\u05d5\u05d3", "\u5f20" * 85, "\u674e" * 85,
    "\U0001f600", "ALL", "All", "all", "_", "__", "..", ".hidden", "-", "a b", "123", "None", "train", "x" * 255, "\0", " ",
)  # fmt: skip


def test_subjects_of_any_name_are_packed_and_read_back_under_names_of_their_own(tmp_path):
    names = [safe_name(name) for name in NAMES]
    assert len({name.lower() for name in names} - {"all_"}) == len(NAMES) - 3
    ids = tuple(RecordingId(name, safe_name("\u7b2c\u4e00")) for name in names if name not in ("All_", "all_"))
    zeros = np.zeros((1, 8, 8, 3), np.uint8), np.zeros((1, 1), np.int8), np.zeros((1, 49, 2), np.float32)
    for number, clip in enumerate(ids):
        faces = Faces(*zeros, np.array([number], np.int32), np.ones(1, bool))
        write_recording(tmp_path, clip, iter([faces]), 95)
    config = AuFacesConfig(name="mine", image_size=8, aus=(12,), recordings=str(tmp_path), ids=ids)
    builder = AuFaces(config=config, data_dir=str(tmp_path / "tfds"))
    builder.download_and_prepare(file_format="tfrecord")
    dataset = FaceDataset(builder)
    assert dataset.subjects == tuple(clip.subject for clip in ids)
    numbers = [records.frame_numbers.tolist() for records in dataset.load(dataset.subjects)]
    assert numbers == [[number] for number in range(len(ids))]


def test_a_name_that_is_safe_stays_as_it_is():
    for name in NAMES:
        assert safe_name(safe_name(name)) == safe_name(name), name
    assert [safe_name(name) for name in ("F001", "a b", "jos\u00e9", "001")] == ["F001", "a_b", "jos_", "001"]


def test_nothing_stays_in_the_temporary_folder(tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    builder_of_noise(tmp_path).download_and_prepare(file_format="tfrecord")
    assert list(temporary.iterdir()) == []
