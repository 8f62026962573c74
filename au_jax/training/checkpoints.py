"""Orbax checkpoints of a training stage: the latest, to go on from, and the best, to use."""

import contextlib
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from au_jax.errors import UserError


class Checkpoints:
    """The checkpoints of one stage, numbered by epoch.

    Args:
      directory: where they lie; made if missing.
      maximise: whether a higher value is better.
    """

    def __init__(self, directory: Path, maximise: bool):
        sign = 1.0 if maximise else -1.0
        best = checkpoint_managers.BestN(get_metric_fn=lambda metrics: sign * metrics["value"], n=1)
        options = ocp.CheckpointManagerOptions(
            preservation_policy=checkpoint_managers.AnyPreservationPolicy([checkpoint_managers.LatestN(1), best]),
            best_fn=lambda metrics: sign * metrics["value"],
            best_mode="max",
            **_alone(),
        )
        directory.mkdir(parents=True, exist_ok=True)
        self._manager = ocp.CheckpointManager(directory.absolute(), options=options)

    def save(self, epoch: int, state: Any, value: float) -> None:
        """Saves the state after an epoch, whose validation came out at `value`; returns before it is on the disk."""
        self._manager.save(
            epoch, args=ocp.args.StandardSave(jax.tree.map(np.asarray, state)), metrics={"value": float(value)}
        )

    def latest_epoch(self) -> int | None:
        """The newest epoch on disk, None where there is none."""
        return self._manager.latest_step()

    def best_epoch(self) -> int | None:
        """The epoch of the best value, None where there is none."""
        self._manager.wait_until_finished()
        return self._manager.best_step()

    def restore(self, epoch: int, like: Any) -> Any:
        """Restores the state of an epoch; `like` gives its structure, shapes and dtypes."""
        template = jax.tree.map(np.asarray, like)
        return self._manager.restore(epoch, args=ocp.args.StandardRestore(template))

    def close(self) -> None:
        """Waits until everything is on the disk."""
        self._manager.wait_until_finished()
        self._manager.close()


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

    Raises:
      UserError: the checkpoint is missing or damaged.
    """
    path: Any = directory.absolute() / str(epoch) / "default"
    # The handler itself: a manager, whose business is to delete, has none with a run that is only read.
    with contextlib.closing(ocp.StandardCheckpointHandler()) as handler:
        try:
            template = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), handler.metadata(path).tree)
            return handler.restore(path, args=ocp.args.StandardRestore(template))
        except (OSError, ValueError, KeyError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
            remedy = f"delete the folder {directory.parent} and run au_jax.main again"
            raise UserError(f"{path} cannot be read ({reason}); {remedy}") from error
