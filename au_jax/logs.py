"""What a run leaves for those who watch it: metrics.jsonl, TensorBoard events, and the cost of every stage."""

import contextlib
import json
import math
import resource
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from au_jax import console, files

_SMALLEST, _GAP = 32, 2  # pixels of a picture's side and between pictures in TensorBoard


class RunLog:
    """Writes scalars of all stages of a run.

    A scalar is filed under its stage ("fold_00/anet/cnn") and epoch. A run that was killed and resumed may write an epoch
    twice; readers keep the last (`read_metrics`).
    """

    def __init__(self, workdir: Path):
        self._folder = workdir / "logs"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._writers = {}

    def write(self, stage: str, epoch: int, scalars: Mapping[str, float]) -> None:
        """Appends one line to metrics.jsonl and the same figures to the stage's TensorBoard events."""
        line = {"stage": stage, "epoch": epoch, **{name: float(value) for name, value in scalars.items()}}
        with open(self._folder / "metrics.jsonl", "a") as stream:
            stream.write(json.dumps(line) + "\n")
        # A name with a slash is one of many, such as an AU's.
        shown = [f"{name} {value:.4g}" for name, value in scalars.items() if "/" not in name]
        console.note(f"{stage}, epoch {epoch}: {', '.join(shown)}")
        writer = self._writer(stage)
        with writer.as_default():
            import tensorflow as tf

            for name, value in scalars.items():
                tf.summary.scalar(name, float(value), step=epoch)
        writer.flush()

    def write_pictures(self, stage: str, epoch: int, name: str, pictures: np.ndarray) -> None:
        """Adds pictures, [N, H, W, 3] uint8 or float in 0..1, to the stage's TensorBoard events as one picture."""
        import tensorflow as tf

        writer = self._writer(stage)
        with writer.as_default():
            tf.summary.image(name, tiled(pictures)[None], step=epoch)
        writer.flush()

    def close(self) -> None:
        """Closes the event files."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _writer(self, stage: str):
        if stage not in self._writers:
            import tensorflow as tf

            self._writers[stage] = tf.summary.create_file_writer(str(self._folder / stage))
        return self._writers[stage]


def tiled(pictures: np.ndarray) -> np.ndarray:
    """Pictures side by side in rows, [N, H, W, 3] -> [rows, columns, 3]; small ones are enlarged, free places are grey."""
    if pictures.dtype == np.uint8:
        pictures = pictures / np.float32(255)
    factor = max(1, _SMALLEST // pictures.shape[1])
    pictures = pictures.repeat(factor, axis=1).repeat(factor, axis=2).astype(np.float32)
    columns = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    cells = np.full((rows * columns, *(side + _GAP for side in pictures.shape[1:3]), 3), 0.5, np.float32)
    cells[: len(pictures), :-_GAP, :-_GAP] = pictures
    height, width = cells.shape[1], cells.shape[2]
    grid = cells.reshape(rows, columns, height, width, 3).swapaxes(1, 2)
    return grid.reshape(rows * height, columns * width, 3)[:-_GAP, :-_GAP]


def read_metrics(workdir: Path) -> dict[str, list[dict]]:
    """Reads metrics.jsonl: stage -> rows in order of epoch, the last row of an epoch that was written twice."""
    path = workdir / "logs" / "metrics.jsonl"
    stages: dict[str, dict[int, dict]] = {}
    if path.exists():
        for line in path.read_text().splitlines():
            # A kill can cut the last line short; the epoch is then written again.
            with contextlib.suppress(json.JSONDecodeError, KeyError):
                row = json.loads(line)
                stages.setdefault(row["stage"], {})[row["epoch"]] = row
    return {stage: [rows[epoch] for epoch in sorted(rows)] for stage, rows in stages.items()}


class Costs:
    """Seconds and peak memory of every stage, kept in costs.json; a stage that was resumed adds up."""

    def __init__(self, workdir: Path):
        self._path = workdir / "costs.json"
        self.stages: dict[str, dict[str, float]] = files.read_json(self._path) if self._path.exists() else {}

    @property
    def peak_memory_mib(self) -> float:
        """The most that the process held in any stage."""
        return max((cost["peak_memory_mib"] for cost in self.stages.values()), default=0.0)

    @contextlib.contextmanager
    def measure(self, stage: str, has_bar: bool = False) -> Iterator[None]:
        """Times a block and notes the process's memory while it runs (resident set, MiB).

        Args:
          stage: its name.
          has_bar: the block shows a bar of its own; else a line with the stage's name is shown meanwhile.
        """
        start, watch = time.monotonic(), _MemoryWatch()
        try:
            with watch, contextlib.nullcontext() if has_bar else console.live(stage):
                yield
        finally:
            entry = self.stages.setdefault(stage, {"seconds": 0.0, "peak_memory_mib": 0.0})
            entry["seconds"] = round(entry["seconds"] + time.monotonic() - start, 2)
            entry["peak_memory_mib"] = round(max(entry["peak_memory_mib"], watch.peak_mib), 1)
            files.write_json(self._path, self.stages)
            console.note(f"{stage}: {time.monotonic() - start:.1f} s, at most {watch.peak_mib:.0f} MiB")


class _MemoryWatch:
    """Samples the resident set ten times a second: the system's own high-water mark covers the whole process only."""

    def __enter__(self):
        self.peak_mib = _resident_mib()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._done.set()
        self._thread.join()
        self.peak_mib = max(self.peak_mib, _resident_mib())

    def _watch(self) -> None:
        while not self._done.wait(0.1):
            self.peak_mib = max(self.peak_mib, _resident_mib())


def _resident_mib() -> float:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 2**20
    except OSError:
        # Not Linux: the process's high-water mark, which macOS counts in bytes.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
