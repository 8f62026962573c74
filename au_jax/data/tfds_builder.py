"""The TFDS builder `au_faces`: registered faces of any source, one split per subject, frames in order of (video, frame)."""

import contextlib
import errno
import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from au_jax.data.recordings import RecordingId, read_recording, unknown_intensities
from au_jax.errors import UserError
from au_jax.labels import PAPER_AUS


class _Info(tfds.core.DatasetInfo):
    """A description that is sought on disk only."""

    def initialize_from_bucket(self) -> None:
        """Does nothing: TFDS's own makes a folder in the temporary folder, looks into a bucket, and leaves the folder there."""


@dataclass
class AuFacesConfig(tfds.core.BuilderConfig):
    """What `au_faces` packs.

    Attributes:
      image_size: side of a face in pixels.
      aus: AUs of the labels, in order of their columns; the dataset keeps them in its metadata.
      recordings: folder of prepared recordings (`au_jax.data.recordings`); needed to build, not to read.
      ids: the recordings in order; needed to build, not to read.
      landmarks: by which faces are registered; the dataset keeps it in its metadata. "": rendered faces, whose own are known.
      intensities: whether intensities are packed; a dataset that is there says itself whether it has them.

    Example:
      >>> config = AuFacesConfig(name="mine", image_size=64, aus=(6, 12))
      >>> config.name, config.image_size, config.aus, config.ids
      ('mine', 64, (6, 12), ())
    """

    image_size: int = 200
    aus: tuple[int, ...] = PAPER_AUS
    recordings: str = ""
    ids: tuple[RecordingId, ...] = ()
    landmarks: str = ""
    intensities: bool = False


class AuFaces(tfds.core.GeneratorBasedBuilder):
    """Registered faces with AU labels and 49 landmarks; a split per subject: subject-exclusive folds are unions of splits.

    Example:
      >>> import tempfile
      >>> builder = AuFaces(config=AuFacesConfig(name="mine", image_size=64, aus=(6, 12)), data_dir=tempfile.mkdtemp())
      >>> builder.info.features["labels"].shape, builder.info.metadata["aus"]
      ((2,), [6, 12])
    """

    VERSION = tfds.core.Version("1.1.0")
    RELEASE_NOTES = {"1.0.0": "First release.", "1.1.0": "Marks frames in which no face was found."}
    BUILDER_CONFIGS = []

    def download_and_prepare(self, **options: Any) -> None:
        """Packs the recordings.

        Args:
          options: of TFDS's method of this name.

        Raises:
          UserError: a recording is damaged.
          OSError: the disk is full or not writable; names the folder.
        """
        try:
            super().download_and_prepare(**options)
        # TFDS raises a RuntimeError in its place, and TensorFlow an error of its own for those of the system.
        except Exception as error:
            cause = _first_of(error, UserError, OSError, tf.errors.OpError)
            if cause is None or cause is error:
                raise
            if not isinstance(cause, tf.errors.OpError):
                raise cause from error
            raise OSError(_number(str(error)), os.strerror(_number(str(error))), str(self.data_dir)) from error

    def _info(self) -> tfds.core.DatasetInfo:
        config = self.builder_config
        graded: dict[str, Any] = {}
        if config.intensities or self._holds_intensities():
            graded["intensities"] = tfds.features.Tensor(shape=(len(config.aus),), dtype=np.int8)
        # Datasets of recordings that do not say it are of before there was a choice: dlib's.
        by: dict[str, Any] = {"landmarks": config.landmarks} if config.landmarks else {}
        return _Info(
            builder=self,
            description="Registered faces with facial action units: +1 present, -1 absent, 0 missing. Intensities, where any "
            "are known: 0 absent, 1 to 5 for A to E, -1 not known.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(
                        shape=(config.image_size, config.image_size, 3), dtype=np.uint8, encoding_format="jpeg"
                    ),
                    "labels": tfds.features.Tensor(shape=(len(config.aus),), dtype=np.int8),
                    "landmarks": tfds.features.Tensor(shape=(49, 2), dtype=np.float32),
                    "video": tfds.features.Text(),
                    "frame": tfds.features.Scalar(dtype=np.int32),
                    "found": tfds.features.Scalar(dtype=np.bool_),  # whether a face was detected
                    **graded,
                }
            ),
            metadata=tfds.core.MetadataDict(aus=list(config.aus), **by),
            # The temporal models need a subject's frames in their order.
            disable_shuffling=True,
        )

    def _holds_intensities(self) -> bool:
        """Whether the dataset that lies on disk, if any does, has intensities: those of earlier versions have none."""
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
            described = json.loads((Path(self.data_dir) / "features.json").read_text())
            return "intensities" in described["featuresDict"]["features"]
        return False

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        subjects = list(dict.fromkeys(recording.subject for recording in self.builder_config.ids))
        return {subject: self._generate_examples(subject) for subject in subjects}

    def _generate_examples(self, subject: str):
        number = 0
        for recording in self.builder_config.ids:
            if recording.subject != subject:
                continue
            for example in read_recording(Path(self.builder_config.recordings), recording):
                intensities = example.pop("intensities", unknown_intensities(example["labels"]))
                if self.builder_config.intensities:
                    example["intensities"] = intensities
                image = io.BytesIO(example.pop("jpeg"))
                yield number, {"image": image, "video": recording.video, **example}
                number += 1


def _first_of(error: BaseException | None, *kinds: type[Exception]) -> BaseException | None:
    """The first error of some kinds among an error and those that it was raised from."""
    while error is not None and not isinstance(error, kinds):
        error = error.__cause__ or error.__context__
    return error


def _number(text: str) -> int:
    """The system's number of an error that TensorFlow tells in words."""
    numbers = errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES
    return next((number for number in numbers if os.strerror(number) in text), errno.EIO)
