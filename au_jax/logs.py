"""What a run leaves for those who watch it: metrics.jsonl, TensorBoard events, and the cost of every stage."""

import contextlib
import json
import math
import resource
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, SupportsFloat

import jax
import numpy as np
from absl import logging
from jaxtyping import Float, Shaped

from au_jax import console, files
from au_jax.errors import DataError
from au_jax.run_dir import RunDir

_SMALLEST, _GAP = 32, 2  # pixels of an image's side and between images in TensorBoard
_MIB = 2**20


class RunLog:
    """Writes scalars of all stages of a run.

    A scalar is filed under its stage ("fold_00/anet/cnn") and epoch. A run that was killed and resumed may write an epoch
    twice; readers keep the last (`read_metrics`).

    Example:
      >>> import tempfile
      >>> workdir = Path(tempfile.mkdtemp())
      >>> log = RunLog(workdir)
      >>> log.write("fold_00/anet/cnn", 0, {"train_loss": 0.5})
      >>> log.close()
      >>> read_metrics(workdir)["fold_00/anet/cnn"]
      [{'stage': 'fold_00/anet/cnn', 'epoch': 0, 'train_loss': 0.5}]
    """

    def __init__(self, workdir: Path):
        self._run = RunDir(workdir)
        self._run.logs.mkdir(parents=True, exist_ok=True)
        self._writers = {}

    def write(self, stage: str, epoch: int, scalars: Mapping[str, SupportsFloat]) -> None:
        """Appends one line to metrics.jsonl and the same metrics to the stage's TensorBoard events."""
        line = {"stage": stage, "epoch": epoch, **{name: float(value) for name, value in scalars.items()}}
        path = self._run.metrics_path
        # Runs of other folds write here too.
        with files.locked(self._run.logs, wait=True):
            files.append_line(path, json.dumps({**line, "checksum": files.checksum(line)[:8]}))
        # A name with a slash is one of many, such as an AU's.
        shown = [f"{name} {float(value):.4g}" for name, value in scalars.items() if "/" not in name]
        console.note(f"{stage}, epoch {epoch}: {', '.join(shown)}")
        writer = self._writer(stage)
        with writer.as_default():
            import tensorflow as tf

            for name, value in scalars.items():
                tf.summary.scalar(name, float(value), step=epoch)
        writer.flush()

    def write_images(self, stage: str, epoch: int, name: str, images: Shaped[np.ndarray, "N H W 3"]) -> None:
        """Adds images, [N, H, W, 3] uint8 or float in 0..1, to the stage's TensorBoard events as one image."""
        import tensorflow as tf

        writer = self._writer(stage)
        with writer.as_default():
            tf.summary.image(name, tiled(images)[None], step=epoch)
        writer.flush()

    def close(self) -> None:
        """Closes the event files."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _writer(self, stage: str):
        if stage not in self._writers:
            import tensorflow as tf

            self._writers[stage] = tf.summary.create_file_writer(str(self._run.logs / stage))
        return self._writers[stage]


def tiled(images: Shaped[np.ndarray, "N H W 3"]) -> Float[np.ndarray, "rows columns 3"]:
    """Puts images side by side in rows; small ones are enlarged, free places are grey.

    Example:
      >>> tiled(np.zeros((4, 32, 32, 3), np.uint8)).shape
      (66, 66, 3)
    """
    if images.dtype == np.uint8:
        images = images / np.float32(255)
    factor = max(1, _SMALLEST // images.shape[1])
    images = images.repeat(factor, axis=1).repeat(factor, axis=2).astype(np.float32)
    columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    height, width = images.shape[1] + _GAP, images.shape[2] + _GAP
    cells = np.full((rows * columns, height, width, 3), 0.5, np.float32)
    cells[: len(images), :-_GAP, :-_GAP] = images
    grid = cells.reshape(rows, columns, height, width, 3).swapaxes(1, 2)
    return grid.reshape(rows * height, columns * width, 3)[:-_GAP, :-_GAP]


def read_metrics(workdir: Path) -> dict[str, list[dict]]:
    """Reads metrics.jsonl: stage -> rows in order of epoch, the last row of an epoch that was written twice.

    Example:
      >>> import tempfile
      >>> workdir = Path(tempfile.mkdtemp())
      >>> RunDir(workdir).metrics_path.parent.mkdir(parents=True, exist_ok=True)
      >>> _ = RunDir(workdir).metrics_path.write_text('{"stage": "a", "epoch": 0, "loss": 1.0}\\n')
      >>> read_metrics(workdir)
      {'a': [{'stage': 'a', 'epoch': 0, 'loss': 1.0}]}
    """
    path = RunDir(workdir).metrics_path
    stages: dict[str, dict[int, dict]] = {}
    if path.exists():
        for line in path.read_text(errors="replace").splitlines():
            # A kill can cut the last line short; the epoch is then written again.
            with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
                row = json.loads(line)
                # Earlier versions wrote none; a text beside the stage is then one under a changed name.
                seal = row.pop("checksum", None)
                misnamed = seal is None and any(isinstance(row[name], str) for name in row.keys() - {"stage"})
                if misnamed or (seal is not None and seal != files.checksum(row)[:8]):
                    logging.warning(
                        "%s has a changed line of %s, epoch %s; it is left out", path, row["stage"], row["epoch"]
                    )
                    continue
                stages.setdefault(str(row["stage"]), {})[int(row["epoch"])] = row
    return {stage: [rows[epoch] for epoch in sorted(rows)] for stage, rows in stages.items()}


class Costs:
    """Seconds, peak memory and time without data of every stage, kept in costs.json; a stage that was resumed adds up.

    Fields: seconds; peak_memory_mib, the process's resident set; on accelerators that tell, peak_device_memory_mib, of
    the fullest device; of trained networks, training_seconds (without validation) and data_wait, the share of them that
    the accelerator waited for data.

    Example:
      >>> import tempfile
      >>> costs = Costs(Path(tempfile.mkdtemp()))
      >>> with costs.measure("prepare"):
      ...     total = sum(range(10))
      >>> sorted(costs.stages["prepare"])
      ['peak_memory_mib', 'seconds']
    """

    def __init__(self, workdir: Path):
        self._run = RunDir(workdir)
        self._held: list[tuple[str, float, Cost]] | None = None

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Writes what is measured in the block only when it has ended well: until then the run's folder is not ours."""
        self._held = []
        try:
            yield
        except BaseException:
            self._held = None
            raise
        held, self._held = self._held, None
        for stage, seconds, cost in held:
            self._add(stage, seconds, cost)

    @property
    def stages(self) -> dict[str, dict[str, float]]:
        """Stage -> its costs, those of other runs on this workdir included.

        Raises:
          DataError: costs.json is damaged, or another file has taken its place.
        """
        path = self._run.costs_path
        stages = files.read_json(path) if path.exists() else {}
        costs = stages.values() if isinstance(stages, dict) else [None]
        if not all(isinstance(cost, dict) and all(map(_is_number, cost.values())) for cost in costs):
            raise DataError(f"{path} holds no costs; delete it: the costs until now are then not told")
        return stages

    @property
    def peak_memory_mib(self) -> float:
        """The most that the process held in any stage."""
        return max((cost["peak_memory_mib"] for cost in self.stages.values()), default=0.0)

    @contextlib.contextmanager
    def measure(self, stage: str, has_bar: bool = False) -> Iterator["Cost"]:
        """Times a block and notes the memory while it runs.

        Args:
          stage: its name.
          has_bar: the block shows a bar of its own; else a line with the stage's name is shown meanwhile.
        """
        start, cost = time.monotonic(), Cost()
        try:
            with cost.memory, contextlib.nullcontext() if has_bar else console.live(stage):
                yield cost
        finally:
            seconds = time.monotonic() - start
            self._add(stage, seconds, cost)
            console.note(f"{stage}: {seconds:.1f} s, at most {cost.memory.peaks()['peak_memory_mib']:.0f} MiB")

    def _add(self, stage: str, seconds: float, cost: "Cost") -> None:
        if self._held is not None:
            self._held.append((stage, seconds, cost))
            return
        # Runs of other folds write here too.
        with files.locked(self._run.logs, wait=True):
            stages = self.stages
            entry = stages.setdefault(stage, {"seconds": 0.0, "peak_memory_mib": 0.0})
            entry["seconds"] = round(entry["seconds"] + seconds, 2)
            for name, peak in cost.memory.peaks().items():
                entry[name] = round(max(entry.get(name, 0.0), peak), 1)
            if cost.trained:
                before = entry.get("training_seconds", 0.0)
                waited = before * entry.get("data_wait", 0.0) + cost.waited
                entry["training_seconds"] = round(before + cost.trained, 2)
                entry["data_wait"] = round(waited / (before + cost.trained), 4)
            files.write_json(self._run.costs_path, stages, seal=True)


class Cost:
    """What a stage has cost so far.

    Example:
      >>> cost = Cost()
      >>> with cost.memory:
      ...     cost.noting(lambda stage, epoch, scalars: None)("a", 0, {"seconds": 4.0, "data_wait": 0.25})
      >>> cost.trained, cost.waited
      (4.0, 1.0)
    """

    def __init__(self):
        self.memory = MemoryWatch()
        self.trained = self.waited = 0.0

    def noting(self, log: Callable[[str, int, dict[str, float]], None]) -> Callable[[str, int, dict[str, float]], None]:
        """The log of a training loop, which then also notes the loop's time without data here and the memory there."""

        def write(stage: str, epoch: int, scalars: dict[str, float]) -> None:
            self.trained += scalars["seconds"]
            self.waited += scalars["seconds"] * scalars["data_wait"]
            log(stage, epoch, {**scalars, **self.memory.peaks()})

        return write


class MemoryWatch:
    """Samples memory ten times a second while a block runs: the system's own high-water mark covers the whole process only.

    Example:
      >>> with MemoryWatch() as memory:
      ...     total = sum(range(10))
      >>> memory.peaks()["peak_memory_mib"] > 0
      True
    """

    def __enter__(self) -> "MemoryWatch":
        self._host = _resident()
        self._device, self._device_before = _on_device()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error) -> None:
        self._done.set()
        self._thread.join()
        self._sample()

    def peaks(self) -> dict[str, float]:
        """peak_memory_mib, the resident set, and, where the accelerators tell, peak_device_memory_mib of the fullest."""
        self._sample()
        peaks = {"peak_memory_mib": self._host / _MIB}
        if self._device_before:
            # An allocator's own mark rises only in the stage that needs most so far; it is then exact.
            mark = _on_device()[1]
            peaks["peak_device_memory_mib"] = (mark if mark > self._device_before else self._device) / _MIB
        return peaks

    def _watch(self) -> None:
        while not self._done.wait(0.1):
            self._sample()

    def _sample(self) -> None:
        self._host = max(self._host, _resident())
        self._device = max(self._device, _on_device()[0])


def _on_device() -> tuple[int, int]:
    """Bytes in use on the fullest local device, and its high-water mark since the process began; 0 where it does not tell."""
    stats = [device.memory_stats() or {} for device in jax.local_devices()]
    return tuple(max(one.get(name, 0) for one in stats) for name in ("bytes_in_use", "peak_bytes_in_use"))


def _resident() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize()
    except OSError:
        # Not Linux: the process's high-water mark, which macOS counts in bytes.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
