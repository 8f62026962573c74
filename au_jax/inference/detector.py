"""AUs of new videos, with the models of a finished run: `Detector.from_run("runs/demo").detect("clip.mp4")`."""

import itertools
import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from au_jax.config import Config
from au_jax.errors import UserError
from au_jax.faces.decoding import VideoFrame, read_pictures
from au_jax.faces.tracking import RegisteredFace, register_pictures
from au_jax.inference import streaming
from au_jax.inference.writers import Detections, concatenate
from au_jax.run_dir import RunDir

Item = TypeVar("Item")

CHUNK = 32
"""Frames that go through the networks at once: a live picture waits for its chunk to fill."""


class Detector:
    """CNN and hybrid of one or more folds of a run, ready for videos.

    Args:
      config: of the run.
      folds: each fold's variables (`trained.load`); scores are the mean over them.
      systems: of `trained.STREAMED`; the last one decides what is present.
    """

    def __init__(self, config: Config, folds: Sequence[Any], systems: tuple[str, ...]):
        self.config = config
        self.folds = tuple(folds)
        self.systems = systems
        self._step = streaming.make_step(config, systems)

    def __repr__(self) -> str:
        size = self.config.data.image_size
        return f"Detector(systems={self.systems}, folds={len(self.folds)}, image_size={size})"

    @classmethod
    def from_run(
        cls, run: str | Path, folds: Sequence[int] | None = None, systems: Sequence[str] | None = None
    ) -> "Detector":
        """Reads the models of a run.

        Args:
          run: the --workdir of `au_jax.main`.
          folds: whose models serve; by default those of all folds.
          systems: "anet", "hybrid" or both; by default those that the run has.

        Raises:
          UserError: no run, a run or fold that is not finished, a fold or system that the run does not have.
        """
        run = RunDir(run)
        config = run.config()
        everything = range(config.protocol.folds)
        strangers = [index for index in folds or () if index not in everything]
        if strangers:
            raise UserError(f"{run.path} has folds 0 to {len(everything) - 1}, not {strangers}")
        chosen = list(folds) if folds else list(everything)
        ready = {index: streaming.finished_systems(run.fold(index)) for index in everything}
        finished = [index for index in everything if ready[index]]
        wanted = tuple(systems) if systems else _common(ready[index] for index in chosen if ready[index])
        unknown = [name for name in wanted if name not in streaming.STREAMED]
        if unknown or not (wanted or not finished):
            raise UserError(f"systems to predict with are {unknown}; choose among {', '.join(streaming.STREAMED)}")
        missing = [index for index in chosen if not wanted or not set(wanted) <= set(ready[index])]
        if missing:
            lacks = f"fold {missing[0]} has no {' and '.join(wanted) or 'trained network'}"
            networks = wanted or streaming.STREAMED
            if not set(networks) & set(config.systems):
                raise UserError(
                    f"{run.path}: {lacks}, for the run is of {', '.join(config.systems)}; run au_jax.main on it again with "
                    f"{' or '.join(networks)} in --config.systems"
                )
            usable = f", or give --folds={','.join(map(str, finished))}" if finished else ""
            raise UserError(f"{run.path} is not finished: {lacks}; run au_jax.main on it again{usable}")
        wanted = tuple(name for name in streaming.STREAMED if name in wanted)
        loaded = [streaming.load(config, run.fold(index), wanted) for index in chosen]
        return cls(config, loaded, wanted)

    def detect(self, source: str | Path | int, fps: float = 25.0) -> Detections:
        """The table of a video file, a folder of frames or a camera index (until the camera ends).

        Args:
          fps: frames a second in a folder of frames; a video has its own timestamps.

        Raises:
          UserError: nothing there that can be read.
        """
        return concatenate(detections for detections, _ in self.stream(read_pictures(source, fps)))

    def score(self, faces: np.ndarray, chunk: int = CHUNK) -> dict[str, np.ndarray]:
        """Scores of the registered faces of one video, as a dataset holds them or `register_pictures` makes them.

        Args:
          faces: [T, S, S, 3] uint8 in order, S is `config.data.image_size`.
          chunk: frames that go through the networks at once.

        Returns:
          System -> [T, 12] float32, above 0 present.
        """
        # One compiled shape: the last chunk is filled up, and what follows a video's end changes nothing before it.
        padded = np.pad(faces, [(0, -len(faces) % chunk)] + [(0, 0)] * 3)
        carries, parts = self._initial_carries(), []
        for start in range(0, len(padded), chunk):
            carries, scores = self._mean_scores(carries, padded[start : start + chunk])
            parts.append(scores)
        return {name: np.concatenate([part[name] for part in parts])[: len(faces)] for name in self.systems}

    def stream(
        self, pictures: Iterable[VideoFrame], chunk: int = CHUNK
    ) -> Iterator[tuple[Detections, list[RegisteredFace]]]:
        """Detects in consecutive pictures of one video, `chunk` at a time; needs the same memory however long it is.

        Faces are sought in one thread while the networks score the chunk before in another.

        Yields:
          The table of some frames, and these frames.
        """
        carries = self._initial_carries()
        faces = register_pictures(pictures, self.config.data.image_size)
        for rows in _ahead(_chunks(faces, chunk)):
            images = np.stack([row.image for row in rows])
            # One compiled shape: a last, shorter chunk is filled up; what follows a video's end changes nothing.
            images = np.pad(images, [(0, chunk - len(rows)), (0, 0), (0, 0), (0, 0)])
            carries, means = self._mean_scores(carries, images)
            yield _table(rows, {name: scores[: len(rows)] for name, scores in means.items()}), rows

    def _initial_carries(self) -> list[Any]:
        return [streaming.initial_carry(self.config, self.systems) for _ in self.folds]

    def _mean_scores(self, carries: list[Any], faces: np.ndarray) -> tuple[list[Any], dict[str, np.ndarray]]:
        stepped = [self._step(*pair, faces) for pair in zip(self.folds, carries, strict=True)]
        means = {name: np.mean([scores[name] for _, scores in stepped], 0) for name in self.systems}
        return [carry for carry, _ in stepped], means


def _common(ready: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    sets = [set(names) for names in ready]
    return tuple(name for name in streaming.STREAMED if sets and name in set.intersection(*sets))


def _table(rows: list[RegisteredFace], scores: dict[str, np.ndarray]) -> Detections:
    success = np.array([row.face is not None for row in rows])
    boxes = np.full((len(rows), 4), np.nan, np.float32)
    landmarks = np.full((len(rows), 68, 2), np.nan, np.float32)
    confidence = np.zeros(len(rows), np.float32)
    for index, row in enumerate(rows):
        if row.face is not None:
            boxes[index], landmarks[index], confidence[index] = row.face.box, row.face.landmarks, row.face.confidence
    return Detections(
        frames=np.array([row.number for row in rows], np.int64),
        timestamps=np.array([row.timestamp for row in rows], np.float64),
        success=success,
        confidence=confidence,
        boxes=boxes,
        landmarks=landmarks,
        scores={name: np.where(success[:, None], part, np.nan).astype(np.float32) for name, part in scores.items()},
    )


def _chunks(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    while part := list(itertools.islice(items, size)):
        yield part


def _ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Makes items in a thread of their own, one ahead of the reader; what goes wrong there is raised here."""
    waiting: queue.Queue = queue.Queue(maxsize=1)
    stop = threading.Event()

    def put(entry) -> None:
        while not stop.is_set():
            try:
                return waiting.put(entry, timeout=0.1)
            except queue.Full:
                continue

    def work() -> None:
        try:
            for item in items:
                put((item, None))
                if stop.is_set():
                    return
            put((None, None))
        except BaseException as error:
            put((None, error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            item, error = waiting.get()
            if error is not None:
                raise error
            if item is None:
                return
            yield item
    finally:
        stop.set()
        thread.join()
