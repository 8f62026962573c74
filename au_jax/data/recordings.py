"""A recording: one video of one subject with its frame-level AU codes, as every reader yields it.

A prepared recording on disk until the dataset is packed: its faces as JPEG, one after the other, and an index.

Both are written and read frame by frame, so that memory does not grow with a recording's length. The index is written last:
a recording that has one is finished.
"""

import io
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from au_jax import files
from au_jax.errors import UserError


@dataclass(frozen=True)
class Faces:
    """Consecutive registered frames of a recording.

    Attributes:
      images: [T, S, S, 3] uint8 RGB, the registered faces.
      labels: [T, 12] int8 in {-1, 0, +1}; 0 in every column where no face was found.
      landmarks: [T, 49, 2] float32 pixels in the registered frame, x then y.
      frames: [T] int32 frame numbers of the recording, increasing.
      found: [T] bool; False where no face was found.
      problems: what was found out while these frames were read.
    """

    images: np.ndarray
    labels: np.ndarray
    landmarks: np.ndarray
    frames: np.ndarray
    found: np.ndarray
    problems: tuple["Problem", ...] = ()


@dataclass(frozen=True)
class Problem:
    """Something in raw recordings that a user should know of.

    Attributes:
      kind: what it is an instance of, such as "label without frame"; problems are counted by it.
      path: the file or folder.
      text: what was found there.
      count: how many frames, rows or files it concerns.
    """

    kind: str
    path: str
    text: str
    count: int = 1


@dataclass(frozen=True)
class RecordingId:
    """Names a recording: subject and video; the subject decides the fold."""

    subject: str
    video: str


class Reader(Protocol):
    """One raw layout.

    A reader is also a name for what it reads: two readers with the same `name` yield the same faces.
    """

    name: str
    """Identifier of the prepared dataset: letters, digits and underscores."""

    def recordings(self) -> list[RecordingId]:
        """All recordings in order."""
        ...

    def faces(self, recording: RecordingId) -> Iterator[Faces]:
        """The registered frames of a recording, in parts, so that memory does not grow with its length."""
        ...


def is_finished(folder: Path, recording: RecordingId) -> bool:
    """Whether a recording has been prepared."""
    return _index(folder, recording).exists()


def write_recording(folder: Path, recording: RecordingId, parts: Iterator[Faces], quality: int) -> None:
    """Writes a recording as its parts come.

    Raises:
      UserError: it has no frames.
      OSError: the disk is full or not writable; the recording then counts as not prepared.
    """
    path = _pictures(folder, recording)
    path.parent.mkdir(parents=True, exist_ok=True)
    names = ("labels", "landmarks", "frames", "found")
    columns: dict[str, list[np.ndarray]] = {name: [] for name in ("sizes", *names)}
    problems: list[Problem] = []
    # A name of its own until it is whole: a worker of a killed run may still write the same recording.
    partial = path.with_suffix(f".{os.getpid()}.partial")
    try:
        with files.named(path), open(partial, "wb") as stream:
            for faces in parts:
                encoded = [encode_jpeg(image, quality) for image in faces.images]
                stream.writelines(encoded)
                columns["sizes"].append(np.array([len(jpeg) for jpeg in encoded], np.int64))
                for name in names:
                    columns[name].append(getattr(faces, name))
                problems.extend(faces.problems)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    if not sum(len(sizes) for sizes in columns["sizes"]):
        raise UserError(
            f"{recording.subject}/{recording.video} has no frames to prepare; remove it, or mend its labels"
        )
    files.write_json(_problems(folder, recording), [asdict(problem) for problem in problems])
    files.write_npz(_index(folder, recording), {name: np.concatenate(arrays) for name, arrays in columns.items()})


def read_recording(folder: Path, recording: RecordingId) -> Iterator[dict[str, Any]]:
    """Yields, frame by frame, the encoded face "jpeg" and its "labels", "landmarks", "frame" and "found".

    Raises:
      UserError: the index is damaged, or the pictures break off.
    """
    index = files.read_npz(_index(folder, recording))
    with open(_pictures(folder, recording), "rb") as stream:
        for row, size in enumerate(index["sizes"]):
            jpeg = stream.read(size)
            if len(jpeg) < size:
                raise UserError(f"{stream.name} breaks off; delete {_index(folder, recording)} to have it made again")
            yield {
                "jpeg": jpeg,
                "labels": index["labels"][row],
                "landmarks": index["landmarks"][row],
                "frame": int(index["frames"][row]),
                "found": bool(index["found"][row]),
            }


def read_notes(folder: Path, recording: RecordingId) -> tuple[int, int, list[Problem]]:
    """The number of frames, that of frames in which a face was found, and the problems met."""
    found = files.read_npz(_index(folder, recording))["found"]
    problems = [Problem(**problem) for problem in files.read_json(_problems(folder, recording))]
    return len(found), int(found.sum()), problems


def encode_jpeg(image: np.ndarray, quality: int) -> bytes:
    """Encodes [H, W, 3] uint8 RGB as JPEG with full colour resolution: lips and wrinkles are small."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality, subsampling=0)
    return stream.getvalue()


def _index(folder: Path, recording: RecordingId) -> Path:
    return _file(folder, recording, "npz")


def _pictures(folder: Path, recording: RecordingId) -> Path:
    return _file(folder, recording, "jpegs")


def _problems(folder: Path, recording: RecordingId) -> Path:
    return _file(folder, recording, "json")


def _file(folder: Path, recording: RecordingId, suffix: str) -> Path:
    # Readers make names safe; one that does not must not write elsewhere.
    for name in (recording.subject, recording.video):
        if not name or safe_name(name) != name:
            raise ValueError(f"{name!r} is no name for a file; readers give letters, digits and underscores")
    return folder / recording.subject / f"{recording.video}.{suffix}"


def safe_name(name: str) -> str:
    """A name as TFDS splits and files may have it: letters, digits and underscores."""
    safe = re.sub(r"[^A-Za-z0-9_]", "_", name)
    # TFDS reads "all" as all splits together.
    return "all_" if safe == "all" else safe
