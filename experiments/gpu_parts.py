"""What `experiments.gpu_day` measures on a GPU: each part's work, by this project and by PyTorch.

Needs neither TensorFlow nor a dataset: frames and features are drawn at random, of the paper's sizes. A rate is that of the
median of some turns, each of many updates that are queued as in training; the share of the peak is taken from the rate of a large
matrix product of the same precision on the same chip.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from au_jax.config import get_config
from au_jax.data import device_cache
from au_jax.models.cnn import DTYPES, AlexNet
from au_jax.models.hybrid import subtract_mean
from au_jax.training import losses, parallel
from au_jax.training.optimizers import make_optimizer
from experiments import benchmark_parts
from experiments.benchmark_parts import Part, Sizes, cnn_work

PRECISIONS: dict[str, str] = {"float32": "float32", "TF32": "tensorfloat32", "bfloat16": "bfloat16"}
"""Names of the table and of `jax_default_matmul_precision`; with bfloat16 the network's own `dtype` is bfloat16 too."""

DEFAULT = "JAX's default"
"""Name of the precision that nobody asked for: of float32 products on NVIDIA's chips it should be TF32."""

ON_DEVICE = "CNN training, data.cache=device"
FROM_HOST = "CNN training, frames from the host"
INFERENCE = "CNN inference"
FOLDS = "CNN training, folds in one program"
LSTM = "LSTM training, "
STREAMING = "LSTM, frame by frame"
LSTM_FOLDS = "LSTM gradients, folds in one program"
CUDNN = "LSTM gradients, cuDNN"
PRODUCT = "matrix product"
COPY = "copy in the chip's memory"


@dataclass(frozen=True)
class DaySizes:
    """How much is measured.

    Attributes:
      networks: sizes of networks and batches.
      cached: frames that lie on the device.
      product: side of the matrices whose product is the peak.
      turns: of every part.
      seconds: of each turn, about.
      frames: of all folds together; `experiments.gpu_fold`'s.
    """

    networks: Sizes
    cached: int = 8192
    product: int = 8192
    turns: int = 5
    seconds: float = 0.5
    frames: int = 147_600


PAPER = DaySizes(replace(Sizes(), batch=196, folds=10))
TINY = DaySizes(
    Sizes(
        turns=2, variant="demo", crop=36, batch=4, inputs=8, hidden=8, layers=2, sequences=2, steps=6, streamed=3, folds=2
    ),
    cached=8, product=32, turns=2, seconds=0.0, frames=200,
)  # fmt: skip
SCALES: dict[str, DaySizes] = {"paper": PAPER, "tiny": TINY}
"""By the name that --scale takes; `tiny` tries the script where there is no GPU."""


@dataclass(frozen=True)
class Row:
    """What was measured of a part, or why it was not.

    Attributes:
      part, precision: its name.
      by: "ours" or "PyTorch".
      unit: of the rate.
      rate: units a second; None where `note` says why not.
      work: floating-point operations a second, or bytes.
      note: what should be known of it.
    """

    part: str
    precision: str
    by: str
    unit: str = ""
    rate: float | None = None
    work: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Spec:
    """A part to be measured.

    Attributes:
      part, precision, by: as in `Row`.
      measure: sizes -> its row.
    """

    part: str
    precision: str
    by: str
    measure: Callable[[DaySizes], Row]

    def row(self, **fields: Any) -> Row:
        """Its row with these fields."""
        return Row(self.part, self.precision, self.by, **fields)


def seconds_per_call(call: Callable[[], Any], wait: Callable[[Any], Any], sizes: DaySizes) -> float:
    """Seconds of a call, of the median turn; the calls of a turn are queued.

    Args:
      call: queues the work.
      wait: for the work of a call's result, and all before it.
      sizes: number and length of turns.
    """
    for _ in range(2):  # the first compiles; with the second all is where it stays
        wait(call())

    def turn(count: int) -> float:
        start = time.perf_counter()
        for _ in range(count):
            result = call()
        wait(result)
        return (time.perf_counter() - start) / count

    count = max(1, min(1000, round(sizes.seconds / turn(1))))
    return statistics.median(turn(count) for _ in range(sizes.turns))


def _timed(spec: Spec, part: Part, sizes: DaySizes, note: str = "") -> Row:
    seconds = seconds_per_call(part.ours, jax.block_until_ready, sizes)
    return spec.row(unit=part.unit, rate=part.amount / seconds, work=part.work / seconds, note=note)


def product(precision: str, sizes: DaySizes) -> Part:
    """A large matrix product, of numbers that are not all alike: those of zeros are faster."""
    dtype = jnp.bfloat16 if precision == "bfloat16" else jnp.float32
    side = sizes.product
    matrix = jax.random.normal(jax.random.key(0), (side, side), dtype)
    multiply = jax.jit(jnp.matmul)
    return Part(PRODUCT, "TFLOP/s", 2e-12 * side**3, 2.0 * side**3, "product", lambda: multiply(matrix, matrix))


def copy(sizes: DaySizes) -> Part:
    """Reading and writing a large array: its bytes, each counted twice."""
    array = jnp.zeros((64, sizes.product, sizes.product), jnp.uint8)
    add = jax.jit(lambda array: array + jnp.uint8(1))
    return Part(COPY, "TB/s", 2e-12 * array.size, 2.0 * array.size, "copy", lambda: add(array))


def cnn_training(dtype: str, sizes: DaySizes, cached: bool) -> Part:
    """Updates of the CNN as `systems.anet` makes them, their frames on the device or in host memory.

    Args:
      dtype: of the network, as `config.cnn.dtype`.
      sizes: of the network and its batch.
      cached: `data.cache=device`: a batch is the numbers of its frames, which are cropped and flipped on the device.
    """
    networks, rng = sizes.networks, np.random.default_rng(0)
    model, optimizer = AlexNet(networks.variant, dtype=DTYPES[dtype]), get_config().cnn.optimizer
    side = networks.crop * 200 // 176
    arrays: dict[str, Any] = {"mean": np.full((side, side, 3), 128, np.float32)}
    labels = rng.choice(np.array([-1, 1], np.int8), size=(sizes.cached, 12))
    if cached:
        arrays |= _cached_frames(sizes, side, labels)
        number = np.arange(networks.batch, dtype=np.int32) % sizes.cached
        batch: parallel.Batch = {"number": number, "mask": np.ones(networks.batch, np.float32)}
    else:
        shape = (networks.batch, networks.crop, networks.crop, 3)
        batch = {
            "image": rng.integers(256, size=shape, dtype=np.uint8),
            "labels": np.resize(labels, (networks.batch, 12)),
            "offset": np.zeros((networks.batch, 2), np.int32),
            "flip": np.zeros(networks.batch, bool),
            "mask": np.ones(networks.batch, np.float32),
        }
    one = jnp.zeros((1, networks.crop, networks.crop, 3))
    (_, out), variables = jax.jit(model.init_with_output)(jax.random.key(0), one)
    work = 3.0 * networks.batch * cnn_work(variables["params"], out)
    tx = make_optimizer(optimizer, 1, 1).tx
    state = [*parallel.replicate_on_devices((variables["params"], tx.init(variables["params"])))]
    arrays = parallel.replicate_on_devices(arrays)
    step = parallel.make_train_step(cnn_loss(model, networks.crop, cached), tx)

    def update() -> Any:
        *state[:], loss = step(*state, arrays, parallel.shard(batch), jax.random.key(1))
        return loss, state

    return Part("", "frames/s", networks.batch, work, "product", update)


def cnn_loss(model: AlexNet, crop: int, cached: bool) -> parallel.ExampleLoss:
    """The loss of a frame, as `systems.anet` has it, which cannot be imported without TensorFlow."""

    def loss(params, arrays, row, key):
        frame = device_cache.augmented(arrays, row, crop) if cached else row
        image = subtract_mean(frame["image"], arrays["mean"], frame["offset"], frame["flip"])
        logits, _ = model.apply({"params": params}, image[None], train=True, rngs={"dropout": key})
        return losses.masked_cross_entropy(logits[0], frame["labels"], frame["mask"], "sum")

    return loss


def cnn_folds(sizes: DaySizes) -> Part:
    """An update of the CNNs of several folds in one program: parameters and the order of frames differ, the frames are shared."""
    networks = sizes.networks
    model, side = AlexNet(networks.variant), networks.crop * 200 // 176
    tx = make_optimizer(get_config().cnn.optimizer, 1, 1).tx
    loss = cnn_loss(model, networks.crop, cached=True)
    labels = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), size=(sizes.cached, 12))
    cached = _cached_frames(sizes, side, labels)
    frames = {"frames": jnp.asarray(cached["frames"]), "labels": jnp.asarray(labels)}
    frames |= {"mean": jnp.full((side, side, 3), 128.0)}
    one = jnp.zeros((1, networks.crop, networks.crop, 3))
    keys = jax.random.split(jax.random.key(0), networks.folds)
    params = jax.jit(jax.vmap(lambda key: model.init(key, one)["params"]))(keys)
    orders = jax.vmap(lambda key: device_cache.shuffled(key, jnp.ones(sizes.cached, bool), sizes.cached))(keys)
    number = jnp.arange(networks.batch, dtype=jnp.int32) % sizes.cached
    batch = {"number": number, "mask": jnp.ones(networks.batch)}

    def update(params, opt_state, order, key):
        arrays = {**frames, "order": order, "key": key}

        def total(params):
            examples = jax.random.split(key, networks.batch)
            summed, weights = jax.vmap(loss, in_axes=(None, None, 0, 0))(params, arrays, batch, examples)
            return summed.sum() / jnp.maximum(weights.sum(), 1.0)

        updates, opt_state = tx.update(jax.grad(total)(params), opt_state, params)
        return optax.apply_updates(params, updates), opt_state

    together = jax.jit(jax.vmap(update), donate_argnums=(0, 1))
    state = [params, jax.vmap(tx.init)(params)]

    def updates() -> Any:
        state[:] = together(*state, orders, keys)
        return state

    (_, out), variables = jax.eval_shape(model.init_with_output, jax.random.key(0), one)
    count = networks.folds * networks.batch
    return Part("", "frames/s", count, 3.0 * count * cnn_work(variables["params"], out), "product", updates)


def cnn_inference(dtype: str, sizes: DaySizes) -> Part:
    """Logits of frames in host memory, which come back there."""
    networks = sizes.networks
    model = AlexNet(networks.variant, dtype=DTYPES[dtype])
    shape = (networks.batch, networks.crop, networks.crop, 3)
    images = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    (_, out), variables = jax.jit(model.init_with_output)(jax.random.key(0), jnp.zeros((1, *shape[1:])))

    def logits(params: Any, batch: dict[str, jax.Array]) -> jax.Array:
        return model.apply({"params": params}, batch["image"].astype(jnp.float32) - 128.0)[0]

    forward = parallel.make_forward(logits)
    params = jax.device_put(variables["params"])
    work = networks.batch * cnn_work(variables["params"], out)
    return Part("", "frames/s", networks.batch, work, "product", lambda: forward(params, {"image": images}))


def _cached_frames(sizes: DaySizes, side: int, labels: np.ndarray) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    key = device_cache.epoch_key(0, 0)
    return {
        "frames": rng.integers(256, size=(sizes.cached, side, side, 3), dtype=np.uint8),
        "labels": labels,
        "order": device_cache.shuffled(key, jnp.ones(sizes.cached, bool), sizes.cached),
        "key": key,
    }


def _lstm(number: int) -> Callable[[DaySizes], Part]:
    return lambda sizes: benchmark_parts.lstm_parts(sizes.networks, None)[number]


def _ours(part: str, precision: str, make: Callable[[DaySizes], Part], note: str = "") -> Spec:
    def measure(sizes: DaySizes) -> Row:
        with jax.default_matmul_precision(PRECISIONS.get(precision)):
            return _timed(spec, make(sizes), sizes, note)

    spec = Spec(part, precision, "ours", measure)
    return spec


def _pytorch(part: str, precision: str) -> Spec:
    def measure(sizes: DaySizes) -> Row:
        # Not with the others: where it is missing, its part fails alone.
        import torch

        from experiments import torch_networks

        torch.backends.cudnn.benchmark = True
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "TF32"
        call, amount, unit = _torch_call(part, sizes)
        kind = torch_networks.device().type
        with torch.autocast(kind, torch.bfloat16, enabled=precision == "bfloat16"):
            seconds = seconds_per_call(call, lambda _: torch_networks.synchronize(), sizes)
        return spec.row(unit=unit, rate=amount / seconds)

    spec = Spec(part, precision, "PyTorch", measure)
    return spec


def _torch_call(part: str, sizes: DaySizes) -> tuple[Callable[[], Any], float, str]:
    """The work of a part in PyTorch, its amount and unit."""
    import torch

    from experiments import torch_networks

    networks, rng = sizes.networks, np.random.default_rng(0)
    shape = (networks.batch, networks.crop, networks.crop, 3)
    images = rng.integers(256, size=shape, dtype=np.uint8)
    labels = rng.choice(np.array([-1, 1], np.int8), size=(networks.batch, 12))
    if part in (ON_DEVICE, FROM_HOST):
        step = torch_networks.cnn_step(torch_networks.cnn(networks.variant, networks.crop), wait=False)
        fed = torch.from_numpy(images).to(torch_networks.device()) if part == ON_DEVICE else images
        return partial(step, fed, labels), networks.batch, "frames/s"
    if part == INFERENCE:
        network = torch_networks.cnn(networks.variant, networks.crop).eval()
        return partial(torch_networks.infer, network, images), networks.batch, "frames/s"
    batch = benchmark_parts.sequences(networks, rng)
    network = torch_networks.LSTM(networks.inputs, networks.hidden, networks.layers)
    if part == STREAMING:
        features = batch["features"][:1, : networks.streamed]
        return partial(torch_networks.stream, network.eval(), features), features.shape[1], "steps/s"
    call = partial(torch_networks.lstm_step(network), batch["features"], batch["labels"])
    return call, networks.sequences * networks.steps, "steps x sequences/s"


_TOGETHER = "frames of all folds together"

PARTS: dict[str, list[Spec]] = {
    "peak": [
        *(_ours(PRODUCT, precision, partial(product, precision)) for precision in PRECISIONS),
        _ours(COPY, "", copy),
    ],
    "cnn": [
        _ours(ON_DEVICE, "TF32", partial(cnn_training, "float32", cached=True)),
        _ours(ON_DEVICE, "bfloat16", partial(cnn_training, "bfloat16", cached=True)),
        _ours(ON_DEVICE, "float32", partial(cnn_training, "float32", cached=True)),
        _ours(ON_DEVICE, DEFAULT, partial(cnn_training, "float32", cached=True)),
        _ours(FROM_HOST, "TF32", partial(cnn_training, "float32", cached=False)),
        _ours(INFERENCE, "TF32", partial(cnn_inference, "float32")),
        _ours(INFERENCE, "bfloat16", partial(cnn_inference, "bfloat16")),
        _ours(FOLDS, "TF32", cnn_folds, _TOGETHER),
    ],
    "lstm": [
        _ours(LSTM + "fused", "TF32", _lstm(0)),
        _ours(LSTM + "fused", "float32", _lstm(0)),
        _ours(LSTM + "scan", "TF32", _lstm(1)),
        _ours(CUDNN, "TF32", lambda sizes: benchmark_parts.cudnn_part(sizes.networks), "its own dropout; no optimizer"),
        _ours(LSTM_FOLDS, "TF32", lambda sizes: benchmark_parts.folds_part(sizes.networks), _TOGETHER),
        _ours(STREAMING, "TF32", _lstm(2)),
    ],
    "pytorch": [
        *(_pytorch(ON_DEVICE, precision) for precision in ("TF32", "bfloat16", "float32")),
        _pytorch(FROM_HOST, "TF32"),
        *(_pytorch(INFERENCE, precision) for precision in ("TF32", "bfloat16")),
        *(_pytorch(LSTM + "fused", precision) for precision in ("TF32", "float32")),
        _pytorch(STREAMING, "TF32"),
    ],
}
"""Groups of parts; a group is measured in one process."""
