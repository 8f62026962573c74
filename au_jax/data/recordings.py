"""A recording: one video of one subject with its AU codes per frame, as every reader yields it, and as it is kept on disk.

A prepared recording lies on disk until the dataset is packed: its faces as JPEG, one after the other, and an index. Both are
written and read frame by frame, so that memory does not grow with a recording's length. The index is written last: a
recording that has one is finished.
"""

import io
import os
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable
from unicodedata import normalize

import numpy as np
from jaxtyping import Bool, Float32, Int8, Int32, UInt8
from PIL import Image

from au_jax import files
from au_jax.errors import DataError
from au_jax.labels import PAPER_AUS

_LONGEST = 200
"""Characters of a subject's or video's name; the files that bear it have some more, and 255 at most."""

_LISTED = 8
"""A selection of at most so many AUs is listed in a dataset's name."""

_COLUMNS = {"labels": "labels", "landmarks": "landmarks", "frames": "frame_numbers", "found": "face_detected"}
"""Array of the index -> attribute of `Faces`."""

_INTENSITIES = "intensities"
"""Array of the index of a recording some intensity of which is known."""

_Part = tuple[list[bytes], dict[str, np.ndarray]]
"""JPEGs of consecutive frames, and the arrays of the index for them."""


@dataclass(frozen=True)
class Problem:
    """Something in raw recordings that a user should know of.

    Attributes:
      kind: what it is an instance of, such as "label without frame"; problems are counted by it.
      path: the file or folder.
      text: what was found there.
      count: how many frames, rows or files it concerns.

    Example:
      >>> Problem("label without frame", "anna/clip.csv", "rows 101 to 103", count=3).count
      3
    """

    kind: str
    path: str
    text: str
    count: int = 1


@dataclass(frozen=True)
class Faces:
    """Consecutive registered frames of a recording.

    Attributes:
      images: [T, S, S, 3] uint8 RGB, the registered faces.
      labels: [T, A] int8 in {-1, 0, +1}; 0 in every column where no face was detected.
      landmarks: [T, 49, 2] float32 pixels in the registered frame, x then y.
      frame_numbers: [T] int32 numbers of the frames in the recording, increasing.
      face_detected: [T] bool; False where no face was detected.
      problems: what was found out while these frames were read.
      confidence: [T] float32 of the face detector, 0 without a face; None: not known.
      intensities: [T, A] int8, FACS intensities 0 (absent) to 5 (E), -1 where they are not known; None: nowhere.

    Example:
      >>> pixels, codes = np.zeros((2, 8, 8, 3), np.uint8), np.array([[1], [-1]], np.int8)
      >>> faces = Faces(pixels, codes, np.zeros((2, 49, 2), np.float32), np.array([1, 2], np.int32), np.ones(2, bool))
      >>> faces.frame_numbers.tolist(), faces.labels[:, 0].tolist(), faces.confidence
      ([1, 2], [1, -1], None)
    """

    images: UInt8[np.ndarray, "T S S 3"]
    labels: Int8[np.ndarray, "T A"]
    landmarks: Float32[np.ndarray, "T 49 2"]
    frame_numbers: Int32[np.ndarray, " T"]
    face_detected: Bool[np.ndarray, " T"]
    problems: tuple[Problem, ...] = ()
    confidence: Float32[np.ndarray, " T"] | None = None
    intensities: Int8[np.ndarray, "T A"] | None = None


@dataclass(frozen=True)
class RecordingId:
    """Names a recording: subject and video; the subject decides the fold.

    Example:
      >>> RecordingId("anna", "clip") in {RecordingId("anna", "clip"): "a fingerprint"}
      True
    """

    subject: str
    video: str


@runtime_checkable
class Reader(Protocol):
    """One raw layout.

    A reader is also a name for what it reads: two readers with the same `name` yield the same faces with the same labels.

    Example:
      >>> from au_jax.config import DataConfig
      >>> from au_jax.data.readers import make_reader
      >>> reader = make_reader(DataConfig(preset="tiny", aus=(6, 12), image_size=40))
      >>> isinstance(reader, Reader), reader.aus, reader.recordings()[0]
      (True, (6, 12), RecordingId(subject='S001', video='T1'))
    """

    name: str
    """Identifier of the prepared dataset: letters, digits and underscores."""

    aus: tuple[int, ...]
    """AUs of the labels, in order of their columns."""

    def recordings(self) -> list[RecordingId]:
        """All recordings in order."""
        ...

    def origins(self) -> dict[RecordingId, dict[str, Any]]:
        """What every recording that is there is made from, as JSON: all that decides its faces but the config."""
        ...

    def origin(self, recording: RecordingId) -> dict[str, Any]:
        """The same of one recording, as it is now."""
        ...

    def faces(self, recording: RecordingId) -> Iterator[Faces]:
        """The registered frames of a recording, in parts, so that memory does not grow with its length."""
        ...


def safe_name(name: str) -> str:
    """A name as TFDS splits and files may have it: letters, digits and underscores, one letter or digit at least.

    Other characters become underscores; a name that has no others is spelled by their numbers, so that no two are the same.
    The end of a very long one is a checksum.

    Example:
      >>> safe_name("a b/2"), safe_name("All")  # TFDS reads "all" as all splits together
      ('a_b_2', 'All_')
      >>> safe_name("\N{CJK UNIFIED IDEOGRAPH-5F20}\N{CJK UNIFIED IDEOGRAPH-4E09}"), safe_name("..")
      ('u5f20u4e09', 'u2eu2e')
    """
    safe = re.sub(r"[^A-Za-z0-9_]", "_", name)
    if not safe.strip("_"):
        safe = "".join(f"u{ord(character):x}" for character in normalize("NFC", name))
    if safe.lower() == "all":
        safe += "_"
    return safe if len(safe) <= _LONGEST else f"{safe[: _LONGEST - 13]}_{files.checksum(name)[:12]}"


def aus_suffix(aus: Sequence[int]) -> str:
    """The end of a dataset's name that tells its AUs: the same recordings with other AUs are another dataset.

    Args:
      aus: AUs in the order of the columns.

    Returns:
      "" for the AUs of the paper; a list of few AUs; the number of many and the start of a checksum.

    Example:
      >>> aus_suffix((1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24)), aus_suffix((5, 9, 12))
      ('', '_aus5_9_12')
      >>> aus_suffix(range(1, 26))
      '_25aus_282ce608'
    """
    if tuple(aus) == PAPER_AUS:
        return ""
    if len(aus) <= _LISTED:
        return "_aus" + "_".join(str(au) for au in aus)
    return f"_{len(aus)}aus_{files.checksum(list(aus))[:8]}"


def encode_jpeg(image: UInt8[np.ndarray, "H W 3"], quality: int) -> bytes:
    """Encodes a picture as JPEG with full colour resolution: lips and wrinkles are small.

    Args:
      image: [H, W, 3] uint8 RGB.
      quality: 1 to 100.

    Example:
      >>> encode_jpeg(np.zeros((8, 8, 3), np.uint8), 95)[:3]
      b'\\xff\\xd8\\xff'
    """
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality, subsampling=0)
    return stream.getvalue()


def is_finished(folder: Path, recording: RecordingId) -> bool:
    """Whether a recording has been prepared.

    Example:
      >>> clip = RecordingId("anna", "clip")
      >>> before = is_finished(folder, clip)
      >>> row = {"labels": np.zeros(12, np.int8), "landmarks": np.zeros((49, 2), np.float32), "frame": 7, "found": True}
      >>> write_encoded(folder, clip, [{"jpeg": b"a face", **row}], [], None)
      >>> before, is_finished(folder, clip)
      (False, True)
    """
    return _file(folder, recording, "npz").exists()


def write_recording(
    folder: Path,
    recording: RecordingId,
    parts: Iterator[Faces],
    quality: int,
    fingerprint: Mapping[str, Any] | None = None,
) -> None:
    """Writes a recording as its parts come.

    Args:
      folder: of the prepared recordings of a dataset.
      recording: its names.
      parts: its registered frames in order.
      quality: of the JPEGs, 1 to 100.
      fingerprint: what it is made from, JSON (`au_jax.data.provenance`).

    Raises:
      DataError: it has no frames.
      OSError: the disk is full or not writable; the recording then counts as not prepared.

    Example:
      >>> import tempfile
      >>> folder, clip = Path(tempfile.mkdtemp()), RecordingId("anna", "clip")
      >>> zeros = np.zeros((2, 8, 8, 3), np.uint8), np.zeros((2, 12), np.int8), np.zeros((2, 49, 2), np.float32)
      >>> faces = Faces(*zeros, np.array([1, 2], np.int32), np.ones(2, bool))
      >>> write_recording(folder, clip, iter([faces]), 95, {"level": "B"})
      >>> [row["frame"] for row in read_recording(folder, clip)], read_notes(folder, clip)
      ([1, 2], (2, 2, []))
      >>> read_fingerprint(folder, clip)
      {'level': 'B'}
    """

    problems: list[Problem] = []

    def encoded() -> Iterator[_Part]:
        for faces in parts:
            problems.extend(faces.problems)
            columns = {name: getattr(faces, attribute) for name, attribute in _COLUMNS.items()}
            columns[_INTENSITIES] = (
                unknown_intensities(faces.labels) if faces.intensities is None else faces.intensities
            )
            yield [encode_jpeg(image, quality) for image in faces.images], columns

    _write(folder, recording, encoded(), problems, fingerprint)


def write_encoded(
    folder: Path,
    recording: RecordingId,
    rows: Iterable[Mapping[str, Any]],
    problems: Sequence[Problem],
    fingerprint: Mapping[str, Any] | None,
) -> None:
    """Writes a recording whose faces are JPEGs already, to the byte as they are.

    Args:
      folder, recording, fingerprint: as in `write_recording`.
      rows: as `read_recording` yields them.
      problems: that were met when it was prepared.

    Example:
      >>> import tempfile
      >>> folder, clip = Path(tempfile.mkdtemp()), RecordingId("anna", "clip")
      >>> row = {"labels": np.zeros(12, np.int8), "landmarks": np.zeros((49, 2), np.float32), "frame": 7, "found": True}
      >>> write_encoded(folder, clip, [{"jpeg": b"a face", **row}], [], None)
      >>> [row["jpeg"] for row in read_recording(folder, clip)]
      [b'a face']
    """

    columns = {"labels": np.int8, "landmarks": np.float32, "frame": np.int32, "found": np.bool_}

    def encoded() -> Iterator[_Part]:
        for row in rows:
            arrays = [np.asarray(row[name], dtype)[None] for name, dtype in columns.items()]
            intensities = (
                np.asarray(row[_INTENSITIES], np.int8)[None] if _INTENSITIES in row else unknown_intensities(arrays[0])
            )
            yield [row["jpeg"]], {**dict(zip(_COLUMNS, arrays, strict=True)), _INTENSITIES: intensities}

    _write(folder, recording, encoded(), problems, fingerprint)


def _write(
    folder: Path,
    recording: RecordingId,
    parts: Iterator[_Part],
    problems: Sequence[Problem],
    fingerprint: Mapping[str, Any] | None,
) -> None:
    """Writes a recording; `problems` may grow while the parts come."""
    path = _file(folder, recording, "jpegs")
    path.parent.mkdir(parents=True, exist_ok=True)
    index = _file(folder, recording, "npz")
    # The index of other pictures must not stand beside these.
    index.unlink(missing_ok=True)
    columns: dict[str, list[np.ndarray]] = {name: [] for name in ("sizes", "checksums", *_COLUMNS, _INTENSITIES)}
    # A name of its own until it is whole: a worker of a killed run may still write the same recording.
    partial = path.with_suffix(f".{os.getpid()}.partial")
    try:
        with files.named(path), open(partial, "wb") as stream:
            for encoded, arrays in parts:
                stream.writelines(encoded)
                columns["sizes"].append(np.array([len(jpeg) for jpeg in encoded], np.int64))
                columns["checksums"].append(np.array([zlib.crc32(jpeg) for jpeg in encoded], np.uint32))
                for name, array in arrays.items():
                    columns[name].append(array)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    if not sum(len(sizes) for sizes in columns["sizes"]):
        raise DataError(
            f"{recording.subject}/{recording.video} has no frames to prepare; remove it, or mend its labels"
        )
    notes = {"made_from": fingerprint, "problems": [asdict(problem) for problem in problems]}
    files.write_json(_file(folder, recording, "json"), notes)
    arrays = {name: np.concatenate(parts) for name, parts in columns.items()}
    if (arrays[_INTENSITIES] < 0).all():
        del arrays[_INTENSITIES]
    files.write_npz(index, arrays)


def unknown_intensities(labels: Int8[np.ndarray, "*T A"]) -> Int8[np.ndarray, "*T A"]:
    """Intensities that nobody knows, for these labels.

    Example:
      >>> unknown_intensities(np.array([[1, -1]], np.int8)).tolist()
      [[-1, -1]]
    """
    return np.full(labels.shape, -1, np.int8)


def has_intensities(folder: Path, recording: RecordingId) -> bool:
    """Whether some intensity above 0 of a prepared recording is known.

    Example:
      >>> clip = RecordingId("anna", "graded")
      >>> row = {"labels": np.ones(2, np.int8), "landmarks": np.zeros((49, 2), np.float32), "frame": 7, "found": True}
      >>> write_encoded(folder, clip, [{"jpeg": b"a face", "intensities": np.int8([3, -1]), **row}], [], None)
      >>> has_intensities(folder, clip), next(read_recording(folder, clip))["intensities"].tolist()
      (True, [3, -1])
    """
    intensities = files.read_npz(_file(folder, recording, "npz")).get(_INTENSITIES)
    return intensities is not None and bool((intensities > 0).any())


def read_recording(folder: Path, recording: RecordingId) -> Iterator[dict[str, Any]]:
    """Yields, frame by frame, the encoded face "jpeg" and its "labels", "landmarks", "frame" and "found".

    And "intensities", of a recording some of which are known.

    Raises:
      DataError: the pictures break off or have changed.
      UserError: the index is damaged.

    Example:
      >>> clip = RecordingId("anna", "read")
      >>> row = {"labels": np.zeros(12, np.int8), "landmarks": np.zeros((49, 2), np.float32), "found": True}
      >>> write_encoded(folder, clip, [{"jpeg": b"a face", "frame": number, **row} for number in (7, 8)], [], None)
      >>> [(row["frame"], row["jpeg"], row["found"]) for row in read_recording(folder, clip)]
      [(7, b'a face', True), (8, b'a face', True)]
    """
    place = _file(folder, recording, "npz")
    index = files.read_npz(place)
    checksums = index.get("checksums")  # recordings of earlier versions have none
    with open(_file(folder, recording, "jpegs"), "rb") as stream:
        for row, size in enumerate(index["sizes"]):
            jpeg = stream.read(size)
            if len(jpeg) < size:
                raise DataError(f"{stream.name} breaks off; delete {place} to have it made again")
            if checksums is not None and zlib.crc32(jpeg) != checksums[row]:
                raise DataError(f"{stream.name} has changed at picture {row + 1}; delete {place} to have it made again")
            graded = {_INTENSITIES: index[_INTENSITIES][row]} if _INTENSITIES in index else {}
            yield {
                **graded,
                "jpeg": jpeg,
                "labels": index["labels"][row],
                "landmarks": index["landmarks"][row],
                "frame": int(index["frames"][row]),
                "found": bool(index["found"][row]),
            }


def read_notes(folder: Path, recording: RecordingId) -> tuple[int, int, list[Problem]]:
    """The number of frames, that of frames in which a face was detected, and the problems met.

    Example:
      >>> clip = RecordingId("anna", "notes")
      >>> row = {"labels": np.zeros(12, np.int8), "landmarks": np.zeros((49, 2), np.float32)}
      >>> rows = [{"jpeg": b"a face", "frame": number, "found": number > 7, **row} for number in (7, 8)]
      >>> write_encoded(folder, clip, rows, [], None)
      >>> read_notes(folder, clip)  # two frames, a face in one of them
      (2, 1, [])
    """
    detected = files.read_npz(_file(folder, recording, "npz"))["found"]
    notes = files.read_json(_file(folder, recording, "json"))
    # Earlier versions wrote the problems alone.
    problems = [Problem(**problem) for problem in (notes["problems"] if isinstance(notes, dict) else notes)]
    return len(detected), int(detected.sum()), problems


def read_fingerprint(folder: Path, recording: RecordingId) -> dict[str, Any] | None:
    """What a recording was made from; None where it does not say, or says it in a way that cannot be read.

    Example:
      >>> clip = RecordingId("anna", "origin")
      >>> row = {"labels": np.zeros(12, np.int8), "landmarks": np.zeros((49, 2), np.float32), "frame": 7, "found": True}
      >>> write_encoded(folder, clip, [{"jpeg": b"a face", **row}], [], {"reading": "occurrence"})
      >>> read_fingerprint(folder, clip), read_fingerprint(folder, RecordingId("anna", "missing"))
      ({'reading': 'occurrence'}, None)
    """
    try:
        notes = files.read_json(_file(folder, recording, "json"))
    except (FileNotFoundError, DataError):
        return None
    made_from = notes.get("made_from") if isinstance(notes, dict) else None
    return made_from if isinstance(made_from, dict) else None


def _file(folder: Path, recording: RecordingId, suffix: str) -> Path:
    """A file of a recording: `jpegs` holds the faces, `npz` is the index, `json` lists the problems."""
    # Readers make names safe; one that does not must not write elsewhere.
    for name in (recording.subject, recording.video):
        if not name or safe_name(name) != name:
            raise ValueError(f"{name!r} is no name for a file; readers give letters, digits and underscores")
    return folder / recording.subject / f"{recording.video}.{suffix}"
