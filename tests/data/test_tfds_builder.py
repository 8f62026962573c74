"""The TFDS builder: a split for each subject, features by the AUs, frames in order."""

import numpy as np
import pytest

from au_jax.data.recordings import Faces, RecordingId, write_recording
from au_jax.data.tfds_builder import AuFaces, AuFacesConfig


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
