"""The table of a video's AUs, and its columns as users of OpenFace and py-feat know them."""

import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from io import TextIOBase
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64

from au_jax.errors import CommandError, DataError
from au_jax.faces.absence import REASONS
from au_jax.inference.peer_columns import complete_fex, complete_openface


@dataclass(frozen=True)
class Detections:
    """Consecutive frames of a video with their faces and AU scores.

    Attributes:
      aus: AU numbers, in the order of the scores' columns.
      frames: [T] int64 frame numbers: from 1 in a video, the files' own in a folder of frames.
      timestamps: [T] float64 seconds on the player's clock, or of the clock that was asked for.
      success: [T] bool, whether a face was found.
      confidence: [T] float32, the face detector's, 0 to 1; 0 where no face was found.
      boxes: [T, 4] float32 x, y, width, height of the face in pixels; NaN where no face was found.
      landmarks: [T, 68, 2] float32 pixels of the frame, x then y, in the order of iBUG-68; NaN where no face was found.
      scores: system -> [T, A] float32, the mean over folds, > 0 where the AU is present; NaN where no face was found.
      probabilities: [T, A] float32 that the AU is present, by the last system, the mean over folds; NaN where no face was found
        or the AU could not be calibrated; None: the run is of before they were.
      intensities: [T, A] float32, 0 to 5, the mean over folds; NaN where no face was found or the AU was learned without; None:
        the run has no system for them.
      named: whether frame numbers are those of files' names.
      face_ids: [T] int64, whose face it is; None: all are 0. A frame has a row for each face, in order of `face_ids`.
      reasons: [T] of `faces.absence.REASONS` where no face was found, else ""; None: not known.

    Example:
      >>> detections = Detections(
      ...     aus=(6, 12), frames=np.array([1, 2]), timestamps=np.array([0.0, 0.04]), success=np.array([True, False]),
      ...     confidence=np.array([0.9, 0.0]), boxes=np.zeros((2, 4)), landmarks=np.zeros((2, 68, 2)),
      ...     scores={"anet": np.array([[-1.5, 2.0], [np.nan, np.nan]])},
      ... )
      >>> detections.present.tolist()
      [[False, True], [False, False]]
      >>> detections.columns("openface")["AU12_c"].tolist()
      [1, 0]
    """

    aus: tuple[int, ...]
    frames: np.ndarray
    timestamps: np.ndarray
    success: np.ndarray
    confidence: np.ndarray
    boxes: np.ndarray
    landmarks: np.ndarray
    scores: dict[str, np.ndarray]
    probabilities: np.ndarray | None = None
    intensities: np.ndarray | None = None
    named: bool = False
    face_ids: np.ndarray | None = None
    reasons: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def present(self) -> Bool[np.ndarray, "T A"]:
        """Whether each AU is present by the last system, [T, A] bool; False where no face was found."""
        return self.scores[list(self.scores)[-1]] > 0

    @property
    def people(self) -> Int64[np.ndarray, " T"]:
        """Whose face each row is."""
        return np.zeros(len(self), np.int64) if self.face_ids is None else np.asarray(self.face_ids, np.int64)

    def of_person(self, person: int) -> "Detections":
        """The same video of one person alone: a row for every frame, without a face where others were seen.

        Args:
          person: of `people`.
        """
        frames, first = np.unique(self.frames, return_index=True)
        mine = self.success & (self.people == person)
        rows = np.array(first)
        rows[np.searchsorted(frames, self.frames[mine])] = np.flatnonzero(mine)
        absent = ~mine[rows]

        def without(values: np.ndarray | None, blank: float = np.nan) -> np.ndarray | None:
            if values is None:
                return None
            kept = values[rows].copy()
            kept[absent] = blank
            return kept

        return replace(
            self,
            **{name: getattr(self, name)[rows] for name in ("frames", "timestamps")},
            success=mine[rows],
            confidence=without(self.confidence, 0),
            **{name: without(getattr(self, name)) for name in ("boxes", "landmarks", "probabilities", "intensities")},
            scores={name: without(part) for name, part in self.scores.items()},
            face_ids=np.full(len(rows), person, np.int64),
            reasons=None if self.reasons is None else np.where(absent, self.reasons[rows], ""),
        )

    def columns(self, form: str = "openface", source: str | Mapping[int, Path] = "") -> dict[str, np.ndarray]:
        """The table as named columns of length T, ready for `pandas.DataFrame`.

        Args:
          form: one of `FORMATS`.
          source: the video's path, or of a folder of frames number -> file: py-feat's column "input".

        Raises:
          CommandError: no such form.
        """
        if form not in FORMATS:
            raise CommandError(f"unknown table format {form!r}; choose one of {', '.join(FORMATS)}")
        columns = FORMATS[form](self)
        if form == "fex":
            named = [
                source if isinstance(source, str) else str(source.get(frame, "")) for frame in self.frames.tolist()
            ]
            columns["input"] = np.array(named, np.str_)
        return columns


def concatenate(parts: Iterable[Detections]) -> Detections:
    """Joins the consecutive parts of one video.

    Raises:
      DataError: there is no part.

    Example:
      >>> def part(number):
      ...     scores = {"anet": np.array([[2.0]])}
      ...     rest = np.ones(1), np.zeros((1, 4)), np.zeros((1, 68, 2)), scores
      ...     return Detections((12,), np.array([number]), np.array([number / 25]), np.array([True]), *rest)
      >>> concatenate([part(1), part(2)]).frames.tolist()
      [1, 2]
    """
    parts = list(parts)
    if not parts:
        raise DataError("there is no frame to detect AUs in; give one at least")
    names = ("frames", "timestamps", "success", "confidence", "boxes", "landmarks")
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    scores = {name: np.concatenate([part.scores[name] for part in parts]) for name in parts[0].scores}
    further = {}
    for name in ("probabilities", "intensities", "face_ids", "reasons"):
        known = [rows for part in parts if (rows := getattr(part, name)) is not None]
        further[name] = np.concatenate(known) if len(known) == len(parts) else None
    return Detections(aus=parts[0].aus, **columns, scores=scores, named=parts[0].named, **further)


class CsvWriter:
    """Writes parts of a table to an open text file, as they come.

    An unknown value is written as NaN: pandas, polars, R and MATLAB then read a column as numbers that has none at its beginning,
    or none at all. polars takes a column that begins with a hundred empty cells for text.

    Args:
      stream: open for writing text.
      form: one of `FORMATS`.
      source: as `Detections.columns` takes it.

    Example:
      >>> import io
      >>> none = np.full((1, 68, 2), np.nan)
      >>> stream, scores = io.StringIO(), {"anet": np.array([[np.nan]])}
      >>> writer = CsvWriter(stream, "fex")
      >>> absent = np.array([False])
      >>> writer.write(Detections((12,), np.array([1]), np.zeros(1), absent, np.zeros(1), none[:, :4, 0], none, scores))
      >>> [line.split(",")[:2] for line in stream.getvalue().splitlines()]
      [['frame', 'FaceRectX'], ['0', 'NaN']]
    """

    def __init__(self, stream: TextIOBase, form: str, source: str | Mapping[int, Path] = ""):
        self._stream, self._form, self._source = stream, form, source
        self._writer = csv.writer(stream, lineterminator="\n")
        self._begun = False

    def write(self, detections: Detections) -> None:
        """Appends the rows of some frames, the header before the first ones."""
        columns = detections.columns(self._form, self._source)
        if not self._begun:
            self._writer.writerow(columns)
            self._begun = True
        self._writer.writerows(zip(*(_cells(values) for values in columns.values()), strict=True))
        self._stream.flush()


def _cells(values: np.ndarray) -> list[str]:
    if values.dtype.kind == "f":
        digits = 6 if values.dtype == np.float64 else 4
        return ["NaN" if np.isnan(value) else f"{value:.{digits}f}" for value in values.tolist()]
    return [str(value) for value in values.tolist()]


def _openface(detections: Detections) -> dict[str, np.ndarray]:
    """OpenFace's columns, then the scores of every system and the probabilities.

    AU.._c is presence, 0 or 1, as in OpenFace 0 where there is no face. AU.._r is OpenFace's intensity, 0 to 5: there, and empty,
    where nothing was trained on intensities.
    """
    aus = detections.aus
    columns = {
        "frame": detections.frames,
        "face_id": detections.people,
        "timestamp": detections.timestamps,
        "confidence": detections.confidence,
        "success": detections.success.astype(np.int64),
        **_landmark_columns(np.nan_to_num(detections.landmarks)),
    }
    columns |= _columns("AU{:02d}_r", detections, detections.intensities)
    columns |= {
        f"AU{au:02d}_c": present.astype(np.int64) for au, present in zip(aus, detections.present.T, strict=True)
    }
    for name, scores in detections.scores.items():
        columns |= {f"AU{au:02d}_{name}": column for au, column in zip(aus, scores.T, strict=True)}
    return columns | _columns("AU{:02d}_p", detections, detections.probabilities) | _reasons(detections)


def _fex(detections: Detections) -> dict[str, np.ndarray]:
    """py-feat's columns; a video's frames from 0.

    AU.. is the logistic of the last system's score, above .5 where the AU is present. py-feat takes every column with AU in
    its name for one of an AU, so that the calibrated probabilities are called p01 ..
    """
    scores = detections.scores[list(detections.scores)[-1]].astype(np.float64)
    names = ("FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight")
    confidence = np.where(detections.success, detections.confidence, np.nan).astype(np.float32)
    return {
        "frame": detections.frames - (0 if detections.named else 1),
        **dict(zip(names, detections.boxes.T, strict=True)),
        "FaceScore": confidence,
        **_landmark_columns(detections.landmarks),
        **{f"AU{au:02d}": column for au, column in zip(detections.aus, sigmoid(scores).T, strict=True)},
        "timestamp": detections.timestamps,
        **_columns("p{:02d}", detections, detections.probabilities),
        "face_id": detections.people,
        **_reasons(detections),
    }


def _columns(name: str, detections: Detections, rows: np.ndarray | None) -> dict[str, np.ndarray]:
    """A column of each AU; NaN where `rows` are not known."""
    aus, count = detections.aus, len(detections)
    known = np.full((count, len(aus)), np.nan, np.float32) if rows is None else rows
    return {name.format(au): column for au, column in zip(aus, known.T, strict=True)}


def _reasons(detections: Detections) -> dict[str, np.ndarray]:
    """A number, as all columns: tables are read as numbers throughout. 0 with a face, else the place in `REASONS`, from 1."""
    if detections.reasons is None:
        return {}
    return {
        "reason": np.array([1 + REASONS.index(text) if text else 0 for text in detections.reasons.tolist()], np.int64)
    }


def _landmark_columns(landmarks: np.ndarray) -> dict[str, np.ndarray]:
    return {f"{axis}_{i}": landmarks[:, i, number] for number, axis in enumerate("xy") for i in range(68)}


FORMATS: dict[str, Callable[[Detections], dict[str, np.ndarray]]] = {
    "openface": lambda detections: complete_openface(_openface(detections), detections.landmarks),
    "fex": lambda detections: complete_fex(_fex(detections), detections.landmarks),
}
"""Table formats by name."""


def sigmoid(scores: Float[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
    """The logistic function of scores: above 0.5 where the AU is present. They are no calibrated probabilities.

    Example:
      >>> sigmoid(np.array([0.0, np.log(3.0)])).tolist()
      [0.5, 0.75]
    """
    return (0.5 + 0.5 * np.tanh(0.5 * np.asarray(scores))).astype(np.float32)
