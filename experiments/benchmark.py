"""How fast the parts run on this machine, beside PyTorch doing the same work in the same run.

    python -m experiments.benchmark [--quick] [--out=benchmark.json]

Ours and PyTorch's are timed in turns; a rate is that of the median turn, a ratio the median over turns, so that what else
the machine does meanwhile falls on both. (PyTorch's threads wait for each other and lose more on a busy machine.) The last
column is the share of what the machine reached in this run: floating-point operations against one large matrix product,
bytes against one large copy in host memory. PyTorch's columns are empty without the extra `reference`, and feeding is left
out without TensorFlow.
"""

import importlib.util
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags, logging

from au_jax import files
from au_jax.evaluation import metrics
from au_jax.models.alexnet import AlexNet
from au_jax.models.lstm import LSTMStack
from au_jax.training import losses, parallel
from au_jax.training.optimizers import make_optimizer
from configs import base


@dataclass(frozen=True)
class Sizes:
    """How much work is timed: sizes of the networks and batches, and turns per part."""

    turns: int = 7
    variant: str = "drml_alexnet"
    crop: int = 176
    batch: int = 32
    inputs: int = 1024
    hidden: int = 256
    layers: int = 3
    sequences: int = 10
    steps: int = 1300
    streamed: int = 300
    frames: int = 300
    ceiling: int = 4096


QUICK = replace(Sizes(), turns=3, steps=300, streamed=100, frames=60, ceiling=2048)


@dataclass(frozen=True)
class Part:
    """A part to be timed.

    Attributes:
      name, unit: as the table shows them.
      amount: units per call.
      work: floating-point operations, or bytes, per call.
      ceiling: what `work` is measured against, "product" or "copy".
      ours: does the work and waits for its end.
      theirs: the same in PyTorch, if there is one.
    """

    name: str
    unit: str
    amount: float
    work: float
    ceiling: str
    ours: Callable[[], Any]
    theirs: Callable[[], Any] | None


@dataclass(frozen=True)
class Row:
    """What was measured of a part; `ratio` is ours to PyTorch's, `share` of the machine's ceiling."""

    name: str
    unit: str
    ours: float
    pytorch: float | None
    ratio: float | None
    share: float


def run(sizes: Sizes) -> Iterator[Row]:
    """Measures all parts, one after the other."""
    ceilings = {"product": _product(sizes), "copy": _copy(sizes)}
    torch_networks = _torch_networks()
    parts: list[Callable[[], list[Part]]] = [
        partial(_cnn_parts, sizes, torch_networks),
        partial(_lstm_parts, sizes, torch_networks),
        partial(_metrics_parts, sizes),
    ]
    with tempfile.TemporaryDirectory() as folder:
        if importlib.util.find_spec("tensorflow"):
            parts.append(partial(_feeding_parts, sizes, folder))
        for make in parts:
            for part in make():
                yield _measure(part, sizes.turns, ceilings[part.ceiling])


def _torch_networks() -> Any:
    if not importlib.util.find_spec("torch"):
        return None
    from experiments import torch_networks

    return torch_networks


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _measure(part: Part, turns: int, ceiling: float) -> Row:
    calls = [call for call in (part.ours, part.theirs) if call]
    for call in calls:
        call()  # compiles, and allocates
    times = np.array([[_seconds(call) for call in calls] for _ in range(turns)])
    ours, *theirs = np.median(times, axis=0)
    return Row(
        part.name,
        part.unit,
        ours=float(part.amount / ours),
        pytorch=float(part.amount / theirs[0]) if theirs else None,
        ratio=float(np.median(times[:, 1] / times[:, 0])) if theirs else None,
        share=float(part.work / ours / ceiling),
    )


def _product(sizes: Sizes) -> float:
    """Floating-point operations a second of a large matrix product in float32."""
    matrix = jnp.ones((sizes.ceiling, sizes.ceiling))
    multiply = jax.jit(jnp.matmul)
    multiply(matrix, matrix).block_until_ready()
    times = [_seconds(lambda: multiply(matrix, matrix).block_until_ready()) for _ in range(sizes.turns)]
    return 2 * sizes.ceiling**3 / min(times)


def _copy(sizes: Sizes) -> float:
    """Bytes a second of a large copy in host memory."""
    source = np.ones(8 * sizes.ceiling**2, np.uint8)
    target = np.zeros_like(source)
    return source.nbytes / min(_seconds(lambda: np.copyto(target, source)) for _ in range(sizes.turns))


def _training(model: Any, optimizer: Any, inputs: tuple, loss: Callable, batch: parallel.Batch) -> Callable[[], None]:
    """An update of `au_jax.training`, from a batch in host memory to new parameters."""
    tx = make_optimizer(optimizer, 1, 1).tx
    params = jax.jit(model.init)(jax.random.key(0), jnp.zeros(inputs))["params"]
    state = [*parallel.replicate((params, tx.init(params)))]
    step = parallel.make_train_step(loss, tx)

    def update() -> None:
        *state[:], value = step(*state, {}, parallel.shard(batch), jax.random.key(1))
        jax.block_until_ready((state, value))

    return update


def _cnn_parts(sizes: Sizes, torch_networks: Any) -> list[Part]:
    model, rng = AlexNet(sizes.variant), np.random.default_rng(0)
    shape = (sizes.batch, sizes.crop, sizes.crop, 3)
    batch = {
        "image": rng.integers(256, size=shape, dtype=np.uint8),
        "labels": rng.choice(np.array([-1, 1], np.int8), size=(sizes.batch, 12)),
    }

    def loss(params, constants, example, key):
        del constants
        pixels = example["image"][None].astype(jnp.float32) - 128.0
        logits, _ = model.apply({"params": params}, pixels, train=True, rngs={"dropout": key})
        return losses.cross_entropy(logits[0], example["labels"], "sum"), losses.labelled(example["labels"])

    one = (1, *shape[1:])
    train = _training(model, base.get_config().cnn.optimizer, one, loss, batch)
    (_, out), variables = jax.jit(model.init_with_output)(jax.random.key(0), jnp.zeros(one))
    forward = parallel.make_forward(
        lambda params, batch: model.apply({"params": params}, batch["image"].astype(jnp.float32) - 128.0)[0]
    )
    infer = partial(forward, jax.device_put(variables["params"]), {"image": batch["image"]})
    # A kernel is used once per output pixel (once for a fully connected layer); two operations each time.
    work = (
        2.0
        * sizes.batch
        * sum(layer["kernel"].size * np.prod(out[name].shape[1:-1]) for name, layer in variables["params"].items())
    )
    torch_train = torch_infer = None
    if torch_networks:
        network = torch_networks.cnn(sizes.variant, sizes.crop)
        torch_train = partial(torch_networks.cnn_step(network), batch["image"], batch["labels"])
        scoring = torch_networks.cnn(sizes.variant, sizes.crop).eval()
        torch_infer = partial(torch_networks.infer, scoring, batch["image"])
    return [
        Part("CNN training", "frames/s", sizes.batch, 3 * work, "product", train, torch_train),
        Part("CNN inference", "frames/s", sizes.batch, work, "product", infer, torch_infer),
    ]


def _lstm_parts(sizes: Sizes, torch_networks: Any) -> list[Part]:
    model, rng = LSTMStack(sizes.layers, sizes.hidden), np.random.default_rng(0)
    shape = (sizes.sequences, sizes.steps)
    batch = {
        "features": rng.normal(size=(*shape, sizes.inputs)).astype(np.float32),
        "labels": rng.choice(np.array([-1, 1], np.int8), size=(*shape, 12)),
    }

    def loss(params, constants, example, key):
        del constants
        scores, _ = model.apply({"params": params}, example["features"][None], train=True, rngs={"dropout": key})
        counted = losses.labelled(example["labels"])
        return (losses.max_margin(scores[0], example["labels"], 0.5, 1.0) * counted).sum(), counted.sum()

    train = _training(model, base.get_config().lstm.optimizer, (1, 1, sizes.inputs), loss, batch)
    params = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 1, sizes.inputs)))
    work = 2.0 * sum(leaf.size for leaf in jax.tree.leaves(params) if leaf.ndim == 2)
    apply = jax.jit(model.apply)

    def stream() -> None:
        carry = model.initial_carry(1)
        for step in range(sizes.streamed):
            scores, carry = apply(params, batch["features"][:1, step : step + 1], None, carry)
            np.asarray(scores)  # as each frame's score is wanted before the next frame is there

    torch_train = torch_stream = None
    if torch_networks:
        make = partial(torch_networks.LSTM, sizes.inputs, sizes.hidden, sizes.layers)
        torch_train = partial(torch_networks.lstm_step(make()), batch["features"], batch["labels"])
        torch_stream = partial(torch_networks.stream, make().eval(), batch["features"][:1, : sizes.streamed])
    frames = sizes.sequences * sizes.steps
    return [
        Part("LSTM training", "steps x sequences/s", frames, 3 * frames * work, "product", train, torch_train),
        Part("LSTM streaming", "steps/s", sizes.streamed, sizes.streamed * work, "product", stream, torch_stream),
    ]


def _metrics_parts(sizes: Sizes) -> list[Part]:
    rng = np.random.default_rng(0)
    labels = rng.choice(np.array([-1, 0, 1], np.int8), size=(1000 * sizes.frames, 12))
    scores = rng.normal(size=labels.shape).astype(np.float32)
    size = float(labels.nbytes + scores.nbytes)
    return [
        Part(
            "F1 of scores",
            "frames/s",
            len(labels),
            size,
            "copy",
            lambda: metrics.f1(metrics.counts(labels, scores)),
            None,
        )
    ]


def _feeding_parts(sizes: Sizes, folder: str) -> list[Part]:
    from experiments.feeding import decoded, faces, labelled, undecoded

    shown = faces(folder, sizes.frames, sizes.crop)
    trained = labelled(shown)
    crops = float(trained * sizes.crop**2 * 3)
    size = float(sum(Path(shard).stat().st_size for shard in shown.shards()))
    return [
        Part("feeding, decoded", "frames/s", trained, crops, "copy", lambda: decoded(shown, sizes), None),
        Part("feeding, undecoded", "frames/s", len(shown), size, "copy", lambda: undecoded(shown, sizes), None),
    ]


def table(rows: list[Row]) -> str:
    """The rows as text."""
    lines = [f"{'part':<20}{'unit':<21}{'ours':>11}{'PyTorch':>11}{'ratio':>7}{'of ceiling':>12}"]
    for row in rows:
        pytorch = "" if row.pytorch is None else f"{row.pytorch:,.0f}"
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        lines.append(f"{row.name:<20}{row.unit:<21}{row.ours:>11,.0f}{pytorch:>11}{ratio:>7}{row.share:>11.1%}")
    return "\n".join(lines)


def main(sizes: Sizes, out: str) -> None:
    """Measures, prints the table, and writes it to `out` if that is given."""
    logging.set_verbosity(logging.WARNING)  # TFDS tells every file that it writes
    rows = []
    for row in run(sizes):
        print(f"measured: {row.name}", file=sys.stderr)
        rows.append(row)
    print(f"{jax.local_device_count()} x {jax.local_devices()[0].device_kind}, float32")
    print(table(rows))
    if out:
        document = {
            "device": jax.local_devices()[0].device_kind,
            "sizes": asdict(sizes),
            "parts": [asdict(r) for r in rows],
        }
        files.write_json(Path(out), document)


if __name__ == "__main__":
    IS_QUICK = flags.DEFINE_bool("quick", False, "Shorter sequences and fewer turns: a few minutes on two cores.")
    OUT = flags.DEFINE_string("out", "", "Also write the table to this JSON file.")
    app.run(lambda argv: main(QUICK if IS_QUICK.value else Sizes(), OUT.value))
