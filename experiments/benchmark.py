"""How fast the parts run on this machine, beside PyTorch doing the same work in the same run.

    python -m experiments.benchmark [--quick] [--out=benchmark]

Ours and PyTorch's are timed in turns; a rate is that of the median turn, a ratio the median over turns, so that what else
the machine does meanwhile falls on both. (PyTorch's threads wait for each other and lose more on a busy machine.) The last
column is the share of what the machine reached in this run: floating-point operations against one large matrix product,
bytes against one large copy in host memory. PyTorch's columns are empty without the extra `bench`, and feeding by tf.data
is left out without TensorFlow; training's wait for frames is measured for every `config.data.cache`. On a GPU, cuDNN's LSTM
and several folds in one program are timed as well.
"""

import contextlib
import importlib.util
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags, logging

from au_jax import files
from au_jax.config import get_config
from au_jax.data import device_cache
from au_jax.models.cnn import AlexNet
from au_jax.training import losses, parallel
from au_jax.training.optimizers import make_optimizer
from au_jax.training.prefetch import Prefetcher, StallTimer
from experiments import benchmark_parts
from experiments.benchmark_parts import QUICK, Part, Sizes

if TYPE_CHECKING:
    from au_jax.data.dataset import FaceSet

TIMES = 20
"""How often the few rendered faces are read in one stream, so that it is not its start that is timed."""
MOST_FRAMES = 40_000
"""Of an epoch; 5 GB of frames of 200 pixels."""
PAUSE_SECONDS = 2.0
"""Seconds between two epochs; validation takes longer."""

Feed = tuple[Callable[[], Iterator[parallel.Batch]], dict[str, jax.Array], Callable]
"""An epoch's batches, arrays on the devices, and (arrays, a row of a batch) -> image and labels."""


@dataclass(frozen=True)
class Timing:
    """What was measured of a part; `ratio` is ours to PyTorch's, `share` of the machine's ceiling, both if there is one."""

    name: str
    unit: str
    ours: float
    pytorch: float | None
    ratio: float | None
    share: float | None


def time_parts(sizes: Sizes) -> Iterator[Timing]:
    """Measures all parts, one after the other; at last how long training waits for its frames, which says if feeding suffices."""
    ceilings = {"product": _product(sizes), "copy": _copy(sizes)}
    torch_networks = _torch_networks()
    parts: list[Callable[[], list[Part]]] = [
        partial(benchmark_parts.cnn_parts, sizes, torch_networks),
        partial(benchmark_parts.lstm_parts, sizes, torch_networks),
        partial(benchmark_parts.fusion_parts, sizes),
        partial(benchmark_parts.metrics_parts, sizes),
    ]
    if jax.default_backend() == "gpu":
        parts += [lambda: [benchmark_parts.folds_part(sizes)], lambda: [benchmark_parts.cudnn_part(sizes)]]
    with tempfile.TemporaryDirectory() as folder:
        if importlib.util.find_spec("tensorflow"):
            parts.append(partial(feeding_parts, sizes, folder))
        rates = {}
        for make in parts:
            for part in make():
                row = _measure(part, sizes.turns, ceilings[part.ceiling])
                rates[row.name] = row.ours
                yield row
        for cache, share in waiting_shares(sizes, rates["CNN training"], folder):
            yield Timing(f"waiting, cache={cache}", "% of the time", 100 * share, None, None, None)


def feeding_parts(sizes: Sizes, folder: str) -> list[Part]:
    """tf.data's training batches, and the same records read and shuffled only; faces are rendered into `folder`."""
    import tensorflow as tf

    from au_jax.data import input_pipeline

    faces = rendered_faces(folder, sizes.frames, sizes.crop, TIMES * sizes.frames)
    trained = int(input_pipeline.training_rows(faces, 1, 0).sum())

    def decoded() -> None:
        batches = input_pipeline.training_batches(
            faces, seed=0, epoch=0, batch_size=sizes.batch, crop_size=sizes.crop, frame_step=1, shuffle_buffer=20_000
        )
        for _ in batches:
            pass

    def undecoded() -> None:
        records = tf.data.TFRecordDataset(faces.shards()).shuffle(20_000, seed=0).batch(sizes.batch).prefetch(4)
        for _ in records.as_numpy_iterator():
            pass

    crops = float(trained * sizes.crop**2 * 3)
    size = float(sum(Path(shard).stat().st_size for shard in faces.shards()))
    return [
        Part("feeding, decoded", "frames/s", trained, crops, "copy", decoded),
        Part("feeding, undecoded", "frames/s", len(faces), size, "copy", undecoded),
    ]


def rendered_faces(folder: str, count: int, crop: int, total: int) -> "FaceSet":
    """Renders about `count` faces of one subject a little larger than the crop, read again and again as about `total`."""
    import tensorflow as tf

    from au_jax.data.dataset import FaceDataset, FaceSet
    from au_jax.data.preparation import prepare

    tf.config.set_visible_devices([], "GPU")
    data = get_config().data
    data.preset, data.subjects, data.videos, data.frames = "tiny", 1, 1, count
    data.image_size, data.directory = crop * 200 // 176, folder
    dataset = FaceDataset(prepare(data))
    dataset.load(dataset.subjects)
    times = max(round(total / len(FaceSet(dataset, dataset.subjects))), 1)
    return FaceSet(dataset, dataset.subjects * times)


def waiting_shares(sizes: Sizes, rate: float, folder: str) -> Iterator[tuple[str, float]]:
    """Cache and share of an epoch's time without data, from 0 to 1; `none` and `host` need TensorFlow.

    Args:
      rate: frames a second that the CNN trains on, as measured.
      folder: for rendered faces.
    """
    frames = min(int(sizes.waited * rate), MOST_FRAMES)
    yield "device", _share(sizes, _on_device(sizes, frames))
    if importlib.util.find_spec("tensorflow"):
        for cache in ("none", "host"):
            yield cache, _share(sizes, _from_host(sizes, frames, folder, cache == "host"))


def _on_device(sizes: Sizes, frames: int) -> Feed:
    rng = np.random.default_rng(0)
    side = sizes.crop * 200 // 176
    length = -(-frames // sizes.batch) * sizes.batch
    key = device_cache.epoch_key(0, 0)
    arrays = parallel.replicate_on_devices(
        {
            "frames": rng.integers(256, size=(frames, side, side, 3), dtype=np.uint8),
            "labels": rng.choice(np.array([-1, 1], np.int8), size=(frames, 12)),
            "order": device_cache.shuffled(key, jnp.ones(frames, bool), length),
            "key": key,
        }
    )
    batches = partial(device_cache.number_batches, frames, sizes.batch)
    return batches, arrays, lambda arrays, row: device_cache.augmented(arrays, row, sizes.crop)


def _from_host(sizes: Sizes, frames: int, folder: str, in_memory: bool) -> Feed:
    from au_jax.data.input_pipeline import ordered_batches, training_batches

    shown = rendered_faces(folder, sizes.frames, sizes.crop, frames)
    whole = ordered_batches(shown, batch_size=256, crop_size=None)
    cached_frames = device_cache.collect_frames(len(shown), shown.dataset.image_size, whole) if in_memory else None

    def batches() -> Iterator[parallel.Batch]:
        return training_batches(
            shown, seed=0, epoch=0, batch_size=sizes.batch, crop_size=sizes.crop, frame_step=1, shuffle_buffer=20_000,
            cached_frames=cached_frames,
        )  # fmt: skip

    return batches, {}, lambda arrays, example: example


def _share(sizes: Sizes, feed: Feed) -> float:
    """Trains for a short epoch and a whole one, begun ahead as in `training.trainer`, and measures the second."""
    batches, arrays, example = feed
    model = AlexNet(sizes.variant)
    tx = make_optimizer(get_config().cnn.optimizer, 1, 1).tx

    def loss(params, arrays, row, key):
        frame = example(arrays, row)
        image = frame["image"].astype(jnp.float32)[None] - 128.0
        logits, _ = model.apply({"params": params}, image, train=True, rngs={"dropout": key})
        return losses.masked_cross_entropy(logits[0], frame["labels"], frame["mask"], "sum")

    one = jnp.zeros((1, sizes.crop, sizes.crop, 3))
    params: Any = jax.jit(model.init)(jax.random.key(0), one)["params"]
    params, opt_state = parallel.replicate_on_devices((params, tx.init(params)))
    step = parallel.make_train_step(loss, tx)
    share = 0.0
    with contextlib.closing(Prefetcher(lambda epoch: itertools.islice(batches(), None if epoch else 2))) as ahead:
        for number in range(2):  # the first compiles
            epoch = StallTimer(ahead.epoch(number))
            for count, batch in enumerate(epoch):
                key = jax.random.fold_in(jax.random.key(number), count)
                params, opt_state, value = step(params, opt_state, arrays, parallel.shard(batch), key)
                epoch.step_queued(value)
            share = epoch.metrics()["data_wait"]
            if number == 0:
                ahead.begin(1)
                time.sleep(PAUSE_SECONDS)
    return share


def _torch_networks() -> Any:
    if not importlib.util.find_spec("torch"):
        return None
    from experiments import torch_networks

    return torch_networks


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _measure(part: Part, turns: int, ceiling: float) -> Timing:
    calls = [call for call in (part.ours, part.theirs) if call]
    for call in calls:
        call()  # compiles, and allocates
    times = np.array([[_seconds(call) for call in calls] for _ in range(turns)])
    ours, *theirs = np.median(times, axis=0)
    return Timing(
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


def _cells(rows: list[Timing]) -> list[list[str]]:
    lines = [["part", "unit", "ours", "PyTorch", "ratio", "of ceiling"]]
    for row in rows:
        pytorch = "" if row.pytorch is None else f"{row.pytorch:,.0f}"
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        share = "" if row.share is None else f"{row.share:.1%}"
        ours = f"{row.ours:,.0f}" if row.ours >= 10 else f"{row.ours:.1f}"
        lines.append([row.name, row.unit, ours, pytorch, ratio, share])
    return lines


def table(rows: list[Timing]) -> str:
    """The rows as text."""
    return "\n".join(f"{a:<23}{b:<21}{c:>11}{d:>11}{e:>7}{f:>12}" for a, b, c, d, e, f in _cells(rows))


def markdown_table(rows: list[Timing]) -> str:
    """The rows as a Markdown table."""
    lines = ["| " + " | ".join(cells) + " |" for cells in _cells(rows)]
    return "\n".join([lines[0], "|---|---|---:|---:|---:|---:|", *lines[1:]]) + "\n"


def measure_all(sizes: Sizes, out: str) -> None:
    """Measures, prints the table, and writes it to `out`.json and `out`.md if that is given."""
    logging.set_verbosity(logging.WARNING)  # TFDS logs every file that it writes
    rows = []
    for row in time_parts(sizes):
        print(f"measured: {row.name}", file=sys.stderr)
        rows.append(row)
    device = f"{jax.local_device_count()} x {jax.local_devices()[0].device_kind}, float32"
    print(device)
    print(table(rows))
    if out:
        document = {"device": device, "sizes": asdict(sizes), "parts": [asdict(row) for row in rows]}
        files.write_json(Path(f"{out}.json"), document)
        files.write_text(Path(f"{out}.md"), f"{device}\n\n{markdown_table(rows)}")


def main() -> None:
    """Runs the command line."""
    quick = flags.DEFINE_bool("quick", False, "Shorter sequences: a few minutes on two cores.")
    out = flags.DEFINE_string("out", "", "Also write the table to files of this name, .json and .md.")
    app.run(lambda argv: measure_all(QUICK if quick.value else Sizes(), out.value))


if __name__ == "__main__":
    main()
