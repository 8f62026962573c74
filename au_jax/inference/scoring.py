"""From the frames of a video to its table of AUs, whatever computes the scores: JAX, or another runtime.

Neither JAX nor Flax is imported here.
"""

import abc
import collections
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from au_jax.faces.decoding import VideoFrame, read_pictures
from au_jax.faces.people import LARGEST, register_faces
from au_jax.faces.tracking import RegisteredFace
from au_jax.inference.writers import Detections, concatenate
from au_jax.labels import INTENSITY, PROBABILITY
from au_jax.training.prefetch import prefetch

LIVE_CHUNK = 32
"""Frames that go through the networks at once: a live camera's frame waits for its chunk to fill."""


class FaceScorer(abc.ABC):
    """Trained networks whose recurrent state goes in and comes out; the score of a frame is the mean over folds.

    Attributes:
      aus: AU numbers, in the order of the scores' columns.
      systems: whose scores there are; the last one decides what is present.
      outputs: what `score` gives: the systems and, where all folds know it, `labels.PROBABILITY` and `labels.INTENSITY`.
      image_size: side of the registered faces in pixels.
      delay: frames after a frame that its scores wait for.
      landmarks: by which faces are registered, of `faces.backends.BACKENDS`: as those that the networks were trained on.
      notes: where the networks come from, of a detector in a file.

    Example:
      >>> class Brightness(FaceScorer):
      ...     aus, systems, outputs, image_size, delay = (12,), ("anet",), ("anet",), 8, 0
      ...     def _initial_carries(self): return []
      ...     def _mean_scores(self, carries, faces, present):
      ...         return carries, {"anet": faces.mean((1, 2, 3)).astype(np.float32)[:, None]}
      >>> Brightness().score(np.full((2, 8, 8, 3), 3, np.uint8))["anet"].tolist()
      [[3.0], [3.0]]
    """

    aus: tuple[int, ...]
    systems: tuple[str, ...]
    outputs: tuple[str, ...]
    image_size: int
    delay: int
    landmarks: str = "dlib"
    notes: Mapping[str, Any] = MappingProxyType({})

    @abc.abstractmethod
    def _initial_carries(self) -> list[Any]:
        """The state before a video's first frame."""

    @abc.abstractmethod
    def _mean_scores(
        self, carries: list[Any], faces: np.ndarray, present: np.ndarray
    ) -> tuple[list[Any], dict[str, np.ndarray]]:
        """The state after some frames, and their scores, `delay` frames late; as `models.hybrid.apply`."""

    def detect(
        self, source: str | Path | int, fps: float | None = None, rotate: int = 0, faces: str = LARGEST
    ) -> Detections:
        """The table of a video file, a folder of frames or a camera index (until the camera ends).

        Args:
          source: path, or number of a camera.
          fps: frames per second of a folder of frames or a raw stream; a video has its own times.
          rotate: degrees by which pictures are turned clockwise.
          faces: "largest", "all", or how many people are scored at a time: a row for each face of a frame.

        Raises:
          UserError: nothing there that can be read.
          CommandError: `faces` is something else.
        """
        frames = read_pictures(source, fps, rotate)
        return concatenate(detections for detections, _ in self.stream(frames, faces=faces))

    def score(
        self, faces: UInt8[np.ndarray, "T S S 3"], chunk: int = LIVE_CHUNK
    ) -> dict[str, Float32[np.ndarray, "T A"]]:
        """Scores of the registered faces of one video, as a dataset holds them or `register_pictures` makes them.

        Args:
          faces: [T, S, S, 3] uint8 in order, S is `config.data.image_size`.
          chunk: frames that go through the networks at once.

        Returns:
          Output -> [T, A] float32: of a system its scores, above 0 present; `labels.PROBABILITY` that of the last system;
          `labels.INTENSITY` 0 to 5, where the run has the system anet_intensity.

        Example:
          >>> from au_jax.inference.detector import Detector
          >>> detector = Detector.from_run(run_folder)
          >>> size = detector.image_size
          >>> scores = detector.score(np.zeros((5, size, size, 3), np.uint8))
          >>> detector.outputs, scores["hybrid"].shape == (5, len(detector.aus))
          (('anet', 'hybrid', 'probability'), True)
        """
        # One compiled shape: the last chunk is filled up, and what follows a video's end changes nothing before it.
        count = len(faces) + self.delay
        padded = np.pad(faces, [(0, count + -count % chunk - len(faces))] + [(0, 0)] * 3)
        carries, parts = self._initial_carries(), []
        for start in range(0, len(padded), chunk):
            present = np.arange(start, start + chunk) < len(faces)
            carries, scores = self._mean_scores(carries, padded[start : start + chunk], present)
            parts.append(scores)
        return {name: np.concatenate([part[name] for part in parts])[self.delay : count] for name in self.outputs}

    def stream(
        self, frames: Iterable[VideoFrame], chunk: int = LIVE_CHUNK, faces: str = LARGEST
    ) -> Iterator[tuple[Detections, list[RegisteredFace]]]:
        """Detects in consecutive frames of one video; needs the same memory however long it is.

        Faces are sought in one thread while the networks score in another, `chunk` frames of a person at a time. Every
        person has a recurrent state, which begins when the person is first seen and is forgotten when the person has left.

        Args:
          frames: the video in order, as `faces.decoding.read_pictures` yields it.
          chunk: frames that go through the networks at once.
          faces: of `faces.people.parse_faces`: how many people are scored.

        Yields:
          The table of some whole frames, and the same rows' registered faces.
        """
        rows_of_frames = register_faces(frames, self.image_size, faces, self.landmarks)
        parts = prefetch(iter(lambda: list(itertools.islice(rows_of_frames, chunk)), []))
        people: dict[int, _PersonScores] = {}
        # Rows wait for frames of the same person that are still to come, and for the other rows of their frame.
        waiting: collections.deque[list[_Row]] = collections.deque()
        for part in parts:
            for rows in part:
                alive = {row.person for row in rows if row.alive}
                for person in [person for person in people if person not in alive]:
                    people.pop(person).finish()
                slots = [_Row(row, scores=None if row.alive else {}) for row in rows]
                for slot in slots:
                    if slot.face.alive:
                        if slot.face.person not in people:
                            people[slot.face.person] = _PersonScores(self, chunk)
                        people[slot.face.person].add(slot)
                waiting.append([slot for slot in slots if slot.face.shown])
            yield from self._ready(waiting)
        for scores in people.values():
            scores.finish()
        yield from self._ready(waiting)

    def _ready(self, waiting: "collections.deque[list[_Row]]") -> Iterator[tuple[Detections, list[RegisteredFace]]]:
        """The first frames of which all rows are scored; they are taken away."""
        rows: list[_Row] = []
        while waiting and all(row.scores is not None for row in waiting[0]):
            rows += waiting.popleft()
        if rows:
            unknown = np.full(len(self.aus), np.nan, np.float32)
            scores = {name: np.stack([(row.scores or {}).get(name, unknown) for row in rows]) for name in self.outputs}
            yield self._table([row.face for row in rows], scores), [row.face for row in rows]

    def _table(self, rows: list[RegisteredFace], scores: dict[str, np.ndarray]) -> Detections:
        success = np.array([row.face is not None for row in rows])
        boxes = np.full((len(rows), 4), np.nan, np.float32)
        landmarks = np.full((len(rows), 68, 2), np.nan, np.float32)
        confidence = np.zeros(len(rows), np.float32)
        for index, row in enumerate(rows):
            if row.face is not None:
                boxes[index], landmarks[index] = row.face.box, row.face.landmarks
                confidence[index] = row.face.confidence
        known = {name: np.where(success[:, None], part, np.nan).astype(np.float32) for name, part in scores.items()}
        return Detections(
            aus=self.aus,
            frames=np.array([row.number for row in rows], np.int64),
            timestamps=np.array([row.timestamp for row in rows], np.float64),
            success=success,
            confidence=confidence,
            boxes=boxes,
            landmarks=landmarks,
            scores={name: known[name] for name in self.systems},
            named=any(row.named for row in rows),
            probabilities=known.get(PROBABILITY),
            intensities=known.get(INTENSITY),
            face_ids=np.array([row.person for row in rows], np.int64),
            reasons=np.array([row.reason for row in rows], np.str_),
        )


@dataclass
class _Row:
    """A face of a frame, and its scores by output, [A] each; None until they are known, {} where there are none."""

    face: RegisteredFace
    scores: dict[str, np.ndarray] | None = None


class _PersonScores:
    """Scores the frames of one person, a chunk at a time."""

    def __init__(self, scorer: FaceScorer, chunk: int):
        self._scorer, self._chunk = scorer, chunk
        self._carries = scorer._initial_carries()
        self._behind = scorer.delay
        self._added: list[_Row] = []
        # Rows whose scores wait for frames that are still to come; behind the last one, chunks without frames bring them out.
        self._waiting: list[_Row] = []

    def add(self, row: _Row) -> None:
        """Takes the next frame; its row is scored in place, when there are enough."""
        self._added.append(row)
        if len(self._added) == self._chunk:
            self._score()

    def finish(self) -> None:
        """Scores what is left: the person's last frame has come."""
        while self._added or self._waiting:
            self._score()

    def _score(self) -> None:
        size, chunk, rows = self._scorer.image_size, self._chunk, self._added
        # One compiled shape: a last, shorter chunk is filled up; what follows a person's end changes nothing.
        images = np.zeros((chunk, size, size, 3), np.uint8)
        for index, row in enumerate(rows):
            images[index] = row.face.image
        present = np.arange(chunk) < len(rows)
        self._carries, means = self._scorer._mean_scores(self._carries, images, present)
        self._waiting += rows
        self._added = []
        first, self._behind = min(self._behind, chunk), max(self._behind - chunk, 0)
        ready, self._waiting = self._waiting[: chunk - first], self._waiting[chunk - first :]
        for index, row in enumerate(ready, first):
            row.scores = {name: part[index] for name, part in means.items()}
