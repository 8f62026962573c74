"""Orbax checkpoints of a training stage: the newest, to go on from, and the best, to use, each with one to fall back on.

A checkpoint holds a file of checksums, written before it gets its name. What does not agree with it is damaged: Orbax itself
restores a changed byte of a parameter without a word. Nor does Orbax compare shapes and dtypes with those that are asked for:
`Checkpoints.restore` does.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging
from orbax.checkpoint import checkpoint_managers

from au_jax import files
from au_jax.errors import DataError
from au_jax.training.best_params import REMEDY

CHECKSUMS = "checksums.json"
"""File in a checkpoint: its place in the run, and every other file's SHA-256."""
KEPT = 2
"""Newest ones that are kept, and best ones: where the newest is damaged, the one before needs the best that it knew."""
MOST_CHECKPOINTS = 2 * KEPT + 1
"""Checkpoints that a stage fills the disk with at most: those, and the one that is being written."""
# Orbax logs every error with its traceback from several threads, and raises it as well.
logging.get_absl_logger().addFilter(lambda record: "orbax" not in Path(record.pathname).parts)

_ITEMS = ("default", "metrics")


class Checkpoints:
    """The checkpoints of one stage, numbered by epoch; damaged ones are set aside, with a warning, when they are opened.

    Args:
      directory: where they lie; made if missing.
      maximise: whether a higher value is better.

    Example:
      >>> import tempfile
      >>> checkpoints = Checkpoints(Path(tempfile.mkdtemp()), maximise=False)
      >>> checkpoints.save(0, {"w": np.ones(2, np.float32)}, value=0.5)
      >>> checkpoints.epochs()
      [0]
      >>> checkpoints.restore(0, like={"w": np.zeros(2, np.float32)})["w"].tolist()
      [1.0, 1.0]
      >>> checkpoints.close()
    """

    def __init__(self, directory: Path, maximise: bool):
        self._directory = directory.absolute()
        self._saving = -1
        for folder in _folders(self._directory):
            if flaw := _flaw(folder):
                _set_aside(folder, flaw)
        sign = 1.0 if maximise else -1.0
        best = checkpoint_managers.BestN(get_metric_fn=lambda metrics: sign * metrics["value"], n=KEPT)
        options = ocp.CheckpointManagerOptions(
            preservation_policy=checkpoint_managers.AnyPreservationPolicy([checkpoint_managers.LatestN(KEPT), best]),
            best_fn=lambda metrics: sign * metrics["value"],
            best_mode="max",
            async_options=ocp.AsyncOptions(post_finalization_callback=self._write_checksums),
            **_alone(),
        )
        directory.mkdir(parents=True, exist_ok=True)
        self._manager = ocp.CheckpointManager(self._directory, options=options)

    def save(self, epoch: int, state: Any, value: float) -> None:
        """Saves the state after an epoch, whose validation came out at `value`; returns before it is on the disk.

        Raises:
          OSError: this one, or the one before, cannot be written. So do the methods that wait for the disk.
        """
        self._wait()
        self._saving = epoch
        with self._writing():
            self._manager.save(
                epoch, args=ocp.args.StandardSave(jax.tree.map(np.asarray, state)), metrics={"value": float(value)}
            )

    def epochs(self) -> list[int]:
        """The epochs on disk, newest first."""
        self._wait()
        return sorted(self._manager.all_steps(), reverse=True)

    def latest_epoch(self) -> int | None:
        """The newest epoch on disk, None where there is none."""
        return self._manager.latest_step()

    def best_epoch(self) -> int | None:
        """The epoch of the best value, None where there is none."""
        self._wait()
        return self._manager.best_step()

    def restore(self, epoch: int | None, like: Any) -> Any:
        """Restores the state of an epoch.

        Args:
          epoch: whose state; None for none.
          like: a state of the same structure, shapes and dtypes. A checkpoint with others is set aside as damaged.

        Returns:
          The state as NumPy arrays; None where it is missing or damaged.
        """
        if epoch is None or epoch not in self.epochs():
            return None
        template = jax.tree.map(np.asarray, like)
        try:
            # Before restoring, which casts to the template's dtypes: floats to integers too.
            flaw = _mismatch(_metadata(self._directory / str(epoch)), template)
            if not flaw:
                return self._manager.restore(epoch, args=ocp.args.StandardRestore(template))
        # Whatever Orbax and TensorStore raise for a checkpoint of an earlier version, which has no checksums.
        except Exception as error:
            flaw = _first_line(error)
        self.set_aside(epoch, flaw)
        return None

    def set_aside(self, epoch: int, reason: str) -> None:
        """Takes an epoch out of use, with a warning."""
        _set_aside(self._directory / str(epoch), reason)
        self._manager.reload()

    def close(self) -> None:
        """Waits until everything is on the disk."""
        with self._writing():
            self._manager.close()

    def _wait(self) -> None:
        with self._writing():
            self._manager.wait_until_finished()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        # A full disk is a ValueError of TensorStore's or an OSError without a path, depending on the file.
        except Exception as error:
            code = re.search(r"os_error_code='(\d+)'", str(error))
            number = int(code[1]) if code else getattr(error, "errno", None) or errno.EIO
            text = _first_line(error) if number == errno.EIO else os.strerror(number)
            raise OSError(number, text, str(self._directory / str(self._saving))) from error

    def _write_checksums(self) -> None:
        """Called by Orbax, in its thread, when all files of a checkpoint are written, under a passing name or its own."""
        passing = next(self._directory.glob(f"{self._saving}.orbax-checkpoint-tmp*"), None)
        folder = passing or self._directory / str(self._saving)
        place = files.place_of(self._directory / str(self._saving))
        files.write_json(folder / CHECKSUMS, {"place": place, **_checksums(folder)})


def _alone() -> dict[str, Any]:
    """Options of a manager that one of several processes has for itself: it must not wait for the others."""
    if jax.process_count() == 1:
        return {}
    index = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=index, active_processes={index}, barrier_sync_key_prefix=f"process_{index}"
    )
    return {"multiprocessing_options": alone, "create": False}


def restore_state(directory: Path, epoch: int) -> Any:
    """Restores the state of an epoch as nested dicts of NumPy arrays, without knowing its structure beforehand.

    Args:
      directory: of the stage's checkpoints.
      epoch: whose state.

    Raises:
      DataError: the checkpoint is missing or damaged; names its folder.

    Example:
      >>> import tempfile
      >>> directory = Path(tempfile.mkdtemp())
      >>> checkpoints = Checkpoints(directory, maximise=False)
      >>> checkpoints.save(3, {"w": np.ones(2, np.float32)}, value=0.5)
      >>> checkpoints.close()
      >>> restore_state(directory, 3)["w"].tolist()
      [1.0, 1.0]
    """
    folder = directory.absolute() / str(epoch)
    path: Any = folder / "default"
    flaw = _flaw(folder)
    # The handler itself: a manager, whose business is to delete, has none with a run that is only read.
    with contextlib.closing(ocp.StandardCheckpointHandler()) as handler:
        try:
            if not flaw:
                template = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), _metadata(folder))
                return handler.restore(path, args=ocp.args.StandardRestore(template))
        except Exception as error:
            flaw = _first_line(error)
    raise DataError(f"{folder} cannot be read ({flaw}); {REMEDY}")


def _metadata(folder: Path) -> Any:
    """The tree of a checkpoint's state, with shape and dtype at its leaves."""
    path: Any = folder / "default"
    with contextlib.closing(ocp.StandardCheckpointHandler()) as handler:
        return handler.metadata(path).tree


def _mismatch(saved: Any, wanted: Any) -> str:
    """The first array whose shape or dtype on disk is not the one that is wanted; "" where all are."""
    on_disk, expected = (
        {"/".join(path): f"{leaf.dtype} {list(leaf.shape)}" for path, leaf in ocp.tree.to_flat_dict(tree).items()}
        for tree in (saved, wanted)
    )
    for name in sorted(on_disk.keys() | expected.keys()):
        has, wants = on_disk.get(name, "missing"), expected.get(name, "none")
        if has != wants:
            return f"{name} is {has}, {wants} is expected"
    return ""


def _folders(directory: Path) -> list[Path]:
    return [path for path in directory.glob("*") if path.name.isdecimal()] if directory.is_dir() else []


def _flaw(folder: Path) -> str:
    """What is wrong with a checkpoint; "" where nothing shows."""
    if not folder.is_dir():
        return "it is missing"
    try:
        # Orbax reads these of all checkpoints at once and knows no way around a damaged one.
        float(json.loads((folder / "metrics" / "metrics").read_text())["value"])
        if not (folder / CHECKSUMS).exists():
            return ""
        expected = json.loads((folder / CHECKSUMS).read_text())
        place, here = expected.pop("place", ""), files.place_of(folder)
        if place and here and place != here:
            return f"it is {place}"
        actual = _checksums(folder)
        changed = [name for name, checksum in expected.items() if actual.get(name) != checksum]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return _first_line(error)
    return f"{changed[0]} is missing or changed" if changed else ""


def _checksums(folder: Path) -> dict[str, str]:
    checksums = {}
    for path in sorted(path for item in _ITEMS for path in (folder / item).rglob("*") if path.is_file()):
        with open(path, "rb") as file:
            checksums[str(path.relative_to(folder))] = hashlib.file_digest(file, "sha256").hexdigest()
    return checksums


def _set_aside(folder: Path, reason: str) -> None:
    aside = folder.with_name(f"{folder.name}.damaged")
    shutil.rmtree(aside, ignore_errors=True)
    folder.rename(aside)
    logging.warning("checkpoint %s is damaged (%s) and was renamed to %s", folder, reason, aside.name)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
