"""The prepared dataset as arrays and files per subject, and the views of it that a fold hands out."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from jaxtyping import Bool, Float32, Int, Int8, Int32, Shaped

from au_jax.data.recordings import safe_name, unknown_intensities
from au_jax.data.tfrecord_index import no_autograph, read_stream
from au_jax.errors import DataError
from au_jax.labels import PAPER_AUS, listed

_INTENSITIES = "intensities"
"""A feature of datasets in which some intensities are known."""


@dataclass(frozen=True)
class Video:
    """A video's place in its subject: frames start..stop of the subject's records.

    Example:
      >>> video = Video("F001", "T1", 10, 250)
      >>> video.key, len(video)
      ('F001/T1', 240)
    """

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
    """What is known of a subject's frames without decoding an image.

    Attributes:
      labels: [N, A] int8 in {-1, 0, +1}.
      landmarks: [N, 49, 2] float32 pixels of the registered frame.
      frame_numbers: [N] int32 frame numbers in their videos.
      face_detected: [N] bool, False where no face was detected; the labels are then missing.
      videos: in order.
      intensities: [N, A] int8, 0 absent, 1 to 5 for A to E, -1 where they are not known; None: the dataset has none.

    Example:
      >>> arrays = np.zeros((3, 12), np.int8), np.zeros((3, 49, 2), np.float32), np.array([1, 2, 1], np.int32)
      >>> records = Records(*arrays, np.ones(3, bool), (Video("F001", "T1", 0, 2), Video("F001", "T2", 2, 3)))
      >>> {video.key: records.frame_numbers[video.start : video.stop].tolist() for video in records.videos}
      {'F001/T1': [1, 2], 'F001/T2': [1]}
    """

    labels: Int8[np.ndarray, "N A"]
    landmarks: Float32[np.ndarray, "N 49 2"]
    frame_numbers: Int32[np.ndarray, " N"]
    face_detected: Bool[np.ndarray, " N"]
    videos: tuple[Video, ...]
    intensities: Int8[np.ndarray, "N A"] | None = None


class FaceDataset:
    """The prepared dataset, read once for labels and landmarks; images are streamed by `au_jax.data.input_pipeline`.

    Args:
      builder: an `AuFaces` builder of a prepared dataset.
      aus: which of the dataset's AUs the labels have, in this order; None: all, in the dataset's order.

    Attributes:
      subjects: names of all subjects, in order.
      aus: AUs of the labels, in order of their columns.
      image_size: side of a face in pixels.
      has_intensities: whether some intensities are known.

    Raises:
      DataError: the dataset lacks one of the AUs, or has a subject whose name cannot be that of a file.

    Example:
      >>> import tempfile
      >>> from pathlib import Path
      >>> from au_jax.data.recordings import Faces, RecordingId, write_recording
      >>> from au_jax.data.tfds_builder import AuFaces, AuFacesConfig
      >>> folder, clip = tempfile.mkdtemp(), RecordingId("anna", "clip")
      >>> labels = np.array([[1, -1], [1, 1]], np.int8)
      >>> zeros = np.zeros((2, 8, 8, 3), np.uint8), labels, np.zeros((2, 49, 2), np.float32)
      >>> write_recording(Path(folder), clip, iter([Faces(*zeros, np.array([1, 2], np.int32), np.ones(2, bool))]), 95)
      >>> config = AuFacesConfig(name="mine", image_size=8, aus=(6, 12), recordings=folder, ids=(clip,))
      >>> builder = AuFaces(config=config, data_dir=folder)
      >>> tfds.disable_progress_bar()
      >>> builder.download_and_prepare(file_format="tfrecord")  # doctest: +ELLIPSIS
      Downloading and preparing dataset ...
      >>> dataset = FaceDataset(builder)
      >>> dataset.subjects, dataset.aus, dataset.records("anna").labels.tolist()
      (('anna',), (6, 12), [[1, -1], [1, 1]])
      >>> FaceSet(FaceDataset(builder, aus=(12,)), ("anna",)).labels.tolist()
      [[-1], [1]]
    """

    def __init__(self, builder: Any, aus: Sequence[int] | None = None):
        self._builder = builder
        # A FeaturesDict; TFDS leaves the types of its entries open.
        self._features: Any = builder.info.features
        self.subjects: tuple[str, ...] = tuple(builder.info.splits)
        # A run names files by them; a dataset from elsewhere may call them what it likes.
        strange = [subject for subject in self.subjects if safe_name(subject) != subject]
        if strange:
            raise DataError(
                f"{builder.data_dir} has a subject called {strange[0]!r}; names hold letters, digits and underscores only; "
                "delete that folder and prepare the recordings again"
            )
        # TFDS reads the file of metadata when the items are asked for. Datasets without one are of before it was written.
        metadata = dict(builder.info.metadata.items()) if builder.info.metadata is not None else {}
        stored = tuple(int(au) for au in metadata.get("aus", PAPER_AUS))
        self.aus: tuple[int, ...] = stored if aus is None else tuple(int(au) for au in aus)
        lacking = [au for au in self.aus if au not in stored]
        if lacking:
            raise DataError(
                f"the dataset in {builder.data_dir} has AUs {listed(stored)} and lacks AU {listed(lacking)}; ask for AUs of "
                "these with config.data.aus, or prepare the recordings again under a config.data.name of its own"
            )
        self._columns = None if self.aus == stored else [stored.index(au) for au in self.aus]
        self.image_size: int = self._features["image"].shape[0]
        self.has_intensities: bool = _INTENSITIES in self._features
        self._records: dict[str, Records] = {}

    def records(self, subject: str) -> Records:
        """Labels, landmarks and frame numbers of a subject."""
        return self.load((subject,))[0]

    def load(self, subjects: Sequence[str]) -> list[Records]:
        """The records of several subjects, read in one stream: opening one for each would take longer than reading.

        Raises:
          DataError: a file is damaged, or a subject has no frames.
        """
        missing = [subject for subject in subjects if subject not in self._records]
        if missing:
            self._records.update(self._read(missing))
        return [self._records[subject] for subject in subjects]

    def shards(self, subject: str) -> list[str]:
        """The subject's TFRecord files, in order."""
        return [str(path) for path in self._builder.info.splits[subject].filepaths]

    def parse(self, record: tf.Tensor) -> dict[str, tf.Tensor]:
        """Parses one serialized record.

        Returns:
          image: string, the encoded JPEG; labels: [A] int8; landmarks: [49, 2] float32; video: string; frame: int32;
          found: bool, whether a face was detected; intensities: [A] int8, where the dataset has them.
        """
        example = self._features.deserialize_example(record, decoders={"image": tfds.decode.SkipDecoding()})
        if self._columns is None:
            return example
        tables = ("labels", _INTENSITIES) if self.has_intensities else ("labels",)
        return {**example, **{name: tf.gather(example[name], self._columns) for name in tables}}

    @no_autograph
    def _read(self, subjects: Sequence[str]) -> dict[str, Records]:
        graded = (_INTENSITIES,) if self.has_intensities else ()
        names = ("labels", "landmarks", "frame", "found", "video", *graded)

        def columns(shard: tf.Tensor, subject: tf.Tensor) -> tf.data.Dataset:
            def row(record: tf.Tensor) -> dict[str, tf.Tensor]:
                example = self.parse(record)
                return {"subject": subject, **{name: example[name] for name in names}}

            return tf.data.TFRecordDataset(shard).map(row)

        paths = [shard for subject in subjects for shard in self.shards(subject)]
        numbers = [number for number, subject in enumerate(subjects) for _ in self.shards(subject)]
        stream = tf.data.Dataset.from_tensor_slices((paths, numbers))
        # TensorFlow's annotations do not know that pairs are handed on as two arguments.
        stream = stream.interleave(columns, cycle_length=1)  # pyright: ignore[reportArgumentType]
        parts = list(read_stream(stream.batch(1024).prefetch(2), paths))
        rows = {name: np.concatenate([part[name] for part in parts] or [np.zeros(0)]) for name in ("subject", *names)}
        bounds = np.searchsorted(rows["subject"], range(len(subjects) + 1))
        records = {}
        for number, subject in enumerate(subjects):
            part = slice(bounds[number], bounds[number + 1])
            if part.start == part.stop:
                shard = Path(self.shards(subject)[0])
                raise DataError(
                    f"subject {subject} has no frames in {shard.name}; delete the folder {shard.parent} and run again to have "
                    "it prepared again"
                )
            video = rows["video"][part]
            cuts = np.flatnonzero(video[1:] != video[:-1]) + 1
            ends = zip([0, *cuts], [*cuts, len(video)], strict=True)
            videos = tuple(Video(subject, video[start].decode(), int(start), int(stop)) for start, stop in ends)
            records[subject] = Records(
                rows["labels"][part],
                rows["landmarks"][part],
                rows["frame"][part],
                rows["found"][part],
                videos,
                rows[_INTENSITIES][part] if self.has_intensities else None,
            )
        return records


@dataclass(frozen=True)
class FaceSet:
    """The faces of some subjects, in order; all that a system gets to see.

    Attributes:
      dataset: where they come from.
      subjects: whose faces these are, in order.
      has_labels: False for the view of test subjects that systems score.

    Example:
      >>> from au_jax.data.preparation import load_dataset
      >>> from au_jax.run_dir import load_run
      >>> dataset = load_dataset(load_run(run_folder).config.data)
      >>> faces = FaceSet(dataset, ("S001", "S002"))
      >>> faces.labels.shape == (len(faces), len(faces.aus)), faces.select(("S002",)).videos[0].key
      (True, 'S002/T1')
      >>> faces.without_labels().has_labels
      False
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

    @property
    def aus(self) -> tuple[int, ...]:
        """AUs of the labels, in order of their columns."""
        return self.dataset.aus

    @cached_property
    def videos(self) -> tuple[Video, ...]:
        """All videos, in order of subject."""
        return tuple(video for records in self._records for video in records.videos)

    @cached_property
    def labels(self) -> Int8[np.ndarray, "N A"]:
        """Labels of all frames, [N, A] int8.

        Raises:
          ValueError: these are test subjects.
        """
        if not self.has_labels:
            raise ValueError("labels of test subjects are not available to a system")
        return np.concatenate([records.labels for records in self._records])

    @cached_property
    def intensities(self) -> Int8[np.ndarray, "N A"]:
        """Intensities of all frames, [N, A] int8: 0 absent, 1 to 5 for A to E, -1 where they are not known.

        Raises:
          ValueError: these are test subjects.
        """
        if not self.has_labels:
            raise ValueError("intensities of test subjects are not available to a system")
        return np.concatenate(
            [
                unknown_intensities(records.labels) if records.intensities is None else records.intensities
                for records in self._records
            ]
        )

    @cached_property
    def landmarks(self) -> Float32[np.ndarray, "N 49 2"]:
        """Landmarks of all frames, [N, 49, 2] float32 pixels of the registered frame."""
        return np.concatenate([records.landmarks for records in self._records])

    @cached_property
    def frame_numbers(self) -> Int32[np.ndarray, " N"]:
        """Frame numbers of all frames, [N] int32."""
        return np.concatenate([records.frame_numbers for records in self._records])

    @cached_property
    def face_detected(self) -> Bool[np.ndarray, " N"]:
        """Frames in which a face was detected, [N] bool."""
        return np.concatenate([records.face_detected for records in self._records])

    @cached_property
    def lengths(self) -> Int[np.ndarray, " subjects"]:
        """Frames of each subject, [subjects] int."""
        return np.array([len(records.frame_numbers) for records in self._records])

    @cached_property
    def _records(self) -> list[Records]:
        return self.dataset.load(self.subjects)

    def __len__(self) -> int:
        return int(self.lengths.sum())

    def by_video(self, rows: Shaped[np.ndarray, "N ..."]) -> dict[str, np.ndarray]:
        """Splits [N, ...] of all frames into video key -> [T, ...]."""
        ends = np.cumsum([len(video) for video in self.videos])
        return dict(zip([video.key for video in self.videos], np.split(rows, ends[:-1]), strict=True))

    def shards(self) -> list[str]:
        """TFRecord files of all subjects, in order."""
        return [shard for subject in self.subjects for shard in self.dataset.shards(subject)]
