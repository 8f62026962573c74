"""The best epoch's parameters of a finished stage, in a file of their own beside its checkpoints.

Whoever uses a trained network needs them alone, and at once: reading them takes NumPy, where a checkpoint takes Orbax and
TensorStore, a second and 100 MB. Stages that were trained before there was the file are read from their checkpoints.
"""

from pathlib import Path
from typing import Any

import numpy as np

from au_jax import files
from au_jax.errors import DataError, UserError

NOTE = "finished.json"
"""File of a finished stage: its best epoch."""
BEST = "best.npz"
"""File of a finished stage: that epoch's parameters, "conv1/kernel" and so on, and its number."""
REMEDY = "delete the folder scores of its fold and run au_jax.main on this workdir again"
"""What makes damaged parts of a finished fold again: the scores are what says that it is finished."""

_EPOCH = "/epoch"  # no name of a parameter begins so


def best_epoch(directory: Path) -> int | None:
    """What the note of a finished stage says; None where there is none, or it is damaged: the checkpoints then tell.

    Args:
      directory: of the stage, such as runs/demo/fold_00/anet.

    Example:
      >>> files.write_json(folder / "anet" / NOTE, {"best_epoch": 3, "f1": 0.5}, seal=True)
      >>> best_epoch(folder / "anet"), best_epoch(folder / "hybrid")
      (3, None)
    """
    try:
        return int(files.read_json(directory / NOTE)["best_epoch"])
    except (FileNotFoundError, UserError, KeyError, TypeError):
        return None


def keep_best_params(directory: Path, epoch: int, params: Any) -> None:
    """Writes the parameters of a stage's best epoch, unless they are there.

    Parameters that are no nested dicts of NumPy's own types, as a network of another package may have, are left to the
    checkpoints.

    Args:
      directory: of the stage.
      epoch: the best one.
      params: its parameters.

    Example:
      >>> keep_best_params(folder / "anet", 3, {"conv1": {"bias": np.zeros(2)}})
      >>> sorted(files.read_npz(folder / "anet" / BEST))
      ['/epoch', 'conv1/bias']
    """
    path = directory / BEST
    flat = _flat(params)
    if flat is None:
        path.unlink(missing_ok=True)
    elif not files.is_whole_npz(path) or _epoch_of(files.read_npz(path)) != epoch:
        files.write_npz(path, {_EPOCH: np.array(epoch), **flat})


def best_params(directory: Path) -> Any:
    """The best epoch's parameters of a finished stage, nested dicts of NumPy arrays.

    Args:
      directory: of the stage, such as runs/demo/fold_00/anet.

    Raises:
      DataError: the stage is not finished, or damaged.

    Example:
      >>> best_params(run_folder / "fold_00" / "anet")["conv1"]["kernel"].ndim
      4
    """
    epoch = best_epoch(directory)
    if epoch is None:
        raise DataError(f"{directory} is not trained to its end, or its {NOTE} is damaged; {REMEDY}")
    path = directory / BEST
    try:
        arrays = files.read_npz(path)
        if _epoch_of(arrays) != epoch:
            raise DataError(f"{path} is not of epoch {epoch}, which {NOTE} names as the best")
    except FileNotFoundError:
        from au_jax.training.checkpoints import restore_state

        return restore_state(directory / "checkpoints", epoch)["params"]
    except UserError as error:
        flaw = str(error).partition("; ")[0]
        raise DataError(f"{flaw}; delete it, and the checkpoint beside it is read") from error
    params: dict[str, Any] = {}
    for name, array in arrays.items():
        if name != _EPOCH:
            *parts, last = name.split("/")
            block = params
            for part in parts:
                block = block.setdefault(part, {})
            block[last] = array
    return params


def _epoch_of(arrays: dict[str, np.ndarray]) -> int | None:
    epoch = arrays.get(_EPOCH)
    return int(epoch) if epoch is not None and epoch.shape == () else None


def _flat(params: Any) -> dict[str, np.ndarray] | None:
    """Parameters by their path; None where a path does not tell them, or a file of NumPy does not hold them."""
    if not isinstance(params, dict) or not params:
        return None
    flat: dict[str, np.ndarray] = {}
    for name, value in params.items():
        if not isinstance(name, str) or not name or "/" in name:
            return None
        if isinstance(value, dict):
            inner = _flat(value)
            if inner is None:
                return None
            flat |= {f"{name}/{path}": array for path, array in inner.items()}
        else:
            array = np.asarray(value)
            if array.dtype.kind not in "biufc":
                return None
            flat[name] = array
    return flat
