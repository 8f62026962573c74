"""Several processes, on one machine or many, that train as one: who they are, and how they agree.

Every process runs the same program. The steps of training are spread over the devices of all (`au_jax.training.parallel`);
everything else each process does for itself. What was finished before, what is kept and what is written is decided by process
zero alone: the others ask it (`broadcast_from_process_zero`), so that all take the same branches. A process that takes another
branch waits forever for the rest. A process that is alone does everything itself, directly.
"""

import json
import os
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import numpy as np
from flax import serialization
from jax.experimental import multihost_utils
from orbax.checkpoint import multihost

from au_jax.errors import CommandError, UserError
from au_jax.training import parallel

T = TypeVar("T")

HEARTBEAT = 60
"""Seconds after which the others end when one process has died."""
LONGEST_WAIT = 7 * 24 * 3600
"""Seconds that the others wait for the first, as for a dataset to be prepared. Collectives give up much sooner."""


def start(coordinator: str | None, count: int | None, index: int | None) -> None:
    """Joins this process with the others, before anything is computed.

    Args:
      coordinator: "host:port" of the first process; None = ask the cluster's scheduler (Slurm, Open MPI, Kubernetes).
      count: number of processes; None likewise.
      index: this one's, from 0; None likewise.

    Raises:
      CommandError: the others cannot be found, or have other numbers of devices.

    Example:
      >>> start("first.example.org:1234", count=2, index=0)  # doctest: +SKIP
    """
    # On CPUs; accelerators have their own.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    # JAX would only make a note of SIGTERM, for a loop that asks: a scheduler that ends a job would wait until it kills it.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            coordinator,
            count,
            index,
            _local_devices(),
            heartbeat_timeout_seconds=HEARTBEAT,
            shutdown_timeout_seconds=HEARTBEAT,
        )
    except (ValueError, RuntimeError) as error:
        raise CommandError(
            f"the processes cannot be joined ({str(error).splitlines()[0]}); give each --coordinator=HOST:PORT of the first, "
            "--num_processes and its --process_id, or start them with srun and give --distributed"
        ) from error
    if jax.device_count() != jax.process_count() * jax.local_device_count():
        raise CommandError(
            f"process {jax.process_index()} has {jax.local_device_count()} of {jax.device_count()} devices; "
            f"give all {jax.process_count()} processes the same number"
        )
    parallel.synchronise_devices()


def _local_devices() -> list[int] | None:
    """For JAX, which gives a task of Slurm or Open MPI one device unless told: all ([]) to a process alone on its node."""
    shares = os.environ.get("SLURM_STEP_NUM_TASKS") != os.environ.get("SLURM_STEP_NUM_NODES")
    shares = shares or os.environ.get("OMPI_COMM_WORLD_LOCAL_SIZE", "1") != "1"
    return None if shares or "JAX_LOCAL_DEVICE_IDS" in os.environ else []


def is_process_zero() -> bool:
    """Whether this is the process that decides and writes; always so where there is one alone.

    Example:
      >>> is_process_zero()
      True
    """
    return jax.process_index() == 0


def broadcast_from_process_zero(call: Callable[[], T], like: Any = None) -> T | Any:
    """Calls a function in process zero and returns its result in all processes; alone, a process just calls it.

    All processes must come here, in the same order.

    Args:
      call: returns what JSON can hold, NumPy numbers included; with `like`, a tree of arrays, or None. Process zero gets
        the result itself, the others a copy.
      like: a tree of the same structure.

    Raises:
      UserError: in the others, where the call raises in process zero, so that none waits for a process that has stopped.
        Process zero raises the error itself.

    Example:
      >>> broadcast_from_process_zero(lambda: 7)
      7
    """
    if jax.process_count() == 1:
        return call()
    result: Any = None
    error: Exception | None = None
    if is_process_zero():
        try:
            result = call()
        except Exception as raised:
            error = raised
    multihost.get_barrier_sync_fn()(key="broadcast_from_process_zero", timeout_ms=1000 * LONGEST_WAIT)
    arrays = like is not None and result is not None
    message = {"stopped": error and str(error), "arrays": arrays, "result": None if arrays else result}
    message = json.loads(_broadcast(json.dumps(message, default=lambda value: np.asarray(value).tolist()).encode()))
    if error is not None:
        raise error
    if message["stopped"] is not None:
        raise UserError(f"process {jax.process_index()} ends with the first, which stopped: {message['stopped']}")
    if message["arrays"]:
        content = _broadcast(serialization.to_bytes(result) if is_process_zero() else b"")
        return result if is_process_zero() else serialization.from_bytes(like, content)
    return result if is_process_zero() else message["result"]


class ProcessZeroProxy:
    """An object that exists in process zero only; all processes call its methods, and all get the results.

    Alone, a process calls the object's methods directly.

    Args:
      make: makes the object, in process zero.
      returning_arrays: methods that return a tree of arrays of the structure of their last argument, or None. All other
        methods return what JSON can hold.

    Example:
      >>> numbers = ProcessZeroProxy(lambda: [3, 1, 2])
      >>> numbers.sort()
      >>> numbers.index(3)
      2
    """

    def __init__(self, make: Callable[[], Any], returning_arrays: tuple[str, ...] = ()):
        self._returning_arrays = returning_arrays
        self._object: Any = None

        def keep() -> None:  # Returns nothing: the object itself would be sent.
            self._object = make()

        broadcast_from_process_zero(keep)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if jax.process_count() == 1:
            return getattr(self._object, name)

        def method(*arguments: Any) -> Any:
            like = arguments[-1] if name in self._returning_arrays else None
            return broadcast_from_process_zero(lambda: getattr(self._object, name)(*arguments), like)

        return method


def _broadcast(message: bytes) -> bytes:
    """Process zero's message."""
    length = int(multihost_utils.broadcast_one_to_all(np.int32(len(message))))
    content = np.frombuffer(message, np.uint8) if is_process_zero() else np.zeros(length, np.uint8)
    return np.asarray(multihost_utils.broadcast_one_to_all(content)).tobytes()
