"""What each part of the hybrid gives, as one table: one thing at a time is otherwise, on the same CNNs.

    python -m experiments.ablations --seeds=0,1,2 --out=runs/ablations

Trains the demo (or with --scale=smoke its smallest form) for every seed, unless <out>/seed<number> holds it, and then every
variant of `ablation_variants.VARIANTS` on each fold's CNN. It can be stopped and typed again at any time: what is finished is
read; with --seconds it stops by itself, between two variants. Writes ablations.md, .json, .png and .svg into --out.

--single_label=60 also trains a CNN and an LSTM for each AU by itself, on fold 0 of the first seed, with so many training people,
and the network of all AUs with the same people beside them.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags
from matplotlib.figure import Figure

from au_jax import console, files
from au_jax.command_line import run_command
from au_jax.config import Config, find_file, load, replace, typed
from au_jax.data.dataset import FaceDataset, FaceSet
from au_jax.data.preparation import load_dataset, prepare
from au_jax.data.splits import Fold
from au_jax.errors import CommandError, UserError
from au_jax.evaluation.comparison import average_differences, check_same_frames
from au_jax.evaluation.tables import Scored, aligned, read_scores
from au_jax.logs import Costs, RunLog
from au_jax.report import style
from au_jax.run import run_system
from au_jax.run_dir import RunDir, fold_name
from au_jax.systems import display
from au_jax.systems.base import FoldContext
from au_jax.training.parallel import keep_compiled
from experiments.ablation_variants import VARIANTS, Variant, keep_test_features, run_variant

SCALE_CONFIGS: dict[str, str] = {"demo": "demo", "smoke": "demo:smoke"}
"""Scales and their configs."""

BASES: tuple[str, ...] = ("anet", "anet_filter", "hybrid")
"""The systems of the runs that the variants stand beside."""

REPLICATES, LEVEL = 1000, 0.95


@dataclass(frozen=True)
class Plan:
    """What is to be made.

    Attributes:
      out: folder of runs, variants and table.
      scale: of `SCALE_CONFIGS`.
      seeds: of the runs.
      folds: numbers of the folds.
      data: folder of prepared datasets; "" is the config's.
      seconds: no variant is begun after so many; 0 is no limit.
      single_label: training people of the networks of single AUs; 0: there are none.
    """

    out: Path
    scale: str = "demo"
    seeds: tuple[int, ...] = (0,)
    folds: tuple[int, ...] = (0, 1, 2)
    data: str = ""
    seconds: float = 0.0
    single_label: int = 0

    def changes(self, seed: int) -> dict[str, Any]:
        """What a run's config has otherwise than the scale's."""
        changes: dict[str, Any] = {"seed": seed, "systems": BASES, "folds": self.folds}
        return changes | ({"data.directory": self.data} if self.data else {})

    def config(self, seed: int) -> Config:
        """The config of a run."""
        return replace(typed(load(SCALE_CONFIGS[self.scale])), **self.changes(seed))

    def run(self, seed: int) -> RunDir:
        """The run of a seed."""
        return RunDir(self.out / f"seed{seed}")


class OutOfTimeError(Exception):
    """The seconds that the plan gives are over."""


def ablate(plan: Plan, variants: Sequence[Variant] = VARIANTS) -> None:
    """Makes what the plan asks for and is not there yet, then the table of what is finished.

    Raises:
      UserError: whatever a run refuses.
    """
    start = time.monotonic()

    def in_time() -> None:
        if plan.seconds and time.monotonic() - start > plan.seconds:
            raise OutOfTimeError

    try:
        for seed in plan.seeds:
            make_run(plan, seed, in_time)
        for seed in plan.seeds:
            for fold in plan.folds:
                make_variants(plan, seed, fold, variants, in_time)
        if plan.single_label:
            make_single_label(plan, in_time)
    except OutOfTimeError:
        console.tell(f"{plan.seconds:g} seconds are over; type the command again to go on")
    document = summary(plan, variants)
    if document is None:
        console.tell("no variant is finished on all folds and seeds yet: there is no table")
        return
    files.write_json(plan.out / "ablations.json", document)
    files.write_text(plan.out / "ablations.md", markdown(document))
    with style.context():
        drawing = draw(document)
        files.write_bytes(plan.out / "ablations.png", style.to_png(drawing))
        files.write_bytes(plan.out / "ablations.svg", style.to_svg(drawing))
    print(markdown(document))


def make_run(plan: Plan, seed: int, in_time: Callable[[], None]) -> None:
    """Trains the run of a seed, fold by fold, where it is not finished."""
    run = plan.run(seed)
    for fold in plan.folds:
        if all(run.score_path(fold, name).exists() for name in BASES):
            continue
        in_time()
        options = {**plan.changes(seed), "folds": (fold,)}
        # A process of its own, as the user would type it.
        command = [
            sys.executable,
            "-m",
            "au_jax.main",
            f"--config={find_file(SCALE_CONFIGS[plan.scale])}",
            f"--workdir={run.path}",
        ]
        command += [f"--config.{name}={value}" for name, value in options.items()]
        if subprocess.run(command).returncode:
            raise UserError(f"the run of seed {seed} failed; mend what it says, and type the command again to go on")
    run.check(plan.config(seed))


def make_variants(plan: Plan, seed: int, fold: int, variants: Sequence[Variant], in_time: Callable[[], None]) -> None:
    """Trains the variants of one fold that are not finished."""
    todo = [
        one for one in variants if not (variant_folder(plan, seed, one.name) / fold_name(fold) / "cost.json").exists()
    ]
    if not todo:
        return
    in_time()
    context, groups = fold_of(plan, seed, fold, plan.config(seed))
    features = plan.out / "features" / f"seed{seed}" / fold_name(fold)
    keep_test_features(context, groups, features)
    for variant in todo:
        in_time()
        run_variant(context, variant, variant_folder(plan, seed, variant.name), features, groups)


def fold_of(plan: Plan, seed: int, fold: int, config: Config) -> tuple[FoldContext, tuple[FaceSet, FaceSet, FaceSet]]:
    """The context of a run's fold, with costs and logs of the ablations, and the fold's subjects."""
    run, folder = plan.run(seed), plan.out / "variants"
    keep_compiled(config)
    context = FoldContext(config, fold, run.fold(fold), RunLog(folder / f"seed{seed}"), Costs(folder / f"seed{seed}"))
    dataset, split = load_dataset(config.data), run.split()["folds"][fold]
    train, validation, test = (FaceSet(dataset, tuple(split[name])) for name in ("train", "validation", "test"))
    return context, (train, validation, test)


def variant_folder(plan: Plan, seed: int, name: str) -> Path:
    """Where a variant of a seed lies."""
    return plan.out / "variants" / f"seed{seed}" / name


def make_single_label(plan: Plan, in_time: Callable[[], None]) -> None:
    """Trains a network for each AU by itself, and one of all, with the same few people of fold 0 of the first seed."""
    seed, fold = plan.seeds[0], plan.folds[0]
    config = plan.config(seed)
    split = plan.run(seed).split()["folds"][fold]
    people = Fold(tuple(split["train"][: plan.single_label]), tuple(split["validation"]), tuple(split["test"]))
    for name, aus in single_label_parts(plan, config.data.aus).items():
        folder = plan.out / "single_label" / name
        ours = replace(config, **{"data.aus": aus, "systems": ("anet", "hybrid")})
        keep_compiled(ours)
        context = FoldContext(ours, fold, folder / fold_name(fold), RunLog(folder), Costs(folder))
        for system in ours.systems:
            if not context.files.scores(system).exists():
                in_time()
                # The run's faces, with the labels of these AUs only.
                run_system(system, context, FaceDataset(prepare(config.data), aus), people)


def single_label_parts(plan: Plan, aus: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """Folder -> AUs of its network: all together, then each by itself; the people's number is in the name."""
    return {f"{plan.single_label}_all": tuple(aus), **{f"{plan.single_label}_au{au}": (au,) for au in aus}}


def _read(paths: Mapping[int, Path]) -> dict[int, Scored]:
    return {number: read_scores(path) for number, path in paths.items()}


def summary(plan: Plan, variants: Sequence[Variant] = VARIANTS) -> dict[str, Any] | None:
    """The content of ablations.json, of what is finished on all folds and seeds; None where no variant is.

    Returns:
      {"seeds", "folds", "subjects", "level", "rows": [{"name", "group", "title", "parameters", "seconds", and metric ->
      as of `average_differences`}], "by_seed": {name: {seed: F1-frame difference to the hybrid}}, "single_label": rows or None}.
    """
    pairs = [(seed, fold) for seed in plan.seeds for fold in plan.folds]
    scored: dict[str, dict[int, Scored]] = {}
    for name in BASES:
        paths = {number: plan.run(seed).score_path(fold, name) for number, (seed, fold) in enumerate(pairs)}
        if not all(path.exists() for path in paths.values()):
            return None
        scored[name] = _read(paths)
    costs: dict[str, list[dict[str, float]]] = {}
    for variant in variants:
        folders = [variant_folder(plan, seed, variant.name) / fold_name(fold) for seed, fold in pairs]
        if all((folder / "cost.json").exists() for folder in folders):
            scored[variant.name] = _read(
                {number: folder / "scores" / f"{variant.name}.npz" for number, folder in enumerate(folders)}
            )
            costs[variant.name] = [files.read_json(folder / "cost.json") for folder in folders]
    if not costs:
        return None
    for name in scored:
        for number in scored[name]:
            check_same_frames(scored["anet"][number], scored[name][number], ("anet", name))
    options = {"replicates": REPLICATES, "level": LEVEL, "seed": plan.seeds[0]}
    found = average_differences(scored, ["anet", "hybrid"], **options)
    titles = {name: ("as it is", display.label(name)) for name in BASES}
    titles |= {variant.name: (variant.group, variant.title) for variant in variants}
    rows = []
    for name in scored:
        group, title = titles[name]
        cost = (
            {key: float(np.mean([one[key] for one in costs[name]])) for key in ("parameters", "seconds")}
            if name in costs
            else {}
        )
        rows.append({"name": name, "group": group, "title": title, **cost, **found[name]})
    by_seed = {}
    for place, seed in enumerate(plan.seeds):
        part = slice(place * len(plan.folds), (place + 1) * len(plan.folds))
        own = {name: dict(list(folds.items())[part]) for name, folds in scored.items()}
        of_seed = average_differences(own, ["hybrid"], replicates=1, level=LEVEL, seed=0)
        for name, one in of_seed.items():
            by_seed.setdefault(name, {})[str(seed)] = one["f1_frame"]["hybrid"]["difference"]
    subjects = {key.rpartition("/")[0] for folds in scored["anet"].values() for key in folds.scores}
    return {
        "scale": plan.scale, "seeds": list(plan.seeds), "folds": list(plan.folds), "subjects": len(subjects), "level": LEVEL,
        "rows": rows, "by_seed": by_seed, "single_label": single_label_summary(plan, options),
    }  # fmt: skip


def single_label_summary(plan: Plan, options: Mapping[str, Any]) -> dict[str, Any] | None:
    """The networks of single AUs beside that of all, for the CNN and the hybrid; None where they are not finished."""
    if not plan.single_label:
        return None
    fold, aus = plan.folds[0], plan.config(plan.seeds[0]).data.aus
    parts = single_label_parts(plan, aus)
    folders = {name: plan.out / "single_label" / name for name in parts}
    paths = {
        (name, system): folder / fold_name(fold) / "scores" / f"{system}.npz"
        for name, folder in folders.items()
        for system in ("anet", "hybrid")
    }
    if not all(path.exists() for path in paths.values()):
        return None
    together, *alone = parts
    rows = []
    for system in ("anet", "hybrid"):
        one = read_scores(paths[together, system])
        each = [read_scores(paths[name, system]) for name in alone]
        scores, labels = (
            {key: np.concatenate([getattr(part, column)[key] for part in each], 1) for key in one.scores}
            for column in ("scores", "labels")
        )
        joined = Scored(scores, labels, one.frames)
        check_same_frames(one, joined, ("all AUs", "single AUs"))
        found = average_differences({"all": {0: one}, "single": {0: joined}}, ["all"], **options)
        rows.append(
            {"system": system, **found["single"], "all": {name: value["value"] for name, value in found["all"].items()}}
        )
    seconds = {
        side: round(
            sum(
                stage.get("training_seconds", 0.0)
                for name in names
                for stage in Costs(folders[name]).stages.values()
            ), 1
        )
        for side, names in (("all", [together]), ("single", alone))
    }  # fmt: skip
    return {"people": plan.single_label, "fold": fold, "networks": len(alone), "rows": rows, "seconds": seconds}


_HEAD = ["varied", "variant", "F1-frame", "to ANet", "to the hybrid", "F1-event", "to the hybrid", "F1-micro"]


def _points(pair: Mapping[str, Any]) -> str:
    low, high = pair["interval"]
    return f"{pair['difference']:+.1f} ({low:+.1f} to {high:+.1f})"


def markdown(document: Mapping[str, Any]) -> str:
    """The tables of ablations.json."""
    seeds, folds = document["seeds"], document["folds"]
    rows = [[*_HEAD, *(f"seed {seed}" for seed in seeds), "parameters", "s a fold"]]
    for row in document["rows"]:
        frame, event = row["f1_frame"], row["f1_event"]
        to_anet = "" if row["name"] == "anet" else _points(frame["anet"])
        to_hybrid = ["" if row["name"] == "hybrid" else _points(metric["hybrid"]) for metric in (frame, event)]
        cells = [f"{frame['value']:.1f}", to_anet, to_hybrid[0], f"{event['value']:.1f}", to_hybrid[1]]
        cells += [f"{row['f1_micro']['value']:.1f}"]
        cells += [f"{document['by_seed'][row['name']][str(seed)]:+.1f}" for seed in seeds]
        cost = [f"{row['parameters']:,.0f}", f"{row['seconds']:.1f}"] if "seconds" in row else ["", ""]
        rows.append([row["group"], row["title"], *cells, *cost])
    parts = [
        f"In percent on {document['subjects']} test subjects: {document['scale']}, seeds {', '.join(map(str, seeds))}, folds "
        f"{', '.join(map(str, folds))}. Every variant differs from the hybrid in one thing and has its CNNs. Intervals are "
        f"{document['level']:.0%} by bootstrap over subjects, both sides resampled with the same ones. The columns of seeds are "
        "the differences of F1-frame to the hybrid. Parameters and seconds of the training loops (on a shared machine) are those "
        "of LSTM and fusion.",
        aligned(rows),
    ]
    if single := document["single_label"]:
        rows = [["system", "metric", "one for all AUs", f"{single['networks']} networks", "difference"]]
        for row in single["rows"]:
            for metric, title in (("f1_frame", "F1-frame"), ("f1_event", "F1-event")):
                cells = [f"{row['all'][metric]:.1f}", f"{row[metric]['value']:.1f}", _points(row[metric]["all"])]
                rows.append([display.label(row["system"]), title, *cells])
        seconds = single["seconds"]
        parts += [
            f"Networks of single AUs against one of all, with {single['people']} training people of fold {single['fold']}, seed "
            f"{seeds[0]}; training loops took {seconds['single']:.0f} s against {seconds['all']:.0f} s.",
            aligned(rows),
        ]
    return "\n\n".join(parts) + "\n"


def draw(document: Mapping[str, Any]) -> style.Drawing:
    """A row per variant: its difference to the hybrid in F1-frame and F1-event, with interval; filled where it holds no 0."""
    rows = [row for row in document["rows"] if row["name"] != "hybrid"]
    with style.context():
        figure = Figure(figsize=(10.0, 1.6 + 0.3 * len(rows)))
        panels: Any = figure.subplots(1, 2, sharey=True)
        for axes, (metric, title) in zip(panels, (("f1_frame", "F1-frame"), ("f1_event", "F1-event")), strict=True):
            axes.axvline(0.0, color=style.GREY, linewidth=1.0)
            for place, row in enumerate(rows):
                pair = row[metric]["hybrid"]
                low, high = pair["interval"]
                face = style.BLUE if low > 0 or high < 0 else "white"
                axes.plot([low, high], [place, place], color=style.BLUE, linewidth=1.4)
                axes.plot([pair["difference"]], [place], "o", color=style.BLUE, markerfacecolor=face, markersize=6)
            axes.set_title(title)
            axes.set_xlabel("points to the hybrid")
            axes.grid(axis="x")
            axes.set_axisbelow(True)
        panels[0].set_yticks(range(len(rows)), [f"{row['group']}: {row['title']}" for row in rows])
        panels[0].invert_yaxis()
    told = ", ".join(f"{row['title']} {row['f1_frame']['hybrid']['difference']:+.1f}" for row in rows)
    return style.Drawing(
        figure,
        alt=f"Differences to the hybrid in F1-frame: {told}.",
        caption=f"Whiskers are {document['level']:.0%} intervals by bootstrap over {document['subjects']} subjects; filled where "
        "they hold no 0.",
    )


def make_plan(options: Any) -> Plan:
    """The plan of the command line's options, which are its attributes.

    Raises:
      CommandError: options that make no plan.
    """
    try:
        seeds, folds = (tuple(int(number) for number in numbers) for numbers in (options.seeds, options.folds))
    except ValueError:
        raise CommandError(
            f"--seeds={','.join(options.seeds)} --folds={','.join(options.folds)}: give whole numbers"
        ) from None
    number = typed(load(SCALE_CONFIGS[options.scale])).protocol.folds
    if not seeds or not folds or len(set(seeds)) < len(seeds) or not set(folds) <= set(range(number)):
        raise CommandError(f"give --seeds, each once, and --folds of 0 to {number - 1}")
    if options.single_label and options.scale == "smoke":
        raise CommandError(
            "--single_label needs --scale=demo: of the smoke scale's few people, none shows some of the AUs"
        )
    return Plan(Path(options.out), options.scale, seeds, folds, options.data, options.seconds, options.single_label)


def main() -> None:
    """Runs the command line."""
    flags.DEFINE_string("out", None, "Folder of runs, variants and table.", required=True)
    flags.DEFINE_enum("scale", "demo", list(SCALE_CONFIGS), "demo, or its smallest form: shows that everything runs.")
    flags.DEFINE_list("seeds", ["0"], "Seeds of the runs.")
    flags.DEFINE_list("folds", ["0", "1", "2"], "Folds of every seed.")
    flags.DEFINE_string("data", "", "Folder of prepared datasets; the config's own by default.")
    flags.DEFINE_float("seconds", 0.0, "Begin no variant after so many seconds; 0: go on to the end.", 0.0)
    flags.DEFINE_integer("single_label", 0, "Training people of the networks of single AUs; 0: none are trained.", 0)
    run_command(lambda: ablate(make_plan(flags.FLAGS)), tensorflow=True, resumes=True)


if __name__ == "__main__":
    main()
