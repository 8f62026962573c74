"""What a run is going to do: folds, systems, steps, room on disk, and time where earlier folds tell it."""

import math
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from au_jax.config import Config
from au_jax.data import input_pipeline
from au_jax.data.dataset import FaceDataset, FaceSet
from au_jax.data.splits import Fold
from au_jax.labels import NUM_AUS
from au_jax.systems import anet, display, fusion_trainer, lstm_trainer
from au_jax.training.checkpoints import MOST
from au_jax.training.optimizers import make_optimizer

_HOG, _FC7 = 6272, 4096  # numbers of a frame


def plan(
    config: Config, folder: Path, dataset: FaceDataset, folds: Sequence[Fold], todo: Mapping[int, list[str]]
) -> str:
    """The plan in some lines, told before the work begins.

    Args:
      config: of the run.
      folder: of the run.
      dataset: the prepared faces.
      folds: all of them.
      todo: fold -> systems that have no scores of it yet.
    """
    count = sum(len(records.frames) for records in dataset.load(dataset.subjects))
    chosen = list(config.folds) or list(range(len(folds)))
    lines = [
        f"plan of {folder}: {_several(len(chosen), 'fold')} of {len(folds)}, {_several(len(config.systems), 'system')}; "
        f"{_several(len(dataset.subjects), 'person', 'people')}, {count} frames of {dataset.image_size} px"
    ]
    first = next(iter(todo), chosen[0])
    told = steps(config, FaceSet(dataset, folds[first].train))
    lines += [f"  {display.label(name)}: {told[name]}" for name in config.systems]
    open_folds = [index for index in chosen if todo.get(index)]
    done = sum(len(config.systems) - len(todo.get(index, ())) for index in chosen)
    if done:
        lines.append(f"  done before: {done} of {len(chosen) * len(config.systems)} (fold, system)")
    room, free = disk(config, count, len(folds)) * len(open_folds) / len(folds), shutil.disk_usage(folder).free
    lines.append(f"  disk: about {_size(room)} at most, {_size(free)} free" + (" - TOO LITTLE" if room > free else ""))
    return "\n".join(lines)


def steps(config: Config, train: FaceSet) -> dict[str, str]:
    """What each system of a config does in a fold, in a line."""
    rows = int(input_pipeline.training_rows(train, config.cnn.frame_step, 0).sum())
    updates = config.lstm.steps_per_epoch or math.ceil(
        len(train) / (config.lstm.batch_size * config.lstm.sequence_length)
    )
    cnn = f"{config.cnn.epochs} epochs of about {math.ceil(rows / config.cnn.batch_size)} steps ({config.cnn.batch_size} frames)"
    inner = f", {config.fusion.inner_folds} times more on parts" if config.fusion.train_on == "out_of_fold" else ""
    shared = "the CNN of ANet" if "anet" in config.systems else f"CNN, {cnn}"
    return {
        "hog_svm": f"HOG of every frame, {NUM_AUS} linear SVMs on {_every(config.hog_svm.frame_step)}",
        "cpm": f"HOG, confident pair on {_every(config.cpm.frame_step)}, a classifier per test person",
        "jpml": f"HOG, patches and relations on {_every(config.jpml.frame_step)}",
        "anet_transfer": f"CNN on the other dataset, once, {config.cnn.epochs} epochs; {NUM_AUS} linear SVMs on its fc7",
        "anet": f"CNN, {cnn}",
        "hybrid": f"{shared}; LSTM, {config.lstm.epochs} passes of {updates} updates; fusion, {config.fusion.epochs} epochs"
        f"{inner}",
    }


def disk(config: Config, count: int, folds: int) -> float:
    """Bytes that the whole run will fill at most, its dataset not counted.

    Args:
      count: frames of the dataset.
      folds: of the protocol.
    """
    systems, fold = set(config.systems), 0.0
    learned = count * (1 - 1 / folds)
    if systems & {"anet", "hybrid"}:
        fold += _cnn_bytes(config)
    if "hybrid" in systems:
        rows = config.lstm.pca_components
        streams = (
            _state_bytes(
                partial(lstm_trainer.initial_params, lstm_trainer.make_lstm(config.lstm), rows), config.lstm.optimizer
            )
            + _state_bytes(
                partial(fusion_trainer.initial_params, fusion_trainer.make_fusion(config.fusion), *_widths(config)),
                config.fusion.optimizer,
            )
            + 4 * learned * (rows + NUM_AUS)
        )
        more = config.fusion.inner_folds if config.fusion.train_on == "out_of_fold" else 0
        fold += (1 + more) * streams + more * _cnn_bytes(config)
    for name, width in (("hog_svm", _HOG), ("cpm", _HOG), ("anet_transfer", _FC7)):
        if name in systems:
            fold += 4 * width * config[name].pca_components
    scores = count * len(systems) * (4 * NUM_AUS + NUM_AUS + 4)
    once = _cnn_bytes(config) if "anet_transfer" in systems else 0.0
    return folds * fold + once + scores


def seconds_to_go(stages: Mapping[str, Mapping[str, float]], finished: Sequence[int], to_go: int) -> float | None:
    """Seconds for the folds to go, by the mean of the finished ones' costs; None while none is finished."""
    if not finished:
        return None
    spent = [
        sum(cost["seconds"] for name, cost in stages.items() if name.startswith(f"fold_{index:02d}/"))
        for index in finished
    ]
    return to_go * float(np.mean(spent))


def interval(seconds: float) -> str:
    """A time as readers read it, such as 3:07 or 1:03:07."""
    return tqdm.format_interval(seconds).lstrip("0").removeprefix(":") if seconds >= 60 else f"{seconds:.0f} s"


def folder_size(folder: Path) -> str:
    """How much a folder holds."""
    return _size(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()))


def _cnn_bytes(config: Config) -> float:
    model = anet.make_cnn(config.cnn)
    mean = 4 * 3 * config.data.image_size**2
    return mean + _state_bytes(partial(anet.initial_params, model, config.data.crop_size), config.cnn.optimizer)


def _widths(config: Config) -> tuple[int, int]:
    if config.fusion.variant == "features":
        return config.lstm.pca_components, config.lstm.hidden * (1 + config.lstm.bidirectional)
    return NUM_AUS, NUM_AUS


def _state_bytes(init: Any, optimizer: Config) -> float:
    """What a network's checkpoints fill: parameters and what the optimizer keeps of each."""
    params = jax.eval_shape(init, jax.random.key(0))
    state = params, jax.eval_shape(make_optimizer(optimizer, 1, 1).tx.init, params)
    return MOST * sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))


def _size(count: float) -> str:
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 1000:
            return f"{count:.3g} {unit}"
    return f"{count / 1000:.3g} TB"


def _every(step: int) -> str:
    return "every frame" if step == 1 else f"every {step}{'nd' if step == 2 else 'rd' if step == 3 else 'th'} frame"


def _several(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"
