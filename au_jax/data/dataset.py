"""The prepared dataset as arrays and files per subject, and the views of it that a fold hands out."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from au_jax.data.recordings import safe_name
from au_jax.data.tfrecord_index import no_autograph, read_stream
from au_jax.errors import UserError
from au_jax.labels import check_aus


@dataclass(frozen=True)
class Video:
    """A video's place in its subject: frames start..stop of the subject's records."""

    subject: str
    name: str
    start: int
    stop: int

    @property
    def key(self) -> str:
        """Identifier in score files: "<subject>/<video>"."""
        return f"{self.subject}/{self.name}"

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class Records:
    """What is known of a subject's frames without decoding a picture.

    Attributes:
      labels: [N, 12] int8 in {-1, 0, +1}.
      landmarks: [N, 49, 2] float32 pixels of the registered frame.
      frames: [N] int32 frame numbers in their videos.
      found: [N] bool, False where the face was not found; the labels are then missing.
      videos: in order.
    """

    labels: np.ndarray
    landmarks: np.ndarray
    frames: np.ndarray
    found: np.ndarray
    videos: tuple[Video, ...]


class FaceDataset:
    """The prepared dataset, read once for labels and landmarks; pictures are streamed by `au_jax.data.input_pipeline`."""

    def __init__(self, builder: tfds.core.DatasetBuilder):
        self._builder = builder
        # A FeaturesDict; TFDS leaves the types of its entries open.
        self._features: Any = builder.info.features
        self.subjects: tuple[str, ...] = tuple(builder.info.splits)
        # A run names files by them; a dataset from elsewhere may call them what it likes.
        strange = [subject for subject in self.subjects if safe_name(subject) != subject]
        if strange:
            raise UserError(
                f"{builder.data_dir} has a subject called {strange[0]!r}; names hold letters, digits and underscores only: "
                "prepare the dataset again"
            )
        check_aus((builder.info.metadata or {}).get("aus"), f"the dataset in {builder.data_dir}")
        self.image_size: int = self._features["image"].shape[0]
        self._records: dict[str, Records] = {}

    def records(self, subject: str) -> Records:
        """Labels, landmarks and frame numbers of a subject."""
        return self.load((subject,))[0]

    def load(self, subjects: Sequence[str]) -> list[Records]:
        """The records of several subjects, read in one stream: opening one for each would take longer than reading."""
        missing = [subject for subject in subjects if subject not in self._records]
        if missing:
            self._records.update(self._read(missing))
        return [self._records[subject] for subject in subjects]

    def shards(self, subject: str) -> list[str]:
        """The subject's TFRecord files, in order."""
        return [str(path) for path in self._builder.info.splits[subject].filepaths]

    def parse(self, record: tf.Tensor) -> dict[str, tf.Tensor]:
        """Parses one serialized record; the picture stays encoded."""
        return self._features.deserialize_example(record, decoders={"image": tfds.decode.SkipDecoding()})

    @no_autograph
    def _read(self, subjects: Sequence[str]) -> dict[str, Records]:
        names = ("subject", "labels", "landmarks", "frame", "found", "video")

        def columns(shard: tf.Tensor, subject: tf.Tensor) -> tf.data.Dataset:
            def row(record: tf.Tensor) -> dict[str, tf.Tensor]:
                example = self.parse(record)
                return {
                    "subject": subject,
                    **{name: example[name] for name in names[1:]},
                }

            return tf.data.TFRecordDataset(shard).map(row)

        paths = [shard for subject in subjects for shard in self.shards(subject)]
        numbers = [number for number, subject in enumerate(subjects) for _ in self.shards(subject)]
        stream = tf.data.Dataset.from_tensor_slices((paths, numbers))
        # TensorFlow's annotations do not know that pairs are handed on as two arguments.
        stream = stream.interleave(columns, cycle_length=1)  # pyright: ignore[reportArgumentType]
        parts = list(read_stream(stream.batch(1024).prefetch(2), paths))
        rows = {name: np.concatenate([part[name] for part in parts] or [np.zeros(0)]) for name in names}
        bounds = np.searchsorted(rows["subject"], range(len(subjects) + 1))
        records = {}
        for number, subject in enumerate(subjects):
            part = slice(bounds[number], bounds[number + 1])
            if part.start == part.stop:
                raise UserError(
                    f"subject {subject} has no frames in {self.shards(subject)[0]}; remove it or prepare again"
                )
            video = rows["video"][part]
            cuts = np.flatnonzero(video[1:] != video[:-1]) + 1
            ends = zip([0, *cuts], [*cuts, len(video)], strict=True)
            videos = tuple(Video(subject, video[start].decode(), int(start), int(stop)) for start, stop in ends)
            records[subject] = Records(
                rows["labels"][part], rows["landmarks"][part], rows["frame"][part], rows["found"][part], videos
            )
        return records


@dataclass(frozen=True)
class FaceSet:
    """The faces of some subjects, in order; all that a system gets to see.

    Attributes:
      dataset: where they come from.
      subjects: whose faces these are, in order.
      has_labels: False for the view of test subjects that systems score.
    """

    dataset: FaceDataset
    subjects: tuple[str, ...]
    has_labels: bool = True

    def without_labels(self) -> "FaceSet":
        """The same faces for scoring: asking for labels raises."""
        return FaceSet(self.dataset, self.subjects, has_labels=False)

    def select(self, subjects: Sequence[str]) -> "FaceSet":
        """The faces of some of these subjects.

        Raises:
          ValueError: a subject that is not among these.
        """
        strangers = set(subjects) - set(self.subjects)
        if strangers:
            raise ValueError(f"subjects {sorted(strangers)} are not in this set")
        return FaceSet(self.dataset, tuple(subjects), self.has_labels)

    @cached_property
    def videos(self) -> tuple[Video, ...]:
        """All videos, in order of subject."""
        return tuple(video for records in self._records for video in records.videos)

    @cached_property
    def labels(self) -> np.ndarray:
        """Labels of all frames, [N, 12] int8.

        Raises:
          ValueError: these are test subjects.
        """
        if not self.has_labels:
            raise ValueError("labels of test subjects are not available to a system")
        return np.concatenate([records.labels for records in self._records])

    @cached_property
    def landmarks(self) -> np.ndarray:
        """Landmarks of all frames, [N, 49, 2] float32 pixels of the registered frame."""
        return np.concatenate([records.landmarks for records in self._records])

    @cached_property
    def frame_numbers(self) -> np.ndarray:
        """Frame numbers of all frames, [N] int32."""
        return np.concatenate([records.frames for records in self._records])

    @cached_property
    def found(self) -> np.ndarray:
        """Frames in which the face was found, [N] bool."""
        return np.concatenate([records.found for records in self._records])

    @cached_property
    def lengths(self) -> np.ndarray:
        """Frames of each subject, [subjects] int."""
        return np.array([len(records.frames) for records in self._records])

    @cached_property
    def _records(self) -> list[Records]:
        return self.dataset.load(self.subjects)

    def __len__(self) -> int:
        return int(self.lengths.sum())

    def by_video(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Splits [N, ...] of all frames into video key -> [T, ...]."""
        ends = np.cumsum([len(video) for video in self.videos])
        return dict(zip([video.key for video in self.videos], np.split(rows, ends[:-1]), strict=True))

    def shards(self) -> list[str]:
        """TFRecord files of all subjects, in order."""
        return [shard for subject in self.subjects for shard in self.dataset.shards(subject)]
