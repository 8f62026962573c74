"""Both tables and all figures of the paper by one command, from raw BP4D and GFT folders or from synthetic faces.

    python -m experiments.reproduce --bp4d=/data/BP4D --gft=/data/GFT --out=runs/paper
    python -m experiments.reproduce --synthetic --scale=smoke --out=runs/smoke

Checks and prepares both datasets, tells how long the runs will take, makes them (three folds, cross-dataset, ten folds, every
system of the tables), and writes tables and figures. It can be stopped and typed again at any time: finished work is read.
"""

import concurrent.futures
import multiprocessing
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from absl import flags

from au_jax import files
from au_jax.command_line import run_command
from au_jax.config import Config
from au_jax.data.dataset import FaceDataset
from au_jax.data.preparation import check_copy, prepare
from au_jax.errors import UserError
from au_jax.evaluation.comparison import average, markdown, over_seeds
from experiments import estimate, scales

T = TypeVar("T")

_TABLES = {"gft": "table1", "bp4d": "table2"}


@dataclass(frozen=True)
class Plan:
    """What is to be made.

    Attributes:
      out: folder of runs, data, tables and figures.
      scale: of `scales.SCALES`.
      raw: dataset -> folder of its recordings; empty: synthetic faces.
      protocols: of `scales.PROTOCOLS`.
      seeds: seeds of folds, weights and sampling; tables show the first, `spread.md` all.
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
        # Which of the two stands in for the other is said by --synthetic.
        return changes | {"data.stands_for": "" if self.raw else dataset}

    def config(self, dataset: str, protocol: str, seed: int) -> Config:
        """The configuration of a run."""
        config = scales.get_config(f"{dataset}-{protocol}-{self.scale}")
        config.update_from_flattened_dict(self.changes(dataset, seed))
        return config

    def command(self, dataset: str, protocol: str, seed: int) -> list[str]:
        """The options of `au_jax.main` that make a run."""
        options = [f"--config={scales.__file__}:{dataset}-{protocol}-{self.scale}"]
        options += [f"--config.{field}={value}" for field, value in self.changes(dataset, seed).items()]
        return [*options, f"--workdir={self.folder(dataset, protocol, seed)}"]


def reproduce(plan: Plan) -> None:
    """Makes what the plan asks for.

    Raises:
      UserError: recordings that cannot be used, before any work; whatever a run refuses.
    """
    if plan.raw:
        for dataset in plan.raw:
            found = check_copy(plan.config(dataset, plan.protocols[0], plan.seeds[0]).data)
            print(found.text(), end="\n\n")
            found.raise_if_unusable(False)
    frames = {}
    for dataset in scales.DATASETS:
        prepared = FaceDataset(prepare(plan.config(dataset, plan.protocols[0], plan.seeds[0]).data))
        frames[dataset] = sum(len(records.frame_numbers) for records in prepared.load(prepared.subjects))
    _tell_time(plan, frames)
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


def spread(plan: Plan) -> str:
    """Average F1-frame of every system over the seeds, as Markdown: a table for every dataset and protocol."""
    parts = []
    for dataset in scales.DATASETS:
        for protocol in plan.protocols:
            runs = {seed: _averages(plan.folder(dataset, protocol, seed)) for seed in plan.seeds}
            parts += [f"## {dataset}, {protocol}", markdown(over_seeds(runs), "F1-frame")]
    return "\n\n".join(parts)


def _averages(run: Path) -> dict[str, float]:
    results = files.read_json(run / "results.json")
    columns = {"always_present": results["always_present"], **results["systems"]}
    return {name: average(figures["f1_frame"]) for name, figures in columns.items()}


def _tell_time(plan: Plan, frames: dict[str, int]) -> None:
    total = 0.0
    for protocol in plan.protocols:
        for dataset in scales.DATASETS:
            if (plan.folder(dataset, protocol, plan.seeds[-1]) / "results.json").exists():
                continue
            other = "gft" if dataset == "bp4d" else "bp4d"
            trained = frames[other if protocol == "cross" else dataset]
            parts = _alone(estimate.estimate, plan.config(dataset, protocol, plan.seeds[0]), trained)
            print(estimate.tell(f"{dataset} {protocol}", parts), flush=True)
            total += sum(parts.values()) * len(plan.seeds)
    if total:
        told = estimate.tell("all", {"networks": total})
        print(f"{told}; descriptors, SVMs, CPM, JPML, validation and figures come on top", flush=True)


def _alone(work: Callable[..., T], *arguments: object) -> T:
    """What a function returns in a process of its own, which gives the devices back."""
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def _figures(plan: Plan) -> None:
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


def _plan(options: Sequence[flags.FlagHolder]) -> Plan:
    out, scale, synthetic, bp4d, gft, protocols, seeds, vgg_face = (option.value for option in options)
    if synthetic == bool(bp4d or gft):
        raise UserError("give --synthetic, or the folders of both datasets: --bp4d=... --gft=...")
    if not synthetic and not (bp4d and gft):
        raise UserError("the cross-dataset protocol needs both datasets: --bp4d=... --gft=...")
    unknown = [protocol for protocol in protocols if protocol not in scales.PROTOCOLS]
    if unknown or not protocols or protocols[0] == "cross":
        raise UserError(f"--protocols is {protocols}; choose among 3fold, 10fold and cross, not cross first")
    return Plan(
        Path(out),
        scale,
        {} if synthetic else {"bp4d": bp4d, "gft": gft},
        tuple(protocols),
        tuple(int(seed) for seed in seeds),
        vgg_face,
    )


if __name__ == "__main__":
    OPTIONS = (
        flags.DEFINE_string("out", None, "Folder of runs, data, tables and figures.", required=True),
        flags.DEFINE_enum(
            "scale", "full", list(scales.SCALES), "; ".join(f"{k}: {v}" for k, v in scales.SCALES.items())
        ),
        flags.DEFINE_bool("synthetic", False, "Synthetic faces made after BP4D and GFT."),
        flags.DEFINE_string("bp4d", None, "Folder of BP4D."),
        flags.DEFINE_string("gft", None, "Folder of GFT."),
        flags.DEFINE_list("protocols", ["3fold", "cross", "10fold"], "Protocols to run."),
        flags.DEFINE_list("seeds", ["0"], "Seeds; the tables show the first."),
        flags.DEFINE_string("vgg_face", None, "The file vgg_face.mat, for one panel of fig3."),
    )
    run_command(lambda: reproduce(_plan(OPTIONS)))
