"""Data parallelism over the devices of this process and of those that train with it: the one file that knows of `pmap`.

The state is not mapped: every device holds the same parameters, and gradients are summed over devices, so that a step on
many devices is the step on one. Dropout keys belong to examples, not to devices, for the same reason.

What is compiled here is kept on the disk (`keep_compiled`).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from au_jax.config import Config
from au_jax.models.lstm_kernel import EXAMPLES
from au_jax.training.prefetch import Batch

Params = Any
Example = dict[str, jax.Array]
"""Arrays by name of one example: its rows of a batch, without the batch's axis. The constants of a loss are such a dict too."""
LossAndCount = tuple[Float[Array, ""], Float[Array, ""]]
"""The loss summed over an example's frames, and how many of them count."""
ExampleLoss = Callable[[Params, Any, Example, jax.Array], LossAndCount]
"""(params, constants, one example, dropout key) -> (loss summed over its frames, number of frames that count)."""

AXIS = "devices"


def make_train_step(loss: ExampleLoss, tx: optax.GradientTransformation) -> Callable:
    """Compiles an update from a batch spread over all devices, those of other processes too.

    Args:
      loss: of one example; mapped over the batch here.
      tx: the optimizer.

    Returns:
      (params, opt_state, constants, this process's sharded rows of the batch, key) -> (params, opt_state, mean loss).
      Params and opt_state are given up by the caller. The update follows the gradient of the mean loss over all frames that
      count.

    Example:
      >>> def loss(params, constants, example, key):
      ...     return (params - example["x"]) ** 2 * example["mask"], example["mask"]
      >>> tx, params = optax.sgd(0.5), jnp.float32(0.0)
      >>> batch = shard({"x": np.array([1.0, 3.0], np.float32), "mask": np.ones(2, np.float32)})
      >>> params, _, mean = make_train_step(loss, tx)(params, tx.init(params), {}, batch, jax.random.key(0))
      >>> float(params), float(mean)
      (2.0, 5.0)
    """

    def step(state, fixed, batch):
        (params, opt_state), (constants, key) = state, fixed
        count = next(iter(batch.values())).shape[0]
        # The number of an example in the whole batch, whichever device it is on.
        numbers = jax.lax.axis_index(AXIS) * count + jnp.arange(count)
        keys = jax.vmap(lambda number: jax.random.fold_in(key, number))(numbers)

        def total(params):
            mapped = jax.vmap(loss, in_axes=(None, None, 0, 0), axis_name=EXAMPLES)
            losses, weights = mapped(params, constants, batch, keys)
            return losses.sum(), weights.sum()

        (summed, weight), gradients = jax.value_and_grad(total, has_aux=True)(params)
        if jax.lax.axis_size(AXIS) > 1:
            # Of one device, XLA would still copy every gradient.
            summed, weight, gradients = jax.lax.psum((summed, weight, gradients), AXIS)
        weight = jnp.maximum(weight, 1.0)
        gradients = jax.tree.map(lambda gradient: gradient / weight.astype(gradient.dtype), gradients)
        updates, opt_state = tx.update(gradients, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, summed / weight

    # In the order of the rows that `process_rows` gives them.
    devices = sorted(jax.devices(), key=lambda device: (device.process_index, device.id))
    # Across processes, pmap of JAX 0.10 gives a donated argument back as the result that it is passed through to, deleted.
    donated = (0,) if jax.process_count() == 1 else ()
    mapped = jax.pmap(
        step, axis_name=AXIS, in_axes=(None, None, 0), out_axes=None, donate_argnums=donated, devices=devices
    )
    # Two arguments that are each given and never empty: pmap of JAX 0.10 mistakes which arrays are mapped where several
    # unmapped arguments are empty trees, as the state of optax.sgd and no constants are.
    return lambda params, opt_state, constants, batch, key: mapped((params, opt_state), (constants, key), batch)


def make_forward(forward: Callable[[Params, dict[str, jax.Array]], Any]) -> Callable[[Params, Batch], Any]:
    """Compiles a forward pass over a batch spread over all local devices.

    Args:
      forward: (params, batch of arrays [B, ...]) -> arrays [B, ...].

    Returns:
      (params, batch) -> NumPy arrays [B, ...] for a batch of any size.

    Example:
      >>> double = make_forward(lambda params, batch: params * batch["x"])
      >>> double(jnp.float32(2.0), {"x": np.arange(3, dtype=np.float32)}).tolist()
      [0.0, 2.0, 4.0]
    """
    mapped = jax.pmap(forward, axis_name=AXIS, in_axes=(None, 0), devices=jax.local_devices())

    def run(params: Params, batch: Batch):
        count = len(next(iter(batch.values())))
        outputs = mapped(params, shard(batch))
        return jax.tree.map(lambda rows: np.asarray(rows).reshape(-1, *rows.shape[2:])[:count], outputs)

    return run


def keep_compiled(config: Config) -> Path:
    """Makes JAX keep what it compiles on the disk: folds share it, and the next start reaches its first step sooner.

    Args:
      config: `compiled` names the folder; if empty, it is "compiled" in `data.directory`.

    Returns:
      The folder.

    Example:
      >>> before = jax.config.jax_compilation_cache_dir
      >>> keep_compiled(Config()).name
      'compiled'
      >>> jax.config.update("jax_compilation_cache_dir", before)
    """
    folder = Path(config.compiled or Path(config.data.directory) / "compiled").absolute()
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # The small ones too: some ninety of 20 ms draw the first weights.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    return folder


def synchronise_devices() -> None:
    """Lets the devices of all processes get to know each other, at a point where all processes are.

    Later they do not wait long for each other.

    Example:
      >>> synchronise_devices()
    """
    jax.pmap(lambda x: jax.lax.psum(x, "all"), "all")(jnp.ones(jax.local_device_count()))


def process_rows(batch_size: int) -> slice:
    """The rows of a batch that this process's devices train on; may end behind the batch, where it is filled up.

    Example:
      >>> process_rows(jax.local_device_count()).start
      0
    """
    count = -(-batch_size // jax.device_count()) * jax.local_device_count()
    return slice(jax.process_index() * count, (jax.process_index() + 1) * count)


def take_process_rows(batch: Batch) -> Batch:
    """This process's rows of a batch, filled up with zeros (mask 0, labels missing).

    Args:
      batch: name -> array [B, ...], the same in all processes.

    Returns:
      Name -> array [rows, ...] of `process_rows`.

    Example:
      >>> take_process_rows({"mask": np.ones(jax.local_device_count())})["mask"].min()
      np.float64(1.0)
    """
    rows = process_rows(len(next(iter(batch.values()))))
    return {name: _fill(part[rows], rows.stop - rows.start) for name, part in batch.items()}


def replicate_on_devices(tree: Any) -> Any:
    """Puts arrays on all local devices, as a training step gives them back: its first call is then compiled as the others.

    Example:
      >>> len(replicate_on_devices(np.zeros(3)).devices()) == jax.local_device_count()
      True
    """
    mesh = jax.sharding.Mesh(np.array(jax.local_devices()), (AXIS,))
    return jax.device_put(tree, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec()))


def shard(batch: Batch, devices: int | None = None) -> Batch:
    """Reshapes [B, ...] to [devices, ceil(B / devices), ...], filled up with zeros (mask 0, labels missing).

    Args:
      batch: name -> array [B, ...].
      devices: by default the number of this process's.

    Example:
      >>> shard({"mask": np.ones(3)}, devices=2)["mask"].tolist()
      [[1.0, 1.0], [1.0, 0.0]]
    """
    devices = devices or jax.local_device_count()
    return {
        name: _fill(rows, len(rows) + -len(rows) % devices).reshape(devices, -1, *rows.shape[1:])
        for name, rows in batch.items()
    }


def _fill(rows: np.ndarray, count: int) -> np.ndarray:
    missing = count - len(rows)
    return np.pad(rows, [(0, missing)] + [(0, 0)] * (rows.ndim - 1)) if missing else rows
