"""From the frames of a video to its table of AUs, whatever computes the scores: JAX, or another runtime.

Neither JAX nor Flax is imported here.
"""

import abc
import itertools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from au_jax.faces.backends import make_tracker
from au_jax.faces.decoding import VideoFrame, read_pictures
from au_jax.faces.tracking import RegisteredFace, register_pictures
from au_jax.inference.writers import Detections, concatenate
from au_jax.labels import INTENSITY, PROBABILITY
from au_jax.training.prefetch import prefetch

CHUNK = 32
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

    def detect(self, source: str | Path | int, fps: float | None = None, rotate: int = 0) -> Detections:
        """The table of a video file, a folder of frames or a camera index (until the camera ends).

        Args:
          source: path, or number of a camera.
          fps: frames per second of a folder of frames or a raw stream; a video has its own times.
          rotate: degrees by which pictures are turned clockwise.

        Raises:
          UserError: nothing there that can be read.
        """
        return concatenate(detections for detections, _ in self.stream(read_pictures(source, fps, rotate)))

    def score(self, faces: UInt8[np.ndarray, "T S S 3"], chunk: int = CHUNK) -> dict[str, Float32[np.ndarray, "T A"]]:
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
        self, frames: Iterable[VideoFrame], chunk: int = CHUNK
    ) -> Iterator[tuple[Detections, list[RegisteredFace]]]:
        """Detects in consecutive frames of one video, `chunk` at a time; needs the same memory however long it is.

        Faces are sought in one thread while the networks score the chunk before in another.

        Args:
          frames: the video in order, as `faces.decoding.read_pictures` yields it.
          chunk: frames that go through the networks at once.

        Yields:
          The table of some frames, and these frames' registered faces.
        """
        carries = self._initial_carries()
        faces = register_pictures(frames, self.image_size, make_tracker(self.landmarks))
        chunks = prefetch(iter(lambda: list(itertools.islice(faces, chunk)), []))
        # Frames whose scores wait for frames that are still to come; behind the last one, chunks without frames bring them out.
        waiting: list[RegisteredFace] = []
        behind, rows = self.delay, next(chunks, [])
        while rows or waiting:
            images = np.zeros((chunk, self.image_size, self.image_size, 3), np.uint8)
            # One compiled shape: a last, shorter chunk is filled up; what follows a video's end changes nothing.
            for index, row in enumerate(rows):
                images[index] = row.image
            carries, means = self._mean_scores(carries, images, np.arange(chunk) < len(rows))
            waiting += rows
            last = len(rows) < chunk
            first, behind = min(behind, chunk), max(behind - chunk, 0)
            ready = min(chunk - first, len(waiting)) if last else chunk - first
            if ready:
                scores = {name: part[first : first + ready] for name, part in means.items()}
                yield self._table(waiting[:ready], scores), waiting[:ready]
            waiting = waiting[ready:]
            rows = next(chunks, [])

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
        )
