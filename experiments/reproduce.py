"""Both tables and all figures of the paper by one command, from raw BP4D and GFT folders or from synthetic faces.

    python -m experiments.reproduce --bp4d=/data/BP4D --gft=/data/GFT --out=runs/paper
    python -m experiments.reproduce --synthetic --scale=smoke --out=runs/smoke

Checks and prepares both datasets, tells how long the runs will take, makes them (three folds, cross-dataset, ten folds, every
system of the tables), and writes tables and figures. It can be stopped and typed again at any time: finished work is read.
"""

import concurrent.futures
import math
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from tqdm import tqdm

from au_jax import files
from au_jax.command_line import run_command
from au_jax.config import Config, LSTMConfig, OptimizerConfig, typed
from au_jax.data.dataset import FaceDataset
from au_jax.data.preparation import check_copy, prepare
from au_jax.errors import CommandError, UserError
from au_jax.evaluation.comparison import average_in_results, over_seeds, seeds_markdown
from au_jax.models.hybrid import cnn_forward, make_cnn, make_lstm
from au_jax.systems import anet, display, lstm_trainer
from au_jax.training import parallel
from au_jax.training.optimizers import make_optimizer
from experiments import scales

T = TypeVar("T")

_TABLES = {"gft": "table1", "bp4d": "table2"}


@dataclass(frozen=True)
class Reproduction:
    """What is to be made.

    Attributes:
      out: folder of runs, data, tables and figures.
      scale: of `scales.SCALES`.
      raw: dataset -> folder of its recordings; empty: synthetic faces.
      protocols: of `scales.PROTOCOLS`.
      seeds: seeds of folds, weights and sampling, and of synthetic people; tables show the first, `spread.md` all.
      vgg_face: the file of VGG-Face for fig3; None: fig3 leaves that panel out.
    """

    out: Path
    scale: str
    raw: dict[str, str]
    protocols: tuple[str, ...]
    seeds: tuple[int, ...]
    vgg_face: str | None

    def folder(self, dataset: str, protocol: str, seed: int) -> Path:
        """Where a run lies."""
        suffix = "" if seed == self.seeds[0] else f"_seed{seed}"
        return self.out / f"{dataset}_{protocol}{suffix}"

    def changes(self, dataset: str, seed: int) -> dict[str, str | int]:
        """What a run's configuration has otherwise than `scales` says."""
        changes: dict[str, str | int] = {"seed": seed, "data.directory": str(self.out / "data")}
        if self.raw:
            other = "gft" if dataset == "bp4d" else "bp4d"
            changes |= {"data.source": dataset, "data.raw": self.raw[dataset]}
            changes |= {"transfer.source": other, "transfer.raw": self.raw[other]}
        else:
            # Other people with every seed: what differs between seeds is then not weights alone.
            changes |= {"data.render_seed": seed, "transfer.render_seed": seed}
        # Which of the two stands in for the other is said by --synthetic.
        return changes | {"data.stands_for": "" if self.raw else dataset}

    def config(self, dataset: str, protocol: str, seed: int) -> Config:
        """The configuration of a run."""
        config = scales.get_config(f"{dataset}-{protocol}-{self.scale}")
        config.update_from_flattened_dict(self.changes(dataset, seed))
        return typed(config)

    def command(self, dataset: str, protocol: str, seed: int) -> list[str]:
        """The options of `au_jax.main` that make a run."""
        options = [f"--config={scales.__file__}:{dataset}-{protocol}-{self.scale}"]
        options += [f"--config.{field}={value}" for field, value in self.changes(dataset, seed).items()]
        return [*options, f"--workdir={self.folder(dataset, protocol, seed)}"]


def reproduce(plan: Reproduction) -> None:
    """Makes what the plan asks for.

    Raises:
      UserError: recordings that cannot be used, before any work; whatever a run refuses.
    """
    if plan.raw:
        for dataset in plan.raw:
            survey = check_copy(plan.config(dataset, plan.protocols[0], plan.seeds[0]).data)
            print(survey.text(), end="\n\n")
            survey.raise_if_unusable(False)
    frames = {}
    for dataset in scales.DATASETS:
        prepared = FaceDataset(prepare(plan.config(dataset, plan.protocols[0], plan.seeds[0]).data))
        frames[dataset] = sum(len(records.frame_numbers) for records in prepared.load(prepared.subjects))
    _print_estimate(plan, frames)
    for seed in plan.seeds:
        for protocol in plan.protocols:
            for dataset in scales.DATASETS:
                # A process of its own: compiled programs stay in memory as long as their process, and devices with it.
                _call("au_jax.main", *plan.command(dataset, protocol, seed))
    for dataset, table in _TABLES.items():
        folders = [str(plan.folder(dataset, protocol, plan.seeds[0])) for protocol in plan.protocols]
        _call(f"experiments.{table}", f"--runs={','.join(folders)}", f"--out={plan.out / 'tables'}")
    _figures(plan)
    files.write_text(plan.out / "spread.md", spread(plan))
    print((plan.out / "spread.md").read_text())
    print(f"{plan.out / 'tables'} and {plan.out / 'figures'} hold the paper's tables and figures.")


def spread(plan: Reproduction) -> str:
    """Average F1-frame of every system over the seeds, as Markdown: a table for every dataset and protocol."""
    parts = []
    for dataset in scales.DATASETS:
        for protocol in plan.protocols:
            runs = {seed: _averages(plan.folder(dataset, protocol, seed)) for seed in plan.seeds}
            parts += [f"## {dataset}, {protocol}", seeds_markdown(over_seeds(runs), "F1-frame", display.label)]
    return "\n\n".join(parts)


def _averages(run: Path) -> dict[str, float]:
    results = files.read_json(run / "results.json")
    columns = {"always_present": results["always_present"], **results["systems"]}
    return {name: average_in_results(column["f1_frame"]) for name, column in columns.items()}


def _print_estimate(plan: Reproduction, frames: dict[str, int]) -> None:
    total = 0.0
    for protocol in plan.protocols:
        for dataset in scales.DATASETS:
            if (plan.folder(dataset, protocol, plan.seeds[-1]) / "results.json").exists():
                continue
            other = "gft" if dataset == "bp4d" else "bp4d"
            trained = frames[other if protocol == "cross" else dataset]
            parts = _alone(estimate, plan.config(dataset, protocol, plan.seeds[0]), trained)
            print(estimate_line(f"{dataset} {protocol}", parts), flush=True)
            total += sum(parts.values()) * len(plan.seeds)
    if total:
        line = estimate_line("all", {"networks": total})
        print(f"{line}; descriptors, SVMs, CPM, JPML, validation and figures come on top", flush=True)


def _alone(work: Callable[..., T], *arguments: object) -> T:
    """What a function returns in a process of its own, which gives the devices back."""
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def _figures(plan: Reproduction) -> None:
    seed, protocol = plan.seeds[0], plan.protocols[0]
    bp4d, gft = (plan.folder(dataset, protocol, seed) for dataset in ("bp4d", "gft"))
    out = f"--out={plan.out / 'figures'}"
    _call("experiments.fig2", f"--run={gft}", f"--other={bp4d}", out)
    _call("experiments.fig3", f"--run={bp4d}", out, *([f"--vgg_face={plan.vgg_face}"] if plan.vgg_face else []))
    _call("experiments.fig4", f"--run={gft}", f"--other={bp4d}", out)
    _call("experiments.fig5", f"--run={gft}", out, *(["--iterations=100"] if plan.scale == "smoke" else []))
    _call("experiments.precision_recall", f"--run={bp4d}", out)
    _call("experiments.cooccurrence", f"--run={bp4d}", out)


def _call(module: str, *options: str) -> None:
    """Runs a command as the user would type it."""
    command = [sys.executable, "-m", module, *options]
    print(f"\n== python {' '.join(command[1:])}", flush=True)
    done = subprocess.run(command)
    if done.returncode:
        raise UserError(f"{module} ended with status {done.returncode}; mend what it says, and run again to go on")


_STEPS = 3


def estimate(config: Config, frames: int) -> dict[str, float]:
    """Seconds of a run's long stages: CNN and LSTM training, and scoring frames with the CNN, over all folds.

    Descriptors, SVMs, CPM, JPML, validation and figures are not counted.

    Args:
      config: of the run.
      frames: of the dataset (of the other one where the CNN is trained there).
    """
    folds = len(config.folds) or config.protocol.folds
    trained = round(frames * (1 - 1 / config.protocol.folds) * (1 - config.protocol.validation))
    seconds, crop = {}, config.data.crop_size
    cnn = make_cnn(config.cnn, len(config.data.aus))
    batch = _cnn_batch(config.cnn.batch_size, crop, len(config.data.aus))
    constants = {"mean": jnp.zeros((crop, crop, 3))}
    update, score = (
        _update_seconds(
            config.cnn.optimizer,
            partial(anet.initial_params, cnn, crop),
            partial(anet.example_loss, cnn, config.cnn.label_reduction),
            constants,
            batch,
        ),
        _forward_seconds(config, cnn, batch),
    )
    cross = "anet_transfer" in config.systems
    epochs, size = config.cnn.epochs, config.cnn.batch_size
    # A CNN that is trained on the other dataset is trained once, on all of its people but the validation subjects.
    seconds["CNN training"] = (
        epochs * math.ceil(round(frames * (1 - config.protocol.validation)) / size) * update
        if cross
        else folds * epochs * math.ceil(trained / config.cnn.frame_step / size) * update
    )
    seconds["CNN scoring"] = (1 if cross else folds * 2) * math.ceil(frames / size) * score
    if "hybrid" in config.systems:
        lstm = make_lstm(config.lstm, len(config.data.aus))
        dimension = config.lstm.pca_components
        step = _update_seconds(
            config.lstm.optimizer,
            partial(lstm_trainer.initial_params, lstm, dimension),
            partial(lstm_trainer.example_loss, lstm, config.lstm),
            {"noise": jnp.zeros(dimension)} if config.lstm.noise else {},
            _lstm_batch(config.lstm, dimension, len(config.data.aus)),
        )
        updates = config.lstm.steps_per_epoch or math.ceil(
            trained / (config.lstm.batch_size * config.lstm.sequence_length)
        )
        seconds["LSTM training"] = folds * config.lstm.epochs * updates * step
    return seconds


def estimate_line(name: str, seconds: dict[str, float]) -> str:
    """The estimate in one line."""
    parts = ", ".join(f"{part} {tqdm.format_interval(value)}" for part, value in seconds.items())
    return f"{name}: about {tqdm.format_interval(sum(seconds.values()))} ({parts})"


def _update_seconds(
    optimizer: OptimizerConfig, init: Callable, loss: Callable, constants: Any, batch: parallel.Batch
) -> float:
    tx = make_optimizer(optimizer, 1, 1).tx
    params = init(jax.random.key(0))
    state = parallel.replicate_on_devices((params, tx.init(params)))
    step = parallel.make_train_step(loss, tx)
    times = []
    for number in range(_STEPS + 1):
        start = time.monotonic()
        *state, value = step(*state, constants, parallel.shard(batch), jax.random.key(number))
        jax.block_until_ready(value)
        times.append(time.monotonic() - start)
    # The first step compiles.
    return float(np.median(times[1:]))


def _forward_seconds(config: Config, cnn: Any, batch: parallel.Batch) -> float:
    run = parallel.make_forward(partial(cnn_forward, cnn))
    params = jax.device_put(anet.initial_params(cnn, config.data.crop_size, jax.random.key(0)))
    variables = {"params": params, "mean": np.zeros((config.data.crop_size,) * 2 + (3,), np.float32)}
    batch = {name: batch[name] for name in ("image", "offset", "flip", "mask")}
    times = []
    for _ in range(_STEPS):
        start = time.monotonic()
        run(variables, batch)
        times.append(time.monotonic() - start)
    return float(np.median(times[1:]))


def _cnn_batch(size: int, crop: int, aus: int) -> parallel.Batch:
    return {
        "image": np.zeros((size, crop, crop, 3), np.uint8),
        "labels": np.ones((size, aus), np.int8),
        "offset": np.zeros((size, 2), np.int32),
        "flip": np.zeros(size, bool),
        "mask": np.ones(size, np.float32),
    }


def _lstm_batch(config: LSTMConfig, dimension: int, aus: int) -> parallel.Batch:
    shape = (config.batch_size, config.sequence_length)
    return {
        "features": np.zeros((*shape, dimension), np.float32),
        "reset": np.zeros(shape, bool),
        "labels": np.ones((*shape, aus), np.int8),
        "mask": np.ones(shape, np.float32),
    }


def main() -> None:
    """Runs the command line."""
    scale = "; ".join(f"{name}: {meaning}" for name, meaning in scales.SCALES.items())
    flags.DEFINE_string("out", None, "Folder of runs, data, tables and figures.", required=True)
    flags.DEFINE_enum("scale", "full", list(scales.SCALES), scale)
    flags.DEFINE_bool("synthetic", False, "Synthetic faces made after BP4D and GFT.")
    flags.DEFINE_string("bp4d", None, "Folder of BP4D.")
    flags.DEFINE_string("gft", None, "Folder of GFT.")
    flags.DEFINE_list("protocols", ["3fold", "cross", "10fold"], "Protocols to run.")
    flags.DEFINE_list("seeds", ["0"], "Seeds; the tables show the first.")
    flags.DEFINE_string("vgg_face", None, "The file vgg_face.mat, for one panel of fig3.")
    run_command(lambda: reproduce(make_reproduction(flags.FLAGS)), resumes=True)


def make_reproduction(options: Any) -> Reproduction:
    """The plan of the command line's options, which are its attributes.

    Raises:
      CommandError: options that make no plan.
    """
    if options.synthetic == bool(options.bp4d or options.gft):
        raise CommandError("give --synthetic, or the folders of both datasets: --bp4d=... --gft=...")
    if not options.synthetic and not (options.bp4d and options.gft):
        raise CommandError("the cross-dataset protocol needs both datasets: --bp4d=... --gft=...")
    protocols = tuple(options.protocols)
    if not protocols or protocols[0] == "cross" or not set(protocols) <= set(scales.PROTOCOLS):
        raise CommandError(f"--protocols is {list(protocols)}; choose among 3fold, 10fold and cross, not cross first")
    return Reproduction(
        Path(options.out),
        options.scale,
        {} if options.synthetic else {"bp4d": options.bp4d, "gft": options.gft},
        protocols,
        tuple(int(seed) for seed in options.seeds),
        options.vgg_face,
    )


if __name__ == "__main__":
    main()
