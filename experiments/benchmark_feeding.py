"""How fast frames reach the CNN's training, and how long it waits for them, for `experiments.benchmark`.

Every way of `config.data.cache` is measured; "none" and "host" need TensorFlow, which is imported only then.
"""

import contextlib
import importlib.util
import itertools
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from au_jax.config import get_config
from au_jax.data import device_cache
from au_jax.models.cnn import AlexNet
from au_jax.training import losses, parallel
from au_jax.training.optimizers import make_optimizer
from au_jax.training.prefetch import Prefetcher, StallTimer
from experiments.benchmark_parts import Part, Sizes

if TYPE_CHECKING:
    from au_jax.data.dataset import FaceSet

TIMES = 20
"""How often the few rendered faces are read in one stream, so that it is not its start that is timed."""


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
    data.preset, data.subjects, data.videos, data.frames = "bp4d_like", 1, 1, count
    data.image_size, data.directory = crop * 200 // 176, folder
    dataset = FaceDataset(prepare(data))
    dataset.load(dataset.subjects)
    times = max(round(total / len(FaceSet(dataset, dataset.subjects))), 1)
    return FaceSet(dataset, dataset.subjects * times)


MOST_FRAMES = 40_000
"""Of an epoch; 5 GB of frames of 200 pixels."""
PAUSE = 2.0
"""Seconds between two epochs; validation takes longer."""

Feed = tuple[Callable[[], Iterator[parallel.Batch]], dict[str, jax.Array], Callable]
"""An epoch's batches, arrays on the devices, and (arrays, a row of a batch) -> image and labels."""


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
    arrays = parallel.replicate(
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
        counted = losses.labelled(frame["labels"]) * frame["mask"]
        return losses.cross_entropy(logits[0], frame["labels"], "sum") * counted, counted

    one = jnp.zeros((1, sizes.crop, sizes.crop, 3))
    params: Any = jax.jit(model.init)(jax.random.key(0), one)["params"]
    params, opt_state = parallel.replicate((params, tx.init(params)))
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
                time.sleep(PAUSE)
    return share
